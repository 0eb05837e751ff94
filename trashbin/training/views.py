"""Pictures ready for the network, with what its teachers say of them, made once and kept.

A view is a picture after crop, flip, turn and light, at the student's input size. A teacher's
answer costs more than a step of the student's training, so each view is shown to the teachers once:
to the fine-tuned network (its logits, at its own larger input) and to the start network (its
pooled features, which hold what ImageNet taught and fine-tuning would forget).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from trashbin.preprocess import resize
from trashbin.training.bank import Bank, as_input, augmented
from trashbin.training.model import MobileNetV3, load, load_start_weights

CHUNK = 256


@dataclass(frozen=True)
class Views:
    """Pictures (N, S, S, 3) uint8; targets (N,); teacher's logits (N, 6), start's features (N, F).

    ``home`` (N,) marks photographs as they are, against composites and rendered scenes.
    """

    pictures: NDArray[np.uint8]
    targets: NDArray[np.int64]
    home: NDArray[np.bool_]
    logits: NDArray[np.float16]
    features: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.targets)


def _nets(teacher: Path, start: Path) -> tuple[MobileNetV3, MobileNetV3]:
    plain = MobileNetV3()
    load_start_weights(plain, start)
    return load(teacher).eval(), plain.to(memory_format=torch.channels_last).eval()


def _chunk(size: int, teacher: Path, start: Path, numbered: tuple[Path, Bank]) -> None:
    """Makes and writes one chunk."""
    file, bank = numbered
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng((int(file.stem), len(bank)))
    tuned, plain = _nets(teacher, start)
    large = [augmented(rng, picture, bank.home) for picture in bank.pictures]
    logits, features = [], []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for k in range(0, len(large), 32):
            x = as_input(large[k : k + 32])
            logits.append(tuned(x).float().numpy())
            features.append(plain.features(x).float().numpy())
    part = file.with_suffix(".part.npz")
    np.savez(
        part,
        pictures=np.stack([resize(p, size, size) for p in large]),
        targets=bank.targets,
        home=np.full(len(bank), bank.home),
        logits=np.concatenate(logits).astype(np.float16),
        features=np.concatenate(features).astype(np.float16),
    )
    part.replace(file)


def make(
    bank: Bank, each: int, size: int, teacher: Path, start: Path, out: Path, workers: int = 2
) -> Path:
    """Writes `each` views of every picture under `out`, in chunks; goes on where it was cut off."""
    out.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(len(bank)).permutation(np.tile(np.arange(len(bank)), each))
    chunks = [order[k : k + CHUNK] for k in range(0, len(order), CHUNK)]
    files = [out / f"{k:04d}.npz" for k in range(len(chunks))]
    todo = [(file, rows) for file, rows in zip(files, chunks, strict=True) if not file.exists()]
    # a worker gets its own rows alone: the whole bank would be copied for every chunk
    parts = (
        (
            file,
            Bank(np.array(bank.pictures[rows]), bank.targets[rows], bank.photos[rows], bank.home),
        )
        for file, rows in todo
    )
    work = partial(_chunk, size, teacher, start)
    with get_context("spawn").Pool(workers) as pool:
        list(tqdm(pool.imap(work, parts), f"views ({out.name})", len(todo), mininterval=5))
    return out


def read(folders: Sequence[Path], packed: Path) -> Views:
    """All chunks of some folders; the pictures lie in the file `packed`, not in memory."""
    files = [file for folder in folders for file in sorted(folder.glob("????.npz"))]
    names = ("targets", "home", "logits", "features")
    parts = [np.load(file) for file in files]
    rest = [np.concatenate([part[name] for part in parts]) for name in names]
    if not packed.exists():
        being_written = packed.with_suffix(".part.npy")
        shape = (len(rest[0]), *parts[0]["pictures"].shape[1:])
        pictures = np.lib.format.open_memmap(being_written, "w+", np.uint8, shape)
        begin = 0
        for part in parts:
            end = begin + len(part["targets"])
            pictures[begin:end], begin = part["pictures"], end
        pictures.flush()
        being_written.replace(packed)
    return Views(np.load(packed, mmap_mode="r"), *rest)
