"""Frame -> tensor, against a box average written down without OpenCV."""

from __future__ import annotations

import hashlib
import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trashbin.leases import Leases
from trashbin.model import golden
from trashbin.preprocess import (
    CAST,
    DULL,
    HAZY,
    LEAST,
    MARGIN,
    MOST_GAIN,
    SPAN,
    InputSpec,
    _levels,
    close_up,
    fill,
    resize,
    restore,
    to_tensor,
)

Dtype = Literal["float32", "uint8", "int8"]
SMALL = InputSpec(8, 8)


def box_matrix(source: int, target: int) -> npt.NDArray[np.float64]:
    """(target, source): how much of each source pixel lies in each target pixel."""
    # in parts of which a source pixel has ``target`` and a target pixel ``source``
    i, j = np.arange(target)[:, None], np.arange(source)
    shared = np.minimum((i + 1) * source, (j + 1) * target) - np.maximum(i * source, j * target)
    return np.asarray(np.maximum(shared, 0) / source, np.float64)


def box_average(pixels: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.float64]:
    down, across = box_matrix(pixels.shape[0], height), box_matrix(pixels.shape[1], width)
    return np.einsum("ih,hwc,jw->ijc", down, pixels.astype(np.float64), across)


def noise(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


pictures = st.builds(noise, st.integers(8, 40), st.integers(8, 40), st.integers(0, 2**32))
any_picture = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)))


@given(any_picture, *[st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)] * 2)
def test_a_close_up_holds_the_thing_in_the_pictures_proportions(
    picture: npt.NDArray[np.uint8], across: list[float], down: list[float]
) -> None:
    height, width = picture.shape[:2]
    where = np.arange(height * width).reshape(height, width)  # a picture that tells its pixels
    numbered = np.repeat(where[..., None], 3, axis=2)
    (left, right), (top, bottom) = across, down
    shown = close_up(numbered, (left, top, right, bottom))[..., 0]  # type: ignore[arg-type]
    rows, columns = shown[:, 0] // width, shown[0] % width
    share = min(1.0, max(LEAST, MARGIN * max(right - left, bottom - top)))
    for places, length, low, high in ((rows, height, top, bottom), (columns, width, left, right)):
        assert abs(len(places) - share * length) <= 1
        assert (np.diff(places) == 1).all()
        # half a pixel is lost to rounding, where the part is not the whole
        assert places[0] <= low * length + 1
        assert places[-1] + 1 >= min(high * length, length) - 1
    assert np.may_share_memory(shown, numbered), "no copy is made"


def test_a_picture_in_which_nothing_was_found_is_shown_whole() -> None:
    picture = noise(12, 16, 0)
    assert close_up(picture, None) is picture


@given(pictures)
def test_shrinking_averages_every_pixel(picture: npt.NDArray[np.uint8]) -> None:
    assert np.abs(resize(picture, 8, 8) - box_average(picture, 8, 8)).max() <= 1.0


