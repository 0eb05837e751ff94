"""Pictures that never come twice: composites made all the time, and views cut on the device.

Worker processes make composites as long as training lasts; a ring on the device keeps the latest.
Photographs and rendered scenes lie beside it. Crops, turns, light and covers are drawn for every
batch, so no view is seen twice; the draws depend on the workers' pace too, and no two runs are the
same bit by bit.
"""

from __future__ import annotations

import math
import os
import queue
import signal
import time
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from trashbin.training import composite, matte
from trashbin.training.bank import NO_CLASS, Bank, folder_bank, home_bank, joined
from trashbin.training.data import LABELS, Fold, Photo, load_pictures
from trashbin.training.matte import Matte

FOLDS: tuple[Fold, ...] = ("train", "val")  # whose photographs and backgrounds train


@dataclass(frozen=True)
class Numbers:
    """Every number that the pictures depend on."""

    room: int = 120_000  # composites kept at most; fewer where memory is short
    first: int = 3000  # composites to wait for in the beginning
    chunk: int = 48  # composites that a worker hands over at a time
    strangers: float = 0.12  # share of things of no class, and of empty trays, among composites
    home: float = 0.45  # share of photographs as they are in a batch
    drawn: float = 0.1  # share of rendered scenes in a batch, where there are any
    side: int = 384  # pixels of a view, before it is made as small as each network wants it
    workers: int = 1
    seed: int = 0


def rarer_more(targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) how often each is drawn, 1 in the mean of labels: rare labels a little more often."""
    counts = np.bincount(targets, minlength=len(LABELS))
    return np.asarray((counts.mean() / counts[targets]) ** 0.5)


def work(
    me: int, numbers: Numbers, root: Path, parts: list[list[Photo]], cache: Path, out: Any
) -> None:
    """A worker: makes composites until it is ended, or who began it is no more.

    `out` is a queue, and full it is waited for.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who began it ends it
    out.cancel_join_thread()  # what nobody takes any more must not keep it
    banks = [load_pictures(root, part, cache) for part in parts]
    rows = [(bank, k) for bank in banks for k in range(len(bank))]
    photos = [photo for part in parts for photo in part]
    weight = rarer_more(np.array([photo.target for photo in photos], np.int64))
    weight /= weight.sum()
    rng = np.random.default_rng((numbers.seed, me))
    mattes: dict[int, Matte] = {}
    while True:
        made, targets = [], []
        for _ in range(numbers.chunk):
            if rng.random() < numbers.strangers:
                made.append(composite.stranger(rng, *FOLDS).shot(rng))
                targets.append(NO_CLASS)
                continue
            row = int(rng.choice(len(photos), p=weight))
            if row not in mattes:
                bank, k = rows[row]
                mattes[row] = matte.make_matte(np.array(bank[k]))
            tray = composite.composite(rng, mattes[row], photos[row].label, *FOLDS)
            made.append(tray.shot(rng))
            targets.append(photos[row].target)
        if not handed_over(out, (np.stack(made), np.array(targets, np.int64))):
            return


def handed_over(out: Any, chunk: Any) -> bool:
    """Put it into the queue once there is room; False where who reads it was killed."""
    reader = parent_process()
    while reader is None or reader.is_alive():
        try:
            out.put(chunk, timeout=5)
            return True
        except queue.Full:
            continue
    return False


