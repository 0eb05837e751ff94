"""Frame -> input tensor: the one way that the daemon and all that is measured use.

Training shows a network pictures as they are, lamps and lenses of all kinds among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from trashbin.leases import Leases
from trashbin.types import Box, Pixels

MOST_EXACT = 2**22  # pixels; 50 MB of floats
MOST_ROWS = 16  # that are added before they are averaged; floats hold their sums as exactly
BAND = 2**18  # bytes of floats at a time: what follows on them finds them in the processor's cache
HALVES_UP = 2.0**-13  # four times what floats differ by, and below what is no half
MARGIN = 1.3  # sides of a close-up, of the thing's: an outline may miss an edge of glass
LEAST = 0.3  # of the picture's sides; the network never saw a thing from nearer
# of levels 0..255, at the second all of the remedy and at the first none: how many times as bright
# the brightest of a channel is than another's; the brightest of a dull picture, the darkest of a
# hazy one. Both get SPAN, if they have less.
CAST, DULL, HAZY, SPAN = (2.0, 2.4), (190.0, 170.0), (130.0, 145.0), 160.0
MOST_GAIN = 6.0  # of any level in all: more would show noise
LUMA = np.array([77, 150, 29], np.float32) / 256  # as in ITU-R BT.601; floats hold it exactly
LEVELS = np.arange(256.0)[:, None]
# by quarters, against the clock as NumPy's rot90, whose view would be read four times as slowly
TURNS = (None, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """What a network wants to see, as its manifest states it.

    A value of the tensor is ``pixel * scale + offset`` (float32), or the pixel itself
    (uint8), or the pixel less 128 (int8). The whole frame, or the close-up of a thing, is
    stretched to ``width`` x ``height``: nothing that lies there falls outside the picture.
    With ``restored``, what lens and lamp did to it is then undone (``restore``).
    """

    width: int
    height: int
    color: Literal["RGB", "BGR"] = "RGB"
    dtype: Literal["float32", "uint8", "int8"] = "float32"
    scale: float = 1.0
    offset: float = 0.0
    restored: bool = False


def close_up(pixels: Pixels, thing: Box | None) -> Pixels:
    """The part of a picture (H, W, 3) in which a thing lies, not copied; all of it for None.

    Its sides have the picture's proportions, and a thing at the edge is not in its middle.
    """
    if thing is None:
        return pixels
    left, top, right, bottom = thing
    share = min(1.0, max(LEAST, MARGIN * max(right - left, bottom - top)))
    sides = []
    for length, middle in (
        (pixels.shape[0], (top + bottom) / 2),
        (pixels.shape[1], (left + right) / 2),
    ):
        part = max(1, round(share * length))
        start = min(max(0, round(middle * length - part / 2)), length - part)
        sides.append(slice(start, start + part))
    return pixels[sides[0], sides[1]]


def resize(pixels: Pixels, width: int, height: int, lease: Leases | None = None) -> Pixels:
    """Stretch RGB uint8 (H, W, 3) to (height, width, 3), the same to the bit on every processor.

    INTER_AREA averages every source pixel and so never aliases; where either side grows it
    would repeat pixels, so INTER_LINEAR_EXACT is used there, of a long strip on its average: it
    skips pixels of a side that shrinks to less than half. OpenCV's averages of bytes round
    what lies on half a step by chance of the processor (one pixel in two hundred differs between
    x86-64 and ARM), and a quantized network makes much of one step. Those of floats differ by
    3e-5, so they are rounded here, and halves always up (what lies within 1e-4 below a half too:
    of cameras' sizes 1296 x 972 has some of that). Pictures of more than ``MOST_EXACT``
    pixels would take too much memory as floats and are left to OpenCV.

    With a ``lease``, nothing as large as either picture is made anew.
    """
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    lease, size = lease or Leases(), (width, height)
    into = lease("resized", (height, width, 3), np.uint8)
    if rows < height or columns < width:
        if rows > 2 * height or columns > 2 * width:
            pixels = resize(pixels, min(columns, width), min(rows, height))
        return cv2.resize(pixels, size, into, interpolation=cv2.INTER_LINEAR_EXACT)  # type: ignore[return-value]
    if rows * columns > MOST_EXACT:
        return cv2.resize(pixels, size, into, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
    # rows that make up one of the result are added as they are: fewer floats, and no less exact
    times = rows // height if rows % height == 0 and rows // height <= MOST_ROWS else 1
    apart = times * height == rows  # then each of its rows is made by itself
    step = max(1, BAND // (12 * columns)) if apart else height
    for top in range(0, height, step):
        band = into[top : top + step]
        part = pixels[top * times : (top + step) * times] if apart else pixels
        average = _averaged(part, times, width, len(band), lease)
        cv2.convertScaleAbs(average, band, 1 / times, HALVES_UP)
    return into


def _averaged(
    pixels: Pixels, times: int, width: int, height: int, lease: Leases
) -> npt.NDArray[np.float32]:
    """Floats (height, width, 3), ``times`` the averages of pixels."""
    rows, columns = len(pixels) // times, pixels.shape[1]
    exact = lease("floats", (rows, columns, 3), np.float32)
    cv2.accumulateWeighted(pixels[::times], exact, 1.0)  # takes them over, quicker than NumPy
    for row in range(1, times):
        cv2.accumulate(pixels[row::times], exact)
    while rows == height and columns % (2 * width) == 0:
        # halfway between two columns is their mean, to the bit and at twice INTER_AREA's pace
        columns //= 2
        half = lease(f"{columns} columns", (rows, columns, 3), np.float32)
        cv2.resize(exact, (columns, rows), half, interpolation=cv2.INTER_LINEAR)
        exact = half
    if (rows, columns) != (height, width):
        average = lease("averages", (height, width, 3), np.float32)
        cv2.resize(exact, (width, height), average, interpolation=cv2.INTER_AREA)
        exact = average
    return exact


def restore(pixels: Pixels, lease: Leases | None = None) -> Pixels:
    """Undo what lens and lamp did to a picture, RGB uint8 (H, W, 3); most are as they were.

    A network that saw few pictures of a bulb's light, behind haze or exposed too shortly errs on
    them. Of a strong cast the weak channels get the brightness of the strongest (the white patch of
    Land and McCann, 1971); where nothing is bright, or nothing dark, and the lumas lie close
    together, they are stretched, and their middle stays where there is room. White things on white
    board are pale too, but seldom without anything bright or anything dark. One pixel in 16 tells,
    in whole numbers, and what is done is a table of sums and products: the same picture comes out
    the same to the bit on every processor.
    """
    few = pixels[::4, ::4].transpose(2, 0, 1).reshape(3, -1)
    bright = [max(each, 2) for [each] in _levels(few, 95)]
    remedy = _between(CAST, max(bright) / min(bright))
    tables, most = LEVELS, MOST_GAIN
    if remedy:
        gains = [min(1 + (max(bright) / each - 1) * remedy, MOST_GAIN) for each in bright]
        tables, most = _rounded(LEVELS * gains), MOST_GAIN / max(gains)
        few = np.stack([table[row] for table, row in zip(tables.T, few, strict=True)])
    low, high = _levels(np.einsum("cn,c->n", few.astype(np.float32), LUMA).astype(np.uint8), 1, 99)
    lacking = max(_between(DULL, high), _between(HAZY, low)) * (SPAN - (high - low))
    if lacking > 0:
        gain = min(most, 1 + lacking / max(1, high - low))
        middle, half = (low + high) / 2, gain * (high - low) / 2
        tables = _rounded((tables - middle) * gain + min(max(middle, half), 255 - half))
    elif not remedy:
        return pixels
    table = np.broadcast_to(tables, (256, 3)).astype(np.uint8)[None]
    into = (lease or Leases())("restored", pixels.shape, np.uint8)
    return cv2.LUT(pixels, table, into)  # type: ignore[return-value]


def _levels(values: npt.NDArray[np.uint8], *percents: int) -> list[Any]:
    """The levels that so many of the values are at or below; of each row, where there are some."""
    places = [-(-percent * values.shape[-1] // 100) - 1 for percent in percents]
    # of bytes the stable sort is a radix sort, which takes a third of what a partition does
    return np.sort(values, kind="stable")[..., places].tolist()  # type: ignore[no-any-return]


def _between(ends: tuple[float, float], value: float) -> float:
    """0 at the first, 1 at the second end, and beyond."""
    return min(1.0, max(0.0, (value - ends[0]) / (ends[1] - ends[0])))


def _rounded(levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.floor(levels + 0.5).clip(0, 255)


def fill(
    tensor: npt.NDArray[Any],
    pixels: Pixels,
    spec: InputSpec,
    lease: Leases | None = None,
    turns: int = 0,
) -> None:
    """Write ``pixels`` (H, W, 3; RGB uint8) into ``tensor`` (1, height, width, 3) in place.

    Turned by so many quarters at last (by halves where width and height differ).
    With a ``lease``, nothing as large as the tensor is made anew.
    """
    lease = lease or Leases()
    small = resize(pixels, spec.width, spec.height, lease)
    if spec.restored:
        small = restore(small, lease)
    turn = TURNS[(turns if spec.width == spec.height else 2 * turns) % 4]
    if turn is not None:
        into = lease("turned", small.shape, np.uint8)
        cv2.rotate(small, turn, into)
        small = into
    if spec.color == "BGR":
        small = small[:, :, ::-1]
    if spec.dtype == "float32":
        np.multiply(small, np.float32(spec.scale), out=tensor[0], dtype=np.float32)
        if spec.offset:
            np.add(tensor[0], np.float32(spec.offset), out=tensor[0])
    elif spec.dtype == "uint8":
        tensor[0] = small
    else:
        # uint8 - 128 as int8 is the same bits with the top one flipped
        np.bitwise_xor(small, np.uint8(0x80), out=tensor[0].view(np.uint8))


def to_tensor(pixels: Pixels, spec: InputSpec, turns: int = 0) -> npt.NDArray[Any]:
    """A new tensor (1, height, width, 3) of ``spec.dtype`` made of RGB uint8 (H, W, 3)."""
    tensor = np.empty((1, spec.height, spec.width, 3), dtype=spec.dtype)
    fill(tensor, pixels, spec, turns=turns)
    return tensor
