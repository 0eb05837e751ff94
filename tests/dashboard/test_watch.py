"""What pages are told between two changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from tests.support_events import an_event
from tests.support_processes import WAIT_S, free_port, wait_until
from trashbin.dashboard import watch as module
from trashbin.dashboard import wire
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.holes import TRIES
from trashbin.dashboard.watch import Watch
from trashbin.errors import StoreError
from trashbin.events import Event, EventType
from trashbin.settings import MqttPublisher


def test_a_page_learns_the_last_count_without_another_event(watch: Watch) -> None:
    items = [replace(an_event(seq=seq), event_type=EventType.UNCERTAIN) for seq in (1, 2)]
    answers = [
        replace(an_event(seq=seq), event_type=EventType.RESOLVED, resolves=items[seq - 3].event_id)
        for seq in (3, 4)
    ]
    shown, seen = -1, -1

    def look() -> int:
        nonlocal shown, seen
        if watch.version != seen:
            seen = watch.version
            shown = watch.waiting_count(None)
        return shown

    watch.archive.add(items)
    assert look() == 2
    for answer in answers:  # within a second
        watch.archive.add([answer])
        watch.version += 1
        look()
    assert shown == 2, "it is counted once a second"
    watch._keeper.start()
    assert wait_until(lambda: look() == 0)


def test_nobody_is_asked_about_the_items_of_a_bin_that_was_removed(watch: Watch) -> None:
    """It would not answer, and they would wait for ever."""
    for device in ("hall", "yard"):
        watch._said(device, "info", b"{}")
        item = an_event(device_id=device, store_id="s", event_type=EventType.UNCERTAIN)
        watch.archive.add([item])
    watch._said("hall", "info", b"")
    watch._said("hall", "availability", b"")
    seen = watch.version
    watch._mend(0.0)
    assert watch.archive.waiting_count() == 2, "it may be back at once"
    watch._mend(1e9)
    assert [event.device_id for event in watch.archive.waiting(10)] == ["yard"]
    assert watch.version > seen


def test_no_request_waits_for_a_broker(watch: Watch) -> None:
    """The person was told that nobody answered; hours later the item was sorted."""
    asked = watch.ask("hall", "resolve", {"event_id": "one", "label": "glass"})
    assert asked.cancelled()
    assert not watch._client._out_messages and not watch._asked


class Full(Archive):
    """On a disk that is full until ``room``."""

    room = False

    def add(self, events: Iterable[Event]) -> list[Event]:
        if not self.room:
            raise StoreError("The disk is full.")
        return super().add(events)


def test_a_full_disk_is_not_the_brokers_fault_and_is_over_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STORE_RETRY_S", 0.01)
    monkeypatch.setattr(module, "MAX_PENDING", 3)
    archive = Full(tmp_path / NAME)
    watch = Watch(archive, MqttPublisher(kind="mqtt"))
    watch.connected = True
    try:
        watch._keeper.start()
        for seq in range(1, 11):
            message = MQTTMessage(topic=b"trashbin/bin-1/event")
            message.payload = an_event(seq=seq, store_id="s").to_json().encode()
            watch._inbox.put(message)
        assert wait_until(lambda: watch.unkept == "The disk is full." and watch._inbox.empty())
        assert watch.connected and not watch.problem
        archive.room = True
        assert wait_until(lambda: not watch.unkept)
        # what found no place to wait is missing now, and asked of the bin
        assert archive.seqs("bin-1", "s", 0, 99) == [8, 9, 10]
        assert watch._holes_of("bin-1", "s").due(1e9) == (0, 7)
    finally:
        watch.close()
        archive.close()


def test_what_a_damaged_file_held_is_missing_again(watch: Watch) -> None:
    pending = [an_event(seq=seq, store_id="s") for seq in (1, 2)]
    watch._write(pending)
    watch.archive._set_aside()
    watch._write([an_event(seq=3, store_id="s")])
    assert watch._holes_of("bin-1", "s").due(1e9) == (0, 2)


def test_what_bins_say_takes_bounded_room(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STORES", 10)
    for device in ("hall", "yard"):
        watch._said(device, "info", b'{"name": "Bin", "store_id": "s"}')
    watch._said("hall", "info", b'{"name": "%s"}' % (b"x" * 2**20))
    assert watch.bins["hall"].name == "Bin"
    watch._write([an_event(seq=seq, store_id="s") for seq in (1, 4)])
    for number in range(50):
        watch._holes_of(f"bin-{number}", "s")
    assert len(watch._holes) <= 10
    assert watch._holes_of("bin-1", "s").due(1e9) == (1, 2)


def test_what_is_long_has_bounded_room_in_all_and_what_is_usual_its_own(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand made-up bins with 50 KB to each topic took 1.4 GB."""
    monkeypatch.setattr(module, "MAX_LONG", 17_000)

    def say(device: str, name: str, more: int) -> str:
        watch._said(device, "info", json.dumps({"name": name, "more": "x" * more}).encode())
        return watch.bins[device].name if device in watch.bins else ""

    assert [say(f"bin-{number}", "long", 8000) for number in range(3)] == ["long", "long", ""]
    assert say("bin-0", "as long", 8000) == "as long"
    assert say("bin-2", "usual", 2000) == "usual"
    assert say("bin-0", "usual", 2000) == "usual"
    assert say("bin-2", "longer", 8000) == "longer"
    watch._said("bin-2", "info", b"")
    assert say("bin-3", "long", 8000) == "long"
    for payload in (b"no JSON", b"x" * 8000):  # what is kept is what was said before
        watch._said("bin-3", "info", payload)
        assert say("bin-4", "long", 8000) == ""
    watch._said("bin-1", "info", b"")
    watch._said("bin-3", "availability", b"x" * 8000)  # of which nothing is kept
    assert say("bin-4", "long", 8000) == "long"


