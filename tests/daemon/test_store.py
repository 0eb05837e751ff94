"""The store fails or overflows: nothing moves unrecorded, it is told, and the bin comes back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.daemon.rig import Rig, sure
from tests.support import connection, damage
from tests.support_events import an_event
from trashbin import aging
from trashbin.errors import StoreError
from trashbin.outbox import Outbox
from trashbin.status import Status
from trashbin.types import Mode

BROKER = {"kind": "mqtt", "host": "localhost"}


def fill_disk(rig: Rig) -> int:
    """Not a page more for the file; the last ``seq`` that found room."""
    connection(rig.outbox).execute("PRAGMA max_page_count = 1")  # SQLite makes it what there is
    with pytest.raises(StoreError):
        while True:
            rig.outbox.append(an_event())
    return rig.outbox.last_seq()


def free_disk(rig: Rig) -> None:
    connection(rig.outbox).execute("PRAGMA max_page_count = 100000")


@pytest.mark.parametrize("shares", [sure("metal", 0.9), sure("metal", 0.3)])  # sorted, held
def test_an_item_that_cannot_be_recorded_moves_nothing(rig: Rig, shares: dict[str, float]) -> None:
    last = fill_disk(rig)
    rig.network.usual = shares
    rig.drop()
    rig.go(70)
    assert rig.servo.visited == []
    assert not rig.servo.driven
    assert rig.outbox.last_seq() == last
    assert rig.daemon.status is Status.FAULT
    assert rig.lamps.shown[-1] == (Status.FAULT, None)
    for topic in ("state", "health"):
        assert "Free some space" in rig.told.topics[topic]["problems"]["store"]
    rig.drop()
    rig.go(5)
    assert rig.servo.visited == []


def test_when_there_is_room_again_it_is_told_and_the_bin_sorts(rig: Rig) -> None:
    last = fill_disk(rig)
    rig.drop()
    rig.go(10)
    free_disk(rig)
    rig.go(40)
    fault, item = rig.outbox.span(last, 10)
    assert (fault.event_type, fault.seq) == ("fault", last + 1)
    assert fault.detail is not None
    assert fault.detail.part == "store"
    assert rig.daemon.status is Status.IDLE
    assert rig.told.topics["state"]["problem"] is False
    assert item.event_type == "sorted", "it lay there still"
    assert rig.servo.visited == ["rest"]


def test_a_camera_that_fails_while_the_disk_is_full_is_told_too(rig: Rig) -> None:
    fill_disk(rig)
    rig.tray.broken = "no frame within 2 s"
    rig.drop()
    rig.go(10)
    assert rig.told.topics["state"]["problems"].keys() == {"store", "camera"}
    free_disk(rig)
    rig.tray.broken = None
    rig.tray.clear()
    rig.go(70)
    assert rig.daemon.status is Status.IDLE


def test_a_store_that_cannot_even_be_read_ends_nothing(rig: Rig) -> None:
    rig.request("mode", mode="advisory")
    rig.go(1)
    rig.outbox.close()
    rig.drop()
    rig.go(3700)  # past health and prune
    state = rig.told.topics["state"]
    assert (state["status"], state["mode"], state["counts"]) == ("fault", "advisory", None)
    assert rig.told.topics["health"]["outbox_depth"] is None
    rig.request("threshold", gap=0.5)
    rig.go(1)
    assert rig.told.answers[-1][1]["status"] == "error"
    assert rig.servo.visited == []


def test_an_overflow_is_a_problem_at_once_and_one_notice_when_it_is_over(tmp_path: Path) -> None:
    rig = Rig(tmp_path, store={"path": tmp_path, "max_mb": 1}, publisher=BROKER)
    while (dropped := rig.outbox.dropped()) is None:
        rig.outbox.append(an_event(image_id="x" * 20_000))
    rig.go(70)
    assert (
        f"seq {dropped.first} to {dropped.last}" in rig.told.topics["state"]["problems"]["overflow"]
    )
    assert "notice" not in rig.kinds()
    rig.drop()
    rig.go()
    assert rig.servo.visited == ["rest"]  # it goes on sorting
    rig.outbox.acknowledge([event.event_id for event in rig.events()])
    rig.go(200)
    (notice,) = [event for event in rig.events() if event.event_type == "notice"]
    assert notice.detail is not None
    assert f"{dropped.events} events from seq 1 to {dropped.last} " in notice.detail.message
    assert rig.told.topics["state"]["problem"] is False


def test_without_a_broker_an_overflow_is_the_end_of_history_and_no_problem(tmp_path: Path) -> None:
    rig = Rig(tmp_path, store={"path": tmp_path, "max_mb": 1})
    while rig.outbox.dropped() is None:
        rig.outbox.append(an_event(image_id="x" * 20_000))
    rig.go(70)
    assert rig.told.topics["state"]["problem"] is False


def test_damaged_events_are_told_once_by_their_seq(rig: Rig) -> None:
    for _ in range(3):
        rig.drop()
        rig.go()
    rig.outbox.close()
    file = rig.folder / "events.sqlite"
    file.write_bytes(file.read_bytes().replace(b'"seq":2,', b'"seq":9,'))
    rig.start()
    assert [event.seq for event in rig.events() if event.event_type == "sorted"] == [1, 3]
    rig.go(300)
    (fault,) = [event for event in rig.events() if event.event_type == "fault"]
    assert fault.detail is not None
    assert "(seq 2)" in fault.detail.message
    rig.drop()
    rig.go()
    assert rig.kinds()[-1] == "sorted"


def test_a_store_that_was_set_aside_is_the_first_that_the_new_one_tells(rig: Rig) -> None:
    rig.drop()
    rig.go()
    rig.outbox.close()
    rig.outbox.path.write_bytes(b"rubbish" * 1000)
    rig.start()
    (fault,) = rig.events()
    assert fault.detail is not None and fault.detail.part == "store"
    assert f"{rig.outbox.path}.damaged-2" in fault.detail.message
    rig.start()
    assert rig.kinds() == ["fault"], "once"


def test_events_do_not_go_with_a_folder_that_somebody_removed(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "store", publisher=BROKER)
    rig.sorts_the_next()
    shutil.rmtree(tmp_path / "store")
    rig.sorts_the_next()
    rig.go(70)
    again = Outbox(rig.outbox.path)
    item, fault = again.span(0, 10)
    again.close()
    assert (item.event_type, item.seq, fault.event_type) == ("sorted", 1, "fault")
    assert fault.detail is not None and "was removed or replaced" in fault.detail.message


def test_a_move_that_the_power_cut_off_is_told_once_at_the_next_start(rig: Rig) -> None:
    class PowerCut(Exception):
        pass

    def cut(bin: str) -> None:
        raise PowerCut

    rig.servo.on_sort = cut
    with pytest.raises(PowerCut):
        rig.drop()
        rig.go()
    rig.servo.on_sort = lambda bin: rig.tray.clear()
    (item,) = rig.events()
    rig.outbox.close()
    rig.tray.clear()
    for _ in range(2):
        rig.start()
        rig.go(70)
        (fault,) = [event for event in rig.events() if event.event_type == "fault"]
        assert (fault.about, fault.detail and fault.detail.part) == (item.event_id, "actuator")
        assert rig.servo.visited == ["rest"]
        assert rig.daemon.status is Status.IDLE
    rig.drop()
    rig.go(70)
    rig.start()
    rig.go(70)
    assert rig.kinds() == ["sorted", "fault", "sorted"], "this one was over"


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ADVISORY])
def test_a_servo_that_the_power_left_tipped_goes_to_rest_before_the_tray_is_learned(
    rig: Rig, mode: Mode
) -> None:
    tipped, kinds = rig.tray.empty[::-1].copy(), []
    level = rig.tray.empty
    item = rig.daemon.recorder.notice("test", "an item that is sorted")
    rig.outbox.append(item, moving=True)
    rig.daemon.set_mode(mode)
    rig.outbox.close()
    rig.servo.at, rig.tray.empty = "rest", tipped

    def rests() -> None:
        kinds.extend(rig.kinds())
        rig.servo.at, rig.tray.empty = None, level

    rig.servo.rest = rests  # type: ignore[method-assign]
    rig.start()
    if mode is Mode.AUTO:
        assert kinds == ["notice", "fault"], "it is told before anything moves"
        assert rig.servo.at is None and not rig.servo.driven
        rig.go()
        rig.signal()
        rig.go()
        assert rig.kinds() == ["notice", "fault", "empty"], "the level tray was learned"
    else:
        assert rig.servo.at == "rest", "only auto moves"
    rig.start()
    assert len(kinds) in (0, 2), "once"


def test_a_lid_that_is_open_keeps_it_from_going_to_rest_until_it_is_closed(rig: Rig) -> None:
    rig.outbox.append(rig.daemon.recorder.notice("test", "an item that is sorted"), moving=True)
    rig.outbox.close()
    rig.servo.at, rig.lid.active = "rest", True
    rig.start()
    rig.go(5)
    assert rig.servo.at == "rest" and rig.daemon.status is Status.FAULT
    rig.lid.active = False
    rig.go(5)
    assert rig.servo.at is None and rig.daemon.status is Status.IDLE


def test_a_move_that_failed_is_told_once(rig: Rig) -> None:
    rig.servo.broken = "no pulse"
    rig.drop()
    rig.go(1)
    rig.tray.clear()
    rig.start()
    rig.go(1)
    assert rig.kinds() == ["sorted", "fault"]


def test_a_bin_stays_paused_though_its_store_gives_way_to_a_new_one(rig: Rig) -> None:
    rig.request("mode", mode="paused")
    rig.request("threshold", gap=0.8)
    rig.go(2)
    before = rig.outbox.store_id
    rig.tray.put()
    damage(rig.outbox)
    rig.go(200)
    assert rig.outbox.store_id != before and rig.daemon.status is Status.PAUSED
    rig.start()
    rig.signal()
    rig.go(5)
    assert rig.servo.visited == [] and rig.daemon.recorder.thresholds.gap == 0.8


def test_a_store_that_fails_as_a_move_ends_is_told_and_comes_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise StoreError("The event store cannot be written: disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(rig.outbox, "moved", fails)
        rig.drop()
        rig.go(10)
    assert rig.servo.visited == ["rest"]
    item, fault = rig.events()
    assert item.event_type == "sorted" and fault.detail is not None
    assert fault.detail.part == "store" and "disk I/O error" in fault.detail.message
    assert rig.told.topics["state"]["problem"] is False
    rig.sorts_the_next()


def test_a_store_that_cannot_forget_is_told(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> int:
        raise StoreError("The event store cannot be written: disk I/O error")

    monkeypatch.setattr(aging, "is_synchronized", lambda: True)  # whatever this machine's is
    monkeypatch.setattr(rig.outbox, "prune", fails)
    rig.daemon.condition.prune()
    assert "disk I/O error" in rig.told.topics["state"]["problems"]["store"]
    assert rig.daemon.status is Status.FAULT
