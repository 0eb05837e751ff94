"""MQTT 3.1.1 through paho: events from the outbox, announcements, requests.

Two threads. paho's owns the socket; its callbacks only put a message into ``_inbox``,
re-subscribe, and hand requests on. The *pump* takes from the inbox and is the only one
that publishes events and acknowledges them in the outbox, so that nothing here needs a
lock: paho holds locks of its own while it calls back.

An event is delivered when the broker's PUBACK has come, and not before. What is not
acknowledged when a connection ends goes again as backlog on the next one. A broker also
acknowledges what its access rules drop (MQTT 3.1.1 knows no refusal), so nothing is sent
before our own ``online`` has come back to us.
"""

from __future__ import annotations

import json
import logging
import queue
import random
import re
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from trashbin import settings
from trashbin.devices.mqtt_client import new_client
from trashbin.errors import StoreError
from trashbin.events import Event, Topics
from trashbin.outbox import Outbox
from trashbin.ports import Context

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 16  # events without their PUBACK; paho itself allows 20 messages
MAX_LATE_IN_FLIGHT = 8  # the rest stays free for live events
CATCH_UP_S = 0.1  # how far a late event's turn may lie back, so that timers need not be exact
MAX_SEQ = 2**63 - 1  # SQLite's
BATCH = 100  # events read from the outbox at a time
ECHO_S = 5.0  # for our own ``online`` to come back; then it is said again
JITTER_S = 1.0  # added at random, so that a hundred bins do not come back in one instant
STORE_RETRY_S = 1.0
PULSE_S = 5.0  # the pump goes round at least so often, to show that it can
CLOSE_S = 1.0  # for what is in flight, and again for ``offline``
VERB = re.compile(r"[\w-]{1,40}")
NO_WORD = "unknown"  # in place of a verb that is none, and may be too long for an answer's topic
QOS = {"info": 1, "state": 1, "health": 0, "image/last": 0}

OnRequest = Callable[[str, bytes, bool], None]
# what the pump is told: kind and its value
Message = tuple[
    Literal["subscribed", "connected", "lost", "acked", "announce", "resend", "wake", "close"], Any
]


