"""Pictures that every machine makes alike, bit for bit.

What a model must answer to them is written in its manifest.

Integer arithmetic only (no floats, no library's random stream), so the picture of a seed
never changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MASK = (1 << 64) - 1


def _numbers(seed: int, count: int) -> list[int]:
    """`count` 32-bit numbers by SplitMix64 (Steele, Lea and Flood, 2014)."""
    state, out = seed & _MASK, []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        out.append((z ^ (z >> 31)) >> 32)
    return out


def pattern(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """(height, width, 3) RGB uint8: a sloping ground, shaded ellipses and bars, a fine weave."""
    numbers = iter(_numbers(seed, 256))
    y = (np.arange(height, dtype=np.int64) * 1024 // max(1, height))[:, None]
    x = (np.arange(width, dtype=np.int64) * 1024 // max(1, width))[None, :]
    slope_x, slope_y = next(numbers) % 129 - 64, next(numbers) % 129 - 64
    ground = (x - 512) * slope_x // 1024 + (y - 512) * slope_y // 1024
    picture = np.stack([ground + 64 + next(numbers) % 160 for _ in range(3)], axis=-1)
    for _ in range(2 + next(numbers) % 4):
        centre_x, centre_y = 200 + next(numbers) % 624, 200 + next(numbers) % 624
        radius_x, radius_y = 60 + next(numbers) % 340, 60 + next(numbers) % 340
        shear = next(numbers) % 257 - 128
        across = (x - centre_x) + (y - centre_y) * shear // 128
        if next(numbers) % 3:
            inside = across * across * 1024 // (radius_x * radius_x)
            inside = inside + (y - centre_y) * (y - centre_y) * 1024 // (radius_y * radius_y)
        else:
            inside = np.maximum(
                np.abs(across) * 1024 // radius_x, np.abs(y - centre_y) * 1024 // radius_y
            )
        shade = np.clip(1024 - inside, 0, 1024)
        colour = [next(numbers) % 256 for _ in range(3)]
        relief = next(numbers) % 120
        for channel in range(3):
            lit = colour[channel] + (shade * relief // 1024) - relief // 2
            picture[..., channel] = np.where(inside < 1024, lit, picture[..., channel])
    weave = ((x * (1 + next(numbers) % 7) // 16 + y * (1 + next(numbers) % 7) // 16) % 16 - 8) * (
        next(numbers) % 3
    )
    made: npt.NDArray[np.uint8] = np.clip(picture + weave[..., None], 0, 255).astype(np.uint8)
    return made
