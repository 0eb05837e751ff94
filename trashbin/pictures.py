"""A picture file -> RGB pixels, and back, with every way it can be wrong told in plain words."""

from __future__ import annotations

import os
import re
import struct
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from trashbin.changes import HEIGHT, WIDTH
from trashbin.errors import PictureError
from trashbin.leases import Leases
from trashbin.types import Pixels

Label = TypeVar("Label", str, str | None)

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000  # OpenCV's own limit is set to the same in trashbin/__init__.py

# What a folder of pictures is searched for. OpenCV goes by content, so others open by name.
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff"})
SUFFIXES |= {".gif", ".avif", ".jp2", ".ppm", ".pgm", ".pnm"}
PHONES = frozenset({".heic", ".heif", ".dng"})  # found too: that they cannot be read is told

EMPTY = "empty"  # the folder, beside those of the labels, with pictures of the empty tray

QUALITIES = (85, 60, 40, 20)  # of JPEG: the next where noise or confetti take more than MOST
MOST = 750_000  # bytes: as an answer's base64, with what goes around it, less than 1 MiB
LONGEST = 1280  # pixels; a broker takes some 100 KB, and no 4096 x 4096

MAX_SCANS = 100  # of a JPEG; programs write some ten, and each goes over all of the picture
MAX_SEGMENTS = 10_000  # of 64 KB, but for those that only take time

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by its colour type
_JPEG = b"\xff\xd8"
_FILL = re.compile(rb"\xff*(?=\xff)")  # before a marker
_MARKER = re.compile(rb"\xff+[^\0\xff\xd0-\xd7]")  # in a scan, which has none but these within
_STRIP = 64  # rows that are laid on white at once
_PIECE = 2**14  # bytes that are unpacked at once
_MEGAPIXELS = MAX_PIXELS // 1_000_000
_AT_MOST = "{} megapixels are the most; make it smaller first"
_BREAKS_OFF = "is a {} that breaks off or is damaged; copy it again"


def read(path: Path) -> Pixels:
    """RGB uint8 (H, W, 3) of a picture file, upright as its EXIF data says.

    Grey becomes colour, 16 bits become 8, and what is transparent lies on white.
    PictureError, beginning with the path, where the file is no usable picture.
    """
    with _named(path):
        return decode(_content(path))


def content(path: Path) -> bytes:
    """The bytes of a picture file, or more than ``MAX_BYTES`` of them.

    PictureError, beginning with the path, where it has none to read.
    """
    with _named(path):
        return _content(path)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error.__cause__


