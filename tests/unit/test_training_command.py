"""``python -m trashbin.training``, as far as it goes without PyTorch: what it refuses to begin."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trashbin.training import __main__ as command
from trashbin.training import teaching
from trashbin.training.data import FOLDS, Photo, split_groups


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in ("data", "weights", "work")}
    found["data"].mkdir()
    found["weights"].mkdir()
    (found["data"] / "groups.csv").write_text("path,label,group\n")
    return found


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


def test_ctrl_c_is_no_traceback(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(args: object) -> int:
        raise KeyboardInterrupt

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