@pytest.mark.parametrize(("size", "waiting"), [(0, 6), (2500, 2), (60_000, 1)])
def test_of_a_flood_a_bounded_part_waits_and_the_rest_is_held_back(
    size: int, waiting: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came faster than the keeper takes it stayed in memory, fifty megabytes a second."""
    monkeypatch.setattr(module, "MAX_HEARD", 6000)
    watch = Watch(Archive(tmp_path / NAME), MqttPublisher(kind="mqtt"))
    message = MQTTMessage(topic=b"trashbin/bin-1/state")
    message.payload = b'{"status": "idle", "more": "%s"}' % (b"x" * size)

    def come() -> None:  # as on paho's thread
        for _ in range(10):
            watch._client.on_message(watch._client, None, message)  # type: ignore[misc]

    coming = threading.Thread(target=come, daemon=True)
    coming.start()
    assert wait_until(watch._inbox.full)
    assert coming.is_alive() and len(watch._inbox.queue) == waiting
    watch._keeper.start()
    coming.join(WAIT_S)
    watch.close()
    watch.archive.close()
    assert not coming.is_alive() and watch._inbox.empty()
    assert watch.bins["bin-1"].status == "offline"


def noted(watch: Watch) -> list[str]:
    """The topics of what it sends from now on, which no broker hears."""
    sent: list[str] = []
    watch._client.publish = lambda topic, *_, **__: sent.append(topic)  # type: ignore
    return sent


def test_a_persons_question_is_not_given_up_for_the_pages_own(watch: Watch) -> None:
    """A page that starts beside many bins asks each of them for its events."""
    watch.connected = True
    sent = noted(watch)
    for number in range(2 * module.MAX_WAITING):
        watch._said(f"bin-{number}", "availability", b"online")
        watch._said(f"bin-{number}", "info", b'{"store_id": "s"}')
        watch._said(f"bin-{number}", "health", b'{"last_seq": 9}')
    waiting = watch.ask("bin-1", "resolve", {})
    for now in (0.0, 1e9):
        watch._mend(now)
    assert len(sent) == 1 + 2 * module.MAX_WAITING
    assert not waiting.cancelled()


def heard(watch: Watch, topic: str, event: Event, *, retain: bool = False) -> list[int]:
    message = MQTTMessage(topic=topic.encode())
    message.payload, message.retain = event.to_json().encode(), retain
    pending: list[Event] = []
    watch._hear(message, pending)
    return [each.seq for each in pending]


def test_what_a_broker_kept_and_what_another_says_are_no_bins_events(watch: Watch) -> None:
    event = an_event(seq=7, store_id="s")
    assert heard(watch, "trashbin/bin-1/event", event) == [7]
    assert heard(watch, "trashbin/bin-1/event/backlog", event) == [7]
    assert watch.ignored == 0
    assert heard(watch, "trashbin/bin-1/event", event, retain=True) == []
    assert heard(watch, "trashbin/bin-2/event", event) == []
    assert watch.ignored == 2


def test_a_bin_that_comes_back_is_asked_anew_and_what_it_lacks_is_remembered(
    watch: Watch,
) -> None:
    sent = noted(watch)
    watch.connected = True
    watch._said("bin-1", "availability", b"online")
    watch._said("bin-1", "info", b'{"store_id": "s"}')
    watch._write([an_event(seq=seq, store_id="s") for seq in (1, 4)])
    times = iter(range(10**9, 10**10, 10**7))
    watch._mend(next(times))
    assert sent == ["trashbin/bin-1/request/events"]
    for _ in range(20):
        watch._mend(next(times))
    assert watch.archive.gone("bin-1", "s") == 4  # it was asked often enough, and has them no more
    watch._write([an_event(seq=9, store_id="s")])
    del sent[:]
    for _ in range(TRIES):
        watch._mend(next(times))
    watch._said("bin-1", "availability", b"offline")
    watch._mend(next(times))
    assert len(sent) == TRIES  # who is not there is not asked, and nothing of it given up
    watch._said("bin-1", "availability", b"online")
    watch._mend(next(times))
    assert len(sent) == TRIES + 1
    assert watch.archive.gone("bin-1", "s") == 4


def test_what_a_bin_held_in_an_earlier_store_waits_no_longer(watch: Watch) -> None:
    """Its card was replaced: it would refuse each answer, one after the other."""
    watch.connected = True
    items = [
        an_event(seq=1, store_id=store, device_id=device, event_type=EventType.UNCERTAIN)
        for device, store in (("bin-1", "old"), ("bin-1", "new"), ("bin-2", "old"))
    ]
    watch._write([*items])
    for device, store in (("bin-1", "new"), ("bin-2", "old")):
        watch._said(device, "availability", b"online")
        watch._said(device, "info", json.dumps({"store_id": store}).encode())
    before = watch.version
    watch._mend(1e9)
    assert {event.event_id for event in watch.archive.waiting(9)} == {
        item.event_id for item in items[1:]
    }
    known = watch.version
    watch._mend(2e9)
    assert before < known == watch.version, "pages look anew, and not at each tick"
    watch._said("bin-1", "info", b"")  # removed, and back
    watch._said("bin-1", "availability", b"online")
    watch._said("bin-1", "info", b'{"store_id": "new"}')
    watch._mend(3e9)
    assert len(watch.archive.waiting(9)) == 2


def test_ids_that_somebody_makes_up_take_no_room_for_ever(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BINS", 3)
    for number in range(5):
        watch._said(f"bin-{number}", "availability", b"online")
    assert [*watch.bins] == ["bin-0", "bin-1", "bin-2"] and watch.ignored == 2
    watch._said("bin-0", "info", b"")  # removed
    watch._said("bin-4", "availability", b"online")
    assert [*watch.bins] == ["bin-1", "bin-2", "bin-4"]


def test_it_says_why_a_broker_cannot_be_reached(tmp_path: Path) -> None:
    """A certificate of somebody else's is another matter than a cable."""
    archive = Archive(tmp_path / NAME)
    watch = Watch(archive, MqttPublisher(kind="mqtt", host="127.0.0.1", port=free_port()))
    try:
        watch.open()
        assert wait_until(lambda: "cannot be reached" in watch.problem)
        assert watch.problem.endswith("Connection refused")
    finally:
        watch.close()
        archive.close()


def hear(watch: Watch, topic: bytes, payload: bytes) -> None:
    message = MQTTMessage(topic=topic)
    message.payload = payload
    pending: list[Event] = []
    watch._hear(message, pending)
    assert not pending


def test_an_answer_reaches_whoever_asked_and_nobody_else(watch: Watch) -> None:
    watch.connected = True
    sent: list[str] = []
    watch._client.publish = lambda topic, payload, **_: sent.append(payload)  # type: ignore
    mine, gone = watch.ask("bin-1", "look", {}), watch.ask("bin-1", "mode", {"mode": "auto"})
    assert json.loads(sent[1])["mode"] == "auto"
    first, second = (json.loads(asked)["transaction"] for asked in sent)
    gone.cancel()  # the page was closed
    for transaction in ("of somebody else", second, first, first):
        answer = {"status": "ok", "transaction": transaction}
        assert mine.done() is False or transaction == first
        hear(watch, b"trashbin/bin-1/response/look", json.dumps(answer).encode())
    hear(watch, b"trashbin/bin-1/response/look", b"no JSON")
    assert mine.result(0) == {"status": "ok", "transaction": first}
    picture = watch.ask("bin-1", "image", {"image_id": "one"})
    answer = {"transaction": json.loads(sent[2])["transaction"], "data": "x" * wire.MAX_SAID}
    hear(watch, b"trashbin/bin-1/response/image", json.dumps(answer).encode())
    assert picture.result(0) == answer
    assert watch.ignored == 0


def test_who_asked_first_gives_way_where_nobody_answers(watch: Watch) -> None:
    watch.connected = True
    asked = [watch.ask("bin-1", "look", {}) for _ in range(module.MAX_WAITING + 1)]
    assert [future.cancelled() for future in asked[:2]] == [True, False]
    assert len(watch._asked) == module.MAX_WAITING


LONG = an_event(seq=1, store_id="s", bin="x" * wire.MAX_SAID).to_json().encode()


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (b"trashbin/a bin/event", b"{}"),
        (b"trashbin/\xff/event", b"{}"),
        (b"trashbin/bin-1/event", b"null"),
        (b"trashbin/bin-1/event", LONG),  # pages drew them, and each would stay on the disk
        (b"trashbin/bin-1/response/image", b" " * (wire.MAX_BYTES + 1)),
        (b"trashbin/bin-1/info", b"[]"),
    ],
)
def test_what_is_no_bins_word_is_left_out_and_counted(
    watch: Watch, topic: bytes, payload: bytes
) -> None:
    hear(watch, topic, payload)
    assert watch.ignored == 1 and all(bin.info == {} for bin in watch.bins.values())