def trays(folder: Path, labels: Sequence[str]) -> tuple[list[Pixels], list[str]]:
    """The pictures of the empty tray in ``folder/empty``, and complaints about those that are none.

    Small, as they are compared: there may be many, and cameras' are large. None where ``empty``
    is one of the labels: then it has pictures to be judged.
    """
    found: list[Pixels] = []
    complaints: list[str] = []
    for file in [] if EMPTY in labels else find(folder / EMPTY):
        try:
            small = cv2.resize(read(file), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            found.append(np.asarray(small, np.uint8))
        except PictureError as error:
            complaints.append(str(error))
    return found, complaints


def kept(file: Path) -> bool:
    """Whether ``trashbin export-labels`` wrote it, by its name: it shows what the network saw."""
    try:
        id = uuid.UUID(file.stem)
    except ValueError:
        return False
    return id.version == 7 and str(id) == file.stem


def unseen(
    found: Sequence[tuple[Path, Label]], taught: frozenset[str]
) -> tuple[list[tuple[Path, Label]], list[str]]:
    """The pictures of items that nothing was ``taught`` with, and a complaint about the others.

    ``trashbin export-labels`` names an item's picture by its event. What was learned by heart is
    no test: of promises made on it more were broken than kept.
    """
    left = [each for each in found if each[0].stem not in taught]
    lost = len(found) - len(left)
    if not lost:
        return left, []
    return left, [
        f"{lost} of {len(found)} pictures left out: the head was taught with these items, "
        "and knows them by heart"
    ]


def decode(content: bytes) -> Pixels:
    """RGB uint8 (H, W, 3) of a picture file's bytes. PictureError says what is wrong.

    At most ``MAX_BYTES`` and ``MAX_PIXELS``: the size that the header states is checked before
    anything is unpacked, here for JPEG and PNG, by OpenCV for the rest; and so is that a few bytes
    of these two do not take minutes.
    """
    if not content:
        raise PictureError("is empty")
    if len(content) > MAX_BYTES:
        raise PictureError("is larger than {} MB", MAX_BYTES // 2**20)
    opaque = _check_header(content)
    data = np.frombuffer(content, np.uint8)
    try:
        # only IMREAD_UNCHANGED keeps transparency
        drawn = None if opaque else cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if drawn is not None and drawn.shape[2:] == (4,) and drawn.dtype in (np.uint8, np.uint16):
            pixels: npt.NDArray[Any] | None = _over_white(drawn)
        else:
            pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)  # turns it upright, makes 8-bit B, G, R
        drawn = None  # of 16 bits it takes more than all that follows
    except (cv2.error, MemoryError) as error:
        if "MAX_IMAGE" in str(error):
            raise PictureError(f"is too large: {_AT_MOST}", _MEGAPIXELS) from error
        raise PictureError("cannot be decoded ({})", _reason(error)) from error
    if pixels is None:
        if content[4:8] == b"ftyp" and content[8:11] in (b"hei", b"hev", b"mif"):
            raise PictureError("is a HEIC picture, as phones make them; save it as a JPEG first")
        raise PictureError("is no picture that can be read (it is damaged, or something else)")
    _check_pixels(pixels.shape[1], pixels.shape[0])
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def encode(pixels: Pixels, lease: Leases | None = None) -> bytes:
    """A JPEG of RGB pixels, its longer side at most ``LONGEST``: for people, not for training.

    At most ``MOST`` bytes, as our broker drops a larger message and tells nobody.
    With a ``lease``, nothing but the JPEG itself is made anew.
    """
    lease = lease or Leases()
    height, width = pixels.shape[:2]
    scale = LONGEST / max(height, width)
    if scale < 1:
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        small = lease("small", (height, width, 3), np.uint8)
        pixels = cv2.resize(pixels, (width, height), small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR, lease("bgr", (height, width, 3), np.uint8))
    for quality in QUALITIES:
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(jpeg) <= MOST:
            break
    return jpeg.tobytes()


def find(folder: Path) -> list[Path]:
    """The picture files below a folder, by their suffix, sorted; hidden ones left out.

    OSError where a folder may not be looked into: without its pictures figures would mislead.
    """
    found: list[Path] = []
    for top, folders, files in os.walk(folder, onerror=_raised):
        found += (Path(top, name) for name in (*folders, *files) if not name.startswith("."))
        folders[:] = (name for name in folders if not name.startswith("."))
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES | PHONES)


