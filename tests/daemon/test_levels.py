"""How full the bins are: by a sensor, with hysteresis, or by counting; and what empties them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.rig import Rig, sure
from trashbin.errors import StoreError, TriggerError
from trashbin.events import Detail
from trashbin.levels import AGREE, EMPTIED_FROM, EMPTIED_TO, NOT_FULL, Gauge


class Sensor:
    """Sees what the test says."""

    def __init__(self) -> None:
        self.sees: float | None = None
        self.broken: str | None = None

    def open(self) -> None: ...

    def level(self) -> float | None:
        if self.broken:
            raise TriggerError(self.broken)
        return self.sees

    def close(self) -> None: ...


BINS = {
    "paper": {"labels": ["cardboard", "paper"]},
    "rest": {"labels": ["glass", "metal", "plastic", "trash"], "capacity": 3},
}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, bins=BINS)


def levels(rig: Rig) -> Mapping[str, Any]:
    rig.daemon.condition.tell_state()
    return rig.told.topics["state"]["levels"]  # type: ignore[no-any-return]


def sort(rig: Rig, label: str = "metal", times: int = 1) -> None:
    for _ in range(times):
        rig.network.usual = sure(label)
        rig.drop()
        rig.go(10)


def ask(rig: Rig, **data: Any) -> Mapping[str, Any]:
    rig.request("emptied", **data)
    rig.go(1)
    return rig.told.answers[-1][1]


def test_without_a_sensor_items_are_counted_until_somebody_empties_it(rig: Rig) -> None:
    assert levels(rig)["rest"] == {
        "level": 0.0,
        "full": False,
        "by": "count",
        "items": 0,
        "emptied": None,
    }
    sort(rig, times=2)
    assert levels(rig)["rest"]["level"] == 0.67
    sort(rig)
    assert (levels(rig)["rest"]["full"], levels(rig)["rest"]["level"]) == (True, 1.0)
    rig.daemon.tell()
    assert rig.told.topics["health"]["levels"] == levels(rig)
    rig.start()
    assert levels(rig)["rest"]["full"], "also after a restart"
    assert ask(rig, bin="rest")["data"] == {"bin": "rest"}
    told = levels(rig)["rest"]
    assert (told["items"], told["full"]) == (0, False)
    assert told["emptied"].startswith("2026-11-23T12:0")
    sort(rig)
    assert levels(rig)["rest"]["items"] == 1
    assert rig.told.topics["state"]["counts"]["total"] == {"metal": 4}, "counts go on"


def test_a_button_empties_too(rig: Rig) -> None:
    sort(rig, times=3)
    rig.daemon.press_emptied("rest")
    rig.go(1)
    assert levels(rig)["rest"]["items"] == 0


def test_a_bin_with_neither_is_counted_and_no_level_is_made_up(rig: Rig) -> None:
    sort(rig, "paper", 5)
    told = levels(rig)["paper"]
    assert (told["items"], told["level"], told["full"], told["by"]) == (5, None, None, None)


def test_a_label_that_goes_to_another_bin_takes_along_nothing_of_what_fell(rig: Rig) -> None:
    """What the YAML says from now on moves no can from one compartment to the other."""

    def start(**bins: list[str]) -> None:
        rig.changes = {"bins": {name: {"labels": labels} for name, labels in bins.items()}}
        rig.start()

    def items() -> dict[str, int]:
        return {bin: told["items"] for bin, told in levels(rig).items()}

    sort(rig, "paper")
    ask(rig, bin="paper")
    sort(rig, "paper", 2)
    sort(rig, "metal", 2)
    start(paper=["cardboard", "paper", "metal"], rest=["glass", "plastic", "trash"])
    assert items() == {"paper": 2, "rest": 2}
    sort(rig, "metal")
    assert items() == {"paper": 3, "rest": 2}
    for _ in range(2):
        start(tins=["metal"], paper=["cardboard"], rest=["glass", "plastic", "trash", "paper"])
        assert items() == {"tins": 0, "paper": 3, "rest": 2}
    for label in ("metal", "paper"):
        sort(rig, label)
    assert items() == {"tins": 1, "paper": 3, "rest": 3}


def test_an_unknown_bin_is_refused(rig: Rig) -> None:
    told = ask(rig, bin="glass")
    assert told["status"] == "refused" and "there are paper, rest" in told["error"]


# with a sensor


@pytest.fixture
def sensor(rig: Rig) -> Sensor:
    sensor = Sensor()
    rig.levels = {"rest": sensor}
    rig.start()
    return sensor


def see(
    rig: Rig, sensor: Sensor, level: float | None, readings: int = AGREE + 1
) -> Mapping[str, Any]:
    sensor.sees = level
    rig.go(5.0 * readings)
    return rig.told.topics["state"]["levels"]["rest"]  # type: ignore[no-any-return]


def test_a_sensor_tells_full_late_and_no_longer_full_late(rig: Rig, sensor: Sensor) -> None:
    assert not see(rig, sensor, 0.5)["full"]
    assert not see(rig, sensor, 1.1, 1)["full"], "a hand, or a bottle that falls past it"
    assert not see(rig, sensor, 0.5)["full"]
    full = see(rig, sensor, 1.1)
    assert full["full"] and full["by"] == "sensor" and full["level"] == 1.0
    assert see(rig, sensor, NOT_FULL + 0.05)["full"], "rubbish settles"
    assert not see(rig, sensor, NOT_FULL - 0.05)["full"]


def test_what_people_throw_in_by_hand_is_told_without_an_event(rig: Rig, sensor: Sensor) -> None:
    assert see(rig, sensor, 0.3)["level"] == 0.3
    assert see(rig, sensor, 0.7)["level"] == 0.7
    for level in range(70, 80):  # slowly, with health told between
        see(rig, sensor, level / 100, 12)
    assert rig.told.topics["state"]["levels"]["rest"]["level"] >= 0.74
    last = rig.told.topics["state"]
    for number in range(40):  # a rough surface
        see(rig, sensor, 0.76 + 0.02 * (number % 2), 1)
    assert rig.told.topics["state"] is last
    assert rig.kinds() == []


def test_a_sensor_sees_that_a_bin_was_emptied(rig: Rig, sensor: Sensor) -> None:
    sort(rig, times=2)
    see(rig, sensor, 0.6)
    told = see(rig, sensor, 0.02)
    assert (told["items"], told["level"]) == (0, 0.02)
    assert told["emptied"] is not None
    assert see(rig, sensor, 0.05)["emptied"] == told["emptied"], "once"


def test_a_bin_that_was_emptied_while_the_daemon_was_off_is_seen_to_be(
    rig: Rig, sensor: Sensor
) -> None:
    sort(rig, times=2)
    see(rig, sensor, 0.6)
    rig.start()
    assert see(rig, sensor, 0.6)["items"] == 2, "not yet"
    rig.start()
    told = see(rig, sensor, 0.02)
    assert (told["items"], told["level"]) == (0, 0.02)
    sort(rig)
    rig.start()
    again = see(rig, sensor, 0.05)
    assert (again["items"], again["emptied"]) == (1, told["emptied"]), "once"
    see(rig, sensor, 0.3)
    rig.start()
    assert see(rig, sensor, 0.02)["emptied"] == told["emptied"], "a little that settles"


def test_what_is_in_a_bin_outlives_its_button_and_a_store_that_fails(
    rig: Rig, sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rig.outbox, "set", _fails)
        see(rig, sensor, 0.6)
    see(rig, sensor, 0.6, 1)
    sort(rig)
    ask(rig, bin="rest")  # and nobody took anything out
    emptied = see(rig, sensor, 0.6)["emptied"]
    rig.start()
    rig.clock.advance(60)
    assert see(rig, sensor, 0.02)["emptied"] > emptied


def _fails(*_: object, **__: object) -> None:
    raise StoreError("the disk is full")


def test_a_silent_sensor_is_told_once_and_counting_takes_its_place(
    rig: Rig, sensor: Sensor
) -> None:
    see(rig, sensor, 0.5)
    sensor.broken = "hears no echo"
    rig.go(60)
    sort(rig)
    assert rig.kinds() == ["fault", "sorted"], "the bin sorts on"
    assert rig.events()[0].detail == Detail("level", "hears no echo")
    assert rig.told.topics["state"]["problems"]["level"] == "hears no echo"
    assert rig.told.topics["state"]["levels"]["rest"]["by"] == "count"
    sensor.broken = None
    assert see(rig, sensor, 0.5)["by"] == "sensor"
    assert "level" not in rig.told.topics["state"]["problems"]


def test_a_sensor_that_hears_an_echo_now_and_then_is_told_once(rig: Rig, sensor: Sensor) -> None:
    for number in range(300):
        sensor.sees, sensor.broken = 0.3, "hears no echo" if number % 3 else None
        rig.go(5)
    assert rig.kinds() == ["fault"]


@pytest.mark.parametrize(
    ("before", "after", "emptied"),
    [
        (EMPTIED_FROM, EMPTIED_TO, True),
        (1.0, 0.0, True),
        (EMPTIED_FROM - 0.01, 0.0, False),  # a little that settles
        (1.0, EMPTIED_TO + 0.01, False),  # pressed down by hand
    ],
)
def test_a_bin_was_emptied_where_much_became_little(
    before: float, after: float, emptied: bool
) -> None:
    gauge = Gauge()
    for _ in range(2):  # as often as it is
        seen = []
        for reading in [before] * AGREE + [after] * 2 * AGREE:
            gauge.read(reading)
            seen.append(gauge.emptied)
        assert seen.count(True) == emptied


@given(st.lists(st.integers(0, 24), max_size=40))
def test_no_reading_but_several_in_a_row_change_what_is_told(readings: list[int]) -> None:
    gauge, last = Gauge(), []
    assert not gauge.full and not gauge.emptied
    for reading in readings:
        was_full, level = gauge.full, reading / 20
        gauge.read(level)
        last = [*last, level][-AGREE:]
        if gauge.full and not was_full:
            assert len(last) == AGREE and min(last) >= 1.0
        if was_full and not gauge.full:
            assert max(last) < NOT_FULL
        if gauge.emptied:
            assert max(last) <= EMPTIED_TO
        assert gauge.level is None or min(1.0, min(last)) <= gauge.level <= max(last)
        assert gauge.full or len(last) < AGREE or min(last) < 1.0


@given(st.lists(st.floats(0.86, 2.0), max_size=30))
def test_a_level_that_wavers_about_full_changes_full_once_at_most(readings: list[float]) -> None:
    gauge, seen = Gauge(), [False]
    for reading in readings:
        gauge.read(reading)
        if gauge.full != seen[-1]:
            seen.append(gauge.full)
    assert len(seen) <= 2


@given(st.lists(st.none() | st.floats(-1, 3), max_size=60))
def test_no_reading_makes_nonsense(readings: list[float | None]) -> None:
    gauge = Gauge()
    for reading in readings:
        gauge.read(reading)
        assert gauge.level is None or 0 <= gauge.level <= 1
        assert not (gauge.full and gauge.emptied)
