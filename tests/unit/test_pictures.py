"""Picture files, the good and the bad."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support_cli import call
from trashbin import pictures
from trashbin.errors import PictureError
from trashbin.quiet import quiet

Image = npt.NDArray[np.uint8]


def flag() -> Image:
    """Upright RGB, 24 x 16: red above, green below; the left edge blue."""
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8], image[8:], image[:, :4] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    return image


def encoded(suffix: str, image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    """A file of an RGB or RGBA (H, W, 3 or 4) or grey (H, W) image."""
    if image.ndim == 3:
        order = [2, 1, 0, 3][: image.shape[2]]
        image = np.ascontiguousarray(image[..., order])
    return cv2.imencode(suffix, image)[1].tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that says how it has to be turned."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_of(width: int, height: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """One of 8 bits R, G, B that has ``more`` chunks before its rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    whole = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        named = name + body
        whole += struct.pack(">I", len(body)) + named + struct.pack(">I", zlib.crc32(named))
    return whole


def png_that_claims(width: int, height: int) -> bytes:
    return png_of(width, height, b"\0" * 100)


def jpeg_of_scans(scans: int) -> bytes:
    """A progressive one, 8 x 8 and grey: each scan is a few bytes, whatever the picture's size."""

    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    def code(table: int, symbol: int) -> bytes:
        return segment(0xC4, bytes([table, 1, *15 * [0], symbol]))

    start = segment(0xDB, b"\0" + 64 * b"\1") + segment(0xC2, b"\x08\0\x08\0\x08\1\1\x11\0")
    levels = segment(0xDA, b"\1\1\0\0\0\0") + b"\0"
    return (
        b"\xff\xd8" + start + code(0x00, 0) + code(0x10, 0) + levels
        + (scans - 1) * (segment(0xDA, b"\1\1\0\1\x3f\0") + b"\0") + b"\xff\xd9"
    )  # fmt: skip