def room_for(wanted: int, device: torch.device) -> int:
    """How many composites may be kept: half of the memory that is free, at most."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    width, height = composite.SIZE
    return min(wanted, int(free) // 2 // (3 * width * height))


class Stock:
    """What batches are drawn from; a context in which the workers run."""

    def __init__(
        self,
        root: Path,
        parts: list[list[Photo]],
        cache: Path,
        drawn: Path | None,
        numbers: Numbers,
        device: torch.device,
    ) -> None:
        self.numbers, self.device = numbers, device
        self.home, self.home_targets = self._kept(
            joined(*(home_bank(root, part, cache) for part in parts))
        )
        self.chance = torch.from_numpy(rarer_more(self.home_targets.cpu().numpy())).to(device)
        self.drawn = self._kept(folder_bank(drawn)) if drawn else None
        room = max(numbers.chunk, room_for(numbers.room, device))
        width, height = composite.SIZE
        self.ring = torch.empty((room, height, width, 3), dtype=torch.uint8, device=device)
        self.ring_targets = torch.full((room,), NO_CLASS, device=device)
        self.at = self.filled = 0
        # spawned, not forked: neither OpenCV's threads nor a GPU's context survive a fork
        context = get_context("spawn")
        self.made: Any = context.Queue(64)
        given = (numbers, root, parts, cache, self.made)
        self.workers = [
            context.Process(target=work, args=(k, *given), daemon=True)
            for k in range(numbers.workers)
        ]

    def _kept(self, bank: Bank) -> tuple[Tensor, Tensor]:
        pictures = torch.from_numpy(np.array(bank.pictures)).to(self.device)
        return pictures, torch.from_numpy(bank.targets).to(self.device)

    def __enter__(self) -> Stock:
        for worker in self.workers:
            worker.start()
        wanted = min(self.numbers.first, len(self.ring))
        with tqdm(total=wanted, desc="first composites", mininterval=5) as told:
            while self.filled < wanted:
                self.feed()
                told.update(min(self.filled, wanted) - told.n)
                time.sleep(0.2)
        return self

    def __exit__(self, *raised: object) -> None:
        for worker in self.workers:
            worker.terminate()
            worker.join()

    def feed(self) -> None:
        """Takes in what the workers have made, in place of the oldest."""
        if not any(worker.is_alive() for worker in self.workers):
            raise RuntimeError("no worker makes composites any more; what ended them stands above")
        for _ in range(64):
            try:
                pictures, targets = self.made.get_nowait()
            except queue.Empty:
                return
            if self.at + len(targets) > len(self.ring):
                self.at = 0
            here = slice(self.at, self.at + len(targets))
            self.ring[here] = torch.from_numpy(pictures).to(self.device)
            self.ring_targets[here] = torch.from_numpy(targets).to(self.device)
            self.at += len(targets)
            self.filled = max(self.filled, self.at)

    def homes(self, count: int, home: float | None = None) -> int:
        """How many of a batch are photographs; they come first."""
        return int(count * (self.numbers.home if home is None else home))

    def draw(
        self, count: int, home: float | None = None, drawn: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Views (B, 3, S, S) in -1..1, photographs first, and their targets."""
        numbers, device = self.numbers, self.device
        homes = self.homes(count, home)
        scenes = int(count * (numbers.drawn if drawn is None else drawn))
        rows = torch.multinomial(self.chance, homes, replacement=True)
        views = [view(self.home[rows], True, numbers.side)]
        targets = [self.home_targets[rows]]
        others = [(self.ring[: self.filled], self.ring_targets)]
        counts = [count - homes]
        if self.drawn is not None:
            others.append(self.drawn)
            counts = [count - homes - scenes, scenes]
        for (pictures, labels), many in zip(others, counts, strict=True):
            rows = torch.randint(0, len(pictures), (many,), device=device)
            views.append(view(pictures[rows], False, numbers.side))
            targets.append(labels[rows])
        return torch.cat(views), torch.cat(targets)


# -- views ----------------------------------------------------------------------------------------


