"""Pure: where a small thing lies in a picture that came alone, without one of the empty tray.

A thing that takes little of a picture is recognized less well than one that fills it
(``tests/data/test_training.py`` prints by how much), and a photograph that somebody took has no
empty tray beside it. The numbers below were chosen on the fold `calib`.
"""

from __future__ import annotations

import cv2
import numpy as np

from trashbin.types import Box, Pixels

SIZE = 128, 96  # width and height at which it is sought: 30 ms
EDGE = 0.06  # of each side: what lies in this frame is ground
ROUNDS = 2
LEAST = 0.01  # of the picture's area
SMALL = 0.55  # of the picture's longer side: one that is larger fills it well enough
APART = 4  # another thing has at least so many-th of the largest one's area
DOUBT = 0.02  # familiarity by which the whole picture must be known better to count instead


def stands_out(pixels: Pixels) -> Box | None:
    """The box of what differs from the edge of a picture (H, W, 3); None where that is not small.

    GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004) learns the colours of the ground from
    the picture's edge, so the ground may have a pattern.
    """
    width, height = SIZE
    small = cv2.resize(pixels, SIZE, interpolation=cv2.INTER_AREA)
    colours = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.0)
    mask = np.zeros((height, width), np.uint8)
    left, top = round(EDGE * width), round(EDGE * height)
    inside = left, top, width - 2 * left, height - 2 * top
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its first guess is drawn
    try:
        cv2.grabCut(colours, mask, inside, *models, ROUNDS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # nothing is left of the one or the other
        return None
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    things = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    parts = cv2.connectedComponentsWithStats(things)[2][1:]
    largest = parts[:, cv2.CC_STAT_AREA].max(initial=0)
    if largest < LEAST * width * height:
        return None
    parts = parts[APART * parts[:, cv2.CC_STAT_AREA] >= largest]
    start = parts[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
    end = start + parts[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    (x0, y0), (x1, y1) = start.min(0) / SIZE, end.max(0) / SIZE
    box = float(x0), float(y0), float(x1), float(y1)
    return box if max(box[2] - box[0], box[3] - box[1]) <= SMALL else None


def closer_counts(whole: float | None, near: float | None) -> bool:
    """Whether the network is to be believed of the part that stands out, by both familiarities."""
    return whole is not None and near is not None and near >= whole - DOUBT