def test_a_bin_that_is_known_may_speak_on_though_no_other_finds_room(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BINS", 1)
    for device, name in (("hall", b"old"), ("yard", b"other"), ("hall", b"new")):
        watch._said(device, "info", b'{"name": "%s"}' % name)
    assert {device: bin.name for device, bin in watch.bins.items()} == {"hall": "new"}


def test_a_refusal_is_told_until_the_broker_lets_the_page_in(watch: Watch) -> None:
    refused = ReasonCode(PacketTypes.CONNACK, "Not authorized")
    watch._on_connect(watch._client, None, None, refused, None)
    assert not watch.connected and "check --username" in watch.problem
    told = watch.problem, watch.version
    watch._on_disconnect()  # as follows at once
    assert watch.problem == told[0] and watch.version > told[1]
    watch._on_connect(watch._client, None, None, ReasonCode(PacketTypes.CONNACK), None)
    assert watch.connected
    watch._on_disconnect()
    assert not watch.connected and watch.problem == "The connection to the broker was lost"


def test_a_broker_that_lets_the_page_hear_nothing_is_told(watch: Watch) -> None:
    """There was no bin to be seen, and nothing said why."""
    granted, refused = (ReasonCode(PacketTypes.SUBACK, identifier=code) for code in (1, 128))
    for answer, told in (([granted, granted], ""), ([granted, refused], "check its access rules")):
        watch._on_connect(watch._client, None, None, ReasonCode(PacketTypes.CONNACK), None)
        watch._client.on_subscribe(watch._client, None, 1, answer, None)  # type: ignore[misc]
        assert watch.connected is not bool(told)
        assert told in watch.problem


def test_a_bin_that_is_away_or_does_not_say_its_store_is_asked_nothing(watch: Watch) -> None:
    sent = noted(watch)
    watch._said("hall", "availability", b"online")
    watch._said("hall", "info", b'{"store_id": "s"}')
    watch._said("hall", "health", b'{"last_seq": 9}')
    watch._said("yard", "availability", b"online")
    watch._said("yard", "health", b'{"last_seq": 9}')
    watch._said("attic", "availability", b"offline")
    watch._said("attic", "info", b'{"store_id": "t"}')
    watch._said("attic", "health", b'{"last_seq": 9}')
    for now in (0.0, 1e9):  # no broker
        watch._mend(now)
    assert sent == []
    watch.connected = True
    watch._mend(2e9)
    watch._mend(3e9)
    assert set(sent) == {"trashbin/hall/request/events"}
