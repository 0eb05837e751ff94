"""What all clients of ours share: how a broker lets them in, how much they hold of a message."""

from __future__ import annotations

import logging
import random
import ssl
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from trashbin.errors import ConfigError
from trashbin.settings import MqttPublisher, Tls

log = logging.getLogger(__name__)

PROOF = 10  # times the pause before it, that a connection must last to be one ...
PROOF_S = 60.0  # ... or so long: whoever mended the cause sees that it is over
MAX_BYTES = 1024  # of a password; MQTT takes 65,535, more than which ends paho's thread

Named = Callable[[str], str]  # key of the section -> what the person who gave it calls it


class BoundedClient(Client):
    """Of MQTT 3.1.1, without a session; of each message it holds the first ``most`` bytes.

    MQTT allows 256 MB, paho has no limit, and a Pi may not have them. ``most`` is to have room
    for the longest topic, 64 KB, and a byte more than is taken.

    ``read_again`` is called before each connection: a password or a certificate that was changed
    on the disk holds from there on. What cannot be read then leaves what it had.
    """

    read_again: Callable[[], None] | None = None

    def __init__(self, client_id: str, most: int, **others: Any) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            **others,
        )
        self._most = most

    def reconnect(self) -> MQTTErrorCode:
        """What paho does for each connection."""
        if self.read_again is not None:
            with suppress(ConfigError):
                self.read_again()
        return super().reconnect()

    def trust(self, context: ssl.SSLContext) -> None:
        """Judge brokers by this from the next connection on."""
        self._ssl_context = None  # paho takes one context, and no second
        self.tls_set_context(context)

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


def in_yaml(key: str) -> str:
    """What a key of the section is called for who has a bin's YAML."""
    return f"publisher.{key}"


def as_option(key: str) -> str:
    """And for who has a command line, which names the same."""
    named = {"host": "--broker", "tls": "TLS"}
    return named.get(key, f"--{key.removeprefix('tls.').replace('_', '-')}")


def give(client: BoundedClient, section: MqttPublisher, named: Named = in_yaml) -> None:
    """Hand the client what the section names. ConfigError where a file it needs cannot be used."""
    try:
        section.host.encode("idna")
    except UnicodeError as exc:
        raise ConfigError(f"{named('host')} {section.host!r} is no host name: {exc}") from exc
    if section.username is None and section.password_file is not None:
        user = named("username")
        raise ConfigError(
            f"whose password is in {section.password_file}? It needs a username ({user})"
        )
    if (why := exposed(section, named)) is not None:
        log.warning(why)

    def read() -> None:
        if section.username is not None:
            password = _password(section.password_file, named("password_file"))
            client.username_pw_set(section.username, password)
        if section.tls is not None:
            context = tls_context(section.tls)  # a new one: what it once trusted it trusts for good
            load(context, section.tls, named)
            client.trust(context)

    read()
    client.read_again = read


def to_check(error: BaseException | None, named: Named = in_yaml) -> str:
    """What ends the news that no connection came about: what to check, where that is known."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ""
    return f"; check {named('tls.ca')}, {named('host')} and the clock"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """What a client of ours demands of a broker's certificate; ``load`` reads the files.

    Python 3.13's default is stricter: it refuses authorities without extensions that many a
    guide to Mosquitto leaves out.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca is None:
        context.load_default_certs()
    return context


def load(context: ssl.SSLContext, tls: Tls, named: Named = in_yaml) -> None:
    """Read the files that ``tls`` names. ConfigError where one can't be used."""
    files = {key: str(path) for key, path in tls.model_dump(exclude_none=True).items()}
    for key, file in files.items():  # OpenSSL does not say which one it misses
        try:
            Path(file).open("rb").close()
        except OSError as exc:
            raise ConfigError(f"{named(f'tls.{key}')} cannot be read: {exc}") from exc
    if "key" in files and "cert" not in files:
        raise ConfigError(f"{named('tls.key')} {files['key']} is of no use without its cert")
    try:
        if "ca" in files:
            context.load_verify_locations(files["ca"])
        if "cert" in files:
            # with an empty password, OpenSSL refuses a locked key and does not ask for it
            context.load_cert_chain(files["cert"], files.get("key"), "")
    except (OSError, ValueError) as exc:
        given = ", ".join(f"{key} {file}" for key, file in files.items())
        raise ConfigError(
            f"{named('tls')} cannot be used ({given}): {exc}; each must be PEM text, and key "
            "the one that cert was made with, without a password"
        ) from exc


def exposed(section: MqttPublisher, named: Named = in_yaml) -> str | None:
    """That the password is there for everybody to read, in plain words; None where it is not."""
    file = section.password_file
    try:
        if file is None or not file.stat().st_mode & stat.S_IROTH:
            return None
    except OSError:
        return None  # told where it is used
    return (
        f"{named('password_file')} {file} can be read by every user of this machine: let it "
        "belong to the user that needs it and give it mode 600"
    )


def _password(file: Path | None, named: str) -> str | None:
    """The first line of the password's file."""
    if file is None:
        return None
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
            raise ConfigError(f"{named} {file} is no regular file")
        with file.open("rb") as opened:
            line = opened.readline(MAX_BYTES + 1).rstrip(b"\r\n")
        if len(line) > MAX_BYTES:
            raise ConfigError(f"{named} {file} has a first line that is too long for a password")
        return line.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{named} {file} cannot be read: {exc}") from exc
    except UnicodeDecodeError:
        # without its cause, which carries what the file holds
        raise ConfigError(f"{named} {file} is not UTF-8 text") from None
