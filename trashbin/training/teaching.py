"""python -m trashbin.training.teaching: what ``trashbin teach`` does for trays of its own.

A tray is one background in one light and lens (wire mesh and terrazzo are among those that trained
what ships, the others are not); what lies on it are photographs of the folds `calib` and `test`,
which trained nothing (`val` did). Ten answers a label are learned from; judged are that tray's
other items, none of a group that was answered, and what is lost at home, the photographs of these
folds, as they are, of whose groups none lies on a tray.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trashbin.fitting import Items, Last, teach
from trashbin.looking import mean_features, turned
from trashbin.model import tflite
from trashbin.model.tflite import TFLiteClassifier
from trashbin.pictures import read as read_picture
from trashbin.scene import find_thing
from trashbin.settings import Model
from trashbin.training import backgrounds, composite, matte
from trashbin.training.command import count, plainly
from trashbin.training.data import (
    LABELS,
    Fold,
    Image,
    Photo,
    data_folder,
    empty_fold,
    fold_photos,
    lacking,
    read_photos,
)
from trashbin.types import Frame

UNTRAINED: tuple[Fold, ...] = ("calib", "test")  # folds whose photographs trained nothing
EACH = 10  # answers a label
ON_TRAY = 32  # photographs a label


def plain(picture: Image) -> Image:
    """A camera as good as the training's."""
    return picture


def warm(picture: Image) -> Image:
    """A bulb's light, and a lens out of focus."""
    lit = picture.astype(np.float32) * np.array([1.0, 0.72, 0.45], np.float32)
    pale = lit.mean() + (lit - lit.mean()) * 0.55
    soft = cv2.GaussianBlur(np.clip(pale * 0.9, 0, 255).astype(np.uint8), (0, 0), 1.5)
    return np.asarray(soft, np.uint8)


def grey(picture: Image) -> Image:
    """Haze before the lens: little colour, little contrast."""
    mean = picture.mean(2, keepdims=True, dtype=np.float32)
    pale = 60 + (mean + (picture - mean) * 0.3) * 0.45
    return np.asarray(np.clip(pale, 0, 255), np.uint8)


def amber(picture: Image) -> Image:
    """A street lamp's light: next to no blue."""
    lit = picture.mean(2, keepdims=True, dtype=np.float32) * 0.6 + picture.astype(np.float32) * 0.4
    return np.asarray(np.clip(lit * np.array([1.1, 0.7, 0.15], np.float32), 0, 255), np.uint8)


def blue(picture: Image) -> Image:
    """A blue lamp."""
    lit = picture.mean(2, keepdims=True, dtype=np.float32) * 0.5 + picture.astype(np.float32) * 0.5
    return np.asarray(np.clip(lit * np.array([0.35, 0.6, 1.2], np.float32), 0, 255), np.uint8)


def unfocused(picture: Image) -> Image:
    """A lens out of focus."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 3.0), np.uint8)


def far_out_of_focus(picture: Image) -> Image:
    """Twice as far out of focus."""
    return unfocused(unfocused(unfocused(unfocused(picture))))


def dripping(picture: Image) -> Image:
    """A lens with drops on it: all is smeared one way, and streaks of light lie over it."""
    smeared = cv2.blur(picture, (23, 1)).astype(np.float32)
    across = np.arange(picture.shape[1], dtype=np.float32)
    streaks = 70 * np.abs(np.sin(across / 9) * np.sin(across / 31))[None, :, None]
    return np.asarray(np.clip(smeared * 0.7 + streaks, 0, 255), np.uint8)


def glaring(picture: Image) -> Image:
    """Light on the lens: nothing is dark."""
    return np.asarray(140 + picture.astype(np.float32) * 0.45, np.uint8)


# name, background, its seed, what light and lens do
TRAYS: tuple[tuple[str, backgrounds.Family, int, Callable[[Image], Image]], ...] = (
    ("printed", backgrounds.printed, 7, plain),
    ("leaves", backgrounds.leaves, 4, plain),
    ("wire mesh", backgrounds.wire_mesh, 5, plain),
    ("concrete", backgrounds.concrete, 3, plain),
    ("printed, warm", backgrounds.printed, 11, warm),
    ("leaves, hazy", backgrounds.leaves, 21, grey),
    ("corrugated, hazy", backgrounds.corrugated, 12, grey),
    ("terrazzo, warm", backgrounds.terrazzo, 9, warm),
    ("printed, amber", backgrounds.printed, 31, amber),
    ("terrazzo, blue", backgrounds.terrazzo, 32, blue),
    ("concrete, unfocused", backgrounds.concrete, 33, unfocused),
    ("corrugated, glare", backgrounds.corrugated, 34, glaring),
    ("leaves, lost focus", backgrounds.leaves, 35, far_out_of_focus),
    ("printed, drops", backgrounds.printed, 36, dripping),
)


@dataclass(frozen=True)
class Seen:
    """What the network saw: items as ``fitting`` takes them, and each photograph's group."""

    items: Items
    groups: NDArray[np.str_]

    def part(self, rows: NDArray[np.int64]) -> Items:
        """Some of the items."""
        return Items(self.items.features[rows], self.items.labels[rows])