@pytest.mark.parametrize("side", [160, 192])  # of 480 and of 384 rows a whole number makes one
@pytest.mark.parametrize(
    "size", [(480, 640), (240, 320), (384, 512), (972, 1296), (720, 1280), (1080, 1920)]
)
def test_a_cameras_picture_is_averaged_exactly_on_every_processor(
    size: tuple[int, int], side: int
) -> None:
    """In whole numbers, halves up: what any processor that runs this test agrees with."""
    picture = noise(*size, 7)
    down, across = (
        (box_matrix(source, side) * (source // math.gcd(source, side))).round() for source in size
    )
    # doubles hold whole numbers below 2^53 exactly, and their products are quick
    sums = np.tensordot(across, np.tensordot(down, picture.astype(np.float64), 1), (1, 1))
    whole = sums.transpose(1, 0, 2).astype(np.int64)
    total = int(down.sum(1)[0] * across.sum(1)[0])
    wanted, above = np.divmod(2 * whole + total, 2 * total)
    # a hair below a half, which only sizes with nothing in common have, may be taken for one
    hair = (2 * total - above <= 2 * total * 2**-12) & (side == 160)
    assert ((resize(picture, side, side) == wanted) | hair).all()
    assert not hair.any() or size == (972, 1296)


@pytest.mark.parametrize("columns", [4, 40])
def test_where_either_side_grows_no_pixel_is_repeated(columns: int) -> None:
    rising = np.zeros((4, columns, 3), np.uint8)
    rising[:] = np.arange(0, 241, 80)[:, None, None]
    tall = resize(rising, 8, 8)[..., 0]
    assert (np.diff(tall[1:-1].astype(int), axis=0) > 0).all()
    assert (resize(np.ascontiguousarray(rising.transpose(1, 0, 2)), 8, 8)[..., 0] == tall.T).all()


def test_a_photograph_too_large_for_floats_is_averaged_without_them() -> None:
    photograph, lease = np.zeros((2100, 2000, 3), np.uint8), Leases()
    photograph[1050:, :1000] = (200, 100, 50)
    small = resize(photograph, 8, 4, lease)
    assert (small[2:, :4] == (200, 100, 50)).all()
    assert not small[:2].any() and not small[:, 4:].any()
    assert sum(room.nbytes for room in lease._rooms.values()) < photograph.nbytes


@pytest.mark.parametrize(
    "size", [(480, 640), (1080, 1920), (720, 405), (224, 225), (40, 700), (2000, 2100)]
)
def test_fine_stripes_become_grey_and_no_moire(size: tuple[int, int]) -> None:
    stripes = np.zeros((*size, 3), np.uint8)
    stripes[:, ::2] = 255
    upright = resize(stripes, 64, 64)[:, 1:-1]
    lying = resize(np.ascontiguousarray(stripes.transpose(1, 0, 2)), 64, 64)[1:-1]
    for small in (upright.astype(int), lying.astype(int)):
        assert small.min() >= 128 - 40 and small.max() <= 128 + 40


@given(any_picture, st.sampled_from(["float32", "uint8", "int8"]))
def test_any_size_and_shape_fills_the_tensor(picture: npt.NDArray[np.uint8], dtype: Dtype) -> None:
    tensor = to_tensor(picture, InputSpec(8, 8, dtype=dtype))
    assert tensor.shape == (1, 8, 8, 3) and tensor.dtype == dtype
    assert np.isfinite(tensor).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (1, 127, 200)])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (480, 640), (3, 500), (500, 3)])
def test_one_colour_stays_that_colour_at_any_size(
    size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    picture = np.full((*size, 3), colour, np.uint8)
    assert (to_tensor(picture, InputSpec(8, 8, dtype="uint8")) == np.array(colour)).all()


@given(pictures)
def test_the_three_dtypes_say_the_same(picture: npt.NDArray[np.uint8]) -> None:
    plain = to_tensor(picture, InputSpec(8, 8, dtype="uint8")).astype(np.float64)
    assert (to_tensor(picture, InputSpec(8, 8, dtype="int8")).astype(int) == plain - 128).all()
    scaled = to_tensor(picture, InputSpec(8, 8, scale=1 / 127.5, offset=-1.0))
    assert np.allclose(scaled, plain / 127.5 - 1.0, atol=1e-6)


@given(pictures, st.sampled_from(["float32", "uint8", "int8"]))
def test_bgr_is_rgb_with_its_channels_turned_round(
    picture: npt.NDArray[np.uint8], dtype: Dtype
) -> None:
    rgb = to_tensor(picture, InputSpec(8, 8, "RGB", dtype, 0.5, 3.0))
    bgr = to_tensor(picture, InputSpec(8, 8, "BGR", dtype, 0.5, 3.0))
    assert (bgr == rgb[..., ::-1]).all()


def test_red_comes_first_where_the_network_wants_rgb() -> None:
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 0] = 200
    assert to_tensor(red, SMALL)[0, 4, 4].tolist() == [200.0, 0.0, 0.0]


@given(pictures, st.integers(0, 7))
def test_a_square_input_turns_by_quarters(picture: npt.NDArray[np.uint8], turns: int) -> None:
    upright = to_tensor(picture, SMALL)[0]
    assert (to_tensor(picture, SMALL, turns)[0] == np.rot90(upright, turns)).all()


def test_another_input_turns_by_halves() -> None:
    wide, picture = InputSpec(16, 8), noise(40, 60, 0)
    upright = to_tensor(picture, wide)[0]
    assert (to_tensor(picture, wide, 1)[0] == upright[::-1, ::-1]).all()
    assert (to_tensor(picture, wide, 2)[0] == upright).all()


