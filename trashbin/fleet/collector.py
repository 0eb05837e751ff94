"""Listens to every bin, commits what they tell, and asks them for what is missing.

Two threads. paho's puts each message into ``_inbox``; the one that called ``run`` commits
batches into a ``Sink``, and only then acknowledges them, so that the broker holds what is not
committed and sends no more than its window meanwhile. The session is clean: what the broker
forgets, by a queue that overflows or a power cut, is a hole in ``seq``, and is asked for.
"""

from __future__ import annotations

import json
import logging
import queue
import random
import re
import secrets
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode
from pydantic_core import from_json

from trashbin import mqtt_access
from trashbin.clock import SystemClock
from trashbin.errors import StoreError
from trashbin.events import Topics
from trashbin.fleet.holes import GRACE_S, Ledger, Lost, Watch
from trashbin.fleet.rows import MAX_BYTES, Batch, Refused, Row, read
from trashbin.mqtt_access import BoundedClient, Sessions, as_option, to_check
from trashbin.settings import ID_PATTERN, MqttPublisher

log = logging.getLogger(__name__)

EVENTS = "trashbin/+/event/#"  # trashbin/<id>/event is among them
PRESENCE = "trashbin/+/availability"
ANSWERS = "trashbin/+/response/events"
MAX_BATCH = 1000
MAX_WAITING = 1000  # messages; bins send none of those that are let go beyond
TICK_S = 0.1
AGAIN_S = 5.0  # before what a broker does not let us read is asked for anew
ASK_AT_ONCE = 5  # questions a tick: bins that all come back at once are not asked all at once
SPREAD_S = 3.0  # at random, before a bin that came back is asked
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0)  # pauses before the sink is tried again
RECONNECT_S = (1, 30)
READ_BYTES = MAX_BYTES + 2**17  # of one message


class Sink(Protocol):
    """Where events are kept. StoreError from either where it cannot be reached now."""

    def load(self) -> Iterable[tuple[str, str, int, list[int]]]:
        """What is here of each store: its bin, its id, the settled ``seq``, those above it."""
        ...

    def write(self, batch: Batch) -> list[Refused]:
        """Commit all of it or nothing; events that are there already change nothing.

        What comes back was found to be no event, and is kept as such.
        """
        ...


