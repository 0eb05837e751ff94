"""The broker in stages: name, TCP, TLS, MQTT, subscribe, publish. The first that fails is told.

The doctor comes under a client id of its own, so that the bin's session lives on. Where the
daemon runs, it is asked for its state and a self-test; where it does not, the doctor says
``offline`` for it, which is true, and sees whether that comes back.
"""

from __future__ import annotations

import json
import queue
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage

from trashbin import mqtt_access, settings
from trashbin.devices.mqtt_client import new_client
from trashbin.doctor.report import Finding, Level, bad, good, unreachable, warning
from trashbin.errors import ConfigError, ExitCode
from trashbin.events import Topics

ANSWER_S = 5.0
SELFTEST_S = 15.0  # the bin may be in the middle of an item
CREDENTIALS = Path("/run/credentials/trashbin.service")  # there only while the unit runs
STORED = Path("/etc/credstore")
SOON_DAYS = 30
LOGIN = (
    "Check publisher: username and the password in its file; a broker with our access"
    " rules wants device: id as the user name."
)
REFUSED = 128  # MQTT 3.1.1: a subscription that the broker refuses


@dataclass
class Heard:
    """What the running daemon said of itself: its announcements, and its self-test."""

    state: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    selftest: dict[str, str] = field(default_factory=dict)


