"""The lamps beyond what every actuator does: which pin gives light for which status."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import gpiozero.threads
import pytest

from tests.contract.actuator_bench import LEFT, RGB, RIGHT, UNCERTAIN, Bench, workbench
from tests.contract.conftest import CONFIG
from tests.support_processes import wait_until
from trashbin.devices import lamps
from trashbin.errors import ConfigError
from trashbin.ports import Context
from trashbin.settings import Config
from trashbin.status import Status


@pytest.fixture
def bench(context: Context) -> Iterator[Bench]:
    with workbench(context) as bench:
        yield bench


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


def wait_for_switches(bench: Bench, pin: int, count: int) -> None:
    """Wait until a pin changed ``count`` times: a lamp's own thread blinks in real time."""
    assert wait_until(lambda: len(bench.pin(pin).states) > count)


def test_a_lamp_that_blinks_keeps_its_rhythm_when_the_status_is_shown_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lamps, "SLOW_S", 60.0)
    leds = bench.opened("lamps")
    leds.show(Status.HOLDING, None)
    wait_for_switches(bench, UNCERTAIN, 1)
    before = list(bench.pin(UNCERTAIN).states)
    leds.show(Status.HOLDING, "left")
    assert bench.pin(UNCERTAIN).states == before


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
    threads = set(threading.enumerate())
    actuator = bench.opened(name)
    actuator.show(status, None)
    wait_for_switches(bench, pin, 5)
    actuator.show(Status.IDLE, None)
    assert bench.lit() == {}
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize(("name", "pin"), [("lamps", UNCERTAIN), ("rgb", RGB[0])])
def test_a_lamp_for_whose_blinking_there_is_no_thread_is_lit_and_is_put_out_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, pin: int
) -> None:
    """As for a machine that has no more; the bin's sorting is not to end for it."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    actuator = bench.opened(name)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        for status in (Status.FAULT, Status.HOLDING):
            actuator.show(status, None)
            assert pin in bench.lit()
            actuator.show(Status.IDLE, None)
            assert bench.lit() == {}
    assert not gpiozero.threads._THREADS, "it would wait at the end for one that never began"
    actuator.show(Status.FAULT, None)
    wait_for_switches(bench, pin, 3)
    actuator.close()


def test_fault_blinks_faster_than_uncertain() -> None:
    assert lamps.FAST_S < lamps.SLOW_S / 2


def test_lamps_without_a_single_pin_are_refused(no_bin_lamps: Bench) -> None:
    with pytest.raises(ConfigError, match="no lamp has a pin"):
        no_bin_lamps.make("lamps", uncertain=None)
