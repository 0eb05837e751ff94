"""One contract for every actuator; what they do is read off gpiozero's mock pins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from gpiozero import LED
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.contract.conftest import CONFIG
from tests.support import FakeClock
from trashbin import settings
from trashbin.devices import TABLE, lamps, load
from trashbin.devices.gpio import StopInput
from trashbin.devices.pins import pin_factory
from trashbin.errors import ActuatorError, ConfigError
from trashbin.ports import Actuator, Context
from trashbin.settings import Config
from trashbin.status import Status

SERVO, UNCERTAIN, STOP = 18, 13, 22
RGB = (16, 20, 21)
LEFT, RIGHT = 5, 6  # the bins' lamps, as in CONFIG
PINS = (SERVO, UNCERTAIN, LEFT, RIGHT, *RGB)
SECTION: TypeAdapter[Any] = TypeAdapter(settings.Actuator)
USUAL: dict[str, dict[str, Any]] = {
    "servo": {"kind": "servo", "pin": SERVO},
    "lamps": {"kind": "lamps", "uncertain": UNCERTAIN},
    "rgb": {"kind": "lamps", "rgb": RGB},
    "none": {"kind": "none"},
}


@dataclass
class Bench:
    context: Context
    made: list[Actuator] = field(default_factory=list)

    def make(self, name: str, **more: Any) -> Any:
        section = SECTION.validate_python(USUAL[name] | more)
        actuator: Actuator = load("actuator", section.kind)(section, self.context)
        self.made.append(actuator)
        return actuator

    def opened(self, name: str, **more: Any) -> Any:
        actuator = self.make(name, **more)
        actuator.open()
        return actuator

    def pin(self, number: int) -> Any:
        return self.context.pins.pin(number)

    def lit(self) -> dict[int, float]:
        """Every pin that gives current now, with its share of the time."""
        return {number: float(self.pin(number).state) for number in PINS if self.pin(number).state}

    def pulse_ms(self) -> float | None:
        """The servo's pulse, None where there is none."""
        pin = self.pin(SERVO)
        return None if pin.frequency is None else 1000.0 * pin.state / pin.frequency


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    bench = Bench(context)
    yield bench
    for actuator in bench.made:
        actuator.close()


every_actuator = pytest.mark.parametrize("name", sorted(USUAL))


@every_actuator
def test_opening_moves_and_lights_nothing(bench: Bench, name: str) -> None:
    actuator = bench.opened(name)
    assert bench.lit() == {}
    assert bench.pulse_ms() is None
    assert actuator.name in TABLE["actuator"]
    assert actuator.moves is (name == "servo")


@every_actuator
def test_an_item_passes_through_and_leaves_nothing_on(bench: Bench, name: str) -> None:
    actuator = bench.opened(name)
    for bin in ("left", "right", "left"):
        actuator.show(Status.LOOKING, None)
        actuator.show(Status.SORTING, bin)
        actuator.sort(bin)
        bench.context.clock.wait(1.0)
        actuator.rest()
        bench.context.clock.wait(1.0)
        actuator.release()
        actuator.show(Status.IDLE, None)
        assert bench.lit() == {}
        assert bench.pulse_ms() is None


@every_actuator
def test_every_status_can_be_shown_with_and_without_a_bin(bench: Bench, name: str) -> None:
    actuator = bench.opened(name)
    for status in Status:
        for bin in (None, "left", "right"):
            actuator.show(status, bin)
    actuator.show(Status.IDLE, None)
    assert bench.lit() == {}


@every_actuator
def test_close_and_release_are_safe_at_any_time(bench: Bench, name: str) -> None:
    actuator = bench.make(name)
    actuator.release()
    actuator.close()
    for _ in range(2):
        actuator.open()
        actuator.show(Status.FAULT, None)
        actuator.sort("left")
        actuator.close()
        actuator.close()
        actuator.release()
        assert bench.lit() == {}
        assert bench.pulse_ms() is None
    actuator.open()
    actuator.open()


@every_actuator
def test_a_closed_actuator_leaves_its_pins_to_others(bench: Bench, name: str) -> None:
    bench.opened(name).close()
    for pin in PINS:
        LED(pin, pin_factory=bench.context.pins).close()


@pytest.mark.parametrize(
    ("name", "taken"), [("servo", SERVO), ("lamps", UNCERTAIN), ("lamps", RIGHT), ("rgb", RGB[2])]
)
def test_a_pin_in_use_is_told_and_the_others_are_given_back(
    bench: Bench, name: str, taken: int
) -> None:
    other = LED(taken, pin_factory=bench.context.pins)
    with pytest.raises(ActuatorError, match=rf"{taken}.*cannot be opened"):
        bench.opened(name)
    for pin in set(PINS) - {taken}:
        LED(pin, pin_factory=bench.context.pins).close()
    other.close()
    bench.made[0].open()


# servo


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