def _raised(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # there is none to look into
        raise error


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise PictureError("is a folder; name the pictures in it")
        # a device or a pipe would be read for ever
        if path.exists() and not path.is_file():
            raise PictureError("is no regular file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise PictureError("no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise PictureError(f"cannot be read ({_reason(error)})") from error


def _check_header(content: bytes) -> bool:
    """Size and wholeness of the two formats that nearly every picture has; True where it is opaque.

    False where that is not known.
    """
    if content.startswith(_PNG):
        return _check_png(content)
    if content.startswith(_JPEG):
        _check_jpeg(content)
        return True
    return False


def _check_png(content: bytes) -> bool:
    """Walk the chunks: OpenCV would first allocate what each claims to hold, up to 4 GB."""
    at, header, opaque = len(_PNG), b"", True
    rows: list[tuple[int, int]] = []
    while at + 12 <= len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        end = at + 12 + length
        if end > len(content):
            break
        if name == b"IHDR" and length >= 13:
            header = content[at + 8 : at + 21]
            _check_pixels(*struct.unpack(">II", header[:8]))
            opaque = header[9] in (0, 2, 3)
        elif name in (b"tRNS", b"acTL"):  # transparent colours; an animation's frames
            opaque = False
        elif name == b"IDAT":
            rows.append((at + 8, end - 4))
        elif name == b"IEND":
            _check_rows(header, content, rows)
            return opaque
        at = end
    raise PictureError(_BREAKS_OFF, "PNG")


def _check_rows(header: bytes, content: bytes, rows: list[tuple[int, int]]) -> None:
    """PictureError where a PNG's rows unpack to far more than its size takes.

    libpng would unpack all of it, gigabytes out of a megabyte, and show none of it.
    """
    if not header:
        return  # OpenCV says that it is none
    width, height, bits, colour = struct.unpack(">IIBB", header[:10])
    row = 1 + width * min(bits, 16) * _PNG_CHANNELS.get(colour, 4) // 8
    room = 2 * height * row + 2**16  # interlaced it takes a little more than height * row
    unpacking = zlib.decompressobj()
    try:
        for begin, end in rows:
            for at in range(begin, end, _PIECE):
                packed = content[at : min(at + _PIECE, end)]
                while packed:
                    room -= len(unpacking.decompress(packed, 2**16))
                    if room < 0:
                        raise PictureError(_BREAKS_OFF, "PNG")
                    packed = unpacking.unconsumed_tail
    except zlib.error:
        pass  # OpenCV shows what comes before it, or says that it is none


def _check_jpeg(content: bytes) -> None:
    """Walk the markers to the scan; ISO/IEC 10918-1, annex B, says how they are laid out."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        filled = _FILL.match(content, at)
        if filled is None or (at := filled.end()) + 9 > len(content):
            break
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            _check_pixels(width, height)
        if marker == 0xDA:  # start of scan: in what follows, FF D9 stands only at the end
            if content.find(b"\xff\xd9", at) < 0:
                break
            _check_scans(content, at)
            return
        at += 2 + int(struct.unpack(">H", content[at + 2 : at + 4])[0])
    raise PictureError(_BREAKS_OFF, "JPEG")


def _check_scans(content: bytes, at: int) -> None:
    """PictureError where, from the first at ``at`` on, more than ``MAX_SCANS`` follow."""
    scans = 0
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(content, at)
        if found is None or found[0][-1] == 0xD9:
            return
        scans += found[0][-1] == 0xDA
        if scans > MAX_SCANS:
            break
        at = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
    raise PictureError(_BREAKS_OFF, "JPEG")


def _check_pixels(width: int, height: int) -> None:
    if not width or not height:
        raise PictureError("is a picture without pixels")
    if width * height > MAX_PIXELS:
        what = f"is too large: {{}} x {{}} pixels, {_AT_MOST}"
        raise PictureError(what, width, height, _MEGAPIXELS)


def _over_white(drawn: npt.NDArray[Any]) -> Pixels:
    """B, G, R, alpha of 8 or 16 bits, laid on white -> 8-bit B, G, R."""
    pixels = np.empty((*drawn.shape[:2], 3), np.uint8)
    for top in range(0, len(drawn), _STRIP):  # all at once would take four times as much
        strip = drawn[top : top + _STRIP]
        if drawn.dtype == np.uint16:
            strip = (strip >> 8).astype(np.uint8)
        alpha = strip[:, :, 3:].astype(np.uint16)
        mixed = strip[:, :, :3] * alpha + (255 - alpha) * np.uint16(255)  # at most 255 * 255
        pixels[top : top + _STRIP] = (mixed + 127) // 255
    return pixels


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())[:120] or type(error).__name__
