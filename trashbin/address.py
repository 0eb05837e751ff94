"""Where a broker is, as options name it; and where this machine has room for a server."""

from __future__ import annotations

import socket
from contextlib import suppress

from trashbin.errors import ConfigError


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``HOST``; ConfigError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "1883"
    if not host or not host.isprintable() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"--broker {text}: expected HOST:PORT, for example localhost:1883")
    return host.strip("[]"), int(port)


def free_port(usual: int) -> int:
    """A port of the loopback: the usual one where it is free, so that all find it; else any."""
    for port in (usual, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    return usual
