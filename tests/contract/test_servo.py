"""The servo beyond what every actuator does: pulses, reach, the stop switch, the way home."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.actuator_bench import SERVO, STOP, Bench, workbench
from tests.contract.conftest import CONFIG
from tests.support import FakeClock
from trashbin.devices.gpio import StopInput
from trashbin.devices.pins import pin_factory
from trashbin.errors import ActuatorError, ConfigError
from trashbin.ports import Context
from trashbin.settings import Config


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    with workbench(context) as bench:
        yield bench


def test_each_bin_has_the_pulse_of_its_angle(bench: Bench) -> None:
    servo = bench.opened("servo", rest_angle=0.0, min_pulse_ms=0.5, max_pulse_ms=2.5)
    servo.sort("left")
    assert bench.pulse_ms() == pytest.approx(1.0)  # -45 degrees of -90 to 90
    servo.sort("right")
    assert bench.pulse_ms() == pytest.approx(2.0)
    servo.rest()
    assert bench.pulse_ms() == pytest.approx(1.5)
    servo.release()
    assert bench.pulse_ms() is None


@given(
    low=st.floats(-180, 170),
    span=st.floats(1, 180),
    at=st.floats(0, 1),
    rest=st.floats(0, 1),
    pulses=st.tuples(st.floats(0.1, 2.0), st.floats(0.1, 2.9)),
)
def test_the_pulse_is_a_straight_line_of_the_angle(
    low: float, span: float, at: float, rest: float, pulses: tuple[float, float]
) -> None:
    high = min(low + span, 180.0)
    angle = min(high, low + at * (high - low))
    config = Config.model_validate(
        CONFIG | {"bins": {"one": {"labels": ["paper"], "angle": angle}}}
    )
    bench = Bench(Context(FakeClock(), config, pins=pin_factory("mock")))
    servo = bench.opened(
        "servo",
        min_angle=low,
        max_angle=high,
        rest_angle=min(high, low + rest * (high - low)),
        min_pulse_ms=pulses[0],
        max_pulse_ms=sum(pulses),
    )
    servo.sort("one")
    share = (angle - low) / (high - low)
    assert bench.pulse_ms() == pytest.approx(pulses[0] + share * pulses[1], abs=1e-6)
    servo.rest()
    bench.context.clock.wait(10.0)
    servo.release()
    servo.close()


@pytest.mark.parametrize(
    ("more", "tells"),
    [
        ({"max_angle": 30.0}, r"bins: right: angle: 45\.0 degrees is outside.*-90\.0 to 30\.0"),
        ({"rest_angle": 120.0}, "servo: rest_angle: 120"),
        ({"min_angle": 90.0}, "min_angle 90.0 must be below"),
        ({"min_pulse_ms": 2.5}, "min_pulse_ms 2.5 must be below"),
    ],
)
def test_a_servo_that_cannot_reach_is_refused_when_made(
    bench: Bench, more: dict[str, Any], tells: str
) -> None:
    with pytest.raises(ConfigError, match=tells):
        bench.make("servo", **more)


def test_a_bin_without_an_angle_is_refused(bench: Bench) -> None:
    bins = {"left": {"labels": ["paper"], "angle": 0}, "right": {"labels": ["glass"]}}
    config = Config.model_validate(CONFIG | {"bins": bins})
    bench.context = replace(bench.context, config=config)
    with pytest.raises(ConfigError, match="bins: right: a servo needs an angle"):
        bench.make("servo")


def test_a_servo_that_is_not_open_cannot_sort(bench: Bench) -> None:
    with pytest.raises(ActuatorError, match="not open"):
        bench.make("servo").sort("left")


def with_stop_switch(bench: Bench, on_stop: Callable[[], None]) -> StopInput:
    stop = StopInput(STOP, bench.context, on_stop)
    stop.open()
    bench.context = replace(bench.context, stop=stop)
    return stop


def test_the_stop_switch_ends_the_pulse_at_once_and_nothing_moves_until_it_is_off(
    bench: Bench,
) -> None:
    stop = with_stop_switch(bench, lambda: bench.made[0].release())
    servo = bench.opened("servo")
    servo.sort("left")
    assert bench.pulse_ms() is not None
    bench.pin(STOP).drive_low()
    assert bench.pulse_ms() is None
    for move in (lambda: servo.sort("right"), servo.rest):
        with pytest.raises(ActuatorError, match="stop switch is on"):
            move()
        assert bench.pulse_ms() is None
    bench.pin(STOP).drive_high()
    servo.rest()
    assert bench.pulse_ms() == pytest.approx(1.5)
    stop.close()


class JustClosing:
    """A stop switch that closes the moment after it was first looked at and found open."""

    def __init__(self, on_stop: Callable[[], None]) -> None:
        self.gpio_thread = threading.Thread(target=on_stop)

    @property
    def active(self) -> bool:
        if self.gpio_thread.ident is not None:
            return True
        self.gpio_thread.start()
        self.gpio_thread.join(0.05)  # it may come through, or have to wait for the move
        return False

    def close(self) -> None:
        """No pin to free."""


def test_a_move_that_begins_as_the_switch_closes_does_not_outlive_it(bench: Bench) -> None:
    stop = JustClosing(lambda: bench.made[0].release())
    bench.context = replace(bench.context, stop=stop)
    servo = bench.opened("servo")
    servo.sort("left")
    stop.gpio_thread.join(5.0)
    assert not stop.gpio_thread.is_alive()
    assert bench.pulse_ms() is None


@pytest.fixture
def slept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float | None]]:
    """How long a servo slept as it was closed, and with which pulse."""
    seen: list[tuple[float, float | None]] = []
    sleep = SimpleNamespace(sleep=lambda seconds: seen.append((seconds, bench.pulse_ms())))
    monkeypatch.setattr("trashbin.devices.servo.time", sleep)
    return seen


@pytest.mark.parametrize("later_s", [0.0, 100.0])
def test_a_servo_closed_on_its_way_goes_back_to_rest_first_and_once(
    bench: Bench, slept: list[tuple[float, float | None]], later_s: float
) -> None:
    servo = bench.opened("servo")
    servo.close()
    assert slept == [], "it never moved"
    servo.open()
    servo.sort("left")
    servo.rest()
    servo.release()  # no time went by: the process is asked to stop
    bench.context.clock.wait(later_s)
    servo.close()
    assert slept == [(0.01, pytest.approx(1.5))]
    assert bench.pulse_ms() is None
    servo.open()
    servo.close()
    assert len(slept) == 1, "it stands at rest"


def test_a_servo_at_rest_does_not_move_when_closed(bench: Bench) -> None:
    servo = bench.opened("servo")
    servo.sort("left")
    servo.rest()
    bench.context.clock.wait(1.0)
    servo.release()
    pin = bench.pin(SERVO)
    pin.clear_states()
    servo.close()
    assert [float(state.state) for state in pin.states] == [0.0]


def test_a_servo_closed_under_a_hand_stands_still(bench: Bench) -> None:
    with_stop_switch(bench, lambda: bench.made[0].release())
    servo = bench.opened("servo")
    servo.sort("left")
    bench.pin(STOP).drive_low()
    pin = bench.pin(SERVO)
    pin.clear_states()
    servo.close()
    assert [float(state.state) for state in pin.states] == [0.0]


def test_one_that_was_left_standing_under_a_hand_goes_to_rest_once_the_hand_is_gone(
    bench: Bench, slept: list[tuple[float, float | None]]
) -> None:
    with_stop_switch(bench, lambda: bench.made[0].release())
    servo = bench.opened("servo")
    servo.sort("left")
    bench.pin(STOP).drive_low()
    servo.close()
    servo.close()
    assert slept == []
    bench.pin(STOP).drive_high()
    servo.open()
    assert bench.pulse_ms() is None
    servo.close()
    assert slept == [(0.01, pytest.approx(1.5))]