def view(pictures: Tensor, home: bool, side: int) -> Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, side, side) in -1..1: cropped, turned, lit, partly covered.

    A photograph gets more of it than a composite, which had its share when it was made.
    """
    if not len(pictures):
        return torch.empty((0, 3, side, side), device=pictures.device)
    x = _lit(_cropped(pictures, home, side), home)
    return _covered(x.clamp(0, 1)) * 2 - 1


def sized(x: Tensor, side: int) -> Tensor:
    """Square pictures made smaller, channels last in memory."""
    if x.shape[-1] == 2 * side:
        x = F.avg_pool2d(x, 2)
    elif x.shape[-1] != side:
        x = F.interpolate(x, size=side, mode="bilinear", antialias=True, align_corners=False)
    return x.contiguous(memory_format=torch.channels_last)


def _cropped(pictures: Tensor, home: bool, side: int) -> Tensor:
    """(B, 3, side, side) in 0..1: a part, stretched a little, flipped, turned."""
    device, count = pictures.device, len(pictures)

    def uniform() -> Tensor:
        return torch.rand(count, device=device)

    area = 0.45 + 0.55 * uniform() if home else 0.6 + 0.4 * uniform()
    aspect = torch.exp((uniform() - 0.5) * 0.44)
    width = (area.sqrt() * aspect).clamp(max=1)
    height = (area.sqrt() / aspect).clamp(max=1)
    tilt = (uniform() - 0.5) * 2 * math.radians(12) * (uniform() < 0.4)
    angle = torch.randint(0, 4, (count,), device=device) * math.pi / 2 + tilt
    cos, sin = torch.cos(angle), torch.sin(angle)
    flip = torch.where(uniform() < 0.5, -1.0, 1.0)
    turn = torch.zeros(count, 2, 3, device=device)
    turn[:, 0, 0], turn[:, 0, 1] = width * cos * flip, -width * sin * flip
    turn[:, 1, 0], turn[:, 1, 1] = height * sin, height * cos
    turn[:, 0, 2] = (uniform() * 2 - 1) * (1 - width)
    turn[:, 1, 2] = (uniform() * 2 - 1) * (1 - height)
    grid = F.affine_grid(turn, [count, 3, side, side], align_corners=False)
    x = pictures.permute(0, 3, 1, 2).float() / 255
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _lit(x: Tensor, home: bool) -> Tensor:
    """Lighter or darker; a photograph now and then by another lamp, out of focus, or noisy."""
    count, side, device = len(x), x.shape[-1], x.device

    def uniform() -> Tensor:
        return torch.rand(count, 1, 1, 1, device=device)

    def normal(channels: int = 1) -> Tensor:
        return torch.randn(count, channels, 1, 1, device=device)

    strength = 0.15 if home else 0.08
    gain = torch.exp(normal() * strength) * torch.exp(normal(3) * (strength / 4))
    x = torch.where(uniform() < 0.8, x * gain + normal() * (8 / 255), x)
    if not home:
        return x
    gamma, warm = torch.exp(normal() * 0.25), torch.exp(normal() * 0.12)
    lamp = x.clamp(1e-4, 1) ** gamma
    lamp = torch.cat([lamp[:, :1] * warm, lamp[:, 1:2], lamp[:, 2:] / warm], 1)
    x = torch.where(uniform() < 0.2, lamp, x)
    small = F.interpolate(x, size=side // 4, mode="bilinear", antialias=True)
    soft = F.interpolate(small, size=side, mode="bilinear")
    x = torch.where(uniform() < 0.08, x * 0.4 + soft * 0.6, x)
    return x + torch.randn_like(x) * (0.03 * uniform()) * (uniform() < 0.25)


def _covered(x: Tensor) -> Tensor:
    """Sometimes a rectangle of one colour over a part."""
    count, side, device = len(x), x.shape[-1], x.device
    size = 0.08 + 0.32 * torch.rand(count, 2, 1, device=device)
    begin = torch.rand(count, 2, 1, device=device) * (1 - size)
    place = (torch.arange(side, device=device) + 0.5) / side
    inside = (place > begin) & (place < begin + size)  # (B, 2, side): columns, rows
    cover = (inside[:, 1, :, None] & inside[:, 0, None, :])[:, None]
    chosen = torch.rand(count, 1, 1, 1, device=device) < 0.15
    return torch.where(cover & chosen, torch.rand(count, 3, 1, 1, device=device), x)
