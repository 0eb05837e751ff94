"""The album: its cap holds before a picture is written, and uncertain ones are kept longest."""

from __future__ import annotations

import base64
import errno
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from tests.support_events import NOON
from trashbin import pictures, requests, resources
from trashbin.album import KINDS, SPARE, Album
from trashbin.devices.mqtt_retained import as_json
from trashbin.events import new_event_id
from trashbin.settings import Pictures
from trashbin.types import Pixels

MB = 2**20


def noise(seed: int, size: int = 320) -> Pixels:
    """A picture that no JPEG makes small: about a tenth of a megabyte."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def made(folder: Path, **changes: object) -> Album:
    return Album(folder, Pictures.model_validate({"keep": "all", "max_mb": 1} | changes))


def add(album: Album, seed: int, *, uncertain: bool = False) -> str:
    image_id = new_event_id(NOON)
    assert album.add(image_id, noise(seed), uncertain=uncertain) == image_id
    return image_id


def on_disk(folder: Path) -> int:
    """Bytes that the disk gave to everything below the folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def test_what_is_kept_comes_back_as_the_same_picture(tmp_path: Path) -> None:
    album = made(tmp_path)
    soft = np.full((48, 64, 3), (200, 30, 30), np.uint8)
    assert album.add("0" * 36, soft, uncertain=True) == "0" * 36
    for again in (album, made(tmp_path)):
        jpeg = again.read("0" * 36)
        assert jpeg is not None
        assert np.abs(pictures.decode(jpeg).astype(int) - soft).max() < 8
        assert again.used() == (1, 4096)
    assert album.read("../events.sqlite") is None
    assert album.read("1" * 36) is None
    (file,) = tmp_path.rglob("*.jpg")
    file.write_bytes(b"")  # as a power cut leaves a new file
    assert album.read("0" * 36) is None


def test_the_cap_holds_at_any_time_through_a_restart_too(tmp_path: Path) -> None:
    album, ids = made(tmp_path), []
    for seed in range(30):
        if seed == 15:
            album = made(tmp_path)
        ids.append(add(album, seed))
        assert on_disk(tmp_path) <= album.used()[1] <= 1 * MB
    assert album.used()[0] > 5
    kept = [image_id for image_id in ids if album.read(image_id)]
    assert kept == ids[-len(kept) :], "the oldest gave way"


def test_uncertain_pictures_are_kept_longest_and_then_the_newest_of_them(tmp_path: Path) -> None:
    album = made(tmp_path)
    first = [add(album, seed, uncertain=True) for seed in range(4)]
    for seed in range(20):
        add(album, 100 + seed)
    assert all(album.read(image_id) for image_id in first)
    later = [add(album, 200 + seed, uncertain=True) for seed in range(20)]
    kept = [image_id for image_id in first + later if album.read(image_id)]
    assert not list((tmp_path / "sorted").iterdir())
    assert 3 < len(kept) < 20 and kept == (first + later)[-len(kept) :]


def test_a_smaller_cap_holds_from_the_next_picture_on(tmp_path: Path) -> None:
    album = made(tmp_path, max_mb=3)
    for seed in range(20):
        add(album, seed)
    add(made(tmp_path), 99)
    assert on_disk(tmp_path) <= 1 * MB


def test_what_can_not_be_kept_is_told_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = made(tmp_path)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(SPARE))
    assert album.add("0" * 36, noise(1), uncertain=True) is None
    assert album.problem is not None and "events need them" in album.problem
    monkeypatch.undo()
    add(album, 2)
    assert album.problem is None
    (tmp_path / "file").write_text("no folder")
    blocked = made(tmp_path / "file")
    assert blocked.add("0" * 36, noise(1), uncertain=True) is None
    assert "Not a directory" in str(blocked.problem)


def test_half_a_picture_and_strange_files_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "uncertain").mkdir()
    half = tmp_path / "uncertain" / f"{'0' * 36}.part"
    strange = tmp_path / "uncertain" / "holiday.jpg"
    for path in (half, strange):
        path.write_bytes(b"\xff\xd8")
    album = made(tmp_path)
    assert album.used() == (0, 0)
    assert not half.exists() and strange.exists()


def test_a_picture_that_the_disk_took_half_of_is_not_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(part: Path, jpeg: bytes) -> None:
        with part.open("wb") as file:
            file.write(jpeg[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    album = made(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert album.add("0" * 36, noise(1), uncertain=True) is None
    assert album.problem is not None and on_disk(tmp_path) == 0
    add(album, 2)


def test_a_card_that_a_power_cut_made_read_only_or_half_readable_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(made(tmp_path), 1)
    (tmp_path / "sorted" / f"{'0' * 36}.part").write_bytes(b"\xff\xd8")

    def fails(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", fails)
    album = made(tmp_path)
    assert album.used()[0] == 1
    assert album.prune(lambda ids: ids) == 0
    assert album.problem is not None and "cannot be deleted" in album.problem
    monkeypatch.setattr(Path, "glob", fails)
    album = made(tmp_path)
    assert album.used() == (0, 0)
    assert album.problem is not None and "cannot be read" in album.problem
    assert album.add("1" * 36, noise(2), uncertain=True) is None, "the cap could not be kept"
    monkeypatch.undo()
    assert album.used()[0] == 1


def test_pictures_go_with_their_events(tmp_path: Path) -> None:
    album = made(tmp_path)
    ids = [add(album, seed, uncertain=bool(seed % 2)) for seed in range(4)]
    assert album.prune(lambda all_ids: [name for name in all_ids if name in ids[:2]]) == 2
    assert [bool(album.read(image_id)) for image_id in ids] == [False, False, True, True]
    assert album.used()[0] == 2


@pytest.mark.parametrize(
    ("keep", "sorted_", "uncertain"),
    [("all", True, True), ("uncertain", False, True), ("none", False, False)],
)
def test_whose_pictures_are_wanted(
    tmp_path: Path, keep: str, sorted_: bool, uncertain: bool
) -> None:
    album = made(tmp_path, keep=keep)
    assert (album.wants(uncertain=False), album.wants(uncertain=True)) == (sorted_, uncertain)
    assert KINDS == ("sorted", "uncertain")


def test_a_large_picture_is_made_smaller() -> None:
    jpeg = pictures.encode(np.zeros((3000, 4000, 3), np.uint8))
    assert pictures.decode(jpeg).shape == (960, 1280, 3)


def test_a_picture_of_noise_passes_our_broker() -> None:
    rules = (resources.root() / "config" / "mosquitto" / "trashbin.conf").read_text()
    limit = int(rules.partition("message_size_limit ")[2].split()[0])
    noise = np.random.default_rng(0).integers(0, 2, (1280, 1280, 3), np.uint8) * np.uint8(255)
    jpeg = base64.b64encode(pictures.encode(noise)).decode()
    answer = requests.answer("ok", {"image_id": "x" * 36, "jpeg": jpeg}, None, "x" * 1000)
    assert len(as_json(answer)) < limit - 1000  # less the packet's header and topic


def test_who_only_reads_leaves_what_a_running_bin_is_about_to_write(tmp_path: Path) -> None:
    image_id = add(made(tmp_path), 1)
    part = tmp_path / KINDS[0] / "half.part"
    part.write_bytes(b"half")
    assert made(tmp_path).read(image_id) is not None
    assert part.exists()
