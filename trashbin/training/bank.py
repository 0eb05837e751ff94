"""Banks of pictures ready to train on: photographs as they are, and composites made ahead of time.

A composite costs as much as a step of training, so each photograph gets a number of them once, in a
file; what varies from epoch to epoch (crop, flip, turn, colour) is cheap and done on the way to the
network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from trashbin.preprocess import resize
from trashbin.training import composite, matte
from trashbin.training.data import LABELS, Fold, Image, Photo, load_pictures, read_picture
from trashbin.training.model import INPUT_SIZE

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Bank:
    """Pictures (N, H, W, 3) RGB uint8; targets and photos (N,): label, and photograph of origin."""

    pictures: NDArray[np.uint8]
    targets: Indices
    photos: Indices
    home: bool

    def __len__(self) -> int:
        return len(self.targets)


def home_bank(root: Path, photos: Sequence[Photo], cache: Path) -> Bank:
    """The photographs themselves, 400 x 300."""
    targets = np.array([photo.target for photo in photos], np.int64)
    return Bank(load_pictures(root, photos, cache), targets, np.arange(len(photos)), True)


def _composites(
    picture: Image, photo: Photo, fold: Fold, each: int, seed: int
) -> NDArray[np.uint8]:
    """(each, 240, 320, 3): the draws depend on the photograph's name and the seed alone."""
    cv2.setNumThreads(1)
    found = matte.make_matte(picture)
    number = int(hashlib.sha256(f"{seed}/{photo.path}".encode()).hexdigest()[:12], 16)
    rng = np.random.default_rng(number)
    return np.stack([composite.composite(rng, found, photo.label, fold) for _ in range(each)])


def away_bank(
    root: Path,
    photos: Sequence[Photo],
    fold: Fold,
    each: int,
    cache: Path,
    seed: int = 0,
    workers: int = 2,
) -> Bank:
    """`each` composites of every photograph, on the fold's backgrounds, 320 x 240."""
    names = hashlib.sha256("\n".join(photo.path for photo in photos).encode()).hexdigest()[:8]
    file = cache / f"away-{fold}-{each}x{seed}-{names}-r{composite.RECIPE}.npy"
    width, height = composite.SIZE
    if not file.exists():
        pictures = load_pictures(root, photos, cache)
        made = np.empty((len(photos), each, height, width, 3), np.uint8)
        work = partial(_composites, fold=fold, each=each, seed=seed)
        # spawned, not forked: OpenCV's threads do not survive a fork
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            results = pool.map(work, (np.array(p) for p in pictures), photos, chunksize=8)
            for row, result in zip(
                made, tqdm(results, f"composites ({fold})", len(photos), mininterval=5), strict=True
            ):
                row[:] = result
        part = file.with_suffix(".part.npy")
        np.save(part, made.reshape(-1, height, width, 3))
        part.replace(file)
    targets = np.repeat(np.array([photo.target for photo in photos], np.int64), each)
    return Bank(
        np.load(file, mmap_mode="r"), targets, np.repeat(np.arange(len(photos)), each), False
    )


NO_CLASS = -1  # the target of a thing of none of the classes, and of an empty tray


def _stranger(number: int, fold: Fold, seed: int) -> Image:
    cv2.setNumThreads(1)
    return composite.stranger(np.random.default_rng((seed, number)), fold)


def stranger_bank(count: int, fold: Fold, cache: Path, seed: int = 0, workers: int = 2) -> Bank:
    """`count` pictures of things of no class, and of empty trays, on the fold's backgrounds."""
    file = cache / f"strangers-{fold}-{count}x{seed}-r{composite.RECIPE}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        work = partial(_stranger, fold=fold, seed=seed)
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            made = pool.map(work, range(count), chunksize=16)
            pictures = np.stack(list(tqdm(made, f"strangers ({fold})", count, mininterval=5)))
        part = file.with_suffix(".part.npy")
        np.save(part, pictures)
        part.replace(file)
    targets = np.full(count, NO_CLASS, np.int64)
    return Bank(np.load(file, mmap_mode="r"), targets, np.arange(count), False)


def folder_bank(folder: Path) -> Bank:
    """Pictures in `folder/<label>/`, all of one size, such as rendered scenes."""
    files = [(path, LABELS.index(path.parent.name)) for path in sorted(folder.glob("*/*.jpg"))]
    pictures = np.stack([read_picture(path) for path, _ in files])
    targets = np.array([target for _, target in files], np.int64)
    return Bank(pictures, targets, np.arange(len(files)), False)


def joined(*banks: Bank) -> Bank:
    """Banks of pictures of one size as one; the photographs are numbered on."""
    counts = np.cumsum([0, *(len(set(bank.photos.tolist())) for bank in banks)])
    return Bank(
        np.concatenate([bank.pictures for bank in banks]),
        np.concatenate([bank.targets for bank in banks]),
        np.concatenate([bank.photos + n for bank, n in zip(banks, counts, strict=False)]),
        banks[0].home,
    )


def as_input(pictures: Sequence[Image], size: int = INPUT_SIZE) -> Tensor:
    """RGB uint8 pictures of any size -> (N, 3, size, size) float32 in -1..1.

    Stretched as the daemon does; in memory the channels come last.
    """
    small = np.stack([resize(np.ascontiguousarray(p), size, size) for p in pictures])
    batch = (
        torch.from_numpy(small).permute(0, 3, 1, 2).to(torch.float32)
    )  # NHWC memory: already channels last
    return batch.mul_(1 / 127.5).sub_(1.0)
