"""The page's ear on the broker: keeps events, knows the bins, asks them for what is missing.

Two threads beside the page's. paho's owns the socket and only puts messages into a queue; where
that is full it waits, and the broker holds back or drops what is too much.
The *keeper* takes them out: events go into the archive, many in one transaction, and only
then does ``version`` rise, at which each open page looks anew.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from secrets import token_hex
from typing import Any

from paho.mqtt.client import Client, MQTTMessage

from trashbin import mqtt_access
from trashbin.dashboard import wire
from trashbin.dashboard.archive import Archive
from trashbin.dashboard.bins import MAX_BINS, Bin
from trashbin.dashboard.holes import Holes
from trashbin.errors import StoreError
from trashbin.events import Event, Topics
from trashbin.mqtt_access import BoundedClient, Sessions, as_option, to_check
from trashbin.settings import MqttPublisher

log = logging.getLogger(__name__)

FILTERS = ("availability", "info", "state", "health", "event/#", "response/+")
CONNECT_S = 5.0
RECONNECT_S = (1, 30)
TICK_S = 0.5  # between looks at holes
GONE_S = 60.0  # after which a bin that was removed is asked about nothing any more
AGAIN_S = 5.0  # before what a broker does not let the page hear is asked for anew
BATCH = 500  # messages taken at once
MAX_HEARD = 16 * 2**20  # bytes of those that wait to be taken
MAX_WAITING = 200  # requests without an answer
MAX_STORES = 4 * MAX_BINS
USUAL = 4 * 2**10  # bytes of what a bin says of itself; each may say so much ...
MAX_LONG = 8 * 2**20  # ... and all together so much that is longer: as objects it is ten times that
READ_BYTES = wire.MAX_BYTES + 2**17  # of one message
STORE_RETRY_S = 2.0
MAX_PENDING = 10_000  # events that wait for a file that cannot be written, some 50 MB
COUNT_S = 1.0

Reply = dict[str, Any]  # of a bin to a request


class _Inbox(queue.Queue[MQTTMessage | None]):
    """Full by the bytes that it holds: a picture has a thousand times as many as a state."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = 0

    def _qsize(self) -> int:
        return self._bytes

    def _put(self, item: MQTTMessage | None) -> None:
        super()._put(item)
        self._bytes += _size(item)

    def _get(self) -> MQTTMessage | None:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(message: MQTTMessage | None) -> int:
    """Bytes of a message and what paho keeps with it, about."""
    return 2**10 + (0 if message is None else len(message.payload) + len(message._topic))


