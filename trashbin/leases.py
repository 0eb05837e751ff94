"""Room that is used again: what is as large as a picture is made once, not for each frame."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class Leases:
    """An array for each name, made anew only where more room or another type is asked for.

    What a name gives is the asker's until the same name is asked for again. Not for use
    from two threads at once.
    """

    def __init__(self) -> None:
        self._rooms: dict[str, npt.NDArray[Any]] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array with any numbers in it; floats are finite as long as what is written is."""
        size, room = math.prod(shape), self._rooms.get(name)
        if room is None or room.size < size or room.dtype != dtype:
            room = self._rooms[name] = np.zeros(size, dtype)
        return room[:size].reshape(shape)
