"""A TCP proxy between bin and broker that does to packets what bad networks do."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Literal

How = Literal["passes", "stalls", "truncates", "resets"]
WHOLE = 40  # bytes of a new connection that come through before it is cut: half a CONNECT
HALF = 2  # of the next packet of one that was there, one in so many bytes comes through
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: end without a goodbye, and drop what is under way


class Proxy:
    """Passes everything on to ``port`` until ``does`` says otherwise; that holds at once."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._how: How = "passes"
        self._changed = threading.Condition()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))  # never away, so never taken
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def does(self, how: How) -> None:
        with self._changed:
            self._how = how
            self._changed.notify_all()
        if how == "resets":
            for pair in self._pairs:
                _cut(*pair)

    def close(self) -> None:
        """End every connection, and take no further one."""
        _cut(self._listener)
        self.does("resets")

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._how == "resets":
                    _cut(client)
                    continue
                try:
                    broker = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    _cut(client)
                    continue
                self._pairs.append((client, broker))
                left = WHOLE if self._how == "truncates" else None
                for a, b in ((client, broker), (broker, client)):
                    threading.Thread(target=self._pass_on, args=(a, b, left), daemon=True).start()

    def _pass_on(self, source: socket.socket, to: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                with self._changed:
                    self._changed.wait_for(lambda: self._how != "stalls")
                    how = self._how
                if how == "truncates":
                    to.sendall(data[: len(data) // HALF if left is None else left])
                    break
                to.sendall(data)
        with suppress(OSError):
            source.close()
            to.close()


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            end.close()