class MqttPublisher:
    """Satisfies ``ports.Publisher`` with a broker.

    ConfigError where the password file or a certificate cannot be read. An unreachable
    broker is no error: it is tried again for ever.
    """

    def __init__(self, settings: settings.MqttPublisher, context: Context) -> None:
        assert context.outbox is not None, "a publisher reads the outbox"
        self._outbox: Outbox = context.outbox
        self._settings = settings
        self._at = f"{settings.host}:{settings.port}"
        self._id = context.config.device.id
        self._topics = Topics(self._id)
        self._client = new_client(settings, self._id, self._topics)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish
        self._on_request: OnRequest | None = None
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._pump = threading.Thread(target=self._run, name="mqtt-pump", daemon=True)
        self._closing = threading.Event()
        self._acknowledged = threading.Condition()
        self._problems: dict[str, str] = {}
        self._round_at = time.monotonic()  # when the pump last went round
        self._session = False  # paho's view: connected, and our ``online`` has come back
        # from here on the pump's own
        self._echo_due: float | None = None  # monotonic time until which ``online`` may take
        self._online = False
        self._announced: dict[str, str | bytes] = {}
        self._in_flight: dict[int, Event] = {}  # by paho's message id, of this connection only
        self._acked: list[str] = []  # by the broker, not yet in the outbox
        self._late: deque[Event] = deque()  # read from the outbox, to be sent as backlog
        self._backlog_end: int | None = None  # up to here events are backlog, after it live
        self._backlog_seq = 0  # backlog is read up to here
        self._live_seq = 0  # live events are sent up to here
        self._late_due = 0.0  # monotonic time of the next late event

    @property
    def connected(self) -> bool:
        """True while the broker holds our session, and new events go out as live."""
        return self._online and self._backlog_end is not None and not self._closing.is_set()

    @property
    def progressed_at(self) -> float:
        """When the slower of pump and paho's thread last went round, monotonic."""
        return min(self._round_at, self._client.beat_at)

    @property
    def problem(self) -> str | None:
        """What keeps events from the broker, in plain words; None where nothing does."""
        return "; ".join(tuple(self._problems.values())) or None

    # the port: called from the main thread

    def open(self, on_request: OnRequest) -> None:
        """Begin to connect, and keep trying; ``on_request`` runs on paho's thread."""
        self._on_request = on_request
        self._client.beat_at = self._round_at = time.monotonic()
        self._pump.start()
        self._client.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive_s
        )
        self._client.loop_start()

    def announce(self, topic: str, payload: Mapping[str, Any] | bytes) -> None:
        """Set what a retained topic says, now and after every reconnect; no bytes clear it."""
        content = payload if isinstance(payload, bytes) else _json(payload)
        self._inbox.put(("announce", (topic, content)))

    def respond(self, verb: str, payload: Mapping[str, Any]) -> None:
        """Answer on ``response/<verb>``; lost where the connection is: the asker times out."""
        self._client.publish(self._topics.response(verb), _json(payload), qos=1)

    def wake(self) -> None:
        """The outbox has a new event."""
        self._inbox.put(("wake", None))

    def resend(self, after_seq: int, limit: int) -> int:
        """Send kept events once more, as backlog; how many. StoreError where they can't be read."""
        events = self._outbox.span(after_seq, limit)
        self._inbox.put(("resend", events))
        return len(events)

    def drain(self, timeout: float) -> bool:
        """Wait until the broker has every event; False where it has not within ``timeout``."""
        with self._acknowledged:
            return self._acknowledged.wait_for(lambda: self._outbox.depth() == 0, timeout)

    def close(self) -> None:
        """Say ``offline`` and disconnect, after waiting a bounded time for what is in flight."""
        if self._closing.is_set() or self._on_request is None:
            return
        self._closing.set()
        self._inbox.put(("close", None))
        self._pump.join(3 * CLOSE_S)
        self._client.disconnect()
        # loop_stop waits for a connect that is under way, however long a name takes to resolve
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(CLOSE_S)

    # paho's thread

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell("broker", f"The broker {self._at} refuses us ({reason}): {self._advice()}")
            return
        # paho would send again what the last connection left, and late events as live ones
        client.drop_out_messages()
        client.subscribe([(self._topics.request_filter, 1), (self._topics.availability, 1)])

    def _on_subscribe(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        self._say_online()
        self._inbox.put(("subscribed", None))

    def _on_connect_fail(self, client: Client, userdata: object) -> None:
        # paho calls this while it handles the error, and passes nothing on
        error = sys.exc_info()[1]
        forged = isinstance(error, ssl.SSLCertVerificationError)
        check = "; check publisher.tls.ca, publisher.host and the clock" if forged else ""
        self._tell("broker", f"The broker {self._at} cannot be reached: {error}{check}")
        self._wait_a_little()

    def _on_disconnect(
        self,
        client: Client,
        userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._inbox.put(("lost", None))
        if self._session:
            self._session = False
            if not self._closing.is_set():
                self._tell("broker", f"The connection to the broker {self._at} was lost")
        elif "broker" not in self._problems and not self._closing.is_set():
            self._tell(
                "broker",
                f"The broker {self._at} ended the connection without an answer: it may want TLS, "
                "or a client certificate (publisher.tls.cert and key) that it trusts",
            )
        self._wait_a_little()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic  # only now decoded
        except UnicodeDecodeError:
            topic = self._topics.request(NO_WORD)
        if topic == self._topics.availability:
            if not message.retain and not self._closing.is_set():  # a retained one is older
                self._on_availability(bytes(message.payload))
            return
        verb = topic.rpartition("/")[2]
        if self._on_request is not None:
            verb = verb if VERB.fullmatch(verb) else NO_WORD
            self._on_request(verb, bytes(message.payload), message.retain)

    def _on_availability(self, payload: bytes) -> None:
        if payload == b"offline":  # a will of an earlier connection that the broker sent late
            self._say_online()
        elif not self._session:
            self._session = True
            self._tell("broker", None)
            log.info("Connected to the broker %s", self._at)
            self._inbox.put(("connected", None))

    def _on_publish(
        self,
        client: Client,
        userdata: object,
        mid: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._inbox.put(("acked", mid))

    def _say_online(self) -> None:
        self._client.publish(self._topics.availability, "online", qos=1, retain=True)

    def _advice(self) -> str:
        user = self._settings.username
        if user is None:
            return "it may want publisher.username and publisher.password_file"
        check = f"check publisher.username ({user}) and the password in its file"
        if user == self._id:
            return check
        return f"{check}; a broker with our ACL wants device.id ({self._id}) as the user name"

    def _wait_a_little(self) -> None:
        self._closing.wait(random.uniform(0, JITTER_S))

    def _tell(self, about: str, problem: str | None) -> None:
        """Keep what is wrong, and log it once a change."""
        before = self._problems.get(about)
        if problem is None:
            self._problems.pop(about, None)
        elif problem != before:
            self._problems[about] = problem
            log.warning("%s; trying again", problem)

    # the pump's thread

    def _run(self) -> None:
        wait: float | None = None
        while not self._closing.is_set():
            self._receive(PULSE_S if wait is None else min(wait, PULSE_S))
            self._round_at = time.monotonic()
            try:
                self._acknowledge()
                wait = self._send() if self._online else self._await_echo()
                self._tell("store", None)
            except StoreError as exc:
                self._tell("store", str(exc))
                wait = STORE_RETRY_S
        self._say_goodbye()

    def _receive(self, wait: float | None) -> None:
        """Take every message that is there, waiting ``wait`` seconds for the first."""
        try:
            self._handle(*self._inbox.get(timeout=wait))
            while True:
                self._handle(*self._inbox.get_nowait())
        except queue.Empty:
            pass

    def _handle(self, kind: str, value: Any) -> None:
        match kind:
            case "subscribed":
                self._echo_due = time.monotonic() + ECHO_S
            case "connected":
                self._online = True
                self._echo_due = None
                self._in_flight.clear()
                self._late.clear()
                for topic in self._announced:
                    self._publish_announced(topic)
            case "lost":
                self._online = False
                self._echo_due = None
                self._backlog_end = None
            case "acked":
                event = self._in_flight.pop(value, None)
                if event is not None:  # else an announcement or an answer
                    self._acked.append(event.event_id)
            case "announce":
                topic, payload = value
                self._announced[topic] = payload
                if self._online:
                    self._publish_announced(topic)
            case "resend":
                self._late.extend(value)

    def _await_echo(self) -> float | None:
        """Say ``online`` again where it has not come back; the seconds until it is due."""
        if self._echo_due is None:
            return None
        left = self._echo_due - time.monotonic()
        if left > 0:
            return left
        self._tell(
            "broker",
            f"The broker {self._at} does not pass on what we say, or hides it: {self._advice()}",
        )
        self._say_online()
        self._echo_due = time.monotonic() + ECHO_S
        return ECHO_S

    def _acknowledge(self) -> None:
        if self._acked:
            self._outbox.acknowledge(self._acked)
            self._acked.clear()
            with self._acknowledged:
                self._acknowledged.notify_all()

    def _send(self) -> float | None:
        """Send what may go now; the seconds until more may, None where a message will tell."""
        if self._backlog_end is None:
            self._live_seq = self._outbox.last_seq()
            self._backlog_seq = 0
            self._backlog_end = self._live_seq
        self._send_live()
        return self._send_late(self._backlog_end)

    def _send_live(self) -> None:
        room = MAX_IN_FLIGHT - len(self._in_flight)
        for event in self._outbox.unacknowledged(self._live_seq, MAX_SEQ, room):
            self._publish(self._topics.event, event)
            self._live_seq = event.seq

    def _send_late(self, end: int) -> float | None:
        now = time.monotonic()
        while len(self._in_flight) < MAX_LATE_IN_FLIGHT:
            if not self._late:
                self._late.extend(self._outbox.unacknowledged(self._backlog_seq, end, BATCH))
                if not self._late:
                    return None
                self._backlog_seq = self._late[-1].seq
            if self._late_due > now:
                return self._late_due - now
            self._late_due = max(self._late_due, now - CATCH_UP_S) + 1 / self._settings.backlog_rate
            self._publish(self._topics.backlog, replace(self._late.popleft(), historical=True))
        return None

    def _publish(self, topic: str, event: Event) -> None:
        self._in_flight[self._client.publish(topic, event.to_json(), qos=1).mid] = event

    def _publish_announced(self, topic: str) -> None:
        self._client.publish(
            f"{self._topics.root}/{topic}", self._announced[topic], qos=QOS[topic], retain=True
        )

    def _say_goodbye(self) -> None:
        """Send the last live events, wait a bounded time for their PUBACKs, say ``offline``."""
        deadline = time.monotonic() + CLOSE_S
        try:
            while self._online and (left := deadline - time.monotonic()) > 0:
                self._send_live()
                if not self._in_flight:
                    break
                self._receive(left)
                self._acknowledge()
        except StoreError as exc:
            self._tell("store", str(exc))
        if self._online:
            said = self._client.publish(self._topics.availability, "offline", qos=1, retain=True)
            if said.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                said.wait_for_publish(CLOSE_S)


def _json(payload: Mapping[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