JPEG, PNG = encoded(".jpg", flag()), encoded(".png", flag())


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_formats_come_out_as_rgb(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"flag{suffix}"
    file.write_bytes(encoded(suffix, flag()))
    pixels = pictures.read(file)
    assert (pixels.shape, pixels.dtype) == ((16, 24, 3), np.uint8)
    assert pixels[2, 15].argmax() == 0 and pixels[13, 15].argmax() == 1
    assert pixels[8, 1].argmax() == 2


def test_content_and_not_the_name_says_what_a_file_is(tmp_path: Path) -> None:
    file = tmp_path / "flag.jpg"
    file.write_bytes(PNG)
    assert (pictures.read(file) == flag()).all()


def test_a_phone_held_upright_gives_an_upright_picture() -> None:
    # orientation 6: what was recorded has to be turned by 90 degrees clockwise
    recorded = encoded(".jpg", np.rot90(flag(), 1))
    upright = pictures.decode(with_orientation(recorded, 6))
    assert upright.shape == (16, 24, 3)
    assert upright[2, 15].argmax() == 0 and upright[13, 15].argmax() == 1


def test_grey_becomes_colour() -> None:
    assert (pictures.decode(encoded(".png", np.full((4, 5), 90, np.uint8))) == 90).all()


def test_sixteen_bits_become_eight() -> None:
    deep = flag().astype(np.uint16) * 257
    assert (pictures.decode(encoded(".png", deep)) == flag()).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_transparent_lies_on_white(dtype: type[np.uint8] | type[np.uint16]) -> None:
    most = np.iinfo(dtype).max
    image = np.zeros((4, 6, 4), dtype)
    image[:, :, :3] = [each * (most // 255) for each in (200, 100, 0)]
    image[:, 2:4, 3], image[:, 4:, 3] = most // 2, most
    pixels = pictures.decode(encoded(".png", image))
    assert (pixels[:, :2] == 255).all() and (pixels[:, 4:] == (200, 100, 0)).all()
    assert (abs(pixels[:, 2:4].astype(int) - (228, 178, 128)) <= 1).all()


def test_a_colour_that_a_png_says_is_transparent_lies_on_white() -> None:
    rows = b"\0" + 2 * b"\x07\x08\x09" + 2 * b"\x01\x02\x03"
    clear = (b"tRNS", struct.pack(">HHH", 7, 8, 9))
    assert (pictures.decode(png_of(4, 1, rows, clear))[:, :2] == 255).all()
    assert (pictures.decode(png_of(4, 1, rows, clear))[:, 2:] == (1, 2, 3)).all()


def test_sixteen_bits_with_transparency_take_little_more_than_their_pixels() -> None:
    content = encoded(".png", np.full((1000, 1000, 4), 2**15, np.uint16))
    tracemalloc.start()
    try:
        pictures.decode(content)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 16_000_000  # 8 of them, 3 of what comes out, and that once more as R, G, B


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"just a text\n", "is no picture"),
        (b"\0" * 5000, "is no picture"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 300, "save it as a JPEG"),
        (JPEG[:2], "breaks off"),
        (JPEG[:100], "breaks off"),
        (JPEG[: len(JPEG) // 2], "breaks off"),
        (JPEG[:-2], "breaks off"),
        (PNG[:20], "breaks off"),
        (PNG[: len(PNG) // 2], "breaks off"),
        (PNG[:60] + b"?" + PNG[61:], "is no picture"),
        (png_that_claims(30_000, 30_000), "is too large: 30000 x 30000"),
        (png_that_claims(0, 10), "without pixels"),
    ],
)
def test_a_bad_file_is_told_in_plain_words(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    with pytest.raises(PictureError, match=told) as raised:
        pictures.read(file)
    assert str(raised.value).startswith(f"{file}: ")


def test_a_jpeg_that_claims_too_much_is_not_unpacked() -> None:
    at = JPEG.index(b"\xff\xc0") + 5
    huge = JPEG[:at] + struct.pack(">HH", 60_000, 60_000) + JPEG[at + 4 :]
    with pytest.raises(PictureError, match="60000 x 60000"):
        pictures.decode(huge)


def test_other_formats_that_claim_too_much_are_not_unpacked() -> None:
    # in a process of its own: OpenCV learns its limit as it loads
    code = "import sys; from trashbin import pictures; pictures.decode(sys.stdin.buffer.read())"
    bitmap = encoded(".bmp", flag())
    huge = bitmap[:18] + struct.pack("<ii", 20_000, 20_000) + bitmap[26:]
    done = subprocess.run([sys.executable, "-c", code], input=huge, capture_output=True)
    assert b"PictureError: is too large: 50 megapixels" in done.stderr


def test_rows_beyond_a_pngs_last_are_not_unpacked() -> None:
    rows = 16 * (b"\0" + 24 * b"\x07\x08\x09")
    assert (pictures.decode(png_of(24, 16, rows)) == (7, 8, 9)).all()
    with quiet():  # some programs write a few too many
        assert (pictures.decode(png_of(24, 16, rows + bytes(30_000))) == (7, 8, 9)).all()
    with pytest.raises(PictureError, match="is a PNG that breaks off or is damaged"):
        pictures.decode(png_of(24, 16, rows + bytes(10_000_000)))


def test_a_jpeg_of_more_scans_than_any_program_writes_is_not_unpacked() -> None:
    """Each goes over all of the picture: 64 MB of scans would take most of an hour."""
    assert pictures.decode(jpeg_of_scans(100)).shape == (8, 8, 3)
    with pytest.raises(PictureError, match="is a JPEG that breaks off or is damaged"):
        pictures.decode(jpeg_of_scans(101))
    progressive = cv2.imencode(".jpg", flag(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    video = 200 * b"\xff\xda\0\x0c"  # as phones put after the picture
    assert pictures.decode(progressive + video).shape == (16, 24, 3)
    preview = struct.pack(">BBH", 0xFF, 0xE1, 802) + video
    assert pictures.decode(JPEG[:2] + preview + JPEG[2:]).shape == (16, 24, 3)


@pytest.mark.parametrize("start", [JPEG[:2], jpeg_of_scans(2)[:-2]], ids=["before", "after"])
def test_a_jpeg_of_more_segments_than_a_picture_has_is_not_walked_to_its_end(
    start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60 MB of empty ones, before its picture or after, kept the page busy for ten seconds."""
    monkeypatch.setattr(pictures, "MAX_SEGMENTS", 50)
    rest = JPEG[2:] if start == JPEG[:2] else b"\xff\xd9"
    empty = b"\xff\xe1\0\2"
    assert pictures.decode(start + 40 * empty + rest).size
    with pytest.raises(PictureError, match="breaks off or is damaged"):
        pictures.decode(start + 60 * empty + rest)
    assert pictures.decode(JPEG[:2] + 10_000 * b"\xff" + JPEG[2:]).size, "these fill up to a marker"


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", len(PNG) - 1)
    with pytest.raises(PictureError, match="is larger than"):
        pictures.decode(PNG)
    (tmp_path / "large.png").write_bytes(PNG)  # of which no more is read than tells so
    with pytest.raises(PictureError, match="is larger than"):
        pictures.read(tmp_path / "large.png")


def test_bytes_that_fill_up_to_a_marker_are_skipped() -> None:
    """Any marker of a JPEG may have some before it: ISO/IEC 10918-1, B.1.1.2."""
    at = JPEG.index(b"\xff\xdb")
    filled = JPEG[:at] + b"\xff\xff\xff" + JPEG[at:]
    assert (pictures.decode(filled) == pictures.decode(JPEG)).all()


@pytest.mark.parametrize("way", ["OPTIMIZE", "PROGRESSIVE", "RST_INTERVAL"])
def test_a_jpeg_written_any_way_is_read(way: str) -> None:
    """Its Huffman tables' markers lie among those that tell its size."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    for image in (flag(), noise, np.full((8, 8, 3), 90, np.uint8)):
        jpeg = cv2.imencode(".jpg", image, [getattr(cv2, f"IMWRITE_JPEG_{way}"), 1])[1]
        assert pictures.decode(jpeg.tobytes()).shape == image.shape


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, told in [
        (tmp_path / "none.jpg", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "is no regular file"),
        (Path("a\0b"), r"cannot be read \(embedded null"),
        (Path("x" * 5000), r"cannot be read \(File name too long\)"),
    ]:
        with pytest.raises(PictureError, match=told):
            pictures.read(path)


@settings(max_examples=200, deadline=None)  # a damaged header may claim a large picture
@given(
    st.binary(max_size=200), st.sampled_from([b"", JPEG[:4], PNG[:8], b"BM", b"RIFF", b"GIF89a"])
)
def test_any_bytes_are_a_picture_or_a_picture_error(content: bytes, start: bytes) -> None:
    with quiet():
        check(start + content)


@settings(max_examples=200, deadline=None)  # a damaged header may claim a large picture
@given(
    st.sampled_from([JPEG, PNG, *(encoded(s, flag()) for s in (".webp", ".tiff", ".bmp"))]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_picture_is_a_picture_or_a_picture_error(
    whole: bytes, damage: list[tuple[int, int]]
) -> None:
    content = bytearray(whole)
    for at, value in damage:
        content[at % len(content)] = value
    with quiet():
        check(bytes(content))


def check(content: bytes) -> None:
    try:
        pixels = pictures.decode(content)
    except PictureError as error:
        assert str(error)
    else:
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8


def test_decoders_are_kept_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet(), pytest.raises(PictureError):
        pictures.decode(PNG[:60] + b"?" + PNG[61:])
    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


def test_pictures_are_found_below_a_folder_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.png", ".hidden/d.png", "notes.txt", ".e.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert pictures.find(tmp_path) == [tmp_path / "a" / "c.png", tmp_path / "b.JPG"]


def test_where_a_label_is_named_empty_its_pictures_are_no_trays(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.png").write_bytes(PNG)
    (tmp_path / "empty" / "b.png").write_bytes(PNG[:60])
    [tray], [complaint] = pictures.trays(tmp_path, ("glass", "metal"))
    assert tray.shape == (120, 160, 3) and "b.png" in complaint
    assert pictures.trays(tmp_path, ("glass", "empty")) == ([], [])


@pytest.mark.parametrize("name", ["a.jfif", "b.AVIF", "c.jp2", "d.pgm", "IMG_1.HEIC"])
def test_a_browsers_and_a_phones_pictures_are_not_left_out_silently(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    assert pictures.find(tmp_path) == [tmp_path / name]


@pytest.mark.parametrize("command", ["evaluate", "calibrate"])
def test_a_folder_that_may_not_be_looked_into_is_not_left_out_silently(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("glass", "metal"):
        (tmp_path / label).mkdir()
    scan = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path).name == "metal":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    done = call(command, tmp_path)
    assert done.exit_code == 2
    assert f"{tmp_path / 'metal'} cannot be looked into (Permission denied)" in done.output
