"""What the scene model makes of things on drawn trays."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drawn_scenes import metal, plastic, wood
from tests.support_scene import SIZE, TRAYS, Camera, can, clear_bottle, every_tray, learned, run
from trashbin import scenes
from trashbin.pictures import read
from trashbin.scene import (
    CHANGED_AREA,
    Scene,
    SceneState,
    View,
    brightness,
    find_thing,
    sharpness,
    too_blurred,
    too_dark,
)
from trashbin.settings import Look
from trashbin.types import Frame


@every_tray
@settings(max_examples=10, deadline=None)
@given(
    x=st.integers(60, 260),
    y=st.integers(50, 190),
    shade=st.floats(0.6, 0.85),
    gain=st.floats(0.8, 1.2),
)
def test_the_place_of_a_thing_leaves_out_its_shadow(
    tray: str, x: int, y: int, shade: float, gain: float
) -> None:
    camera, empty = Camera(), TRAYS[tray]
    scene = learned(empty, camera)
    dark = np.zeros(SIZE, np.float32)
    cv2.ellipse(dark, (x + 30, y + 20), (60, 40), 30, 0, 360, 1.0, -1)
    soft = 1 - (1 - shade) * cv2.GaussianBlur(dark, (0, 0), 9)
    shaded = np.asarray(empty * soft[..., None], np.uint8)
    view = run(scene, (camera.frame(can(shaded, x, y), gain) for _ in range(4)))[-1]
    assert view.state is SceneState.SETTLED and view.thing is not None
    drawn = np.any(can(empty, x, y) != empty, axis=2)
    rows, columns = np.nonzero(drawn)
    low, high = (columns.min() / 320, rows.min() / 240), (columns.max() / 320, rows.max() / 240)
    (left, top), (right, bottom) = view.thing[:2], view.thing[2:]
    assert left <= low[0] + 0.03 and top <= low[1] + 0.03, "the thing is in it"
    assert right >= high[0] - 0.03 and bottom >= high[1] - 0.03
    # the shadow reaches further by .17 to the right, and by .2 downwards
    assert left >= low[0] - 0.1 and top >= low[1] - 0.1
    assert right <= high[0] + 0.1 and bottom <= high[1] + 0.1


@every_tray
def test_a_thing_that_darkens_as_a_shadow_does_has_a_place_too(tray: str) -> None:
    camera, empty = Camera(), TRAYS[tray]
    scene = learned(empty, camera)
    dark = cv2.ellipse(np.zeros(SIZE, np.float32), (200, 100), (50, 30), 0, 0, 360, 1.0, -1)
    soft = 1 - 0.35 * cv2.GaussianBlur(dark, (0, 0), 9)[..., None]
    thing = run(scene, (camera.frame(empty * soft) for _ in range(4)))[-1].thing
    assert thing == pytest.approx((150 / 320, 70 / 240, 250 / 320, 130 / 240), abs=0.08)


@pytest.mark.parametrize("level", [165, 10])
def test_what_is_brighter_than_the_tray_or_nearly_black_is_no_shadow(level: int) -> None:
    """Colourless and with soft edges, as a crumpled tissue and a black sock are."""
    camera, empty = Camera(), np.full((*SIZE, 3), 120, np.uint8)
    scene = learned(empty, camera)
    drawn = [np.zeros(SIZE, np.float32) for _ in range(2)]
    cv2.rectangle(drawn[0], (40, 60), (150, 180), 1.0, -1)
    cv2.ellipse(drawn[1], (220, 120), (60, 50), 0, 0, 360, 1.0, -1)
    thing, shadow = (cv2.GaussianBlur(each, (0, 0), 22)[..., None] for each in drawn)
    seen = (empty + (level - 120) * thing) * (1 - 0.35 * shadow)
    place = run(scene, (camera.frame(seen) for _ in range(4)))[-1].thing
    assert place == pytest.approx((40 / 320, 60 / 240, 150 / 320, 180 / 240), abs=0.08)


def test_what_is_nearly_large_enough_is_no_item_but_one_that_lies_there_stays_one() -> None:
    camera, empty = Camera(), TRAYS["wood"]
    changed = run(learned(empty, camera), camera.frames(can(empty), 4))[-1].changed
    assert changed is not None
    scene = learned(empty, camera, changed_area=1.3 * changed)
    for before, wanted in (
        (empty, SceneState.EMPTY),
        (can(can(empty), x=170), SceneState.SETTLED),
        (empty, SceneState.EMPTY),
    ):
        run(scene, camera.frames(before, 4))
        views = run(scene, camera.frames(can(empty), 8))
        assert [view.state for view in views[-4:]] == [wanted] * 4


def test_in_a_single_picture_a_thing_is_what_the_bin_takes_for_one() -> None:
    empty = TRAYS["wood"]
    with_can = can(empty)
    share = float(np.any(with_can != empty, axis=2).mean())
    assert find_thing(with_can, [empty]) is not None
    assert find_thing(with_can, [empty], changed_area=min(0.99, 4 * share)) is None
    assert find_thing(empty, [empty]) is None and find_thing(with_can, []) is None
    assert Look().changed_area == CHANGED_AREA, "what is asked for nowhere is the same everywhere"


@pytest.mark.parametrize("places", [("wood", "metal"), ("metal", "plastic", "wood")])
def test_beside_several_trays_a_thing_is_found_on_the_one_that_it_lies_on(
    places: tuple[str, ...],
) -> None:
    trays = [TRAYS[place] for place in places]
    for tray in trays:
        assert find_thing(can(tray), trays) == find_thing(can(tray), [tray]) is not None
        assert find_thing(tray, trays) is None


def test_a_frame_that_is_not_looked_at_closely_has_no_place() -> None:
    camera = Camera()
    scene = learned(TRAYS["wood"], camera)
    for frame in camera.frames(can(TRAYS["wood"]), 4):
        view = scene.look(frame, closely=False)
        assert (view.thing, view.sharpness) == (None, None)
    assert scene.look(camera.frame(TRAYS["wood"])).thing is None


@every_tray
@pytest.mark.parametrize("draw", [can, clear_bottle])
def test_an_item_moves_then_lies_then_is_gone(tray: str, draw: object) -> None:
    camera, empty = Camera(), TRAYS[tray]
    scene = learned(empty, camera)
    assert callable(draw)
    run(scene, camera.frames(empty, 4))
    assert scene.arrivals == 0
    way = [draw(empty, x=100 + 15 * step) for step in range(4)]
    falling = run(scene, (camera.frame(pixels) for pixels in way))
    assert {view.state for view in falling} == {SceneState.MOVING}
    lying = run(scene, camera.frames(way[-1], 6))
    assert [view.state for view in lying[-3:]] == [SceneState.SETTLED] * 3
    assert lying[0].state is SceneState.MOVING
    assert all(view.items == 1 for view in lying)
    assert all(view.changed is not None and view.changed > 0.01 for view in lying)
    gone = run(scene, camera.frames(empty, 4))
    assert gone[0].state is SceneState.MOVING
    assert gone[-1].state is SceneState.EMPTY
    assert scene.arrivals == 1


def test_the_grain_of_a_dark_picture_is_no_motion() -> None:
    scene, dice = Scene(learn=False), np.random.default_rng(0)
    for _ in range(3):
        grainy = np.full((*SIZE, 3), 20, np.uint8)
        for row, column in dice.choice([(y, x) for y in range(30) for x in range(40)], 150, False):
            grainy[8 * row : 8 * row + 2, 8 * column : 8 * column + 2] += 40
        view = scene.look(Frame(grainy, 0.0))
    assert view.motion == 0.0 and view.state is SceneState.SETTLED


@every_tray
def test_a_thing_of_nearly_the_trays_own_colour_is_seen(tray: str) -> None:
    camera, empty = Camera(), TRAYS[tray]
    scene = learned(empty, camera)
    alike = empty.copy()
    alike[70:150, 90:200] = np.clip(empty[70:150, 90:200].astype(int) + 22, 0, 255)
    assert run(scene, camera.frames(alike, 5))[-1].state is SceneState.SETTLED


@pytest.mark.parametrize("across", [0, 1])
def test_what_shows_by_its_edges_alone_is_seen_whichever_way_they_run(across: int) -> None:
    """Ribbed clear plastic: neither brighter nor darker than the tray by much, anywhere."""
    camera, empty = Camera(), np.full((*SIZE, 3), 200, np.uint8)
    scene = learned(empty, camera)
    ribs = np.abs(np.indices(SIZE)[across] % 26 / 13 - 1)  # from 1 to 0 and back
    clear = empty.copy()
    clear[70:150, 90:200] = (181 + 38 * ribs)[70:150, 90:200, None]
    view = run(scene, camera.frames(clear, 5))[-1]
    assert (view.state, view.items) == (SceneState.SETTLED, 1)
    assert view.thing == pytest.approx((90 / 320, 70 / 240, 200 / 320, 150 / 240), abs=0.06)


@pytest.mark.parametrize("across", [0, 1])
def test_what_has_sharp_edges_is_no_shadow_whichever_way_they_run(across: int) -> None:
    """Grey stripes with ends that fade, and a shadow beside them."""
    camera, empty = Camera(), np.full((*SIZE, 3), 120, np.uint8)
    scene = learned(empty, camera)
    places = np.indices(SIZE)
    striped = (places[across] // 8 % 2 == 0) & (places[across] >= 64) & (places[across] < 120)
    dark = 0.4 * striped * np.exp(-(((places[1 - across] - 100) / 45) ** 4))
    shadow = np.zeros(SIZE, np.float32)
    cv2.circle(shadow, (100, 170) if across == 0 else (170, 100), 45, 0.35, -1)
    dark = np.maximum(dark, cv2.GaussianBlur(shadow, (0, 0), 12))
    seen = empty * (1 - dark[..., None])
    thing = run(scene, (camera.frame(seen) for _ in range(5)))[-1].thing
    assert thing is not None
    left_top, right_bottom = thing[1 - across], thing[3 - across]
    assert left_top * SIZE[across] == pytest.approx(64, abs=10)
    assert right_bottom * SIZE[across] == pytest.approx(120, abs=10)


@pytest.mark.parametrize("channel", range(3))
def test_a_thing_of_the_trays_brightness_but_of_another_colour_is_seen(channel: int) -> None:
    camera = Camera()
    empty = np.full((*SIZE, 3), 120, np.uint8)
    coloured = empty.copy()
    coloured[70:150, 90:200, channel] += 30
    scene = learned(empty, camera)
    view = run(scene, camera.frames(cv2.GaussianBlur(coloured, (0, 0), 4), 5))[-1]
    assert view.state is SceneState.SETTLED
    assert view.thing == pytest.approx((90 / 320, 70 / 240, 200 / 320, 150 / 240), abs=0.05)


@every_tray
def test_things_that_lie_apart_are_counted_and_pieces_of_one_are_not(tray: str) -> None:
    camera, empty = Camera(), TRAYS[tray]
    two = can(can(empty, x=70, y=70), x=240, y=170, colour=(30, 80, 60))
    scene = learned(empty, camera)
    assert run(scene, camera.frames(two, 5))[-1].items == 2
    assert run(scene, camera.frames(clear_bottle(empty), 5))[-1].items == 1
    small = empty.copy()  # each a little more than is needed to be an item
    for x in (80, 230):
        cv2.circle(small, (x, 120), 18, (30, 80, 60), -1)
    assert run(scene, camera.frames(small, 5))[-1].items == 2
    crumb = can(empty)
    cv2.circle(crumb, (280, 200), 4, (20, 20, 20), -1)
    assert run(scene, camera.frames(crumb, 5))[-1].items == 1


def test_something_else_in_the_tray_is_not_the_same_thing() -> None:
    camera, empty = Camera(), TRAYS["wood"]
    for learn in (True, False):
        scene = Scene(learn=learn)
        run(scene, camera.frames(empty, 6))
        one, other = camera.frame(can(empty)), camera.frame(clear_bottle(empty, y=200))
        assert scene.same_thing(one, camera.frame(can(empty)))
        assert not scene.same_thing(one, other)
        assert not scene.same_thing(one, camera.frame(empty))


@pytest.mark.parametrize("each", scenes.load()[1], ids=lambda each: each.id)
def test_what_is_laid_beside_a_rendered_item_is_told_and_no_light_or_shadow_is(
    each: scenes.Item,
) -> None:
    """A letter of a fortieth of the picture, in the corner that the item leaves free."""
    small = partial(cv2.resize, dsize=SIZE[::-1], interpolation=cv2.INTER_AREA)
    tray = small(read(scenes.load()[0][each.tray].path))
    alone, camera = small(read(each.path)), Camera()
    scene = learned(tray, camera)
    before = camera.frame(alone)
    assert scene.same_thing(before, before)
    covered = small(cv2.imread(str(each.mask_path), cv2.IMREAD_GRAYSCALE))
    corners = [(x, y) for x in (6, 266) for y in (6, 196)]
    x, y = min(corners, key=lambda corner: covered[corner[1] :, corner[0] :][:38, :48].sum())
    joined = alone.copy()
    cv2.rectangle(joined, (x, y), (x + 48, y + 38), (40, 70, 200), -1)
    column, row = np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0]))
    away = np.hypot(column - x - 24, row - y - 19)[..., None]
    for light in (0.7, 1.0, 1.3, (1.1, 1.0, 0.85)):
        assert scene.joined(before, camera.frame(joined, light))
        assert not scene.joined(before, camera.frame(alone, light))
        for soft in (3, 15):
            shadow = 1 - 0.4 / (1 + np.exp((away - 60) / soft))
            assert not scene.joined(before, camera.frame(alone, shadow * np.asarray(light)))
    assert not scene.joined(camera.frame(joined), camera.frame(alone)), "it is gone again"


@every_tray
def test_a_thing_that_looks_another_way_has_nothing_laid_beside_it(tray: str) -> None:
    camera, empty = Camera(), TRAYS[tray]
    scene = learned(empty, camera)
    before = camera.frame(can(empty))
    assert not scene.joined(before, camera.frame(can(empty, colour=(30, 190, 60))))
    assert scene.joined(before, camera.frame(can(can(empty), x=230, y=180)))


# sharpness and brightness


@every_tray
def test_a_sharp_picture_is_never_called_blurred_and_a_blurred_one_is(tray: str) -> None:
    floor = Look().min_sharpness
    full = {"wood": wood, "metal": metal, "plastic": plastic}[tray](2)
    item = cv2.resize(can(cv2.resize(full, SIZE[::-1])), (640, 480))
    item = np.where(np.abs(item.astype(int) - full) > 40, item, full).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, 1.5, item.shape)
    for light in (0.4, 1.0, 1.3):
        sharp = Frame(np.clip(item * light + noise, 0, 255).astype(np.uint8), 0.0)
        assert sharpness(sharp) >= floor + 10
        blurred = cv2.GaussianBlur(item, (0, 0), 5) * light
        assert sharpness(Frame(np.clip(blurred + noise, 0, 255).astype(np.uint8), 0.0)) < floor


def test_how_sharp_the_thing_is_counts_and_not_the_tray() -> None:
    """A tall one may be too near for a lens that sees the tray's edge sharp."""
    camera, floor, tray = Camera(), Look().min_sharpness, np.full((*SIZE, 3), 120, np.uint8)
    tray[:, :60:20] = 20
    scene = learned(tray, camera)
    for soft, blurred in ((0.5, False), (7.0, True)):
        disc = cv2.circle(np.zeros(SIZE, np.float32), (160, 120), 50, 1.0, -1)
        share = cv2.GaussianBlur(disc, (0, 0), soft)[..., None]
        frames = camera.frames(tray * (1 - share) + share * 250.0, 4)
        frame = [*frames][-1]
        view = run(scene, [frame] * 4)[-1]
        assert view.state is SceneState.SETTLED and sharpness(frame) >= floor
        assert too_blurred(view, floor) == blurred


