"""A part that fails: told, nothing moves, and the bin is back when the part is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.daemon.rig import Rig, sure
from trashbin import record
from trashbin.errors import CameraError, ModelError
from trashbin.status import Status
from trashbin.types import Mode, Reason


def test_a_camera_that_fails_is_told_and_comes_back_by_itself(rig: Rig) -> None:
    rig.tray.broken = "no frame within 2 s; check the ribbon cable"
    rig.drop()
    rig.go(10)
    item, fault = rig.events()
    assert (item.event_type, item.reason) == ("uncertain", Reason.FAULT)
    assert (fault.event_type, fault.about) == ("fault", item.event_id)
    assert rig.told.topics["state"]["problems"] == {"camera": rig.tray.broken}
    assert rig.daemon.status is Status.FAULT
    rig.tray.broken = None
    rig.tray.clear()
    rig.go(40)
    assert rig.daemon.status is Status.IDLE
    assert rig.told.topics["state"]["problem"] is False
    rig.drop()
    rig.go()
    assert rig.kinds() == ["uncertain", "fault", "sorted"]


def test_a_camera_that_failed_is_closed_before_it_is_opened_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver lets nobody else in while somebody holds it."""
    done: list[str] = []
    monkeypatch.setattr(rig.tray, "open", lambda: done.append("open"))
    monkeypatch.setattr(rig.tray, "close", lambda: done.append("close"))
    rig.tray.broken = "unplugged"
    rig.signal()
    rig.go(5)
    rig.tray.broken = None
    rig.go(30)
    assert done[:4] == ["close", "open"] * 2 and rig.daemon.status is Status.IDLE


def test_pictures_of_another_size_for_good_are_told_and_the_tray_is_learned_anew(rig: Rig) -> None:
    rig.tray.empty = rig.tray.empty[:100].copy()
    rig.go(120)
    (fault,) = rig.events()
    assert fault.detail is not None
    assert "160x100, and gave 160x120 before; if that stays so" in fault.detail.message
    assert rig.daemon.status is Status.IDLE and rig.told.topics["state"]["problem"] is False
    rig.sorts_the_next()
    assert rig.kinds() == ["fault", "sorted"]