class Watch:
    """Everything a page draws from. ``version`` rises with every change."""

    def __init__(self, archive: Archive, section: MqttPublisher) -> None:
        self.archive = archive
        self.version = 0
        self.bins: dict[str, Bin] = {}
        self.connected = False
        self.problem = ""  # why there is no connection, in plain words
        self.unkept = ""  # why events cannot be written now, likewise
        self._unheard_at: float | None = None  # monotonic: when this broker let it hear nothing
        self.ignored = 0  # messages that were no bin's
        self._long: dict[tuple[str, str], int] = {}  # bin and topic -> bytes, where beyond USUAL
        self._waiting: dict[str | None, tuple[float, int, int]] = {}  # when, at which version
        self._count_again = False  # somebody was told an old count
        self._section = section
        self._inbox = _Inbox(MAX_HEARD)
        self._holes: dict[tuple[str, str], Holes] = {}
        self._begun = archive.begun
        self._refused = False  # this connection, with a reason, which was told
        self._removed: dict[str, float] = {}  # bin -> when, monotonic; some come back
        self._asked: dict[str, Future[Reply]] = {}
        self._client = BoundedClient(f"trashbin-page-{token_hex(4)}", READ_BYTES)
        self._client.connect_timeout = CONNECT_S
        self._sessions = Sessions(self._client, RECONNECT_S)
        mqtt_access.give(self._client, section, as_option)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda client, userdata, message: self._inbox.put(message)
        self._keeper = threading.Thread(target=self._keep, name="page-keeper", daemon=True)

    def open(self) -> None:
        """Begin to listen, and keep trying."""
        self._keeper.start()
        section = self._section
        self._client.connect_async(section.host, section.port, section.keepalive_s)
        self._client.loop_start()

    def close(self) -> None:
        """Leave the broker, and write what was heard."""
        self._client.on_disconnect = None  # that is no loss
        self._client.disconnect()
        self._client.loop_stop()
        self._inbox.put(None)
        if self._keeper.is_alive():
            self._keeper.join(5)

    def waiting_count(self, device: str | None) -> int:
        """How many uncertain items wait; counted once a second at most, whoever asks."""
        at, version, count = self._waiting.get(device, (float("-inf"), -1, 0))
        now, current = time.monotonic(), self.version
        if version != current and now - at >= COUNT_S:
            count = self.archive.waiting_count(device)
            self._waiting[device] = now, current, count
        elif version != current:
            self._count_again = True
        return count

    def ask(self, device: str, verb: str, data: Mapping[str, Any]) -> Future[Reply]:
        """Send a request; the future holds the bin's answer. From any thread.

        Cancelled where there is no broker: it would get the request whenever it is back.
        """
        transaction = f"page-{token_hex(8)}"
        future: Future[Reply] = Future()
        if not self.connected:
            future.cancel()
            return future
        while len(self._asked) >= MAX_WAITING:  # the oldest got no answer
            self._asked.pop(next(iter(self._asked)), Future()).cancel()
        self._asked[transaction] = future
        self._send(device, verb, {**data, "transaction": transaction})
        return future

    def _send(self, device: str, verb: str, data: Mapping[str, Any]) -> None:
        self._client.publish(Topics(device).request(verb), json.dumps(data), qos=1)

    def dismiss(self, event: Event) -> None:
        """Ask nobody about this item any more, nor about what its bin held before."""
        self.archive.dismiss(event)
        self.version += 1

    # paho's thread

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, _: Any) -> None:
        if reason.is_failure:
            self._lost(
                f"The broker refuses the page ({reason}): check --username and --password-file"
            )
            self._refused = True
            return
        self._sessions.began()
        self._subscribe()
        self.connected = True
        self.version += 1

    def _subscribe(self) -> None:
        self._unheard_at = None
        self._client.subscribe([(f"trashbin/+/{name}", 1) for name in FILTERS])

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: Any, _: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._unheard_at = time.monotonic()
            self._lost("The broker lets the page hear nothing: check its access rules")
        elif not self.connected:
            self.connected = True
            self.version += 1

    def _on_connect_fail(self, *_: Any) -> None:
        # paho calls this while it handles the error, and passes nothing on
        why = sys.exc_info()[1]
        self._sessions.none_made()
        at, check = f"{self._section.host}:{self._section.port}", to_check(why, as_option)
        self._lost(f"The broker {at} cannot be reached: {why}{check}")

    def _on_disconnect(self, *_: Any) -> None:
        self._unheard_at = None
        if self._sessions.lasts:
            self.problem = ""  # it was over
        let_in = self._sessions.ended() is not None
        refused, self._refused = self._refused, False
        if let_in:
            self._lost("The connection to the broker was lost")
        elif refused:
            self._lost(self.problem)
        else:
            self._lost(
                "The broker ended the connection without an answer: it may want TLS (--ca), or a "
                "client certificate (--cert and --key) that it trusts"
            )

    def _lost(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("%s; trying again", problem)
        self.connected, self.problem = False, problem
        self.version += 1

    # the keeper's thread

    def _keep(self) -> None:
        pending: list[Event] = []
        ticked = time.monotonic()
        while True:
            messages = self._take(0 if len(pending) > BATCH else TICK_S)
            for message in messages:
                if message is None:
                    continue
                try:
                    self._hear(message, pending)
                except Exception:  # what nobody thought of must not end every page's news
                    log.exception("a message on %s is left out", message.topic)
                    self.ignored += 1
            try:
                self._write(pending)
                if time.monotonic() - ticked >= TICK_S:
                    ticked = time.monotonic()
                    self._mend(ticked)
                    if self._count_again:
                        self._count_again = False  # first: a page may ask meanwhile
                        self.version += 1
                self._cannot_keep("")
            except StoreError as exc:
                self._cannot_keep(str(exc))
                del pending[:-MAX_PENDING]  # the bins have them, and are asked once there is room
                time.sleep(STORE_RETRY_S)
            if None in messages:
                return
            if messages:
                self.version += 1

    def _cannot_keep(self, why: str) -> None:
        """Say so once; the broker is another matter."""
        if why != self.unkept:
            if why:
                log.warning("%s; trying again", why.rstrip("."))
            self.unkept = why
            self.version += 1

    def _take(self, wait: float) -> list[MQTTMessage | None]:
        taken: list[MQTTMessage | None] = []
        try:
            taken.append(self._inbox.get(timeout=wait))
            while len(taken) < BATCH:
                taken.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return taken

    def _hear(self, message: MQTTMessage, pending: list[Event]) -> None:
        try:
            address = wire.address(message.topic)
        except UnicodeDecodeError:
            address = None
        device, what = address or ("", "")
        most = wire.MAX_BYTES if what == "response/image" else wire.MAX_SAID
        if not device or len(message.payload) > most:
            self.ignored += 1
            return
        payload = bytes(message.payload)
        if what.startswith("event"):
            event = wire.event(payload)
            if event is None or event.device_id != device or message.retain:
                self.ignored += 1
            else:
                pending.append(event)
        elif what.startswith("response/"):
            self._answered(wire.mapping(payload) or {})
        else:
            self._said(device, what, payload)

    def _answered(self, answer: Reply) -> None:
        future = self._asked.pop(wire.text(answer, "transaction"), None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(answer)

    def _said(self, device: str, what: str, payload: bytes) -> None:
        if not payload:  # taken back: the bin was removed
            if what in ("availability", "info") and device in self.bins:
                del self.bins[device]
                self._removed[device] = time.monotonic()
                self._long = {key: size for key, size in self._long.items() if key[0] != device}
            return
        too_many = device not in self.bins and len(self.bins) >= MAX_BINS
        found = {} if what == "availability" else wire.mapping(payload)
        if (
            too_many
            or found is None  # before its room is noted: what was said before stays
            or (what != "availability" and not self._has_room(device, what, len(payload)))
        ):
            self.ignored += 1
            return
        bin = self.bins.setdefault(device, Bin(device))
        if what == "availability":
            came_back = payload == b"online" and not bin.online
            bin.online = payload == b"online"
            if came_back:
                for (owner, _), holes in self._holes.items():
                    if owner == device:
                        holes.again(time.monotonic())
        elif what in ("info", "state", "health"):
            setattr(bin, what, found)

    def _has_room(self, device: str, what: str, size: int) -> bool:
        """True, and noted, where so many bytes may be kept in place of what was said there last."""
        key = device, what
        if size <= USUAL:
            self._long.pop(key, None)
            return True
        room = MAX_LONG - sum(self._long.values()) + self._long.get(key, 0)
        if size > min(wire.MAX_SAID, room):
            return False
        self._long[key] = size
        return True

    def _write(self, pending: list[Event]) -> None:
        if not pending:
            return
        self.archive.add(pending)
        now = time.monotonic()
        for event in pending:
            self._holes_of(event.device_id, event.store_id).came(event.seq, now)
        pending.clear()

    def _holes_of(self, device: str, store: str) -> Holes:
        """What is known of a store's numbers, read from the archive at first sight."""
        if self._begun != self.archive.begun:
            self._begun = self.archive.begun
            self._holes.clear()
        key = device, store
        if key not in self._holes and len(self._holes) >= MAX_STORES:
            self._holes.clear()  # somebody plays with ids: each is read again where it is wanted
        if key not in self._holes:
            holes = self._holes[key] = Holes(self.archive.gone(device, store))
            now = time.monotonic()
            for seq in self.archive.seqs(device, store, holes.floor or 0, self.archive.keep):
                holes.came(seq, now)
        return self._holes[key]

    def _mend(self, now: float) -> None:
        """Ask again for what the broker refused or a bin did not tell; forget bins removed."""
        unheard = self._unheard_at
        if unheard is not None and now - unheard >= AGAIN_S:
            self._subscribe()
        for device in [name for name, at in self._removed.items() if now - at >= GONE_S]:
            if device not in self.bins:
                self.archive.dismiss_others(device, "")
                self.version += 1
            del self._removed[device]
        for bin in list(self.bins.values()):
            store = wire.text(bin.info, "store_id")
            if not (store and bin.online and self.connected):
                continue
            if bin.store_id != store:
                self.archive.dismiss_others(bin.id, store)
                bin.store_id = store
                self.version += 1
            holes = self._holes_of(bin.id, store)
            said = wire.number(bin.health, "last_seq")
            if said is not None and said > 0:
                holes.expect(int(said), now)
            before = holes.floor
            asked = holes.due(now)
            if before is not None and holes.floor not in (None, before):
                self.archive.set_gone(bin.id, store, int(holes.floor or 0))
            if asked is not None:
                # events are the answer: it shall push out nobody's who waits for one
                self._send(bin.id, "events", {"after_seq": asked[0], "limit": asked[1]})