def test_a_servo_closed_on_its_way_goes_back_to_rest_first(bench: Bench) -> None:
    servo = bench.opened("servo")
    servo.sort("left")
    servo.rest()
    servo.release()  # no time went by: the process is asked to stop
    pin = bench.pin(SERVO)
    pin.clear_states()
    servo.close()
    # 1.5 ms of the 20 ms: rest; then no pulse
    assert [float(state.state) for state in pin.states[-2:]] == pytest.approx([0.075, 0.0])


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


# lamps


def test_each_bin_lights_its_own_lamp_and_nothing_else(bench: Bench) -> None:
    leds = bench.opened("lamps", uncertain_style="steady")
    shown = {}
    for status, bin in (
        (Status.LOOKING, None),
        (Status.SORTING, "left"),
        (Status.SORTING, "right"),
        (Status.SORTING, None),
        (Status.HOLDING, None),
        (Status.PAUSED, None),
        (Status.IDLE, None),
    ):
        leds.show(status, bin)
        shown[status, bin] = list(bench.lit())
    assert shown == {
        (Status.LOOKING, None): [],
        (Status.SORTING, "left"): [LEFT],
        (Status.SORTING, "right"): [RIGHT],
        (Status.SORTING, None): [],
        (Status.HOLDING, None): [UNCERTAIN],
        (Status.PAUSED, None): [],
        (Status.IDLE, None): [],
    }


@pytest.fixture
def no_bin_lamps(bench: Bench) -> Bench:
    """An RGB lamp alone: the bins have colours and no lamp of their own."""
    bins = {
        name: {key: value for key, value in entry.items() if key != "lamp"}
        for name, entry in CONFIG["bins"].items()
    }
    config = Config.model_validate(CONFIG | {"bins": bins})
    bench.context = replace(bench.context, config=config)
    return bench


def test_an_rgb_lamp_takes_the_colour_of_the_status_or_the_bin(no_bin_lamps: Bench) -> None:
    rgb = no_bin_lamps.opened("rgb", uncertain_style="steady", uncertain_color="magenta")
    red, green, blue = RGB
    for status, bin, lit in (
        (Status.LOOKING, None, {red: 1.0, green: 1.0, blue: 1.0}),
        (Status.SORTING, "left", {blue: 1.0}),
        (Status.SORTING, "right", {green: 1.0}),
        (Status.HOLDING, None, {red: 1.0, blue: 1.0}),
        (Status.PAUSED, None, {}),
        (Status.LOOKING, None, {red: 1.0, green: 1.0, blue: 1.0}),
        (Status.IDLE, None, {}),
    ):
        rgb.show(status, bin)
        assert no_bin_lamps.lit() == lit


def test_every_colour_of_the_configuration_can_be_shown(no_bin_lamps: Bench) -> None:
    seen = set()
    for color in lamps.COLORS:
        rgb = no_bin_lamps.opened("rgb", uncertain_style="steady", uncertain_color=color)
        rgb.show(Status.HOLDING, None)
        seen.add(tuple(sorted(no_bin_lamps.lit().items())))
        rgb.close()
    assert len(seen) == len(lamps.COLORS)
    assert () not in seen


def test_a_lamp_that_sinks_current_is_lit_by_a_low_pin(bench: Bench) -> None:
    leds = bench.opened("lamps", active_high=False)
    assert {LEFT, RIGHT, UNCERTAIN} <= set(bench.lit())
    leds.show(Status.SORTING, "left")
    assert LEFT not in bench.lit()
    assert RIGHT in bench.lit()


@pytest.mark.parametrize(
    ("name", "pin", "status"),
    [
        ("lamps", UNCERTAIN, Status.HOLDING),
        ("lamps", UNCERTAIN, Status.FAULT),
        ("rgb", RGB[0], Status.HOLDING),
        ("rgb", RGB[0], Status.FAULT),
    ],
)
def test_uncertain_and_fault_blink_until_the_next_status(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, pin: int, status: Status
) -> None:
    monkeypatch.setattr(lamps, "SLOW_S", 0.002)
    monkeypatch.setattr(lamps, "FAST_S", 0.001)
    threads = threading.active_count()
    actuator = bench.opened(name)
    actuator.show(status, None)
    actuator.show(status, None)
    deadline = time.monotonic() + 5.0
    while len(bench.pin(pin).states) < 6 and time.monotonic() < deadline:
        time.sleep(0.001)  # the lamp's own thread blinks in real time
    assert len(bench.pin(pin).states) >= 6
    actuator.show(Status.IDLE, None)
    assert bench.lit() == {}
    assert threading.active_count() == threads


def test_fault_blinks_faster_than_uncertain() -> None:
    assert lamps.FAST_S < lamps.SLOW_S / 2


def test_lamps_without_a_single_pin_are_refused(no_bin_lamps: Bench) -> None:
    with pytest.raises(ConfigError, match="no lamp has a pin"):
        no_bin_lamps.make("lamps", uncertain=None)