def test_a_picture_with_nothing_in_it_is_not_blurred() -> None:
    for level in (0, 128, 255):
        assert sharpness(Frame(np.full((48, 64, 3), level, np.uint8), 0.0)) == 100.0


def test_how_sharp_a_picture_is_depends_on_none_before_it() -> None:
    scene = Scene(learn=False)
    sharp = np.full((*SIZE, 3), 120, np.uint8)
    sharp[:120, :60] = np.linspace(20, 120, 60)[:, None]  # sharp at the left side alone
    blurred = cv2.GaussianBlur(sharp, (0, 0), 5)
    for pixels in (sharp, blurred, sharp):
        frame = Frame(pixels, 0.0)
        assert scene.look(frame).sharpness == sharpness(frame)
    assert sharpness(Frame(blurred, 0.0)) < sharpness(Frame(sharp, 0.0)) / 3


def test_dark_and_blurred_are_told_by_the_view() -> None:
    view = View(SceneState.SETTLED, 0.1, 1, brightness=11.9, sharpness=27.0, motion=0.0)
    assert too_dark(view, 12.0)
    assert not too_dark(view, 11.0)
    assert too_blurred(view, 28.0)
    assert not too_blurred(view, 20.0)
    assert brightness(Frame(np.full((4, 4, 3), 40, np.uint8), 0.0)) == pytest.approx(40)


# whatever comes

sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))

frames = st.builds(
    lambda size, kind, seed: Frame(
        {
            "black": np.zeros((*size, 3), np.uint8),
            "white": np.full((*size, 3), 255, np.uint8),
            "one colour": np.full((*size, 3), (seed % 256, 90, 7), np.uint8),
            "noise": np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8),
        }[kind],
        0.0,
    ),
    sizes,
    st.sampled_from(["black", "white", "one colour", "noise"]),
    st.integers(0, 1000),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(frames, max_size=14), st.booleans())
def test_no_sequence_of_frames_raises(sequence: list[Frame], learn: bool) -> None:
    scene = Scene(learn=learn)
    with np.errstate(all="raise", under="ignore"):
        for before, frame in zip([*sequence[-1:], *sequence], sequence, strict=False):
            view = scene.look(frame)
            assert 0 <= view.brightness <= 255.01
            assert 0 <= view.sharpness <= 100
            assert 0 <= view.motion <= 1
            assert view.changed is None or 0 <= view.changed <= 1
            assert (view.items > 0) or (view.changed is not None)
            scene.same_thing(before, frame)
            scene.joined(before, frame)