def test_what_is_held_as_the_size_changes_is_not_learned_as_tray(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(5)
    rig.tray.empty = rig.tray.empty[:100].copy()
    rig.go(300)
    rig.tray.clear()
    rig.go(120)
    assert rig.daemon.status is Status.IDLE and rig.servo.visited == []
    rig.sorts_the_next()


def test_it_says_why_the_camera_fails_by_now(rig: Rig) -> None:
    rig.tray.broken = "no frame within 2 s"
    rig.go(25)
    rig.tray.broken = "there is no /dev/video0"
    rig.go(20)
    assert rig.told.topics["state"]["problems"] == {"camera": rig.tray.broken}
    assert rig.kinds() == ["fault"]


def test_a_servo_that_fails_leaves_the_lamps_at_work(rig: Rig) -> None:
    rig.servo.broken = "the servo on pin 18 cannot be driven"
    rig.drop()
    rig.go(0.9)
    assert rig.kinds() == ["sorted", "fault"]
    assert not rig.servo.driven
    assert rig.daemon.status is Status.IDLE


def test_what_a_servo_that_failed_left_is_sorted_once_it_is_mended(rig: Rig) -> None:
    rig.servo.broken = "no pulse"
    rig.clock.at(rig.clock.elapsed + 3, lambda: setattr(rig.servo, "broken", None))
    rig.drop()
    rig.go(60)
    assert rig.servo.visited == ["rest"] and not rig.tray.things
    assert rig.daemon.status is Status.IDLE and rig.daemon.parts.problems == {}


def test_a_servo_that_fails_at_each_move_is_not_tried_for_ever(rig: Rig) -> None:
    rig.servo.broken = "no pulse"
    rig.drop()
    rig.go(3600)
    assert rig.kinds() == ["sorted", "fault"] * 4


def test_a_lid_that_every_move_shakes_open_has_nothing_moved_for_ever(rig: Rig) -> None:
    halt = rig.daemon.parts.actuation.halt
    rig.servo.on_sort = lambda bin: rig.clock.at(rig.clock.elapsed + 0.1, halt)
    rig.drop()
    rig.go(3600)
    assert rig.kinds() == ["sorted", "fault"] * 4 and rig.daemon.status is Status.IDLE
    rig.servo.on_sort = lambda bin: rig.tray.clear()
    rig.signal()  # somebody passes by, and it is mended
    rig.go()
    assert rig.kinds()[-1] == "sorted" and not rig.tray.things


@pytest.mark.parametrize("part", ["camera", "model"])
def test_a_part_that_is_back_for_moments_only_tells_no_item_and_not_every_second(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    works = [False]

    def once(action: Callable[..., Any], error: Exception) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            works[0] = not works[0]
            if not works[0]:
                raise error
            return action(*arguments)

        return run

    with monkeypatch.context() as patch:
        if part == "camera":
            patch.setattr(rig.tray, "capture", once(rig.tray.capture, CameraError("unplugged")))
        else:
            works[0] = True
            patch.setattr(rig.network, "predict", once(rig.network.predict, ModelError("no room")))
        rig.drop()
        rig.go(3600)
    kinds = rig.kinds()
    assert kinds.count("uncertain") == 1 and kinds.count("fault") < 3600 / 25
    rig.go(60)
    assert rig.kinds()[-1] == "sorted" and rig.daemon.status is Status.IDLE


def test_the_lamps_show_what_waits_though_they_are_opened_anew(rig: Rig) -> None:
    rig.servo.broken = "no pulse"
    rig.drop()
    rig.go(0.8)
    rig.tray.clear()
    rig.network.usual = sure("metal", 0.3)
    rig.drop("jar", 100, 60)
    rig.go(5)
    assert rig.lamps.shown[-2:] == [(Status.HOLDING, None)] * 2


def test_a_network_that_fails_is_a_fault_and_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ModelError("int8.tflite: does not run (no memory)")

    with monkeypatch.context() as patch:
        patch.setattr(rig.network, "predict", fails)
        rig.drop()
        rig.go(60)
        assert "no memory" in rig.daemon.parts.problems["model"]
        assert rig.daemon.status is Status.FAULT and rig.kinds().count("fault") == 1
    rig.go(60)
    assert rig.kinds()[-1] == "sorted" and rig.daemon.status is Status.IDLE


def test_requests_are_answered_with_status_and_transaction(rig: Rig) -> None:
    def ask(verb: str, **data: object) -> dict[str, object]:
        rig.request(verb, **data)
        rig.go(15)
        return dict(rig.told.answers[-1][1])

    rig.tray.put()
    looked = ask("look", transaction="t1")
    assert (looked["status"], looked["transaction"]) == ("ok", "t1")
    assert looked["data"]["event_type"] == "sorted"  # type: ignore[index]
    assert ask("mode", mode="paused")["status"] == "ok"
    assert rig.daemon.status is Status.PAUSED
    assert ask("look")["status"] == "refused"
    assert ask("mode", mode="auto")["status"] == "ok"
    assert ask("threshold", gap=0.95)["data"]["gap"] == 0.95  # type: ignore[index]
    assert ask("threshold", gap=None)["data"]["gap"] == 0.3  # type: ignore[index]
    assert ask("identify")["status"] == "ok"
    assert ask("selftest")["data"]["parts"]["camera"] == "good"  # type: ignore[index]
    assert ask("dance")["status"] == "refused"


def test_mode_thresholds_and_counts_outlive_a_restart(rig: Rig) -> None:
    rig.drop()
    rig.go()
    rig.request("mode", mode="advisory")
    rig.request("threshold", gap=0.7)
    rig.go()
    rig.outbox.close()
    rig.start()
    assert rig.daemon.recorder.mode is Mode.ADVISORY
    assert rig.daemon.recorder.thresholds.gap == 0.7
    counts = rig.told.topics["state"]["counts"]
    assert counts["today"]["metal"] == counts["total"]["metal"] == 1


def test_a_flood_of_signals_is_bounded_and_told(rig: Rig) -> None:
    for _ in range(1000):
        rig.signal()
    rig.go(90)
    assert rig.told.topics["health"]["messages_dropped"] == 1000 - 64
    assert rig.kinds() == ["empty"]


def test_an_event_says_whether_a_time_server_set_its_clock(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for synchronized in (False, True):
        monkeypatch.setattr(record, "is_synchronized", lambda told=synchronized: told)
        rig.drop()
        rig.go()
    assert [event.ts_quality for event in rig.events()] == ["unsynced", "synced"]


@pytest.mark.parametrize("mode", ["auto", "paused"])
def test_a_start_in_safe_mode_is_told_as_nothing_else_before(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    told: list[str] = []
    announce = rig.told.announce

    def listening(topic: str, payload: Any) -> None:
        if topic == "state":
            told.append(payload["status"])
        announce(topic, payload)

    set_mode(rig, mode)
    monkeypatch.setattr(rig.told, "announce", listening)
    rig.daemon.condition.status = Status.IDLE
    rig.daemon.parts.problems |= {"level": "silent", "configuration": "1 mistake(s)"}
    rig.daemon.begin()
    assert set(told) == {"fault"}


def set_mode(rig: Rig, mode: str) -> None:
    rig.request("mode", mode=mode)
    rig.go(1)


@pytest.mark.parametrize("mode", ["advisory", "paused"])
def test_a_servo_that_the_lid_stopped_goes_to_rest_in_no_mode_that_moves_nothing(
    rig: Rig, mode: str
) -> None:
    def open_lid() -> None:
        rig.lid.active = True
        rig.daemon.parts.actuation.halt()

    rig.servo.on_sort = lambda bin: rig.clock.at(rig.clock.elapsed + 0.1, open_lid)
    rig.drop()
    rig.go(3)
    assert rig.servo.at == "rest" and "stop" in rig.daemon.parts.problems
    set_mode(rig, mode)
    rig.tray.clear()
    rig.lid.active = False
    rig.go(20)
    assert rig.daemon.parts.problems == {}
    assert rig.servo.at == "rest", "where it was stopped"
    rig.servo.on_sort = lambda bin: rig.tray.clear()
    set_mode(rig, "auto")
    rig.drop()
    rig.go()
    assert rig.servo.at is None, "the next sort ends at rest"


@pytest.mark.parametrize("mode", ["advisory", "paused"])
def test_a_servo_that_failed_is_not_opened_in_a_mode_that_moves_nothing(
    rig: Rig, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []  # which may go to rest first
    monkeypatch.setattr(rig.servo, "open", lambda: opened.append(mode))
    rig.servo.broken = "no power"
    rig.drop()
    rig.go(0.5)
    set_mode(rig, mode)
    opened.clear()
    rig.servo.broken = None
    rig.go(100)
    assert opened == [] and "actuator" in rig.daemon.parts.problems
    set_mode(rig, "auto")
    rig.go(60)
    assert opened and rig.daemon.parts.problems == {}
