"""The simulated bin: one tray that camera, trigger and actuator share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contract.conftest import CONFIG
from tests.drawn_scenes import LABELS, drawn_scenes
from tests.support import FakeClock
from trashbin import pictures, settings
from trashbin.devices.simulated import (
    Moved,
    SimulatedActuator,
    SimulatedCamera,
    SimulatedTrigger,
    shuffled,
)
from trashbin.devices.world import Listed, World
from trashbin.errors import ActuatorError, CameraError, TriggerError
from trashbin.ports import Context
from trashbin.scene import Scene, SceneState, View
from trashbin.scenes import Item, Tray
from trashbin.settings import Config
from trashbin.status import Status
from trashbin.types import Signal, Source


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Listed:
    return drawn_scenes(tmp_path_factory.mktemp("scenes"))


class Bin:
    """The simulated parts and a scene model, with no daemon between."""

    def __init__(self, listed: Listed, **trigger: Any) -> None:
        self.clock = FakeClock()
        self.world = World(self.clock, listed=listed)
        self.scene = Scene()
        self.signals: list[Signal] = []
        context = Context(self.clock, Config.model_validate(CONFIG), world=self.world)
        section = settings.SimulatedCamera(kind="simulated", width=320, height=240)
        self.camera = SimulatedCamera(section, context)
        self.camera.open()
        context = replace(context, camera=self.camera, scene=self.scene)
        self.trigger = SimulatedTrigger(
            settings.SimulatedTrigger(kind="simulated", **trigger), context
        )
        self.actuator = SimulatedActuator(settings.SimulatedActuator(kind="simulated"), context)
        self.trigger.open(self.signals.append)
        for _ in range(self.scene.learn_frames):
            self.look()

    def look(self) -> View:
        return self.scene.look(self.camera.capture(1.0))

    def views(self, seconds: float) -> list[View]:
        return [self.look() for _ in range(round(seconds * 20))]

    def item(self, name: str = "wood-metal") -> Item:
        item = next(item for item in self.world.items if item.id == name)
        if not self.world.lying:
            self.world.change_tray(item.tray)
            self.scene.forget()
            self.views(0.3)
        return item


@pytest.fixture
def bin(listed: Listed) -> Bin:
    return Bin(listed)


def test_an_item_falls_comes_to_rest_and_slides_out(bin: Bin) -> None:
    item = bin.item()
    assert bin.look().state is SceneState.EMPTY
    bin.world.drop(item)
    falling = bin.views(0.3)
    assert falling[-1].state is SceneState.MOVING
    lying = bin.views(0.8)[-1]
    assert (lying.state, lying.items) == (SceneState.SETTLED, 1)
    np.testing.assert_array_equal(bin.world.picture(), pictures.read(item.path))
    bin.actuator.sort("left")
    assert bin.look().state is SceneState.MOVING
    assert bin.views(0.8)[-1].state is SceneState.EMPTY
    assert bin.actuator.sorted == [Moved(item.id, "left")]
    assert bin.world.lying == ()


def test_what_moves_is_blurred_and_what_rests_is_not(bin: Bin) -> None:
    bin.world.drop(bin.item())
    floor = settings.Look().min_sharpness
    bin.clock.advance(0.7)
    assert bin.look().sharpness > floor


def test_frames_are_read_only_come_at_their_rate_and_differ_by_noise_alone(bin: Bin) -> None:
    bin.world.drop(bin.item())
    bin.clock.advance(1.0)
    one, other = bin.camera.capture(1.0), bin.camera.capture(1.0)
    assert other.at - one.at == pytest.approx(0.05)
    assert one.pixels.shape == (240, 320, 3)
    assert not one.pixels.flags.writeable
    difference = one.pixels.astype(int) - other.pixels.astype(int)
    assert 0 < difference.std() < 4
    assert abs(difference.mean()) < 0.1


def test_the_same_seed_shows_the_same_pictures(listed: Listed) -> None:
    shows = []
    for _ in range(2):
        bin = Bin(listed)
        bin.world.drop(bin.item())
        shows.append([bin.camera.capture(1.0).pixels for _ in range(6)])
    np.testing.assert_array_equal(shows[0], shows[1])


def test_a_camera_that_is_too_slow_or_has_no_pictures_says_so(bin: Bin, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"within 0\.001 s"):
        bin.camera.capture(0.001)
    gone = Tray("gone", str(tmp_path / "gone.png"), "", "wood")
    context = Context(
        bin.clock,
        Config.model_validate(CONFIG),
        world=World(bin.clock, listed=({"gone": gone}, ())),
    )
    camera = SimulatedCamera(settings.SimulatedCamera(kind="simulated"), context)
    with pytest.raises(CameraError, match=r"gone\.png"):
        camera.open()


def test_simulated_parts_without_a_simulated_tray_say_what_is_missing() -> None:
    context = Context(FakeClock(), Config.model_validate(CONFIG))
    with pytest.raises(TriggerError, match="needs a simulated camera"):
        SimulatedTrigger(settings.SimulatedTrigger(kind="simulated"), context)
    with pytest.raises(ActuatorError, match="needs a simulated camera"):
        SimulatedActuator(settings.SimulatedActuator(kind="simulated"), context)


def test_a_jammed_thing_stays_where_it_is(bin: Bin) -> None:
    bin.world.drop(bin.item())
    bin.views(0.8)
    before = bin.camera.capture(1.0)
    bin.world.stuck = True
    bin.actuator.sort("left")
    bin.views(0.8)
    assert bin.scene.same_thing(before, bin.camera.capture(1.0))
    assert bin.actuator.sorted == []
    bin.world.stuck = False
    bin.actuator.sort("left")
    assert bin.views(0.8)[-1].state is SceneState.EMPTY


def test_lights_change_nothing_but_the_light(bin: Bin) -> None:
    bin.world.drop(bin.item())
    bright = bin.views(0.8)[-1].brightness
    bin.world.lights = (0.5, 0.45, 0.4)
    view = bin.views(0.3)[-1]
    assert (view.state, view.items) == (SceneState.SETTLED, 1)
    assert view.brightness < 0.6 * bright
    bin.world.lights = 0.0
    assert bin.look().brightness < settings.Look().dark_level


def test_two_things_at_once_are_two(bin: Bin) -> None:
    first, second = bin.item("wood-cardboard"), bin.item("wood-trash")
    bin.world.drop(first)
    bin.clock.advance(1.0)
    # the drawn things overlap: the second is moved aside where it lies
    bin.world.drop(second)
    thing = bin.world._things[1]
    for name in ("cut", "shade"):
        setattr(thing, name, np.roll(getattr(thing, name), 190, axis=1))
    assert bin.views(0.8)[-1].items == 2
    assert bin.world.lying == (first, second)
    bin.world.take_away()
    assert bin.views(0.8)[-1].state is SceneState.EMPTY


def test_the_person_takes_out_what_is_held_and_leaves_what_is_sorted(bin: Bin) -> None:
    bin.world.drop(bin.item())
    bin.clock.advance(1.0)
    bin.actuator.show(Status.SORTING, "left")  # advisory would end here, and a person come
    bin.actuator.sort("left")
    bin.clock.advance(0.4)
    assert bin.world.lying == ()
    bin.actuator.show(Status.IDLE, None)
    bin.world.drop(bin.item())
    bin.clock.advance(1.0)
    bin.actuator.show(Status.HOLDING, None)
    bin.clock.advance(1.9)
    bin.actuator.show(Status.HOLDING, None)  # shown twice, still one person
    assert bin.world.lying
    bin.clock.advance(0.5)
    assert bin.world.lying == ()
    assert len(bin.actuator.sorted) == 1


def test_the_trigger_drops_each_item_once_and_is_done(listed: Listed) -> None:
    bin = Bin(listed, items=12, seed=1, every_s=2.0)
    while not bin.trigger.done:
        dropped = len(bin.trigger.dropped)
        bin.trigger.poll()
        if len(bin.trigger.dropped) > dropped:
            assert bin.signals[-1] == Signal(Source.SIMULATED, bin.clock.monotonic())
            assert bin.views(0.8)[-1].state is SceneState.SETTLED  # whichever tray it is
            bin.actuator.sort("left")
            bin.clock.advance(0.4)
            assert bin.look().state is not SceneState.SETTLED
        bin.clock.advance(0.2)
        assert bin.clock.elapsed < 60
    assert len(bin.signals) == len(set(bin.trigger.dropped)) == 12
    assert {item.tray for item in bin.trigger.dropped} == set(bin.world.trays)
    bin.trigger.poll()
    assert len(bin.signals) == 12


def test_a_thing_that_went_unnoticed_is_signalled_again_and_then_taken_out(bin: Bin) -> None:
    bin.trigger.poll()
    assert len(bin.signals) == 1
    for _ in range(30):
        bin.clock.advance(0.2)
        bin.trigger.poll()
    assert len(bin.trigger.dropped) in (1, 2)
    assert 3 <= len(bin.signals) <= 5
    assert bin.trigger.dropped[0] not in bin.world.lying


def test_a_closed_trigger_drops_nothing(bin: Bin) -> None:
    bin.trigger.close()
    bin.trigger.close()
    bin.clock.advance(10)
    bin.trigger.poll()
    assert bin.signals == []
    assert bin.world.lying == ()


@pytest.mark.parametrize("seed", range(5))
def test_a_short_run_shows_every_label_and_a_long_one_every_item(listed: Listed, seed: int) -> None:
    items = listed[1]
    order = list(islice(shuffled(items, seed), 2 * len(items)))
    assert {item.label for item in order[:12]} == set(LABELS)
    assert Counter(order) == dict.fromkeys(items, 2)
    assert order == list(islice(shuffled(items, seed), 2 * len(items)))
    changes = sum(one.tray != other.tray for one, other in pairwise(order))
    assert changes <= len(order) / 2


def test_an_item_is_shown_on_its_own_tray_only(bin: Bin) -> None:
    item = bin.item("wood-metal")
    bin.world.change_tray("metal")
    with pytest.raises(ValueError, match="belongs to the tray wood"):
        bin.world.drop(item)
    bin.world.change_tray("wood")
    bin.world.drop(item)
    with pytest.raises(ValueError, match="lies in the tray"):
        bin.world.change_tray("metal")
