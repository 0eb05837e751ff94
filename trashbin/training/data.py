"""TrashNet on disk: reading, splitting by group, and a cache of small pictures.

A group holds the photographs of one object (or of objects too alike to tell apart). A fold holds
whole groups, so no object stands on both sides. The split is a pure function of the group ids,
their labels and a seed: anyone re-derives it.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from trashbin import whole_file
from trashbin.errors import PictureError
from trashbin.pictures import read as read_picture

Image = NDArray[np.uint8]
Fold = Literal["train", "val", "calib", "test"]

LABELS: tuple[str, ...] = ("cardboard", "glass", "metal", "paper", "plastic", "trash")
FOLDS: tuple[Fold, ...] = get_args(Fold)
# What each fold may decide: train the weights; val the checkpoint and the interpolation; calib
# temperature and thresholds; test nothing, it is only reported.
SHARES: dict[Fold, float] = {"test": 0.15, "calib": 0.10, "val": 0.10, "train": 0.65}
SPLIT_SEED = "trashnet-2026"
CACHE_SIZE = (400, 300)  # width, height in pixels: more than any network here is shown
LITE = "efficientnet_lite0_int8.tflite"  # start weights
LARGE = "mobilenetv3_large_imagenet_folded.npz"
COLUMNS = ("path", "label", "group")
NAMED = 10  # photographs that cannot be used are told by name, so many of them


@dataclass(frozen=True)
class Photo:
    """One photograph: its path under the data folder, its label, its group (object)."""

    path: str
    label: str
    group: str

    @property
    def target(self) -> int:
        """The label's number."""
        return LABELS.index(self.label)


def data_folder() -> Path:
    """Where the photographs lie: TRASHNET, or beside the repository."""
    return Path(os.environ.get("TRASHNET", "../shared/trashnet"))


def weights_folder() -> Path:
    """Where the start weights lie: TRASHBIN_WEIGHTS, or beside the repository."""
    return Path(os.environ.get("TRASHBIN_WEIGHTS", "../shared/weights"))


def lacking(root: Path) -> str | None:
    """Why there are no photographs to read in a folder; None where there are."""
    if not (root / "groups.csv").is_file():
        return (
            f"{root}: has no groups.csv; name the TrashNet photographs with --data, or set TRASHNET"
        )
    try:
        photos = read_photos(root)
    except PictureError as error:
        return str(error)
    return None if photos else f"{root / 'groups.csv'}: names no photograph"


def empty_fold(root: Path, folds: Iterable[Fold]) -> str | None:
    """Which of these folds has no photograph, or which label nothing is learned of; or None."""
    photos = read_photos(root)
    for fold in folds:
        labels = {photo.label for photo in fold_photos(photos, fold)}
        missing = [label for label in LABELS if label not in labels]
        if not labels or (fold == "train" and missing):
            of = f" of {', '.join(missing)}" if labels else ""
            return (
                f"{root / 'groups.csv'}: has no photograph{of} for the fold {fold}; each label "
                "needs four groups or more, so that there is one for each fold"
            )
    return None


