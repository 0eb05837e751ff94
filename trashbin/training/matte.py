"""From a photograph on white posterboard to what can be put elsewhere: a transmittance and a mask.

The board is nearly white, so picture / fitted board is the share of light that the object and its
shadow let through (1 = bare board). Multiplied onto another background it keeps shadows and glass.
The mask says where the object is; it starts from the difference to the board and from texture, and
GrabCut (Rother et al., 2004) draws its edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trashbin.training.data import Image

Array = NDArray[np.float32]

WORK_SIZE = (160, 120)  # width, height in pixels where the mask is found
MIN_BOARD = 0.06  # share of the picture that must be board for the fit to mean anything


@dataclass(frozen=True)
class Matte:
    """One photograph taken apart; H, W, as the picture.

    picture: (H, W, 3) RGB uint8. board: (H, W, 3) uint8, the fitted bare board. mask: (H, W)
    uint8, 255 = object. has_board: False where the object fills the picture (the mask is then
    255 everywhere).
    """

    picture: Image
    board: Image
    mask: Image
    has_board: bool


def polynomial(height: int, width: int, order: int) -> Array:
    """(H * W, terms) monomials x^i y^j with i + j <= order, over -1..1."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = [x**i * y**j for i in range(order + 1) for j in range(order + 1 - i)]
    return np.stack(terms, -1).reshape(height * width, -1).astype(np.float32)


def fit_board(picture: Image) -> tuple[Array, NDArray[np.bool_]]:
    """The bare board's colour everywhere, and the pixels it was fitted to.

    Gives (h, w, 3) in 0..255 and (h, w) bool. Begins with bright, smooth, colourless pixels (most
    of them along the border), fits a plane to the logarithm of each channel, keeps the pixels
    close to it, and again up to third order.
    """
    height, width = picture.shape[:2]
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.0).astype(np.float32)
    log = np.log(smooth + 4.0)
    gray = smooth.mean(2)
    texture = cv2.blur(
        np.abs(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F)), (5, 5)
    )
    colour = (smooth.max(2) - smooth.min(2)) / (smooth.max(2) + 1.0)
    border = np.zeros((height, width), bool)
    edge = max(2, height // 12)
    border[:edge], border[-edge:], border[:, :edge], border[:, -edge:] = True, True, True, True
    plain = (texture < 7.0) & (colour < 0.28)  # brown card is above 0.3
    level = np.percentile(gray[border & plain], 70) if (border & plain).sum() > 50 else 255.0
    inside = plain & (gray > 0.72 * level) & (gray > 85.0)
    usual = (
        np.median(log[border & inside], 0)
        if (border & inside).sum() > 50
        else np.median(log[inside], 0)
        if inside.any()
        else log.mean((0, 1))
    )
    tint = log - log.mean(2, keepdims=True)
    inside &= np.abs(tint - (usual - usual.mean())).max(2) < 0.10
    flat = log.reshape(-1, 3)
    surface = np.broadcast_to(usual, log.shape)
    for order, tolerance in ((1, 0.16), (2, 0.11), (2, 0.08), (3, 0.06)):
        if inside.sum() < 0.02 * inside.size:
            break
        terms = polynomial(height, width, order)
        chosen = np.flatnonzero(inside)[:: max(1, int(inside.sum()) // 3000)]
        # a little ridge keeps the surface tame where there is no board
        a, b = terms[chosen], flat[chosen] - usual
        ridge = np.eye(terms.shape[1], dtype=np.float32) * (0.002 * len(chosen))
        ridge[0, 0] = 1e-3
        surface = (terms @ np.linalg.solve(a.T @ a + ridge, a.T @ b) + usual).reshape(log.shape)
        inside = (np.abs(log - surface).max(2) < tolerance) & (texture < 7.0)
    return np.clip(np.exp(surface) - 4.0, 1.0, 255.0).astype(np.float32), inside


def object_mask(picture: Image, board: Array, inside: NDArray[np.bool_]) -> Image:
    """(h, w) uint8, 255 where the object is."""
    ratio = np.log((picture.astype(np.float32) + 4.0) / (board + 4.0))
    difference = np.abs(ratio).max(2)
    tint = np.abs(ratio - ratio.mean(2, keepdims=True)).max(2)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    texture = cv2.blur(np.abs(gray - cv2.GaussianBlur(gray, (0, 0), 2.0)), (3, 3))
    # a shadow is dark without tint or texture: it counts less
    score = 0.3 * np.minimum(difference, 0.9) + 1.5 * tint + 0.06 * texture
    seeds = np.full(gray.shape, cv2.GC_PR_BGD, np.uint8)
    seeds[score > 0.22] = cv2.GC_PR_FGD
    seeds[(score > 0.5) | (difference > 1.1)] = cv2.GC_FGD
    seeds[inside & (score < 0.10)] = cv2.GC_BGD
    found = np.isin(seeds, (cv2.GC_PR_FGD, cv2.GC_FGD))
    if 0.01 < found.mean() < 0.97 and (seeds == cv2.GC_BGD).any():
        try:
            cv2.setRNGSeed(1)
            whole, models = (0, 0, 1, 1), (np.zeros((1, 65)), np.zeros((1, 65)))
            cv2.grabCut(picture, seeds, whole, *models, 3, cv2.GC_INIT_WITH_MASK)
            found = found | np.isin(seeds, (cv2.GC_PR_FGD, cv2.GC_FGD))
        except cv2.error:  # too few pixels on one side: the thresholds stand
            pass
    mask = found.astype(np.uint8) * 255
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)
    mask = keep_bodies(opened(closed, kernel[1:-1, 1:-1]))
    # the rim: what looks like the board within a few pixels of the edge is the board
    core = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    bare = (difference < 0.12) & (tint < 0.04) | (score < 0.12)
    mask[(core == 0) & bare] = 0
    return keep_bodies(opened(mask, kernel[2:-2, 2:-2]))


def opened(mask: Any, kernel: Any) -> Image:
    """Without what is thinner than the kernel."""
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.uint8)


def keep_bodies(mask: Image) -> Image:
    """Fills holes and drops specks (under a tenth of the largest body)."""
    contours, _ = cv2.findContours(np.pad(mask, 1), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    whole = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.uint8)
    largest = max((cv2.contourArea(c) for c in contours), default=0.0)
    bodies = [c for c in contours if cv2.contourArea(c) >= 0.1 * largest]
    cv2.drawContours(whole, bodies, -1, 255, cv2.FILLED)
    return whole[1:-1, 1:-1]


def make_matte(picture: Image) -> Matte:
    """Takes one photograph (H, W, 3) apart; the work is done small and the results are enlarged."""
    height, width = picture.shape[:2]
    small = np.asarray(cv2.resize(picture, WORK_SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    board, inside = fit_board(small)
    if inside.mean() < MIN_BOARD:
        return Matte(
            picture, np.full_like(picture, 255), np.full((height, width), 255, np.uint8), False
        )
    mask = object_mask(small, board, inside)
    share = float((mask > 0).mean())
    if share < 0.01 or share > 0.97:
        return Matte(
            picture, np.full_like(picture, 255), np.full((height, width), 255, np.uint8), False
        )
    soft = cv2.GaussianBlur(
        cv2.resize(mask, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), 1.2
    )
    large = cv2.resize(board, (width, height), interpolation=cv2.INTER_LINEAR)
    return Matte(picture, large.round().astype(np.uint8), np.asarray(soft, np.uint8), True)
