"""How the scene model learns a tray, and follows it in any light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.drawn_scenes import plastic, wood
from tests.support_scene import SIZE, TRAYS, Camera, can, every_tray, learned, run
from trashbin.scene import (
    Scene,
    SceneState,
)
from trashbin.types import Frame


@pytest.mark.parametrize(
    ("levels", "tray"),
    [((100, 110, 120), 110), ((120, 100, 110), 110), ((100,) * 99 + (120,) * 60, 119)],
)
def test_pictures_of_the_empty_tray_are_averaged_and_the_newest_never_count_for_little(
    levels: tuple[int, ...], tray: int
) -> None:
    scene = Scene(learn_frames=1)
    for level in levels:
        scene.learn(Frame(np.full((120, 160, 3), level, np.uint8), 0.0))
    assert scene.tray is not None and (scene.tray == tray).all()


@every_tray
@settings(max_examples=8, deadline=None)
@given(
    gain=st.floats(0.4, 2.0),
    cast=st.tuples(*[st.floats(0.8, 1.25)] * 3),
    slope=st.floats(-0.2, 0.2),
    noise=st.floats(0.0, 5.0),
)
def test_an_empty_tray_stays_empty_in_any_light(
    tray: str, gain: float, cast: tuple[float, ...], slope: float, noise: float
) -> None:
    camera = Camera(noise)
    scene = learned(TRAYS[tray], camera)
    across = 1 + slope * np.linspace(-0.5, 0.5, SIZE[1])[None, :, None]
    light = gain * np.array(cast) * across
    assume(np.percentile(TRAYS[tray] * light, 99) < 240)  # a camera that clips sees less
    views = run(scene, (camera.frame(TRAYS[tray], light) for _ in range(3)))
    assert [view.items for view in views] == [0, 0, 0]
    # where the new light clips, the frame of the switch itself may look like motion
    assert [view.state for view in views[1:]] == [SceneState.EMPTY] * 2


@every_tray
@pytest.mark.parametrize("slope", [(0.28, 0.0), (-0.28, 0.0), (0.0, 0.28), (0.2, -0.2)])
def test_light_that_falls_off_to_a_side_is_no_item(tray: str, slope: tuple[float, float]) -> None:
    camera = Camera()
    scene = learned(TRAYS[tray], camera)
    across, down = (
        np.exp(each * np.linspace(-0.5, 0.5, pixels))
        for each, pixels in zip(slope, SIZE[::-1], strict=True)
    )
    light = 0.8 * down[:, None, None] * across[:, None]
    views = run(scene, (camera.frame(TRAYS[tray], light) for _ in range(2)))
    assert [view.changed for view in views] == [0.0, 0.0]


@every_tray
def test_a_jpeg_camera_is_no_item(tray: str) -> None:
    scene = learned(TRAYS[tray], Camera())
    for quality in (30, 60, 90):
        _, data = cv2.imencode(".jpg", TRAYS[tray], [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        assert scene.look(Frame(pixels, 0.0)).state is SceneState.EMPTY


@every_tray
@settings(max_examples=5, deadline=None)
@given(gain=st.floats(0.4, 1.3), cast=st.tuples(*[st.floats(0.85, 1.2)] * 3))
def test_lights_switched_over_an_item_leave_it_lying(
    tray: str, gain: float, cast: tuple[float, ...]
) -> None:
    camera, item = Camera(), can(TRAYS[tray])
    scene = learned(TRAYS[tray], camera)
    run(scene, camera.frames(item, 4))
    light = gain * np.array(cast)
    before, after = camera.frame(item), camera.frame(item, light)
    view = run(scene, (camera.frame(item, light) for _ in range(4)))[-1]
    assert view.state is SceneState.SETTLED
    assert view.items == 1
    assert scene.same_thing(before, after)
    assert not scene.same_thing(before, camera.frame(TRAYS[tray], light))


def test_a_slow_change_of_light_and_tray_is_followed() -> None:
    camera, empty = Camera(), wood(1, (120, 160))
    camera.fields = camera.fields[:, :120, :160]
    scene = learned(empty, camera)
    # a stain grows, in a light that goes up and down: no gain explains it
    stain = np.zeros((120, 160, 1), np.float32)
    cv2.circle(stain, (80, 60), 25, 1.0, -1)
    stain = cv2.GaussianBlur(stain, (0, 0), 6)[:, :, None]
    for step in range(250):  # 5,000 in the same steps hold as well
        pixels = empty * (1 - 0.4 * stain * step / 250)
        light = 1 + 0.3 * np.sin(step / 50)
        assert scene.look(camera.frame(pixels, light)).state is SceneState.EMPTY
    assert run(scene, camera.frames(empty, 5))[-1].state is SceneState.SETTLED  # it had learned


def test_a_resting_item_is_never_learned() -> None:
    camera = Camera(2.0)
    camera.fields = camera.fields[:, :120, :160]
    empty = plastic(1, (120, 160))
    item = cv2.rectangle(empty.copy(), (60, 40), (90, 70), (130, 130, 130), -1)
    scene = learned(empty, camera)
    frame = camera.frame(item)
    for _ in range(300):
        view = scene.look(frame)
    assert view.state is SceneState.SETTLED
    assert run(scene, camera.frames(empty, 5))[-1].state is SceneState.EMPTY


@pytest.mark.parametrize("way", [[None, 120], [120, None, 120], [120, 170], [None, 70, 170, 240]])
def test_a_hand_that_passes_while_the_tray_is_learned_is_no_part_of_it(
    way: list[int | None],
) -> None:
    """A third of it was, and an empty tray was never empty again."""
    camera, empty = Camera(), TRAYS["wood"]
    scene = Scene()
    run(scene, (camera.frame(empty if x is None else can(empty, x=x)) for x in way))
    assert not scene.learned
    assert {view.state for view in run(scene, camera.frames(empty, 9))[1:]} == {SceneState.EMPTY}
    assert scene.learned
    assert run(scene, camera.frames(can(empty), 5))[-1].state is SceneState.SETTLED


def test_in_the_dark_no_tray_is_learned() -> None:
    camera, empty = Camera(), TRAYS["wood"]
    scene = Scene(dark_level=12.0)
    run(scene, (camera.frame(empty, 0.05) for _ in range(9)))
    assert not scene.learned and scene.tray is None
    run(scene, [*camera.frames(empty, 2), camera.frame(empty, 0.05), *camera.frames(empty, 2)])
    assert not scene.learned, "it begins again"
    assert run(scene, camera.frames(empty, 1))[-1].state is SceneState.EMPTY
    assert scene.learned and scene.tray is not None
    assert abs(float(scene.tray.mean()) - float(empty.mean())) < 1


def test_an_item_is_still_seen_after_a_night_in_the_dark() -> None:
    camera, empty = Camera(), TRAYS["wood"]
    scene = learned(empty, camera)
    for light in (0.5, 0.1, 0.02, 0.0):
        run(scene, (camera.frame(empty, light) for _ in range(30)))
    assert run(scene, camera.frames(empty, 5))[-1].state is SceneState.EMPTY
    assert run(scene, camera.frames(can(empty), 5))[-1].state is SceneState.SETTLED


@pytest.mark.parametrize("each", [1, 40])
def test_what_fades_with_the_light_is_seen_again_in_the_morning(each: int) -> None:
    camera = Camera(0.5)
    camera.fields = camera.fields[:, :120, :160]
    empty = np.full((120, 160, 3), 100, np.uint8)
    thing = cv2.rectangle(empty.copy(), (50, 40), (95, 80), (125, 125, 125), -1)
    scene = learned(empty, camera)
    assert run(scene, camera.frames(thing, 5))[-1].state is SceneState.SETTLED
    for percent in (*range(100, 11, -1), *range(12, 101)):
        for _ in range(each):
            scene.look(camera.frame(thing, percent / 100), closely=False)
    assert run(scene, camera.frames(thing, 5))[-1].state is SceneState.SETTLED


def test_without_a_learned_tray_all_that_rests_is_an_item() -> None:
    camera, empty = Camera(), TRAYS["metal"]
    scene = Scene(learn=False)
    assert scene.tray is None
    view = run(scene, camera.frames(empty, 4))[-1]
    assert (view.state, view.items, view.changed) == (SceneState.SETTLED, 1, None)
    assert scene.look(camera.frame(can(empty))).state is SceneState.MOVING


@every_tray
def test_a_tray_that_was_told_is_known_as_if_it_had_been_learned(tray: str) -> None:
    camera, empty = Camera(), TRAYS[tray]
    scene, later = learned(empty, camera), Scene()
    assert scene.tray is not None
    later.know(scene.tray.copy())
    assert later.learned
    for pixels, state in ((empty, SceneState.EMPTY), (can(empty), SceneState.SETTLED)):
        frames = [*camera.frames(pixels, 5)]
        now, then = run(scene, frames)[-1], run(later, frames)[-1]
        assert now.state is then.state is state
        assert now.thing == then.thing or then.thing == pytest.approx(now.thing, abs=0.02)


def test_another_tray_is_a_thing_until_it_is_taught() -> None:
    camera = Camera()
    scene = learned(TRAYS["wood"], camera)
    assert run(scene, camera.frames(TRAYS["metal"], 30))[-1].state is SceneState.SETTLED
    scene.forget()
    for frame in camera.frames(TRAYS["metal"], scene.learn_frames):
        scene.learn(frame)
    assert run(scene, camera.frames(TRAYS["metal"], 5))[-1].state is SceneState.EMPTY
    assert run(scene, camera.frames(can(TRAYS["metal"]), 5))[-1].state is SceneState.SETTLED