def test_the_whole_frame_is_stretched_and_nothing_cut_off() -> None:
    wide = np.zeros((40, 160, 3), np.uint8)
    wide[:, :20], wide[:, -20:] = 255, 128
    tensor = to_tensor(wide, SMALL)
    assert (tensor[0, :, 0] == 255).all() and (tensor[0, :, -1] == 128).all()


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("size", [8, 16])
def test_a_read_only_frame_is_accepted_and_left_as_it_is(dtype: Dtype, size: int) -> None:
    frame = np.full((size, size, 3), 77, np.uint8)
    frame.flags.writeable = False
    to_tensor(frame, InputSpec(8, 8, dtype=dtype))
    assert (frame == 77).all()


def test_a_view_with_strides_gives_what_its_copy_gives() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    view = picture[::-1, 10:50][..., ::-1]
    assert (to_tensor(view, SMALL) == to_tensor(view.copy(), SMALL)).all()


def test_fill_leaves_nothing_of_the_picture_before() -> None:
    tensor = np.full((1, 8, 8, 3), np.nan, np.float32)
    fill(tensor, np.zeros((20, 20, 3), np.uint8), SMALL)
    assert (tensor == 0).all()


def grey_ramp(low: int, high: int) -> npt.NDArray[np.uint8]:
    """Every value between, each as often."""
    row = np.repeat(np.arange(low, high + 1, dtype=np.uint8), 16)
    return np.repeat(np.stack([row] * 3, axis=-1)[None], 16, axis=0)


@given(any_picture)
def test_restoring_keeps_the_order_within_each_channel_and_the_picture_it_was_given(
    picture: npt.NDArray[np.uint8],
) -> None:
    before = picture.copy()
    restored = restore(picture)
    assert (picture == before).all()
    assert restored.shape == picture.shape and restored.dtype == np.uint8
    for channel in range(3):
        old, new = picture[..., channel].ravel(), restored[..., channel].ravel()
        assert (np.diff(new[np.argsort(old, kind="stable")].astype(int)) >= 0).all()


@given(st.integers(0, 254), st.integers(0, 254))
def test_only_what_is_dull_or_hazy_and_pale_is_stretched(low: int, span: int) -> None:
    picture = grey_ramp(low, min(255, low + span))
    restored = restore(picture)
    lo, hi = (int(np.percentile(picture, q, method="nearest")) for q in (1, 99))
    darkest, brightest = (int(np.percentile(restored, q)) for q in (1, 99))
    if hi - lo > SPAN + 3 or (hi > DULL[0] + 1 and lo < HAZY[0] - 1):
        assert restored is picture
    elif hi < DULL[1] - 1 or lo > HAZY[1] + 1:
        assert brightest - darkest >= min(SPAN, MOST_GAIN * (hi - lo)) - MOST_GAIN - 2
        assert brightest - darkest <= SPAN + 2 * MOST_GAIN


def test_a_hazy_picture_comes_out_in_the_numbers_of_the_docstring() -> None:
    # 41 lumas, 1 % is less than one of them: 40 apart become 160 apart about their middle
    dull, hazy, dark = (restore(grey_ramp(low, low + 40)) for low in (80, 180, 0))
    assert (int(dull.min()), int(dull.max())) == (20, 180)
    # where there is no room, the middle moves
    assert (int(hazy.min()), int(hazy.max())) == (95, 255)
    assert (int(dark.min()), int(dark.max())) == (0, 160)


@given(st.tuples(*[st.floats(0.2, 1)] * 3), st.integers(0, 2**32))
def test_a_strong_cast_is_taken_away_and_a_weak_one_left(
    lamp: tuple[float, float, float], seed: int
) -> None:
    things = noise(64, 64, seed).mean(axis=2, keepdims=True) * [1.0, 1.0, 1.0]
    things[:8] = 250  # something white, something black
    things[-8:] = 0
    picture = (things * np.array(lamp) / max(lamp)).astype(np.uint8)
    white = restore(picture)[:8].mean(axis=(0, 1))
    cast, left = max(lamp) / min(lamp), white.max() / white.min()
    if cast < CAST[0] - 0.05:  # what is dull besides gets lighter, and so a little paler
        assert left - 1 > 0.7 * (cast - 1) - 0.05
    elif cast > CAST[1] + 0.05:
        assert left < 1.05


