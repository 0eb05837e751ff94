"""Pure: where a broker is, as options name it."""

from __future__ import annotations

from trashbin.errors import ConfigError


def parse_address(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``HOST``; ConfigError for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "1883"
    if not host or not host.isprintable() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"--broker {text}: expected HOST:PORT, for example localhost:1883")
    return host.strip("[]"), int(port)
