"""Arrays that are used again: what is as large as a picture is made once, not for each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Leases:
    """An array for each name, made anew only where another shape or type is asked for.

    What a name gives is the asker's until the same name is asked for again. Not for use
    from two threads at once.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, npt.NDArray[Any]] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array with anything in it."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array