@dataclass(frozen=True, slots=True)
class Received:
    """A message, on which connection it came, and the monotonic time at which it did."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    connection: int
    at: float


@dataclass(slots=True)
class Counts:
    """What this run did."""

    events: int = 0
    refused: int = 0
    lost: int = 0
    asked: int = 0


class Collector:
    """One consumer of all bins on a broker; several may run side by side.

    ConfigError where the password file or a certificate cannot be read. A broker or sink that
    cannot be reached is no error: both are tried again for ever.
    """

    def __init__(self, broker: MqttPublisher, sink: Sink, clock: SystemClock) -> None:
        self._sink = sink
        self._clock = clock
        self._at = f"{broker.host}:{broker.port}"
        self._name = f"collect-{secrets.token_hex(4)}"
        self._client = BoundedClient(f"trashbin-{self._name}", READ_BYTES, manual_ack=True)
        mqtt_access.give(self._client, broker, as_option)
        self._sessions = Sessions(self._client, RECONNECT_S)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.connect_async(broker.host, broker.port, broker.keepalive_s)
        self._inbox: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._connection = 0  # counts them: a message is acknowledged on its own one only
        self.problem: str | None = None  # with the broker, in plain words
        self._refused = False  # this connection, with a reason, which was told
        self.listening = False
        self._unheard_at: float | None = None  # monotonic: when this broker let us read nothing
        self.counts = Counts()
        # the running thread's own
        self._watches: dict[str, Watch] = {}
        self._greeted = 0  # the connection on which everybody was to be asked

    @property
    def bins(self) -> int:
        """How many bins were heard of, now or before."""
        return len(self._watches)

    @property
    def missing(self) -> int:
        """Events that are known to exist and are not here; of each store, the first hole."""
        watches = tuple(self._watches.values())
        return sum(len(ledger.missing()) for w in watches for ledger in tuple(w.ledgers.values()))

    def run(self) -> None:
        """Until the clock is stopped."""
        if not self._persist(self._load):
            return
        self._client.loop_start()
        try:
            while not self._clock.wait(0):
                if not self._take(self._received()):
                    return
                self._ask()
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    # the running thread

    def _load(self) -> None:
        self._watches.clear()
        for device_id, store_id, complete, above in self._sink.load():
            self._watch(device_id).knows(store_id, Ledger(complete, above))

    def _watch(self, device_id: str) -> Watch:
        return self._watches.setdefault(device_id, Watch(device_id))

    def _received(self) -> list[Received]:
        """What has come, at most a batch; waits a tick for the first."""
        found: list[Received] = []
        try:
            found.append(self._inbox.get(timeout=TICK_S))
            while len(found) < MAX_BATCH:
                found.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return found

    def _take(self, received: list[Received]) -> bool:
        """Commit, then believe, then acknowledge; False where the clock was stopped first."""
        rows: list[Row] = []
        refused: list[Refused] = []
        lost: list[Lost] = []
        for one in received:
            match _kind(one.topic):
                case "event":
                    found = read(one.topic, one.payload, one.at)
                    if isinstance(found, Row):
                        rows.append(found)
                    else:
                        refused.append(found)
                case "availability":
                    self._presence(one.topic, one.payload)
                case "response":
                    lost += self._answered(one.topic, one.payload)
        if rows or refused or lost:
            touched = {self._here(row) for row in rows}
            touched.update(filter(None, map(self._kept_as_refused, refused)))
            touched |= {self._watches[gone.device_id] for gone in lost}
            batch = Batch(rows, refused, lost, _complete(touched))
            if not self._persist(lambda: self._write(batch)):
                return False
        for one in received:
            if one.qos and one.connection == self._connection:
                self._client.ack(one.mid, one.qos)
        return True

    def _write(self, batch: Batch) -> None:
        refused = [*batch.refused, *self._sink.write(batch)]
        for one in refused:
            log.warning("%s: no event, kept as refused: %s", one.topic, one.why)
        for gone in batch.lost:
            log.warning(
                "%s: events %d to %d of store %s are lost: the bin has them no more",
                *(gone.device_id, gone.first, gone.last, gone.store_id),
            )
        self.counts.events += len(batch.rows)
        self.counts.refused += len(refused)
        self.counts.lost += sum(gone.last - gone.first + 1 for gone in batch.lost)

    def _persist(self, action: Callable[[], None]) -> bool:
        """Until it is done, however long the sink is away; False where the clock is stopped."""
        tries, told = 0, ""
        while True:
            try:
                action()
            except StoreError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("%s; trying again", told)
                if self._clock.wait(RETRY_S[min(tries, len(RETRY_S) - 1)]):
                    return False
                tries += 1
            else:
                if tries:
                    log.info("What was waiting is written")
                    self._everybody_may_miss_something()
                return True

    def _everybody_may_miss_something(self) -> None:
        """What came while the sink was away may have overflowed the broker's queue."""
        for watch in self._watches.values():
            watch.online(random.uniform(GRACE_S, GRACE_S + SPREAD_S), self._clock.monotonic())

    def _here(self, row: Row) -> Watch:
        watch = self._watch(row.head.device_id)
        watch.here(row.store_id, row.head.seq, row.head.historical, self._clock.monotonic())
        return watch

    def _kept_as_refused(self, refused: Refused) -> Watch | None:
        """Asked for again, it would come as the same: it is here, and no hole."""
        device_id, place = refused.topic.split("/")[1], refused.place
        if place is None or not re.fullmatch(ID_PATTERN, device_id):
            return None
        watch = self._watch(device_id)
        watch.here(str(place.store_id), place.seq, True, self._clock.monotonic())
        return watch

    def _presence(self, topic: str, payload: bytes) -> None:
        device_id = topic.split("/")[1]
        if not re.fullmatch(ID_PATTERN, device_id):
            return
        if payload == b"online":
            after_s = random.uniform(GRACE_S, GRACE_S + SPREAD_S)
            self._watch(device_id).online(after_s, self._clock.monotonic())
        elif device_id in self._watches:
            self._watches[device_id].offline()

    def _answered(self, topic: str, payload: bytes) -> list[Lost]:
        watch = self._watches.get(topic.split("/")[1])
        try:
            answer = from_json(payload)
        except ValueError:
            return []
        if watch is None or not isinstance(answer, dict):
            return []
        told = watch.refusal
        lost = watch.answered(answer, self._clock.monotonic())
        if watch.refusal not in (None, told):
            log.warning("%s does not send what is missing: %s", watch.device_id, watch.refusal)
        return lost

    def _ask(self) -> None:
        unheard = self._unheard_at
        if unheard is not None and self._clock.monotonic() - unheard >= AGAIN_S:
            self._subscribe()
        if not self.listening:
            return
        if self.problem is not None and self._sessions.lasts:
            self._is_well()
        if self._greeted != self._connection:
            # not only of those whose ``online`` comes: a broker's queue may be too short for all
            self._greeted = self._connection
            self._everybody_may_miss_something()
        now = self._clock.monotonic()
        due = (watch for watch in self._watches.values() if watch.due <= now)
        for watch in islice(due, ASK_AT_ONCE):
            self.counts.asked += 1
            question = watch.ask(f"{self._name}-{self.counts.asked}", now)
            topic = Topics(watch.device_id).request("events")
            self._client.publish(topic, json.dumps(question), qos=1)

    # paho's thread

    def _on_connect(
        self, client: Client, userdata: object, flags: object, reason: ReasonCode, *_: object
    ) -> None:
        if reason.is_failure:
            self._tell(f"The broker {self._at} refuses us ({reason}): check user and password")
            self._refused = True
            return
        self._sessions.began()
        self._connection += 1
        client.drop_out_messages()  # questions of the last connection: they are asked anew
        self._subscribe()

    def _subscribe(self) -> None:
        self._unheard_at = None
        self._client.subscribe([(EVENTS, 1), (PRESENCE, 1), (ANSWERS, 1)])

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, reasons: list[ReasonCode], _: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._unheard_at = self._clock.monotonic()
            self._tell(f"The broker {self._at} lets us read nothing: check its access rules")
            return
        if not self._sessions.proof_s:
            self._is_well()
        self.listening = True

    def _on_connect_fail(self, *_: object) -> None:
        # paho calls this while it handles the error, and passes nothing on
        error = sys.exc_info()[1]
        check = to_check(error, as_option)
        self._tell(f"The broker {self._at} cannot be reached: {error}{check}")
        self._sessions.none_made()

    def _on_disconnect(self, *_: object) -> None:
        self.listening, self._unheard_at = False, None
        let_in = self._sessions.ended() is not None
        refused, self._refused = self._refused, False
        if let_in and not self._clock.stopped:
            self._tell(f"The connection to the broker {self._at} was lost")
        elif not refused and not self._clock.stopped:
            self._tell(
                f"The broker {self._at} ended the connection without an answer: it may want TLS "
                "(--ca), or a client certificate, which this command cannot show"
            )

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        if message.qos == 0 and self._inbox.qsize() >= MAX_WAITING:
            return  # of others the broker sends no more until we have acknowledged some
        try:
            topic = message.topic  # only now decoded
        except UnicodeDecodeError:
            topic = ""
        at = self._clock.monotonic()
        self._inbox.put(
            Received(topic, bytes(message.payload), message.qos, message.mid, self._connection, at)
        )

    def _is_well(self) -> None:
        self._tell(None)
        log.info("Listening to %s on %s", EVENTS, self._at)

    def _tell(self, problem: str | None) -> None:
        """Log what is wrong, once a change."""
        if problem is not None and problem != self.problem:
            log.warning("%s; trying again", problem)
        self.problem = problem


def _kind(topic: str) -> str:
    """Of a topic that we subscribed to: event, availability or response; or nothing of these."""
    levels = topic.split("/")
    return levels[2] if len(levels) > 2 else ""


def _complete(watches: Iterable[Watch]) -> dict[tuple[str, str], int]:
    return {
        (watch.device_id, store_id): ledger.complete
        for watch in watches
        for store_id, ledger in watch.ledgers.items()
    }