def check(
    section: settings.Publisher, device_id: str, running: bool, heard: Heard
) -> Iterator[Finding]:
    """Every stage, up to the first that fails; ``heard`` is filled where the daemon runs."""
    if section.kind == "none":
        yield good("broker", "none is configured", "Events stay on the device, in the store.")
        return
    section = _with_password(section)
    if (why := mqtt_access.exposed(section)) is not None:
        means = "Whoever has it may speak in the bin's name."
        yield warning("password", why.partition(":")[0], means, why.partition(": ")[2].capitalize())
    at = f"{section.host}:{section.port}"
    try:
        addresses = socket.getaddrinfo(section.host, section.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        yield unreachable(
            "broker name",
            f"{section.host} has no address ({error})",
            "No event leaves the bin; they are kept until it does.",
            "Check publisher: host, or write the broker's address there.",
        )
        return
    address = addresses[0][4][0]
    yield good("broker name", f"{section.host} is {address}", "The name is known.")
    try:
        plain = socket.create_connection((section.host, section.port), ANSWER_S)
    except OSError as error:
        yield unreachable(
            "broker tcp",
            f"nothing answers at {at} ({error})",
            "No event leaves the bin; they are kept until it does.",
            "Is the broker running, is publisher: port right, does a firewall stand between?",
        )
        return
    with plain:
        yield good("broker tcp", f"{at} answers", "The broker's machine is there.")
        if section.tls is not None:
            finding = _tls(section, plain)
            yield finding
            if finding.level is Level.BAD:
                return
    yield from _mqtt(section, device_id, running, heard)


def _with_password(section: settings.MqttPublisher) -> settings.MqttPublisher:
    """While the unit does not run, its password lies where systemd takes it from."""
    file = section.password_file
    try:
        if file is None or file.parent != CREDENTIALS or file.exists():
            return section
    except OSError:  # it is there while the unit runs, and only the bin's user may look
        return section
    return section.model_copy(update={"password_file": STORED / file.name})


def _tls(section: settings.MqttPublisher, plain: socket.socket) -> Finding:
    assert section.tls is not None
    context = mqtt_access.tls_context(section.tls)
    try:
        mqtt_access.load(context, section.tls)
    except ConfigError as error:
        return bad(
            "broker tls",
            str(error),
            "The bin does not connect.",
            "ca, cert and key must be PEM text that the user trashbin may read.",
            ExitCode.BAD_USAGE,
        )
    try:
        with context.wrap_socket(plain, server_hostname=section.host) as secure:
            certificate = secure.getpeercert() or {}
            version = secure.version()
    except ssl.SSLCertVerificationError as error:
        return unreachable(
            "broker tls",
            f"its certificate is not trusted ({error.verify_message})",
            "This may be another machine in the broker's place; the bin does not connect.",
            "Check publisher: tls: ca, that host is the name in the certificate, and the clock.",
        )
    except OSError as error:
        return unreachable(
            "broker tls",
            f"no TLS at this port ({error})",
            "The bin does not connect.",
            "Check publisher: port (8883 is usual), and tls: cert and key where it asks for one.",
        )
    until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = (datetime.fromtimestamp(until, UTC) - datetime.now(UTC)).days
    if days < SOON_DAYS:
        return warning(
            "broker tls",
            f"{version}; the broker's certificate ends in {days} days",
            "After that no bin connects.",
            "Make a new certificate: config/mosquitto/README.md, step 1.",
        )
    return good("broker tls", f"{version}, a certificate for {days} more days", "It is encrypted.")


def _mqtt(
    section: settings.MqttPublisher, device_id: str, running: bool, heard: Heard
) -> Iterator[Finding]:
    topics = Topics(device_id)
    try:
        client = new_client(section, f"{device_id}-doctor", topics)
    except ConfigError as error:
        yield bad(
            "broker mqtt",
            str(error),
            "The bin does not connect.",
            "Run this with sudo, and put the password where publisher: password_file says.",
            ExitCode.BAD_USAGE,
        )
        return
    client.will_clear()
    talk = _Talk(client)
    try:
        yield from _session(section, topics, talk, running, heard)
    finally:
        client.disconnect()
        client.loop_stop()


def _session(
    section: settings.MqttPublisher, topics: Topics, talk: _Talk, running: bool, heard: Heard
) -> Iterator[Finding]:
    refused = talk.connect(section)
    if refused is not None:
        found, do = refused
        yield unreachable(
            "broker mqtt", found, "No event leaves the bin; they are kept until it does.", do
        )
        return
    yield good("broker mqtt", "the broker lets us in", "User and password are right.")
    needed = (topics.request_filter, topics.availability)
    wished = (topics.state, topics.health, topics.response("selftest"))
    denied = talk.subscribe(*needed, *wished)
    if denied is None or set(denied) & set(needed):
        told = "no answer" if denied is None else f"refused: {', '.join(denied)}"
        yield unreachable(
            "broker subscribe",
            told,
            "The bin hears no request.",
            "Let this user read its own topics: see config/mosquitto/acl.",
        )
        return
    yield good("broker subscribe", topics.request_filter, "The bin hears its requests.")
    if running:
        yield _asked(topics, talk, heard)
        return
    echo = talk.publish(topics.availability, "offline", topics.availability, ANSWER_S)
    yield _published(topics.availability, echo is not None)


def _published(topic: str, came_back: bool) -> Finding:
    if came_back:
        return good("broker publish", f"{topic} came back", "What the bin says reaches others.")
    return unreachable(
        "broker publish",
        f"{topic} did not come back within {ANSWER_S:g} s",
        "The broker takes what the bin says, and drops it: its access rules say no.",
        "username must be device: id, and the rules those of config/mosquitto/acl.",
    )


def _asked(topics: Topics, talk: _Talk, heard: Heard) -> Finding:
    """Ask the daemon for a self-test; its answer shows that publishing works both ways."""
    transaction = f"doctor-{time.monotonic_ns()}"
    request = json.dumps({"transaction": transaction})
    answer = talk.publish(
        topics.request("selftest"), request, topics.response("selftest"), SELFTEST_S, transaction
    )
    heard.state = talk.last(topics.state)
    heard.health = talk.last(topics.health)
    if answer is None:
        return warning(
            "broker publish",
            f"the running bin did not answer {topics.request('selftest')}",
            "Either the broker's rules let this user ask nothing, or the bin is busy or away.",
            f"As a user who may ask: mosquitto_pub -q 1 -t {topics.request('selftest')} -m '{{}}'",
        )
    heard.selftest = dict((answer.get("data") or {}).get("parts") or {})
    return good("broker publish", "the running bin answers", "Messages go both ways.")


class _Talk:
    """A client that keeps what it hears, and waits for what it wants to hear."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._last: dict[str, Any] = {}
        client.on_connect = lambda *a: self._heard.put(("connected", a[3]))
        client.on_disconnect = lambda *a: self._heard.put(("lost", a[3]))
        client.on_subscribe = lambda *a: self._heard.put(("subscribed", a[3]))
        client.on_message = lambda *a: self._heard.put(("message", a[2]))

    def connect(self, section: settings.MqttPublisher) -> tuple[str, str] | None:
        """None where the broker lets us in, else why not, and what to do."""
        wants = (
            "It may want TLS: check publisher: port (8883 is usual) and tls."
            if section.tls is None
            else "It may want a certificate of the bin's that it trusts: publisher: tls: cert, key."
        )
        try:
            self.client.connect(section.host, section.port, section.keepalive_s)
        except OSError as error:
            return f"no session ({error})", wants
        self.client.loop_start()
        kind, reason = self._next(ANSWER_S)
        if not kind:
            return "no answer", f"It may hang: look into its log, and start it anew. {wants}"
        if kind != "connected":
            return "the broker ends the connection without a word", wants
        if reason.is_failure:
            return f"the broker refuses us ({reason})", LOGIN
        return None

    def subscribe(self, *filters: str) -> list[str] | None:
        """The filters that the broker refuses; None without an answer."""
        self.client.subscribe([(name, 1) for name in filters])
        deadline = time.monotonic() + ANSWER_S
        while (left := deadline - time.monotonic()) > 0:
            kind, reasons = self._next(left)
            if kind == "subscribed":
                return [
                    name
                    for name, reason in zip(filters, reasons, strict=False)
                    if reason.value >= REFUSED
                ]
        return None

    def publish(
        self, topic: str, payload: str, awaited: str, seconds: float, transaction: str = ""
    ) -> dict[str, Any] | None:
        """Say something, and wait for what follows on ``awaited``; None where nothing does."""
        retain = awaited == topic
        self.client.publish(topic, payload, qos=1, retain=retain)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            kind, message = self._next(left)
            if kind == "message" and message.topic == awaited and not message.retain:
                found = _object(message)
                if not transaction or found.get("transaction") == transaction:
                    return found
        return None

    def last(self, topic: str) -> dict[str, Any]:
        """What was last heard on a topic; empty where nothing was."""
        while self._next(0.0)[0]:
            pass
        return dict(self._last.get(topic, {}))

    def _next(self, seconds: float) -> tuple[str, Any]:
        try:
            kind, value = self._heard.get(timeout=max(seconds, 0.001))
        except queue.Empty:
            return "", None
        if kind == "message":
            self._last[value.topic] = _object(value)
        return kind, value


def _object(message: MQTTMessage) -> dict[str, Any]:
    try:
        found = json.loads(message.payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
