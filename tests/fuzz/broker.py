"""A broker that says anything: bytes for a real paho client, over a real socket."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

CONNACK = b"\x20\x02\x00\x00"


class Wire:
    """A listening socket; ``say`` sends a client what a broker might."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._port: int = self._listener.getsockname()[1]

    def say(self, client: Client, stream: bytes) -> None:
        """Accept the client, welcome it, send the stream, hang up, and let the client see it."""
        client.connect("127.0.0.1", self._port)
        with ExitStack() as accepted:
            self._answer(CONNACK + stream, accepted)
            while client.loop(0.1) == MQTTErrorCode.MQTT_ERR_SUCCESS:
                # another CONNACK may tell paho to come again with an older version
                self._answer(b"", accepted)

    def _answer(self, stream: bytes, accepted: ExitStack) -> None:
        with suppress(BlockingIOError):
            theirs = accepted.enter_context(self._listener.accept()[0])
            theirs.sendall(stream)
            theirs.shutdown(socket.SHUT_WR)
