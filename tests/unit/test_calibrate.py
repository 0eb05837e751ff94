"""``trashbin calibrate`` on small pictures, judged by a network that reads them like a number."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from unittest import mock

import click
import cv2
import numpy as np
import pytest

from tests.support_cli import call
from trashbin import calibrate, calibration
from trashbin.calibration import Calibration
from trashbin.errors import ExitCode, StoreError
from trashbin.promise import Refusal
from trashbin.settings import Look
from trashbin.types import Frame, ModelId, Prediction, Thresholds

LABELS = ("glass", "metal")


class Reader:
    """The first pixel says the label, its gap and its familiarity."""

    model = ModelId("reader", "int8", "1" * 64)
    setup = "read"
    thresholds = Thresholds(0.2, 0.4)

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        label, gap, familiarity = (int(value) for value in frame.pixels[0, 0])
        shares = (0.5 + gap / 510, 0.5 - gap / 510)
        scores = dict(zip(LABELS if label < 128 else LABELS[::-1], shares, strict=True))
        return Prediction(scores, familiarity / 255)

    def check(self) -> None: ...

    def changed(self) -> str | None: ...

    def close(self) -> None: ...


def put(file: Path, label: int, gap: int, familiarity: int, number: int) -> None:
    pixels = np.full((2, 2, 3), number % 256, np.uint8)
    pixels[1, 1] = number // 256
    pixels[0, 0] = (label, gap, familiarity)
    file.parent.mkdir(exist_ok=True, parents=True)
    cv2.imwrite(str(file), pixels[:, :, ::-1])


@pytest.fixture
def tray(tmp_path: Path) -> Path:
    """300 items that are right where the gap is large, and 60 of no class that look strange."""
    rng = np.random.default_rng(0)
    for number in range(300):
        gap = int(rng.integers(20, 255))
        mistaken = gap < 80 and rng.random() < 0.4
        name = LABELS[number % 2]
        label = 255 * ((number % 2) ^ mistaken)
        put(tmp_path / "tray" / name / f"{number}.png", label, gap, 220, number)
    for number in range(60):
        put(tmp_path / "tray" / "food" / f"{number}.png", 255, 250, 120, 1000 + number)
    (tmp_path / "store").mkdir()
    return tmp_path / "tray"


def run(tray: Path, risk: float, store: Path | None, as_json: bool = True) -> ExitCode:
    return calibrate.run(
        tray, Reader(), LABELS, 0.4, risk, 0.95, store, look=Look(), as_json=as_json
    )


def test_it_prints_the_promise_and_writes_what_the_daemon_reads(
    tray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tray.parent / "store"
    assert run(tray, 0.05, store) == ExitCode.GOOD
    told = json.loads(capsys.readouterr().out)
    assert told["bound"] == 0.05 and told["items"] + told["planning"] == 360
    assert told["no_class"] == 60 and told["acted_wrong"] / told["acted"] < 0.05
    made = calibration.read(store)
    assert made is not None and made.model == Reader.model
    assert made.thresholds == Thresholds(**told["thresholds"])
    assert made.broken(Reader(), made.thresholds, Look()) is None
    assert 0.6 < told["coverage"] < 0.9  # the strange things are held, the doubtful ones too
    assert run(tray, 0.05, None, as_json=False) == ExitCode.GOOD
    people = capsys.readouterr().out
    assert "at most 5.00%" in people and "food" in people and "Nothing was written" in people
    assert "Each picture counted as an item" in people
    assert max(map(len, people.splitlines())) <= 80


def test_too_few_items_change_nothing_and_are_told_how_many_would_do(
    tray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in [*tray.glob("*/*.png")]:
        if int(file.stem) > 9 or file.parent.name == "food":
            file.unlink()
    store = tray.parent / "store"
    assert run(tray, 0.01, store, as_json=False) == ExitCode.BAD_INPUT
    assert calibration.read(store) is None
    assert "items like these would" in capsys.readouterr().err
    assert run(tray, 0.01, store) == ExitCode.BAD_INPUT
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["bound"]) == (10, None) and told["needed"] > 10
    assert f"About {told['needed']} items" in told["why"]


@pytest.mark.parametrize(("asked", "told"), [(0.95, "95%"), (0.999, "99.9%"), (0.57, "57%")])
def test_no_confidence_is_told_as_certainty(asked: float, told: str) -> None:
    assert f"with {told} confidence" in calibrate.refused(Refusal(9, 9, 0, 0), 1, 0.05, asked)


def test_a_folder_without_a_label_is_no_tray(tray: Path) -> None:
    with pytest.raises(click.UsageError, match="no folder named glass, metal"):
        run(tray / "glass", 0.05, None)


def test_a_hidden_folder_and_what_lies_beside_the_folders_are_no_items(tray: Path) -> None:
    (tray / "glass").rename(tray / ".glass")
    (tray / "metal" / "1.png").rename(tray / "1.png")
    (tray / "notes.txt").write_text("")
    found = calibrate.listed(tray, LABELS, False)
    assert len(found.pictures) == 149 + 60
    assert found.complaints == [f"{tray / '1.png'}: left out, it lies in no folder"]


def test_a_picture_that_is_there_twice_counts_once(
    tray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tray / "glass" / "copy.png").write_bytes((tray / "glass" / "0.png").read_bytes())
    assert run(tray, 0.05, None) == ExitCode.BAD_INPUT
    out = capsys.readouterr()
    assert json.loads(out.out)["pictures"] == 360
    assert "the same picture" in out.err


def test_what_is_no_file_is_left_out_and_told(
    tray: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tray / "glass" / "album.jpg").mkdir()
    (tray / "glass" / "gone.jpg").symlink_to(tray / "nowhere")
    os.mkfifo(tray / "glass" / "pipe.jpg")
    assert run(tray, 0.05, None) == ExitCode.BAD_INPUT
    out = capsys.readouterr()
    assert json.loads(out.out)["pictures"] == 360
    assert "album.jpg: is a folder" in out.err
    assert "gone.jpg: no such file" in out.err
    assert "pipe.jpg: is no regular file" in out.err


def test_a_folder_that_is_nearly_a_label_is_left_out_and_other_words_are_no_class(
    tray: Path,
) -> None:
    for name in ("metall", "wood", "grass", "plants", "empty"):
        (tray / name).mkdir()
    found = calibrate.listed(tray, (*LABELS, "plastic"), True)
    assert len(found.complaints) == 1 and "did you mean metal?" in found.complaints[0]
    assert found.no_class == ["food", "grass", "plants", "wood"]


@pytest.mark.parametrize("closely", [True, False])
def test_pictures_of_the_empty_tray_count_where_the_bin_looks_closely(
    tray: Path, closely: bool
) -> None:
    found = []

    class Watched(Reader):
        def predict(self, frame: Frame, turns: int = 0) -> Prediction:
            found.append(frame.thing is not None)
            return super().predict(frame, turns)

    put(tray / "empty" / "0.png", 128, 128, 128, 128 * 257)
    calibrate.run(
        tray, Watched(), LABELS, 0.4, 0.05, 0.95, None, look=Look(close_up=closely), as_json=True
    )
    assert len(found) == 3 * 360 and any(found) is closely


def test_an_item_is_judged_by_as_many_views_as_a_burst_has(tray: Path) -> None:
    asked = []

    class Watched(Reader):
        def predict(self, frame: Frame, turns: int = 0) -> Prediction:
            asked.append(turns)
            return super().predict(frame, turns)

    for burst in (1, 5):
        asked.clear()
        store, look = tray.parent / "store", Look(burst=burst)
        given = (tray, Watched(), LABELS, 0.4, 0.05, 0.95, store)
        assert calibrate.run(*given, look=look, as_json=True) == ExitCode.GOOD
        assert asked == 360 * [*range(burst)]
        made = calibration.read(store)
        assert made is not None and made.broken(Reader(), made.thresholds, look) is None
        assert "calibrated with" in (made.broken(Reader(), made.thresholds, Look()) or "")


def test_a_promise_ends_with_another_network_setup_head_threshold_or_look(tray: Path) -> None:
    assert run(tray, 0.05, tray.parent / "store") == ExitCode.GOOD
    made = calibration.read(tray.parent / "store")
    assert isinstance(made, Calibration)
    held = made.thresholds
    same, other, head, anew = Reader(), Reader(), Reader(), Reader()
    other.model = ModelId("reader", "int8", "2" * 64)
    head.model = ModelId("reader", "int8", "1" * 64, "3" * 64)
    anew.setup = "read from below"
    assert made.broken(same, held, Look()) is None
    assert "another network" in (made.broken(other, held, Look()) or "")
    assert "in another way" in (made.broken(anew, held, Look()) or "")
    assert "head" in (made.broken(head, held, Look()) or "")
    assert "gap is 0.1" in (
        made.broken(same, Thresholds(0.1, held.top1, held.familiarity), Look()) or ""
    )
    assert "another network" in (made.broken(None, held, Look()) or "")
    off, number = Thresholds(held.gap, held.top1), f"{held.familiarity:g}"
    assert made.broken(same, off, Look()) == f"familiarity is off, it was calibrated with {number}"
    loose = made.model_copy(update={"thresholds": off})
    assert f"familiarity is {number}" in (loose.broken(same, held, Look()) or "")
    as_sent = Thresholds(held.gap + 1e-9, held.top1 - 1e-9, held.familiarity)
    assert made.broken(same, as_sent, Look()) is None
    assert "burst is 1" in (made.broken(same, held, Look(burst=1)) or "")
    assert "changed_area is 0.05" in (made.broken(same, held, Look(changed_area=0.05)) or "")
    assert "shown all of the tray" in (made.broken(same, held, Look(close_up=False)) or "")
    assert calibration.applied(made, head) == held
    for another in (other, anew):
        assert calibration.applied(made, another) == Reader.thresholds


def test_a_damaged_calibration_says_what_to_do(tmp_path: Path) -> None:
    for content in (b"", b"{}", b"\xff", b'{"schema": "trashbin.calibration/2"}'):
        (tmp_path / calibration.NAME).write_bytes(content)
        with pytest.raises(StoreError, match="Calibrate again"):
            calibration.read(tmp_path)


def test_a_calibration_of_an_older_release_says_what_it_did_not_write_down(tray: Path) -> None:
    store = tray.parent / "store"
    assert run(tray, 0.05, store) == ExitCode.GOOD
    older = json.loads((store / calibration.NAME).read_text())
    for key in ("setup", "closely", "burst", "changed_area"):
        del older[key]
    (store / calibration.NAME).write_text(json.dumps(older))
    made = calibration.read(store)
    assert made is not None and (made.setup, made.closely, made.burst) == ("", False, 3)
    look = Look(changed_area=0.05, close_up=False)
    same = made.model_copy(update={"setup": Reader.setup})
    assert same.broken(Reader(), made.thresholds, look) is None, "nobody knows what it was"


def test_a_calibration_of_an_older_release_is_no_new_one_that_ends_what_a_request_set() -> None:
    made = Calibration(
        made="2026-11-24T10:00:00.000Z",
        model=Reader.model,
        setup="read",
        thresholds=Thresholds(0.7, 0.4),
        closely=True,
        risk=0.03,
        confidence=0.95,
        items=300,
        acted=240,
        wrong=2,
    )
    assert made.digest() == "0a824c13ecc967db09cd13be0b0ad97e2f8b36fb2e18e0f459ae2263fef94f60"


def test_a_calibration_that_cannot_be_written_leaves_the_one_before(tray: Path) -> None:
    store = tray.parent / "store"
    assert run(tray, 0.05, store) == ExitCode.GOOD
    made = calibration.read(store)
    assert made is not None
    with (
        mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")),
        pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"),
    ):
        calibration.write(store, made)
    assert calibration.read(store) == made
    assert [file.name for file in store.iterdir()] == [calibration.NAME]


def test_who_may_not_write_the_calibration_is_told_before_any_picture_is_judged(
    tray: Path,
) -> None:
    with (
        mock.patch("os.access", return_value=False),  # the test may run as root, who may all
        mock.patch.object(calibrate, "listed") as listed,
        pytest.raises(StoreError, match=r"store: this user may not write there"),
    ):
        run(tray, 0.05, tray.parent / "store")
    listed.assert_not_called()


YAML = (
    "version: 1\ndevice: {id: a}\n"
    "bins: {all: {labels: [cardboard, glass, metal, paper, plastic, trash]}}\n"
    "camera: {kind: v4l2}\ntriggers: [{kind: timer, every_s: 5}]\n"
    "actuators: [{kind: none}]\npublisher: {kind: none}\n"
)


def test_rules_of_the_yaml_would_stand_above_it(tmp_path: Path) -> None:
    config = tmp_path / "bin.yaml"
    config.write_text(YAML + "rules: {gap: 0.3}\n")
    refused = call("calibrate", "--config", config, tmp_path)
    assert refused.exit_code == ExitCode.BAD_USAGE
    assert "rules: gap" in refused.output


def test_a_damaged_calibration_is_no_reason_not_to_calibrate_again(tmp_path: Path) -> None:
    config = tmp_path / "bin.yaml"
    config.write_text(YAML + f"store: {{path: {tmp_path}}}\n")
    (tmp_path / calibration.NAME).write_text("{")
    (tmp_path / "glass").mkdir()
    refused = call("calibrate", "--config", config, tmp_path)
    assert refused.exit_code == ExitCode.BAD_INPUT
    assert "on these 0 items" in refused.output and "is no calibration" not in refused.output
