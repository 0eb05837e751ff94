"""A paho client as the configuration wants it, with the bin's id and its will."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

from paho.mqtt.enums import MQTTErrorCode

from trashbin import mqtt_access, settings
from trashbin.events import Topics
from trashbin.mqtt_access import BoundedClient

IN_FLIGHT = 100  # messages without their PUBACK: more than the events that may be
CONNECT_S = 5.0  # for TCP and TLS
RECONNECT_S = (1, 60)  # doubles from the first to the second
LOGIN_REFUSED = (134, 135)  # by user or password; MQTT 5's numbers, to which paho turns 3.1.1's
KEEPALIVE_OVER = 141  # MQTT 5's number for it, likewise
READ_BYTES = 2**17  # of one message: the longest topic, and more than a request may have


class BeatingClient(BoundedClient):
    """A client that says when its thread last went round, whatever the broker does."""

    beat_at = 0.0  # monotonic

    def loop_misc(self) -> MQTTErrorCode:
        """What paho's thread does at least once a second while it is connected."""
        self.beat_at = time.monotonic()
        return super().loop_misc()

    def reconnect(self) -> MQTTErrorCode:
        """What it does while it is not, at least once in RECONNECT_S[1]."""
        self.beat_at = time.monotonic()
        return super().reconnect()

    def hang_up(self) -> None:
        """End the connection as a broken line would: the broker says our will, paho returns."""
        line: Any = self.socket()
        with suppress(OSError, TypeError):  # TypeError: None, there was none any more
            # not SSLSocket's own: it takes TLS away from paho's thread, which may be reading
            socket.socket.shutdown(line, socket.SHUT_RDWR)


def new_client(section: settings.MqttPublisher, device_id: str, topics: Topics) -> BeatingClient:
    """Set up, and not yet connected. ConfigError where a file it needs cannot be used."""
    client = BeatingClient(f"trashbin-{device_id}", READ_BYTES)
    client.will_set(topics.availability, "offline", qos=1, retain=True)
    client.max_inflight_messages_set(IN_FLIGHT)
    client.connect_timeout = CONNECT_S
    mqtt_access.give(client, section)
    return client


def advice(section: settings.MqttPublisher, device_id: str) -> str:
    """What to look at where a broker refuses or ignores us."""
    user = section.username
    if user is None:
        return "it may want publisher.username and publisher.password_file"
    check = (
        f"check publisher.username ({user}) and the password in its file (each try reads it anew; "
        "systemd hands a new one over at a restart)"
    )
    if user == device_id:
        return check
    return f"{check}; a broker with our ACL wants device.id ({device_id}) as the user name"


def unanswered(at: str, reason: int) -> str:
    """That a broker took our connection and never let us in, and what it may want."""
    if reason == KEEPALIVE_OVER:
        return f"The broker {at} takes our connection and says nothing: it may hang"
    return (
        f"The broker {at} ended the connection without an answer: it may want TLS, "
        "or a client certificate (publisher.tls.cert and key) that it trusts"
    )


def unheard_of(at: str, check: str) -> str:
    """That a broker lets us in and does not let us subscribe."""
    return f"The broker {at} does not let us hear requests, and so none is answered: {check}"


def unechoed(at: str, check: str) -> str:
    """That a broker does not let us hear what we say ourselves."""
    return f"The broker {at} does not pass on what we say, or hides it: {check}"


def unheard(at: str, for_s: float) -> str:
    """That a broker takes events and acknowledges none."""
    return (
        f"The broker {at} has acknowledged none of our events for {for_s:.0f} s: they stay in the "
        "store, and go to it once more on a new connection"
    )


def too_large(at: str, size: int) -> str:
    """That a broker ends connections for pictures of so many bytes."""
    return (
        f"The broker {at} ended connection after connection at a picture of {size / 1000:.0f} KB: "
        "it takes no message so large (Mosquitto's max_packet_size?). Until the next start no "
        "picture of this size is sent"
    )


def unsent(size: int) -> str:
    """In place of an answer of so many bytes."""
    return (
        f"the answer has {size / 1000:.0f} KB, and the broker ended connection after connection "
        "at less: raise its limit (Mosquitto: max_packet_size)"
    )


def lost(at: str, soon: bool, device_id: str, discovery: int) -> str:
    """That a connection is no more which the broker had accepted, and what may be wrong.

    ``discovery`` is how many bytes Home Assistant's message has, 0 where it is left out.
    """
    told = f"The connection to the broker {at} was lost"
    if not soon:
        return told
    kilobytes = f"{discovery / 1000:.0f} KB"
    size = f" (Home Assistant's has {kilobytes}; publisher.discovery: false leaves it out)"
    return (
        f"{told} soon after it was made. Where that goes on, another client has our id "
        f"trashbin-{device_id} (two bins with one device.id?), or the broker ends connections for "
        f"what its rules forbid, or for messages larger than it takes{size if discovery else ''}"
    )
