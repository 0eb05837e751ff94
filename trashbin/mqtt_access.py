"""What all clients of ours share: how a broker lets them in, how much they hold of a message."""

from __future__ import annotations

import logging
import random
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from trashbin.errors import ConfigError
from trashbin.settings import MqttPublisher

log = logging.getLogger(__name__)

PROOF = 10  # times the pause before it, that a connection must last to be one ...
PROOF_S = 60.0  # ... or so long: whoever mended the cause sees that it is over
MAX_BYTES = 1024  # of a password; MQTT takes 65,535, more than which ends paho's thread


class BoundedClient(Client):
    """Of MQTT 3.1.1, without a session; of each message it holds the first ``most`` bytes.

    MQTT allows 256 MB, paho has no limit, and a Pi may not have them. ``most`` is to have room
    for the longest topic, 64 KB, and a byte more than is taken.
    """

    def __init__(self, client_id: str, most: int, **others: Any) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            **others,
        )
        self._most = most

    def _packet_read(self) -> MQTTErrorCode:
        if not isinstance(self._in_packet["packet"], _Beginning):
            self._in_packet["packet"] = _Beginning(self._most)
        return super()._packet_read()


class _Beginning(bytearray):
    """Takes so many bytes, and lets go what comes after."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __iadd__(self, more: Any) -> Self:  # type: ignore[misc]
        return super().__iadd__(memoryview(more)[: max(0, self._most - len(self))])


class Sessions:
    """A client's connections, one after the other, and the pauses between them in seconds.

    paho's pause grows while a broker cannot be reached or refuses us, and is short again after
    any connection. But a broker may let us in and end each one soon, for what its rules forbid
    or for another client of our name. So here it grows on until a connection has lasted.
    A broker that goes down again and again is none of these: between two connections it could not
    be reached.
    """

    def __init__(
        self, client: Client, pauses: tuple[int, int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._shortest, self._longest = pauses
        self._pause = self._shortest
        self._clock = clock
        self._began: float | None = None
        self._soon = False  # the last one ended so
        client.reconnect_delay_set(*pauses)

    @property
    def proof_s(self) -> float:
        """How long a connection that was just made must last before its loss would be news."""
        return 0.0 if self._pause == self._shortest else self._enough_s

    @property
    def lasts(self) -> bool:
        """True while we are let in, and have been for so long."""
        began = self._began
        return began is not None and self._clock() - began >= self.proof_s

    def began(self) -> None:
        """The broker let us in."""
        self._began = self._clock()

    def none_made(self) -> None:
        """The broker is away: it went down, and did not end the last connections for us."""
        if self._soon:
            self._begin_anew()

    def ended(self) -> bool | None:
        """The connection is no more; True where that was soon, None where there was none."""
        began, self._began = self._began, None
        if began is None:
            return None
        if self._clock() - began >= self._enough_s:
            self._begin_anew()
            return False
        if self._soon:  # once may be chance
            self._pause = min(2 * self._pause, self._longest)
            least = -(-self._pause // 2)  # a hundred bins do not come back in one instant
            self._client.reconnect_delay_set(random.randint(least, self._pause), self._longest)
        self._soon = True
        return True

    @property
    def _enough_s(self) -> float:
        return min(PROOF * self._pause, PROOF_S)

    def _begin_anew(self) -> None:
        self._pause, self._soon = self._shortest, False
        self._client.reconnect_delay_set(self._shortest, self._longest)


def give(client: Client, section: MqttPublisher) -> None:
    """Hand the client what the section names. ConfigError where a file it needs cannot be used."""
    try:
        section.host.encode("idna")
    except UnicodeError as exc:
        raise ConfigError(f"publisher.host {section.host!r} is no host name: {exc}") from exc
    if section.username is not None:
        client.username_pw_set(section.username, _password(section.password_file))
        if (why := exposed(section)) is not None:
            log.warning(why)
    elif section.password_file is not None:
        raise ConfigError(f"whose password is in {section.password_file}? It needs a username")
    if section.tls is not None:
        files = {key: str(path) for key, path in section.tls.model_dump(exclude_none=True).items()}
        _readable(files)
        if "key" in files and "cert" not in files:
            raise ConfigError(f"publisher.tls.key {files['key']} is of no use without its cert")
        try:
            # with an empty password, OpenSSL refuses a locked key and does not ask for it
            client.tls_set(
                files.get("ca"), files.get("cert"), files.get("key"), keyfile_password=""
            )
        except (OSError, ValueError) as exc:
            named = ", ".join(f"{key} {file}" for key, file in files.items())
            raise ConfigError(
                f"publisher.tls cannot be used ({named}): {exc}; each must be PEM text, and key "
                "the one that cert was made with, without a password"
            ) from exc


def _readable(files: Mapping[str, str]) -> None:
    """OpenSSL does not say which file it misses. ConfigError names it."""
    for key, file in files.items():
        try:
            Path(file).open("rb").close()
        except OSError as exc:
            raise ConfigError(f"publisher.tls.{key} cannot be read: {exc}") from exc


def exposed(section: MqttPublisher) -> str | None:
    """That the password is there for everybody to read, in plain words; None where it is not."""
    file = section.password_file
    try:
        if file is None or not file.stat().st_mode & stat.S_IROTH:
            return None
    except OSError:
        return None  # told where it is used
    return (
        f"publisher.password_file {file} can be read by every user of this machine: let it "
        "belong to the bin's user and give it mode 600"
    )


def _password(file: Path | None) -> str | None:
    """The first line of the password's file."""
    if file is None:
        return None
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
            raise ConfigError(f"publisher.password_file {file} is no regular file")
        with file.open("rb") as opened:
            line = opened.readline(MAX_BYTES + 1).rstrip(b"\r\n")
        if len(line) > MAX_BYTES:
            raise ConfigError(
                f"publisher.password_file {file} has a first line that is too long for a password"
            )
        return line.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"publisher.password_file {file} cannot be read: {exc}") from exc
    except UnicodeDecodeError:
        # without its cause, which carries what the file holds
        raise ConfigError(f"publisher.password_file {file} is not UTF-8 text") from None
