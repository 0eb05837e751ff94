"""Reads a model's files, and an .npz of plain arrays from bytes that nobody vouches for."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trashbin.errors import ModelError

MAX_BYTES = 64 * 2**20  # unpacked; what is larger is no file of ours but a bomb

Arrays = Mapping[str, npt.NDArray[Any]]


def read(path: Path, sha256: str, size: int) -> bytes:
    """The bytes of a file that has this digest; ModelError where it is another."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path}: digest does not fit its manifest ({len(content)} bytes with sha256 "
            f"{found[:12]}..., expected {size} bytes with {sha256[:12]}...). "
            "The file is torn or was exchanged; install the model again."
        )
    return content


def unpacked(content: bytes, keys: tuple[str, ...]) -> Arrays:
    """The arrays in the bytes of an .npz, none but ``keys``. ValueError says what is wrong."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if sum(member.file_size for member in archive.zip.infolist()) > MAX_BYTES:
                raise ValueError(f"unpacks to more than {MAX_BYTES} bytes")
            arrays = {key: archive[key] for key in archive.files}
    # what NumPy and zipfile raise on bytes that are no archive of plain arrays
    except (ValueError, TypeError, OSError, EOFError, KeyError, AttributeError, RuntimeError,
            NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        told = " ".join(str(error).split())[:200]
        raise ValueError(f"is no .npz of plain arrays ({told})") from error
    for key in arrays:
        if key not in keys:
            raise ValueError(f"{key}: unknown; expected are {', '.join(keys)}")
    return arrays


def taken(arrays: Arrays, key: str, dtypes: tuple[str, ...], ndim: int) -> npt.NDArray[Any]:
    """An array of one of the dtypes, with so many dimensions, not empty, all finite."""
    if key not in arrays:
        raise ValueError(f"{key}: is missing")
    array = arrays[key]
    if array.dtype.name not in dtypes:
        raise ValueError(f"{key}: is {array.dtype.name}, expected {' or '.join(dtypes)}")
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{key}: shape {array.shape}, expected {ndim} dimensions, not empty")
    if not np.isfinite(array).all():
        raise ValueError(f"{key}: holds what is no finite number")
    return array
