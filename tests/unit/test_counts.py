"""``trashbin bench --counts``: what is counted, and that docs/cost.md has these counts."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from tests.support_cli import call
from trashbin import changes, preprocess, scene
from trashbin.bench.counts import Noted, NotedCv2, NotedLeases, Tally, _counted, _noting
from trashbin.leases import Leases

COST = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")


def test_the_counts_in_the_docs_are_what_the_command_prints() -> None:
    done = call("bench", "--counts")
    assert done.exit_code == 0, done.output
    shown = COST.split("<!-- counts -->\n")[1].split("\n<!-- /counts -->")[0]
    assert shown == done.stdout.split("\n\n")[0]
    assert (changes.cv2, changes.Leases, scene.cv2) == (cv2, Leases, cv2)  # put back


def test_programs_get_them_in_full() -> None:
    told = json.loads(call("bench", "--counts", "--json").stdout)
    assert told["frames"] == 3
    assert list(told["per_frame"]) == [
        "scene model",
        "sharpness and place",
        "resize to 160 x 160 and restore, int8",
        "network, int8",
    ]
    assert all(stage["large_allocations"] == 0 for stage in told["per_frame"].values())
    assert told["per_frame"]["network, int8"]["multiply_adds"] == 99_451_480


def test_each_call_is_counted_once() -> None:
    one = np.ones((100, 100), np.float32).view(Noted)
    other, into = one.copy(), one.copy()
    sum_of_two = Tally(multiply_adds=10_000, bytes_moved=3 * 40_000)
    found = _counted(lambda: np.add(one, other, out=into))
    np.add(one, other, out=into)  # nobody's
    assert found == sum_of_two
    assert _counted(lambda: one.__iadd__(other)) == sum_of_two
    # the result is a new array here, and larger than 64 KB
    wide = np.ones((200, 100), np.float32).view(Noted)
    assert _counted(lambda: wide * wide).large_allocations == 1
    assert _counted(lambda: np.zeros_like(wide)).large_allocations == 1
    assert _counted(lambda: np.rot90(wide)) == Tally()  # a view
    assert _counted(lambda: into.__setitem__(0, one[1])) == Tally(bytes_moved=2 * 400)


def test_opencvs_calls_are_counted_by_a_plain_implementation() -> None:
    opencv = NotedCv2()
    picture = np.ones((4, 4, 3), np.uint8).view(Noted)
    # by rows 4 sources and 2 results share 4 places; by columns as many
    tally = _counted(lambda: opencv.resize(picture, (2, 2), interpolation=cv2.INTER_AREA))
    assert tally == Tally(multiply_adds=3 * (4 * 4 + 4 * 2), bytes_moved=48 + 12)
    gray = np.ones((10, 10), np.uint8).view(Noted)
    square = np.ones((3, 3), np.uint8)
    dilated = _counted(lambda: opencv.dilate(gray, square, dst=gray))
    assert dilated == Tally(comparisons=4 * 100, bytes_moved=2 * 100 + 9)


def test_a_picture_whose_rows_are_added_first_makes_nothing_large_anew() -> None:
    picture = np.ones((480, 640, 3), np.uint8).view(Noted)
    lease = NotedLeases()
    with _noting():
        preprocess.resize(picture, 160, 160, lease)
        again = _counted(lambda: preprocess.resize(picture, 160, 160, lease))
    assert again.large_allocations == 0
    assert again.multiply_adds > 2 * 160 * 640 * 3, "two rows are added to one of three"


def test_the_modules_are_put_back_after_an_error() -> None:
    try:
        with _noting():
            assert changes.cv2 is not cv2
            raise ValueError
    except ValueError:
        assert changes.cv2 is cv2
