"""``python -m trashbin.training``, as far as it goes without PyTorch: what it refuses to begin."""

from __future__ import annotations

import gc
import json
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from trashbin.errors import ModelError
from trashbin.model.manifest import find
from trashbin.training import __main__ as command
from trashbin.training import teaching
from trashbin.training.command import plainly
from trashbin.training.data import (
    FOLDS,
    LABELS,
    LARGE,
    LITE,
    Photo,
    fold_photos,
    load_pictures,
    read_photos,
    split_groups,
)

SHIPPED = json.loads(find().path.with_name("manifest.json").read_text())


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in ("data", "weights", "work")}
    found["data"].mkdir()
    found["weights"].mkdir()
    listed(found["data"], dict.fromkeys(LABELS, 4))
    for name in (LARGE, LITE):
        (found["weights"] / name).touch()
    return found


def listed(data: Path, counts: dict[str, int]) -> list[str]:
    """Writes a groups.csv of so many photographs of each label, each of another thing."""
    names = [f"{label}-{k}.jpg" for label, count in counts.items() for k in range(count)]
    rows = [f"{name},{name.partition('-')[0]},{name}" for name in names]
    (data / "groups.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    return names


def given(folders: dict[str, Path], *more: str) -> list[str]:
    return ["report", *(f"--{name}={path}" for name, path in folders.items()), *more]


def why(arguments: list[str]) -> str | None:
    return command.refused(command.parser().parse_args(arguments))


def test_a_run_goes_on_with_the_numbers_it_was_begun_with_and_no_others(
    folders: dict[str, Path],
) -> None:
    assert why(given(folders, "--effort", "0.01")) is None
    assert why(given(folders, "--effort", "0.01", "--workers", "1")) is None
    assert "begun with --effort 0.01; go on so" in (why(given(folders)) or "")
    assert "--limit 0" in (why(given(folders, "--effort", "0.01", "--limit", "12")) or "")
    assert why(given(folders | {"work": folders["work"] / "another"})) is None


def test_what_is_missing_is_told_before_anything_is_begun(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, arguments in {
        "groups.csv": given(folders | {"data": folders["work"]}),
        "start weights": given(folders | {"weights": folders["work"] / "none"}),
        "manifest.json": given(folders, "--quick", "--model", str(folders["work"])),
    }.items():
        monkeypatch.setattr(sys, "argv", ["training", *arguments])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == 2
        assert name in capsys.readouterr().err
    assert not (folders["work"] / "begun.json").exists()


def test_a_folder_that_cannot_be_written_is_no_traceback(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders["data"] / "groups.csv").write_text("path,label,group\nglass/a.jpg,glass,a\n")
    out = folders["data"] / "groups.csv"
    argv = ["training", "split", f"--data={folders['data']}", f"--out={out}", "--fold"]
    codes = []
    for fold in FOLDS:
        monkeypatch.setattr(sys, "argv", [*argv, fold])
        codes.append(command.main())
    assert sorted(codes) == [0] * (len(FOLDS) - 1) + [1]
    assert "groups.csv/glass: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_kill_are_no_traceback(
    number: signal.Signals,
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stopped(args: object) -> int:
        signal.raise_signal(number)
        return 0

    monkeypatch.setattr(command, "report", stopped)
    monkeypatch.setattr(sys, "argv", ["training", *given(folders)])
    assert command.main() == 130
    assert "goes on there" in capsys.readouterr().err


def test_what_teaching_is_measured_on_trained_nothing() -> None:
    source = Path(teaching.__file__).with_name("stock.py").read_text()
    assert 'FOLDS: tuple[Fold, ...] = ("train", "val")' in source  # importing it needs PyTorch
    assert {"train", "val", *teaching.UNTRAINED} == set(FOLDS)
    assert not {"train", "val"} & set(teaching.UNTRAINED)
    photos = [Photo(f"{k}.jpg", "glass", str(k // 2)) for k in range(200)]
    assert set(split_groups(photos).values()) == set(FOLDS)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (b"", "names no photograph"),
        (b"path;label;group\na.jpg;glass;1\n", "row 2: expected path, label, group"),
        (b"path,label,group\na.jpg,glass,1\nb.jpg,glass\n", "row 3: expected path, label, group"),
        (b"path,label,group\na.jpg,wood,1\n", "row 2: found the label 'wood', expected one of"),
        (b"path,label,group\n\xff.jpg,glass,1\n", "is no CSV in UTF-8"),
    ],
)
def test_a_list_of_photographs_that_is_none_is_told_with_its_row(
    folders: dict[str, Path], table: bytes, told: str
) -> None:
    (folders["data"] / "groups.csv").write_bytes(table)
    for verb in ("report", "evaluate", "split"):
        assert told in (why([verb, f"--data={folders['data']}"]) or "")


def test_a_spreadsheets_list_is_read_as_well(folders: dict[str, Path]) -> None:
    (folders["data"] / "groups.csv").write_bytes(
        b"\xef\xbb\xbfpath,label,group\r\na.jpg,glass,1\r\n"
    )
    assert read_photos(folders["data"]) == [Photo("a.jpg", "glass", "1")]


def test_what_leaves_a_fold_empty_or_a_label_untaught_is_told_before_it_is_begun(
    folders: dict[str, Path],
) -> None:
    listed(folders["data"], {label: 4 for label in LABELS if label != "trash"})
    assert "no photograph of trash for the fold train" in (why(given(folders)) or "")
    listed(folders["data"], {"glass": 3})
    assert "no photograph for the fold train" in (why(given(folders)) or "")
    assert why(["evaluate", f"--data={folders['data']}", "--fold=test"]) is None
    assert "fold train" in (why(["evaluate", f"--data={folders['data']}", "--fold=train"]) or "")


def test_photographs_that_cannot_be_used_are_all_named_before_anything_is_trained(
    folders: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = listed(folders["data"], dict.fromkeys(LABELS, 8))
    for name in names:
        cv2.imwrite(str(folders["data"] / name), np.full((30, 40, 3), 50, np.uint8))
    whole = (folders["data"] / names[0]).read_bytes()
    broken = [photo.path for photo in fold_photos(read_photos(folders["data"]), "train")[:2]]
    (folders["data"] / broken[0]).write_bytes(whole[: len(whole) // 2])
    (folders["data"] / broken[1]).unlink()
    cache = folders["work"] / "cache"
    monkeypatch.setattr(sys, "argv", ["training", *given(folders), f"--cache={cache}"])
    assert command.main() == 1
    told = capsys.readouterr().err
    assert "2 photographs cannot be used" in told and "groups.csv" in told
    assert (
        f"{broken[0]}: is a JPEG that breaks off" in told and f"{broken[1]}: no such file" in told
    )
    assert not list(cache.glob("*"))


def test_a_photograph_that_took_anothers_name_is_not_the_one_in_the_cache(
    folders: dict[str, Path],
) -> None:
    photos, cache = [Photo("a.png", "glass", "1")], folders["work"] / "cache"
    cv2.imwrite(str(folders["data"] / "a.png"), np.full((30, 40, 3), 50, np.uint8))
    assert load_pictures(folders["data"], photos, cache).mean() == 50
    cv2.imwrite(str(folders["data"] / "a.png"), np.full((31, 40, 3), 90, np.uint8))
    assert load_pictures(folders["data"], photos, cache).mean() == 90


@pytest.mark.parametrize(
    "option", ["--effort=0", "--effort=nan", "--effort=-1", "--workers=0", "--limit=-1"]
)
def test_a_number_that_means_nothing_is_refused(folders: dict[str, Path], option: str) -> None:
    with pytest.raises(SystemExit):
        command.parser().parse_args(given(folders, option))


def test_a_work_folder_that_cannot_be_used_is_no_traceback(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders["work"] /= "begun.json"
    folders["work"].parent.mkdir()
    folders["work"].write_text("no folder")
    monkeypatch.setattr(sys, "argv", ["training", *given(folders)])
    assert command.main() == 1
    assert "begun.json: File exists" in capsys.readouterr().err
    folders["work"] = folders["work"].parent
    assert "begun.json: is damaged" in (why(given(folders)) or "")


def test_a_full_disk_is_told_with_the_file_that_found_no_room(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in listed(folders["data"], dict.fromkeys(LABELS, 4)):
        cv2.imwrite(str(folders["data"] / name), np.full((30, 40, 3), 50, np.uint8))
    cache = folders["work"] / "cache"
    monkeypatch.setattr(sys, "argv", ["training", *given(folders), f"--cache={cache}"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        assert command.main() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = capsys.readouterr().err
    assert told.startswith(f"error: {cache}/pictures-400x300-") and "written" in told
    assert not list(cache.iterdir())


def test_start_weights_that_are_not_there_are_named(folders: dict[str, Path]) -> None:
    (folders["weights"] / LARGE).unlink()
    assert f"has no {LARGE}" in (why(given(folders)) or "")
    assert f"has no {LARGE}" in (why(["reference", f"--weights={folders['weights']}"]) or "")


def test_a_model_that_cannot_be_measured_is_told(folders: dict[str, Path]) -> None:
    reference = {key: value for key, value in SHIPPED.items() if key != "familiarity"}
    reference["variants"] = {
        name: entry | {"golden": []} for name, entry in SHIPPED["variants"].items()
    }
    (folders["work"] / "none").mkdir(parents=True)
    (folders["work"] / "none" / "manifest.json").write_text(json.dumps(reference))
    arguments = ["evaluate", f"--data={folders['data']}", "--fold=test"]
    told = why([*arguments, f"--model={folders['work'] / 'none'}"])
    assert "has no familiarity index" in (told or "")
    (folders["work"] / "manifest.json").write_text("{")
    with pytest.raises(ModelError, match="no valid JSON"):
        why([*arguments, f"--model={folders['work']}"])


def test_a_folder_without_rendered_scenes_is_told(folders: dict[str, Path]) -> None:
    assert "--drawn" in (why(given(folders, f"--drawn={folders['weights']}")) or "")


def test_ctrl_c_while_python_collects_garbage_is_heard_a_little_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it came into the callback of a library, from which no exception leads out."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)

    def pressed(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(pressed)
        signal.raise_signal(signal.SIGINT)

    def work() -> int:
        gc.callbacks.append(pressed)
        gc.collect()
        assert pressed not in gc.callbacks
        threading.Event().wait(60)
        return 0

    assert plainly(work) == 130
    assert "Stopped." in capsys.readouterr().err


def test_what_else_goes_wrong_there_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    begun: list[object] = []
    monkeypatch.setattr(threading, "Timer", lambda *what: begun.append(what))

    class Garbage:
        def __del__(self) -> None:
            raise ValueError("a library's own")

    def work() -> int:
        Garbage()
        return 0

    assert plainly(work) == 0 and begun == []
    assert "a library's own" in capsys.readouterr().err
