"""The picture folder beyond the contract: its order, its times, and pictures that are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.camera_bench import Bench, grey, picture_file, workbench
from tests.support import FakeClock
from trashbin.errors import CameraError
from trashbin.ports import Camera, Context


@pytest.fixture
def bench(tmp_path: Path, context: Context) -> Bench:
    return workbench(tmp_path, context)


def levels(camera: Camera, clock: Any, count: int, every_s: float) -> list[int]:
    seen = []
    for _ in range(count):
        seen.append(int(camera.capture(1.0).pixels[0, 0, 0]))
        clock.advance(every_s)
    return seen


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    folder = tmp_path / "greys"
    folder.mkdir()
    for level in (10, 20, 30, 40):
        picture_file(folder / f"{level}.png", grey(level))
    return folder


def test_a_folder_shows_each_picture_for_its_time_and_begins_again(
    bench: Bench, clock: FakeClock, greys: Path
) -> None:
    camera = bench.make("folder", path=greys, seconds_each=4.0)
    camera.open()
    assert levels(camera, clock, 9, 2.0) == [10, 10, 20, 20, 30, 30, 40, 40, 10]


def test_a_shuffled_folder_has_an_order_of_its_seed(
    bench: Bench, clock: FakeClock, greys: Path
) -> None:
    seen = []
    for seed in (1, 1, 2):
        camera = bench.make("folder", path=greys, seconds_each=1.0, order="shuffled", seed=seed)
        camera.open()
        seen.append(levels(camera, clock, 4, 1.0))
    assert seen[0] == seen[1] != seen[2]
    assert all(sorted(one) == [10, 20, 30, 40] for one in seen)


def test_a_broken_picture_is_skipped_with_one_warning(
    bench: Bench, clock: FakeClock, greys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (greys / "20.png").write_bytes(b"no picture")
    camera = bench.make("folder", path=greys, seconds_each=1.0)
    camera.open()
    assert levels(camera, clock, 8, 1.0) == [10, 30, 30, 40, 10, 30, 30, 40]
    assert [record.message.count("20.png") for record in caplog.records] == [1]


def test_a_picture_that_was_taken_away_or_broken_is_shown_again_once_it_is_whole(
    bench: Bench, clock: FakeClock, greys: Path
) -> None:
    camera = bench.make("folder", path=greys, seconds_each=1.0)
    camera.open()
    assert levels(camera, clock, 1, 1.0) == [10]
    (greys / "20.png").write_bytes(b"no picture")
    for level in (30, 40):
        (greys / f"{level}.png").unlink()
    assert levels(camera, clock, 4, 1.0) == [10, 10, 10, 10]
    for level in (20, 30, 40):
        picture_file(greys / f"{level}.png", grey(level))
    assert levels(camera, clock, 4, 1.0) == [20, 30, 40, 10]


def test_a_folder_that_may_not_be_looked_into_is_a_camera_error(bench: Bench) -> None:
    camera = bench.make("folder", path=Path("/", 300 * "x"))  # to root, too, is this refused
    with pytest.raises(CameraError, match="cannot be looked into"):
        camera.open()


def test_a_folder_without_a_whole_picture_is_a_camera_error(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    camera = bench.make("folder", path=folder)
    with pytest.raises(CameraError, match="holds no picture"):
        camera.open()
    (folder / "a.jpg").write_text("no picture")
    camera.open()
    with pytest.raises(CameraError, match="can be read"):
        camera.capture(1.0)
