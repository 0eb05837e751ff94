"""One contract for every trigger; pins are driven by voltage, the camera by what it sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpiozero import LED
from pydantic import TypeAdapter

from tests.contract.toy_world import toy_world
from tests.support import FakeClock
from trashbin import settings
from trashbin.devices import TABLE, load
from trashbin.devices.gpio import STUCK_S
from trashbin.errors import CameraError, ConfigError, TriggerError
from trashbin.ports import Context, Trigger
from trashbin.scene import Scene
from trashbin.types import Frame, Pixels, Signal, Source

PIR, BUTTON = 4, 17
SECTION: TypeAdapter[Any] = TypeAdapter(settings.Trigger)
USUAL: dict[str, dict[str, Any]] = {
    "pir": {"pin": PIR},
    "button": {"pin": BUTTON},
    "timer": {"every_s": 5.0},
    "simulated": {"every_s": 0.5},
}


class Tray:
    """A camera over a tray in which something lies, or not."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.item = False
        self.broken = False

    def open(self) -> None:
        """Always open."""

    def capture(self, timeout: float) -> Frame:
        if self.broken:
            raise CameraError("no picture")
        pixels: Pixels = np.full((120, 160, 3), 120, np.uint8)
        pixels += np.arange(160, dtype=np.uint8)[None, :, None] // 4
        if self.item:
            pixels[40:80, 50:100] = (20, 60, 200)
        return Frame(pixels, self.clock.monotonic())

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class Bench:
    context: Context
    clock: FakeClock
    tray: Tray

    def make(self, kind: str) -> Trigger:
        section = SECTION.validate_python({"kind": kind} | USUAL.get(kind, {}))
        trigger: Trigger = load("trigger", kind)(section, self.context)
        return trigger

    def pin(self, number: int) -> Any:
        return self.context.pins.pin(number)

    def item_comes(self, trigger: Trigger, kind: str) -> None:
        """What makes a trigger of this kind fire, once, and is over afterwards."""
        self.clock.advance(1.0)
        if kind == "pir":
            self.pin(PIR).drive_high()
            self.pin(PIR).drive_low()
        elif kind == "button":
            self.pin(BUTTON).drive_low()
            self.pin(BUTTON).drive_high()
        elif kind == "motion":
            for self.tray.item in (False, False, True, True):
                trigger.poll()
        elif kind == "simulated":  # the one before must be out of the tray
            self.context.world.slide("left")
            self.clock.advance(1.0)
            trigger.poll()
        else:
            trigger.poll()


@pytest.fixture
def bench(context: Context, clock: FakeClock, tmp_path: Path) -> Bench:
    tray = Tray(clock)
    scene = Scene()
    for _ in range(scene.learn_frames):
        scene.learn(tray.capture(1.0))
    world = toy_world(tmp_path, clock, tray.capture(1.0).pixels)
    return Bench(replace(context, camera=tray, scene=scene, world=world), clock, tray)


# a request makes its signal in the daemon, so that the kind mqtt never fires by itself
FIRING = {
    "pir": Source.PIR,
    "button": Source.BUTTON,
    "motion": Source.MOTION,
    "timer": Source.TIMER,
    "simulated": Source.SIMULATED,
}
every_trigger = pytest.mark.parametrize("kind", sorted(TABLE["trigger"]))
every_firing_trigger = pytest.mark.parametrize("kind", sorted(FIRING))


@every_firing_trigger
def test_an_item_is_one_signal_with_its_source_and_time(bench: Bench, kind: str) -> None:
    got: list[Signal] = []
    trigger = bench.make(kind)
    trigger.open(got.append)
    assert got == []
    bench.item_comes(trigger, kind)
    assert got == [Signal(FIRING[kind], bench.clock.monotonic())]
    bench.item_comes(trigger, kind)
    assert [signal.source for signal in got] == [FIRING[kind]] * 2
    trigger.close()


@every_trigger
def test_a_closed_trigger_is_silent_and_can_be_opened_again(bench: Bench, kind: str) -> None:
    got: list[Signal] = []
    trigger = bench.make(kind)
    trigger.close()
    bench.item_comes(trigger, kind)
    for _ in range(2):
        trigger.open(got.append)
        trigger.close()
        trigger.close()
        bench.item_comes(trigger, kind)
    assert got == []
    trigger.open(got.append)
    trigger.open(got.append)
    bench.item_comes(trigger, kind)
    assert len(got) == (1 if kind in FIRING else 0)
    trigger.close()


@every_trigger
def test_only_a_trigger_that_asks_for_it_fires_when_polled(bench: Bench, kind: str) -> None:
    got: list[Signal] = []
    trigger = bench.make(kind)
    trigger.open(got.append)
    if trigger.poll_every is None:
        trigger.poll()
        assert got == []
    else:
        assert trigger.poll_every > 0
    trigger.close()


@pytest.mark.parametrize("kind", ["pir", "button"])
def test_a_closed_trigger_leaves_its_pin_to_others(bench: Bench, kind: str) -> None:
    trigger = bench.make(kind)
    trigger.open(lambda signal: None)
    with pytest.raises(TriggerError, match=rf"{kind} on pin {USUAL[kind]['pin']} cannot be opened"):
        bench.make(kind).open(lambda signal: None)
    trigger.close()
    LED(USUAL[kind]["pin"], pin_factory=bench.context.pins).close()


