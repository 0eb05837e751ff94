"""From what a camera library hands over to what a Frame holds."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from trashbin.errors import CameraError
from trashbin.types import Pixels

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def from_bgr(array: npt.NDArray[Any], rotate: int) -> Pixels:
    """B, G, R uint8 (H, W, 3) in memory -> R, G, B, turned clockwise by ``rotate`` degrees.

    The result is read-only and shares no memory with ``array``, which the camera may fill
    again. CameraError where the array is no such picture.
    """
    rgb = cv2.cvtColor(_colour_picture(array), cv2.COLOR_BGR2RGB)
    if rotate:
        rgb = cv2.rotate(rgb, _TURNS[rotate])
    return checked(rgb)


def checked(rgb: npt.NDArray[Any]) -> Pixels:
    """The same array, read-only from now on. CameraError where it is no colour picture."""
    picture = _colour_picture(rgb)
    picture.flags.writeable = False
    return picture


def _colour_picture(array: npt.NDArray[Any]) -> Pixels:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise CameraError(
            f"The camera gave an array {array.shape} of {array.dtype}, not a colour picture."
        )
    return array
