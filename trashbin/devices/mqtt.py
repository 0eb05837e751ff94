"""MQTT 3.1.1 through paho: events from the outbox, announcements, requests.

Two threads. paho's owns the socket; what it hears (``mqtt_ear``) it puts into ``_inbox``.
The *pump* takes from the inbox and is the only one that publishes events and acknowledges
them in the outbox, so that nothing here needs a lock.

A broker also acknowledges what its access rules drop (MQTT 3.1.1 knows no refusal), so
nothing is sent before our own ``online`` has come back to us. Then, in this order: how Home
Assistant finds the bin, info, state and health, the backlog.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from paho.mqtt.enums import MQTTErrorCode

from trashbin import settings
from trashbin.devices import mqtt_client
from trashbin.devices.mqtt_ear import Ear, OnRequest
from trashbin.devices.mqtt_flow import EventFlow
from trashbin.devices.mqtt_retained import Kept, PictureSize, Retained, as_json, newest_seq
from trashbin.errors import StoreError
from trashbin.events import Event, Topics
from trashbin.outbox import Outbox
from trashbin.ports import Context

log = logging.getLogger(__name__)

ECHO_S = 5.0  # for our own ``online`` to come back; then it is said again
UNHEARD_S = 60.0  # with events under way and no PUBACK; then the connection is made anew
STORE_RETRY_S = 1.0
PULSE_S = 5.0  # the pump goes round at least so often, to show that it can
DENY_S = 1.0  # at least, between two answers to one who says that we are offline
BIRTH_S = 2.0  # at most, from Home Assistant's start until a bin tells of itself again
RENEW_S = 1.0  # for answers under way, before the connection is made anew
CLOSE_S = 1.0  # for what is in flight, and again for ``offline``

Message = tuple[str, Any]  # what the pump is told: kind and its value, see ``_handle``


class MqttPublisher:
    """Satisfies ``ports.Publisher`` with a broker.

    ConfigError where the password file or a certificate cannot be read. An unreachable
    broker is no error: it is tried again for ever.
    """

    def __init__(self, settings: settings.MqttPublisher, context: Context) -> None:
        assert context.outbox is not None, "a publisher reads the outbox"
        self._outbox: Outbox = context.outbox
        self._settings = settings
        self._topics = Topics(context.config.device.id)
        self._retained = Retained(context.config, settings, self._outbox)
        self._client = mqtt_client.new_client(settings, self._topics.device_id, self._topics)
        self._closing = threading.Event()
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._pump = threading.Thread(target=self._run, name="mqtt-pump", daemon=True)
        self._ear = Ear(
            self._client, settings, self._topics, self._retained, self._closing, self._put
        )
        self._acknowledged = threading.Condition()
        self._round_at = time.monotonic()  # when the pump last went round
        self._pictures = PictureSize()
        # from here on the pump's own
        self._echo_due: float | None = None  # monotonic time until which ``online`` may take
        self._online = False
        self._due: dict[Callable[[], None], float] = {}  # what is to be done at which time
        self._flow = EventFlow(self._outbox, self._topics, settings.backlog_rate, self._publish)

    @property
    def connected(self) -> bool:
        """True while the broker holds our session, and new events go out as live."""
        return self._online and self._flow.live and not self._closing.is_set()

    @property
    def progressed_at(self) -> float:
        """When the slower of pump and paho's thread last went round, monotonic."""
        return min(self._round_at, self._client.beat_at)

    @property
    def problem(self) -> str | None:
        """What keeps events from the broker, in plain words; None where nothing does."""
        return self._ear.problem

    # the port: called from the main thread

    def open(self, on_request: OnRequest) -> None:
        """Begin to connect, and keep trying; ``on_request`` runs on paho's thread."""
        self._ear.on_request = on_request
        self._client.beat_at = self._round_at = time.monotonic()
        self._pump.start()
        self._connect()

    def announce(self, topic: str, payload: Mapping[str, Any] | bytes) -> None:
        """Set what a retained topic says, now and after every reconnect; no bytes clear it."""
        self._put("announce", self._retained.message(topic, payload))

    def respond(self, verb: str, payload: Mapping[str, Any]) -> None:
        """Answer on ``response/<verb>``; lost where the connection is: the asker times out."""
        answer = as_json(payload)
        if not self._pictures.takes(len(answer)):  # it would cost the connection
            error = mqtt_client.unsent(len(answer))
            answer = as_json({**payload, "status": "error", "data": None, "error": error})
        self._client.publish(self._topics.response(verb), answer, qos=1)

    def wake(self) -> None:
        """The outbox has a new event."""
        self._put("wake", None)

    def resend(self, after_seq: int, limit: int) -> int:
        """Send kept events once more, as backlog; how many. StoreError where they can't be read."""
        events = self._outbox.span(after_seq, limit)
        self._put("resend", events)
        return len(events)

    def forget(self) -> None:
        """Leave nothing at the broker, until the next start; events still go there."""
        self._put("forget", None)

    def drain(self, timeout: float) -> bool:
        """Wait until the broker has every event; False where it has not within ``timeout``."""
        with self._acknowledged:
            return self._acknowledged.wait_for(lambda: self._outbox.depth() == 0, timeout)

    def close(self) -> None:
        """Say ``offline`` and disconnect, after waiting a bounded time for what is in flight."""
        if self._closing.is_set() or self._ear.on_request is None:
            return
        self._closing.set()
        self._put("close", None)
        self._pump.join(3 * CLOSE_S)
        self._client.disconnect()
        # loop_stop waits for a connect that is under way, however long a name takes to resolve
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(CLOSE_S)

    def _put(self, kind: str, value: Any) -> None:
        self._inbox.put((kind, value))

    def _connect(self) -> None:
        self._client.connect_async(
            self._settings.host, self._settings.port, self._settings.keepalive_s
        )
        self._client.loop_start()

    # the pump's thread

    def _run(self) -> None:
        wait: float | None = None
        while not self._closing.is_set():
            self._receive(PULSE_S if wait is None else min(wait, PULSE_S))
            self._round_at = time.monotonic()
            try:
                self._acknowledge()
                wait = self._flow.send() if self._online else self._await_echo()
                wait = self._do_what_is_due(wait)
                self._ear.tell("store", None)
                if self._online and self._flow.unheard_s > UNHEARD_S:
                    self._ear.tell("acknowledgements", mqtt_client.unheard(self._ear.at, UNHEARD_S))
                    self._client.hang_up()
            except StoreError as exc:
                self._ear.tell("store", str(exc))
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
            case "subscribing":
                self._echo_due = time.monotonic() + ECHO_S
            case "connected":
                self._online = True
                self._echo_due = None
                self._client.unsubscribe([self._topics.state, self._topics.health])
                self._flow.connected()
                if not self._retained.kept:
                    self._clear(self._retained.nothing())
                    self._ear.say_online()
                self._tell_all()
                self._due[self._clear_left] = time.monotonic()
                if self._ear.sessions.proof_s:
                    self._due[self._lasts] = time.monotonic() + self._ear.sessions.proof_s
                else:
                    self._lasts()
            case "lost":
                self._online = False
                self._echo_due = None
                self._due.pop(self._lasts, None)
                self._flow.lost()
                if (size := self._pictures.ended()) is not None:
                    log.warning(mqtt_client.too_large(self._ear.at, size))
            case "acked":
                self._flow.acked(value)
            case "announce":
                self._retained.take(value)
                if self._online:
                    self._show() if value is self._retained.picture else self._announce(value)
            case "told":
                self._due[partial(self._go_on, value)] = time.monotonic()
            case "resend":
                self._flow.resend(value)
            case "offline":  # somebody may say so without end: events wait behind our answers
                at = max(time.monotonic(), self._ear.said_at + DENY_S)
                self._due.setdefault(self._ear.say_online, at)
            case "born":  # a hundred bins do not answer in one instant
                self._due[self._introduce] = time.monotonic() + random.uniform(0, BIRTH_S)
            case "forget":
                self._clear(self._retained.forget())
                self._due[self._renew] = time.monotonic() + RENEW_S

    def _await_echo(self) -> float | None:
        """Say ``online`` again where it has not come back; the seconds until it is due.

        First subscribe again where the broker did not let us, or said nothing to it.
        """
        if self._echo_due is None:
            return None
        left = self._echo_due - time.monotonic()
        if left > 0:
            return left
        self._ear.tell("broker", mqtt_client.unechoed(self._ear.at, self._ear.advice))
        (self._ear.say_online if self._ear.subscribed else self._ear.subscribe)()
        self._echo_due = time.monotonic() + ECHO_S
        return ECHO_S

    def _do_what_is_due(self, wait: float | None) -> float | None:
        """Do what the time has come for; the seconds until more may be done."""
        now = time.monotonic()
        for action in [action for action, due in self._due.items() if due <= now]:
            due = self._due.pop(action)
            try:
                action()
            except StoreError:
                self._due[action] = due  # again with what else needs the store
                raise
        waits = [due - now for due in self._due.values()]
        return min(waits if wait is None else [*waits, wait], default=None)

    def _go_on(self, told: bytes) -> None:
        """Give no number twice, where an older copy of the store was put in its place."""
        self._outbox.go_on_after(newest_seq(told, self._outbox.store_id))

    def _lasts(self) -> None:
        """This is a connection, and not one more of those that end as soon as they are made."""
        self._ear.tell("broker", None)
        log.info("Connected to the broker %s", self._ear.at)
        self._show()

    def _introduce(self) -> None:
        """Home Assistant is new: it has to know all of this bin."""
        if self._online:
            self._ear.say_online()
            self._tell_all()
            self._show()

    def _show(self) -> None:
        """Send the picture, which may cost the connection: not before this one has lasted."""
        picture = self._retained.picture
        if picture is not None and self._lasts not in self._due and self._pictures.may(picture):
            self._announce(picture)

    def _tell_all(self) -> None:
        for message in self._retained.all():
            self._announce(message)

    def _renew(self) -> None:
        """Connect anew without a will: the broker would keep it, and leave it behind."""
        if self._online:  # first: a bin that is switched off now does not come back to do it
            self._clear(self._retained.nothing())
        self._client.disconnect()
        self._client.loop_stop()
        self._client.will_clear()
        if not self._closing.is_set():
            self._connect()

    def _clear_left(self) -> None:
        self._clear(self._retained.left(self._outbox))

    def _clear(self, messages: Iterable[Kept]) -> None:
        for message in messages:
            self._client.publish(message.topic, message.payload, message.qos, retain=True)

    def _announce(self, message: Kept) -> None:
        kept = self._retained.kept
        self._client.publish(message.topic, message.payload, message.qos, retain=kept)

    def _publish(self, topic: str, event: Event) -> int:
        return self._client.publish(topic, event.to_json(), qos=1).mid

    def _acknowledge(self) -> None:
        if self._flow.acknowledge():
            self._ear.tell("acknowledgements", None)
            with self._acknowledged:
                self._acknowledged.notify_all()

    def _say_goodbye(self) -> None:
        """Send the last live events, wait a bounded time for their PUBACKs, say ``offline``."""
        deadline = time.monotonic() + CLOSE_S
        self._receive(0)  # to forget may have been the last
        try:
            while self._online and (left := deadline - time.monotonic()) > 0:
                self._flow.send_live()
                if self._flow.idle:
                    break
                self._receive(left)
                self._acknowledge()
        except StoreError as exc:
            self._ear.tell("store", str(exc))
        if self._online:
            if not self._retained.kept:
                self._clear(self._retained.nothing())
            said = self._client.publish(
                self._topics.availability, "offline", qos=1, retain=self._retained.kept
            )
            if said.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                said.wait_for_publish(CLOSE_S)
