"""Banks of pictures ready to train on: photographs as they are, and composites made ahead of time.

A composite costs as much as a step of training, so each photograph gets a number of them once, in a
file; what varies from epoch to epoch (crop, flip, turn, colour) is cheap and done on the way to the
network.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from trashbin import whole_file
from trashbin.errors import PictureError
from trashbin.pictures import read as read_picture
from trashbin.preprocess import close_up, resize, restore
from trashbin.scene import find_thing
from trashbin.training import composite, matte
from trashbin.training.data import LABELS, Fold, Image, Photo, load_pictures
from trashbin.training.model import INPUT_SIZE

Indices = NDArray[np.int64]
NOWHERE = (np.nan,) * 4
Placed = tuple[Image, tuple[float, ...]]


@dataclass(frozen=True)
class Bank:
    """Pictures (N, H, W, 3) RGB uint8; targets and photos (N,): label, and photograph of origin.

    places (N, 4) are boxes of what lies there, as the bin would find them beside its empty tray;
    NaN where it would find nothing, None where there is no tray.
    """

    pictures: NDArray[np.uint8]
    targets: Indices
    photos: Indices
    home: bool
    places: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def shown(self) -> Iterator[Image]:
        """Each picture, or what the bin would show the network of it."""
        whole = repeat(NOWHERE, len(self))
        places: Iterable[Any] = whole if self.places is None else self.places
        for picture, place in zip(self.pictures, places, strict=True):
            yield close_up(picture, None if np.isnan(place[0]) else tuple(place))


def home_bank(root: Path, photos: Sequence[Photo], cache: Path) -> Bank:
    """The photographs themselves, 400 x 300."""
    targets = np.array([photo.target for photo in photos], np.int64)
    return Bank(load_pictures(root, photos, cache), targets, np.arange(len(photos)), True)


def placed(rng: np.random.Generator, tray: composite.Tray) -> Placed:
    """A picture of a tray, and the box of what lies there as the bin finds it."""
    picture, empty = tray.shots(rng)
    return picture, find_thing(picture, [empty]) or NOWHERE


def _pool(workers: int) -> ProcessPoolExecutor:
    """Processes that end with the one that began them, a killed one too."""
    # spawned, not forked: OpenCV's threads do not survive a fork
    return ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent)


def end_with_parent() -> None:
    """From now on this process ends as its parent does: one that waits for work would wait on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends it
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def _composites(picture: Image, photo: Photo, fold: Fold, each: int, seed: int) -> list[Placed]:
    """The draws depend on the photograph's name and the seed alone."""
    cv2.setNumThreads(1)
    found = matte.make_matte(picture)
    number = int(hashlib.sha256(f"{seed}/{photo.path}".encode()).hexdigest()[:12], 16)
    rng = np.random.default_rng(number)
    return [placed(rng, composite.composite(rng, found, photo.label, fold)) for _ in range(each)]


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
    if not file.exists():
        pictures = load_pictures(root, photos, cache)
        work = partial(_composites, fold=fold, each=each, seed=seed)
        with _pool(workers) as pool:
            results = pool.map(work, (np.array(p) for p in pictures), photos, chunksize=8)
            counted = tqdm(results, f"composites ({fold})", len(photos), mininterval=5)
            _save(file, [one for result in counted for one in result])
    targets = np.repeat(np.array([photo.target for photo in photos], np.int64), each)
    return Bank(
        np.load(file, mmap_mode="r"),
        targets,
        np.repeat(np.arange(len(photos)), each),
        False,
        np.load(_places(file)),
    )


def _places(file: Path) -> Path:
    return file.with_suffix(".places.npy")


def _save(file: Path, made: Sequence[Placed]) -> None:
    """The places first: where pictures are found, so are theirs."""
    pictures, places = zip(*made, strict=True)
    for path, array in ((_places(file), np.array(places, np.float64)), (file, np.stack(pictures))):
        with whole_file.writing(path) as out:
            np.save(out, array)


NO_CLASS = -1  # the target of a thing of none of the classes, and of an empty tray


def _stranger(number: int, fold: Fold, seed: int) -> Placed:
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, number))
    return placed(rng, composite.stranger(rng, fold))


def stranger_bank(count: int, fold: Fold, cache: Path, seed: int = 0, workers: int = 2) -> Bank:
    """`count` pictures of things of no class, and of empty trays, on the fold's backgrounds."""
    file = cache / f"strangers-{fold}-{count}x{seed}-r{composite.RECIPE}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        work = partial(_stranger, fold=fold, seed=seed)
        with _pool(workers) as pool:
            made = pool.map(work, range(count), chunksize=16)
            _save(file, list(tqdm(made, f"strangers ({fold})", count, mininterval=5)))
    targets = np.full(count, NO_CLASS, np.int64)
    return Bank(
        np.load(file, mmap_mode="r"), targets, np.arange(count), False, np.load(_places(file))
    )


def folder_bank(folder: Path) -> Bank:
    """Pictures in `folder/<label>/`, all of one size, such as rendered scenes."""
    found = sorted(path for label in LABELS for path in folder.glob(f"{label}/*.jpg"))
    files = [(path, LABELS.index(path.parent.name)) for path in found]
    pictures = [read_picture(path) for path, _ in files]
    if len({picture.shape for picture in pictures}) > 1:
        raise PictureError(f"{folder}: its pictures are of several sizes; render them anew")
    targets = np.array([target for _, target in files], np.int64)
    return Bank(np.stack(pictures), targets, np.arange(len(files)), False)


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

    As the daemon makes it; in memory the channels come last.
    """
    small = np.stack([restore(resize(np.ascontiguousarray(p), size, size)) for p in pictures])
    batch = (
        torch.from_numpy(small).permute(0, 3, 1, 2).to(torch.float32)
    )  # NHWC memory: already channels last
    return batch.mul_(1 / 127.5).sub_(1.0)