def patches(*colours: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Ten rows of each colour."""
    rows = np.repeat(np.array(colours, np.uint8), 10, axis=0)
    return np.repeat(rows[:, None], 40, axis=1)


def colours_of(picture: npt.NDArray[np.uint8]) -> list[tuple[int, ...]]:
    return [tuple(int(v) for v in row[0]) for row in picture[5::10]]


def test_a_cast_goes_in_the_numbers_that_a_white_patch_gives() -> None:
    # white, two greys and black by a lamp of (1, 0.5, 0.25): twice and four times as much
    white, light, dark, black = (240, 120, 60), (200, 100, 50), (80, 40, 20), (0, 0, 0)
    found = colours_of(restore(patches(white, light, dark, black)))
    assert found == [(240,) * 3, (200,) * 3, (80,) * 3, (0,) * 3]
    # a red thing beside the white stays red
    found = colours_of(restore(patches(white, (200, 20, 10), dark, black)))
    assert found[1] == (200, 40, 40)


def test_half_a_cast_too_many_is_half_undone() -> None:
    # 220 / 100 is midway from the first to the second of CAST: (2.2 - 1) / 2 more
    assert CAST == (2.0, 2.4)
    found = colours_of(restore(patches((220, 220, 100), (110, 110, 50), (0, 0, 0))))
    assert found[:2] == [(220, 220, 160), (110, 110, 80)]


def test_no_level_grows_more_than_there_is_something_to_see() -> None:
    # of a cast of 20 (240 / 12) six times is undone; then nothing is left to stretch by
    found = colours_of(restore(patches((240, 240, 12), (120, 120, 6), (0, 0, 0))))
    assert found == [(240, 240, 72), (120, 120, 36), (0, 0, 0)]
    dark = restore(patches((12, 12, 12), (6, 6, 6), (0, 0, 0)))
    assert int(dark.max()) - int(dark.min()) == MOST_GAIN * 12
    both = restore(patches((30, 30, 5), (15, 15, 3), (0, 0, 0)))
    assert int(both[..., 2].max()) - int(both[..., 2].min()) <= MOST_GAIN * 5 + 3


def test_how_bright_a_colour_is_the_luma_says() -> None:
    # pure green of 200 has a luma of 117, pure blue of 200 one of 22: dull, and 95 apart
    found = colours_of(restore(patches((0, 200, 0), (0, 100, 0), (0, 0, 200), (100, 100, 100))))
    lumas = [(77 * r + 150 * g + 29 * b) >> 8 for r, g, b in ((0, 200, 0), (0, 0, 200))]
    gain = SPAN / (lumas[0] - lumas[1])
    middle = sum(lumas) / 2
    level = max(middle, SPAN / 2)
    assert found[3] == (math.floor((100 - middle) * gain + level + 0.5),) * 3


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 230) | st.sampled_from([20, 100, 200]),
    st.sampled_from([1, 95, 99]),
)
def test_a_percentile_is_the_least_level_that_so_many_are_at_or_below(
    seed: int, count: int, percent: int
) -> None:
    rows = np.random.default_rng(seed).integers(0, 256, (3, count), np.uint8)
    for [level], row in zip(_levels(rows, percent), rows, strict=True):
        assert 100 * (row <= level).sum() >= percent * count
        assert 100 * (row < level).sum() < percent * count
    assert _levels(rows[0], 1, 99) == [_levels(rows, each)[0][0] for each in (1, 99)]


def test_what_is_restored_is_the_same_to_the_bit_everywhere() -> None:
    # `make test-arm64` asks this of ARM, too
    told = hashlib.sha256()
    changed = 0
    for seed in range(60):
        picture = resize(golden.pattern(seed, 120, 160), 96, 96)
        lamp = np.array([(1.0, 0.7, 0.4), (0.3, 0.6, 1.0), (0.5, 0.5, 0.5), (1, 1, 1)][seed % 4])
        lit = np.asarray(picture * lamp * (0.4 if seed % 5 == 0 else 1), np.uint8)
        restored = restore(lit)
        changed += restored is not lit
        told.update(restored.tobytes())
    assert changed > 20
    assert told.hexdigest()[:16] == "83278a4fcea9a1a7"


def test_light_is_restored_where_the_network_wants_it_and_before_the_turn() -> None:
    picture = np.random.default_rng(3).integers(90, 120, (24, 24, 3), np.uint8)
    plain, wanted = (InputSpec(8, 8, dtype="uint8", restored=told) for told in (False, True))
    small = resize(picture, 8, 8)
    assert (to_tensor(picture, plain)[0] == small).all()
    assert (to_tensor(picture, wanted)[0] == restore(small)).all()
    assert (to_tensor(picture, wanted, turns=1)[0] == np.rot90(restore(small))).all()
    assert not (restore(small) == small).all()
