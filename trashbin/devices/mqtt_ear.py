"""What a publisher hears: its connections made and lost, subscriptions, messages.

All of it on paho's thread, which holds locks of paho's own while it calls back: nothing here
sends an event, reads the store or waits for the pump. What is heard is handed on to the pump,
and requests to the daemon.
"""

from __future__ import annotations

import logging
import random
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode

from trashbin import homeassistant, settings
from trashbin.devices import mqtt_client
from trashbin.devices.mqtt_retained import Retained
from trashbin.events import Topics
from trashbin.mqtt_access import Sessions, to_check

log = logging.getLogger(__name__)

JITTER_S = 1.0  # added at random, so that a hundred bins do not come back in one instant
VERB = re.compile(r"[\w-]{1,40}")
NO_WORD = "unknown"  # in place of a verb that is none, and may be too long for an answer's topic

OnRequest = Callable[[str, bytes, bool], None]


class Ear:
    """Takes paho's callbacks. ``hand(kind, value)`` tells the pump, which knows the kinds.

    ``closing`` is set once the publisher ends: what is lost from there on is no news.
    """

    def __init__(
        self,
        client: Client,
        section: settings.MqttPublisher,
        topics: Topics,
        retained: Retained,
        closing: threading.Event,
        hand: Callable[[str, Any], None],
    ) -> None:
        self.at = f"{section.host}:{section.port}"
        self.advice = mqtt_client.advice(section, topics.device_id)
        self.on_request: OnRequest | None = None
        self.sessions = Sessions(client, mqtt_client.RECONNECT_S)
        self.subscribed = False  # the broker has let us, on this connection
        self.said_at = 0.0  # monotonic: when ``online`` was said last
        self._client = client
        self._discovery = section.discovery
        self._topics = topics
        self._retained = retained
        self._closing = closing
        self._hand = hand
        self._problems: dict[str, str] = {}
        self._session = False  # our ``online`` has come back
        self._refused = False  # this connection, with a reason, which was told
        self._may_hear = True  # as far as we know; that it is not so is logged once
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish

    # by the pump, too

    @property
    def problem(self) -> str | None:
        """What keeps events from the broker, in plain words; None where nothing does."""
        return "; ".join(tuple(self._problems.values())) or None

    def tell(self, about: str, problem: str | None) -> None:
        """Keep what is wrong, and log it once a change."""
        before = self._problems.get(about)
        if problem is None:
            self._problems.pop(about, None)
        elif problem != before:
            self._problems[about] = problem
            log.warning("%s; trying again", problem)

    def subscribe(self) -> None:
        """To requests, to our own availability, and to what the broker keeps of an earlier run."""
        self.subscribed = False
        kept = [self._topics.state, self._topics.health]
        filters = [self._topics.request_filter, self._topics.availability, *kept]
        if self._discovery:
            filters.append(homeassistant.BIRTH)
        self._client.subscribe([(name, 1) for name in filters])

    def say_online(self) -> None:
        """Say it; that it comes back to us shows that what we say arrives."""
        self.said_at = time.monotonic()
        self._client.publish(self._topics.availability, "online", qos=1, retain=self._retained.kept)

    # paho's

    def _on_connect(
        self, client: Client, userdata: object, flags: object, reason: ReasonCode, *_: object
    ) -> None:
        if reason.is_failure:
            check = f": {self.advice}" if reason.value in mqtt_client.LOGIN_REFUSED else ""
            self.tell("broker", f"The broker {self.at} refuses us ({reason}){check}")
            self._refused = True
            return
        self.sessions.began()
        # paho would send again what the last connection left, and late events as live ones
        client.drop_out_messages()
        self.subscribe()
        self._hand("subscribing", None)

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], *_: object
    ) -> None:
        needed = reasons[:2]  # requests and our availability; the others we can do without
        self.subscribed = not any(reason.is_failure for reason in needed)
        if not self.subscribed and self._may_hear:
            log.warning(mqtt_client.unheard_of(self.at, self.advice))
        self._may_hear = self.subscribed
        self.say_online()

    def _on_connect_fail(self, *_: object) -> None:
        # paho calls this while it handles the error, and passes nothing on
        error = sys.exc_info()[1]
        self.sessions.none_made()
        check = to_check(error)
        self.tell("broker", f"The broker {self.at} cannot be reached: {error}{check}")
        self._wait_a_little()

    def _on_disconnect(
        self, client: Client, userdata: object, flags: object, reason: ReasonCode, *_: object
    ) -> None:
        self._hand("lost", None)
        self._session = False
        soon = self.sessions.ended()
        if soon is not None:
            if reason.is_failure and not self._closing.is_set():
                own, size = self._topics.device_id, self._retained.discovery_bytes
                self.tell("broker", mqtt_client.lost(self.at, soon, own, size))
        elif not self._refused and not self._closing.is_set():
            self.tell("broker", mqtt_client.unanswered(self.at, reason.value))
        self._refused = False
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
        if topic in (self._topics.state, self._topics.health):
            if message.retain:  # else it is an echo
                self._hand("told", bytes(message.payload))
            return
        if topic == homeassistant.BIRTH:
            if not message.retain and bytes(message.payload) == homeassistant.BORN:
                self._hand("born", None)
            return
        verb = topic.rpartition("/")[2]
        if self.on_request is not None:
            verb = verb if VERB.fullmatch(verb) else NO_WORD
            self.on_request(verb, bytes(message.payload), message.retain)

    def _on_availability(self, payload: bytes) -> None:
        if payload == b"offline":  # a will of an earlier connection that the broker sent late
            self._hand("offline", None)
        elif not self._session:
            self._session = True
            self._hand("connected", None)

    def _on_publish(self, client: Client, userdata: object, mid: int, *_: object) -> None:
        self._hand("acked", mid)

    def _wait_a_little(self) -> None:
        self._closing.wait(random.uniform(0, JITTER_S))