def test_a_pir_that_stays_high_fires_once(bench: Bench) -> None:
    got: list[Signal] = []
    trigger = bench.make("pir")
    trigger.open(got.append)
    bench.pin(PIR).drive_high()
    bench.clock.advance(10.0)
    trigger.poll()
    assert len(got) == 1
    trigger.close()


@pytest.mark.parametrize(("told", "bounce"), [(0.2, 0.2), (0.0, None)])
def test_a_button_that_bounces_is_given_the_time_that_its_owner_has_set(
    bench: Bench, told: float, bounce: float | None
) -> None:
    section = settings.ButtonTrigger(kind="button", pin=BUTTON, bounce_s=told)
    trigger = load("trigger", "button")(section, bench.context)
    trigger.open(lambda signal: None)
    assert bench.pin(BUTTON).bounce == bounce
    trigger.close()


def test_an_item_that_lies_there_is_one_item_for_motion(bench: Bench) -> None:
    got: list[Signal] = []
    trigger = bench.make("motion")
    bench.tray.item = True
    trigger.open(got.append)
    for _ in range(10):
        trigger.poll()
    assert got == []  # it lay there before we watched
    for item, signals in ((False, 0), (True, 1), (False, 1), (True, 2)):
        bench.tray.item = item
        for _ in range(6):
            trigger.poll()
        assert len(got) == signals
    trigger.close()


def test_motion_without_a_camera_or_an_empty_tray_is_told(bench: Bench) -> None:
    trigger = bench.make("motion")
    trigger.open(lambda signal: None)
    bench.tray.broken = True
    with pytest.raises(CameraError):
        trigger.poll()
    bench.context = replace(bench.context, camera=None)
    with pytest.raises(TriggerError, match="no camera"):
        bench.make("motion").open(lambda signal: None)
    look = bench.context.config.look.model_copy(update={"empty_tray": "none"})
    config = bench.context.config.model_copy(update={"look": look})
    bench.context = replace(bench.context, config=config)
    with pytest.raises(ConfigError, match="empty_tray: learn"):
        bench.make("motion")


def _raises(pin: object) -> None:
    raise ConnectionResetError("pigpiod is gone")


@pytest.mark.parametrize("kind", ["pir", "button"])
def test_a_trigger_whose_pin_is_taken_is_tried_again(bench: Bench, kind: str) -> None:
    signals: list[Signal] = []
    other = LED(PIR if kind == "pir" else BUTTON, pin_factory=bench.context.pins)
    trigger = bench.make(kind)
    with pytest.raises(TriggerError):
        trigger.open(signals.append)
    assert trigger.problem is not None and "cannot be opened" in trigger.problem
    other.close()
    assert trigger.problem is None
    bench.item_comes(trigger, kind)
    assert len(signals) == 1
    trigger.close()


@pytest.mark.parametrize(("kind", "told"), [("pir", "holds too long"), ("button", "is jammed")])
def test_a_pin_that_stays_on_is_a_problem_until_it_is_off(
    bench: Bench, kind: str, told: str
) -> None:
    trigger = bench.make(kind)
    pin = bench.pin(PIR if kind == "pir" else BUTTON)
    on, off = (pin.drive_high, pin.drive_low) if kind == "pir" else (pin.drive_low, pin.drive_high)
    bench.clock.advance(STUCK_S)
    trigger.open(lambda signal: None)
    bench.clock.advance(STUCK_S)
    assert trigger.problem is None, "off"
    on()
    bench.clock.advance(STUCK_S - 1)
    assert trigger.problem is None
    bench.clock.advance(1)
    assert trigger.problem is not None and told in trigger.problem and "10 min" in trigger.problem
    off()
    assert trigger.problem is None
    on()
    assert trigger.problem is None
    trigger.close()
    bench.clock.advance(STUCK_S)
    assert trigger.problem is None


@pytest.mark.parametrize("kind", ["pir", "button"])
def test_a_pin_that_cannot_be_read_any_more_is_a_problem(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trigger = bench.make(kind)
    trigger.open(lambda signal: None)
    pin = bench.pin(PIR if kind == "pir" else BUTTON)
    with monkeypatch.context() as patch:
        patch.setattr(type(pin), "_get_state", _raises)
        assert f"{kind} on pin {pin.info.name.removeprefix('GPIO')} cannot" in trigger.problem
    assert trigger.problem is None
    trigger.close()


@pytest.mark.parametrize("kind", ["pir", "button"])
def test_a_pin_that_is_on_as_the_bin_starts_has_its_time_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trigger = bench.make(kind)
    pin = bench.pin(PIR if kind == "pir" else BUTTON)
    monkeypatch.setattr(type(pin), "_set_pull", lambda *_: None)  # what drives it is stronger
    bench.clock.advance(STUCK_S)
    (pin.drive_high if kind == "pir" else pin.drive_low)()
    trigger.open(lambda signal: None)
    assert trigger.problem is None
    bench.clock.advance(STUCK_S)
    assert trigger.problem is not None
    trigger.close()