def look(
    classifier: TFLiteClassifier,
    photos: list[Photo],
    make: Callable[[Photo], Image],
    empty: Sequence[Image] = (),
) -> Seen:
    """The features of a picture of each photograph, as the event store keeps them.

    What lies there is found beside a picture of the ``empty`` tray, if there is one.
    """
    seen = []
    for photo in photos:
        picture = np.ascontiguousarray(make(photo))
        views = turned(classifier, Frame(picture, 0.0, thing=find_thing(picture, empty)))
        features = mean_features(views)
        assert features is not None
        seen.append(features.astype(np.float16).astype(np.float64))
    labels = np.array([photo.target for photo in photos], np.int64)
    return Seen(Items(np.stack(seen), labels), np.array([photo.group for photo in photos]))


def right(items: Items, logits: NDArray[np.float64]) -> float:
    """Percent."""
    return 100 * float((logits.argmax(1) == items.labels).mean())


def taught(
    tray: Seen, home: Items, rehearsed: Items, own: Last, seed: int, wrong: float
) -> tuple[float, float, float, float]:
    """Before, and by how much tray and home change, in points; seconds. A refused layer is 0."""
    rng = np.random.default_rng(seed)
    labels = tray.items.labels
    rows = [rng.permutation(np.flatnonzero(labels == k))[:EACH] for k in range(len(LABELS))]
    chosen = np.concatenate(rows)
    others = np.flatnonzero(~np.isin(tray.groups, tray.groups[chosen]))
    answers = tray.part(chosen)
    spoilt = rng.permutation(len(chosen))[: round(wrong * len(chosen))]
    shift = rng.integers(1, len(LABELS), len(spoilt))
    answers.labels[spoilt] = (answers.labels[spoilt] + shift) % len(LABELS)
    begun = time.perf_counter()
    outcome = teach(answers, rehearsed, own)
    took = time.perf_counter() - begun
    judged = tray.part(others)
    before = right(judged, own.logits(judged.features))
    if outcome.refused is not None:
        return before, 0.0, 0.0, took
    gain = right(judged, outcome.layer.logits(judged.features, own)) - before
    lost = right(home, outcome.layer.logits(home.features, own)) - right(
        home, own.logits(home.features)
    )
    return before, gain, lost, took


def measure(root: Path, model: str | None, times: int) -> None:
    """Print a line a tray: the mean of several draws of answers, and the worst."""
    classifier = tflite.open_model(Model(), model)
    rehearsal = classifier.file.rehearsal
    if rehearsal is None:
        raise SystemExit(f"{classifier.file.path}: has no rehearsal.npz beside it")
    rehearsed = Items(rehearsal.features.astype(np.float64), rehearsal.targets)
    own = Last(*classifier.last_layer())
    photos = read_photos(root)
    rng = np.random.default_rng(0)
    held_out = [photo for fold in UNTRAINED for photo in fold_photos(photos, fold)]
    things = []
    for label in range(len(LABELS)):
        mine = [photo for photo in held_out if photo.target == label]
        things += [mine[place] for place in rng.permutation(len(mine))[:ON_TRAY]]
    on_trays = {photo.group for photo in things}
    others = [photo for photo in held_out if photo.group not in on_trays]
    home = look(classifier, others, lambda p: read_picture(root / p.path))
    mattes = {p.path: matte.make_matte(read_picture(root / p.path)) for p in things}
    plainly = right(home.items, own.logits(home.items.features))
    print(f"home: {plainly:.1f} % right of {len(others)}; {len(things)} things on each tray")
    print(f"{'':19} before    gain (worst)   a fifth wrong (worst)   home   seconds")
    width, height = composite.SIZE
    for name, family, seed, lens in TRAYS:
        ground = family(np.random.default_rng(seed), height, width)

        def taken(
            lying: NDArray[np.float32],
            frames: int = 1,
            seed: int = seed,
            lens: Callable[[Image], Image] = lens,
        ) -> Image:
            lit = composite.light(np.random.default_rng(seed + 1), lying)
            return lens(composite.camera(np.random.default_rng(seed + 2), lit, rng, frames))

        def make(photo: Photo, ground: NDArray[np.float32] = ground) -> Image:
            layers = composite.place(rng, mattes[photo.path])
            return taken(composite.put_down(rng, ground, layers, photo.label))

        tray = look(classifier, things, make, [taken(ground, composite.EMPTY_FRAMES)])
        good, bad = (
            np.array(
                [taught(tray, home.items, rehearsed, own, each, wrong) for each in range(times)]
            )
            for wrong in (0.0, 0.2)
        )
        before, seconds = good[:, 0].mean(), good[:, 3].max()
        gains = [f"{each[:, 1].mean():+.1f} ({each[:, 1].min():+.1f})" for each in (good, bad)]
        lost = np.append(good[:, 2], bad[:, 2]).min()
        print(
            f"{name:19} {before:5.1f} % {gains[0]:>15} {gains[1]:>23} {lost:+6.1f} {seconds:9.1f}",
            flush=True,
        )


def main() -> None:
    """Measure the shipped network, or another."""
    parser = argparse.ArgumentParser(
        prog="python -m trashbin.training.teaching",
        description="What ten answers a label do for trays that nobody trained on.",
    )
    parser.add_argument("--data", type=Path, default=data_folder(), help="TrashNet folder")
    parser.add_argument("--model", help="NAME[:VARIANT] or a .tflite; the shipped one if left out")
    parser.add_argument("--times", type=count(1), default=5, help="draws of the answers, a tray")
    args = parser.parse_args()
    if why := lacking(args.data) or empty_fold(args.data, UNTRAINED):
        parser.error(why)

    def measured() -> int:
        measure(args.data, args.model, args.times)
        return 0

    raise SystemExit(plainly(measured))


if __name__ == "__main__":
    main()