def read_photos(root: Path) -> list[Photo]:
    """All photographs listed in `root/groups.csv` (columns path, label, group), in file order.

    PictureError names the line that is none.
    """
    file, photos = root / "groups.csv", []
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            for number, row in enumerate(csv.DictReader(lines), 2):
                path, label, group = (row.get(column) for column in COLUMNS)
                if not (path and label and group):
                    raise PictureError(
                        f"{file}: row {number}: expected {', '.join(COLUMNS)}, separated by commas "
                        "and so named in the first row"
                    )
                if label not in LABELS:
                    raise PictureError(
                        f"{file}: row {number}: found the label {label!r}, expected one of "
                        + ", ".join(LABELS)
                    )
                photos.append(Photo(path, label, group))
    except (UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{file}: is no CSV in UTF-8 ({error})") from error
    return photos


def split_groups(photos: Iterable[Photo], seed: str = SPLIT_SEED) -> dict[str, Fold]:
    """Group id -> fold, stratified by the group's commonest label.

    Within a label the groups are put in the order of a hash of (seed, group); walking along, each
    goes to the fold that is furthest behind its share of photographs. Big groups (over 3
    photographs: one object many times) go to train, so that no held-out figure rests on one object.
    """
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for photo in photos:
        labels[photo.group][photo.label] += 1
    by_label: dict[str, list[str]] = defaultdict(list)
    for group, counts in labels.items():
        by_label[min(counts, key=lambda label: (-counts[label], label))].append(group)
    folds: dict[str, Fold] = {}
    for label in sorted(by_label):
        groups = sorted(
            by_label[label], key=lambda g: hashlib.sha256(f"{seed}/{g}".encode()).hexdigest()
        )
        filled: dict[Fold, float] = dict.fromkeys(SHARES, 0.0)
        for group in sorted(
            groups, key=lambda g: labels[g].total() <= 3
        ):  # stable: the big ones first
            size = labels[group].total()
            fold: Fold = "train" if size > 3 else min(SHARES, key=lambda f: filled[f] / SHARES[f])
            folds[group] = fold
            filled[fold] += size
    return folds


def limited(photos: list[Photo], limit: int) -> list[Photo]:
    """At most `limit` photographs, the labels taking turns."""
    if not limit:
        return photos
    seen: dict[str, int] = {}
    ranks = {}
    for photo in photos:
        ranks[photo.path] = seen[photo.label] = seen.get(photo.label, 0) + 1
    return sorted(photos, key=lambda photo: (ranks[photo.path], photo.label))[:limit]


def fold_photos(photos: Sequence[Photo], fold: Fold, seed: str = SPLIT_SEED) -> list[Photo]:
    """The photographs of one fold, in file order."""
    folds = split_groups(photos, seed)
    return [photo for photo in photos if folds[photo.group] == fold]


def load_pictures(root: Path, photos: Sequence[Photo], cache: Path) -> NDArray[np.uint8]:
    """(N, 300, 400, 3) RGB uint8, decoded once and kept in `cache`.

    They are kept under a digest of the list and of each file's size and time. PictureError names
    those that cannot be used.
    """
    width, height = CACHE_SIZE
    told = "\n".join(f"{photo.path} {_stamp(root / photo.path)}" for photo in photos)
    digest = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:12]
    file = cache / f"pictures-{width}x{height}-{digest}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        small = np.empty((len(photos), height, width, 3), np.uint8)
        complaints = []
        for row, photo in zip(small, photos, strict=True):
            try:
                picture = read_picture(root / photo.path)
            except PictureError as error:
                complaints.append(str(error))
                continue
            row[:] = cv2.resize(picture, CACHE_SIZE, interpolation=cv2.INTER_AREA)
        if complaints:
            raise PictureError(_complained(complaints, root))
        with whole_file.writing(file) as out:
            np.save(out, small)
    loaded: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return loaded


def _stamp(path: Path) -> str:
    """Tells a photograph from another of the same name; nothing where there is none."""
    try:
        of = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL byte in the name
        return ""
    return f"{of.st_size} {of.st_mtime_ns}"


def _complained(complaints: Sequence[str], root: Path) -> str:
    """All of them in one message."""
    more = [f"and {len(complaints) - NAMED} more"] if len(complaints) > NAMED else []
    lines = "".join(f"\n  {each}" for each in [*complaints[:NAMED], *more])
    return (
        f"{len(complaints)} photographs cannot be used; copy them again, or take their lines out "
        f"of {root / 'groups.csv'}:{lines}"
    )


def link_fold(root: Path, fold: Fold, out: Path) -> int:
    """Writes a fold as `out/<label>/<file>` symlinks for `trashbin evaluate`; returns how many."""
    photos = fold_photos(read_photos(root), fold)
    for photo in photos:
        link = out / photo.label / Path(photo.path).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to((root / photo.path).resolve())
    return len(photos)
