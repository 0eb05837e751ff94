"""What the commands read from and write to: closed, full, or unable to take every character."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support_cli import spawn
from trashbin.cli import main


def test_nothing_but_our_own_words_goes_to_standard_error(picture: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    content = bytearray(picture.read_bytes())
    content[200] ^= 0xFF
    torn.write_bytes(content)
    done = spawn("classify", picture, torn, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert [line.partition(" ")[0] for line in done.stderr.splitlines()] == ["trashbin:"]
    assert "####" in done.stdout, "bars where the output has no block characters"


def test_a_reader_that_goes_away_is_no_fault(picture: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "trashbin", "classify", "--json", *[str(picture)] * 3]
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, timeout=60)
    assert done.stderr == b""


def test_a_stream_that_was_closed_before_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):  # so Python tells of <&- >&- 2>&-
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert not sys.stdin.isatty() and not sys.stdout.isatty() and sys.stderr.write("x")
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def test_a_name_that_is_no_text_is_written_escaped(picture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photographs" / "trash"
    folder.mkdir(parents=True)
    name = folder / os.fsdecode(b"b\xff.png")
    shutil.copy(picture, name)
    terminal = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}  # as most locales have it
    for arguments in (("classify", name), ("evaluate", "--wrong", folder.parent)):
        done = spawn(*arguments, env=terminal)
        assert (done.returncode, done.stderr) == (0, "")
        assert "b\\udcff.png" in done.stdout.replace("\n", "")


def test_what_a_terminal_has_no_character_for_is_written_escaped(
    picture: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photographs" / "trash"
    folder.mkdir(parents=True)
    shutil.copy(picture, folder)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = spawn("evaluate", folder.parent, env=os.environ | ascii_only)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xb7" in done.stdout and "With the rules" in done.stdout


@pytest.mark.parametrize("command", ["--help", "--version", "check-config --help"])
def test_a_full_disk_under_the_output_is_told_in_one_line(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trashbin", *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3
    assert done.stderr.startswith("trashbin: no room to write to") and done.stderr.count("\n") == 1


def test_a_broker_whose_name_is_no_text_is_told_so() -> None:
    done = spawn("demo", "--broker", os.fsdecode(b"\xff:1883"))
    assert done.returncode == 2 and "expected HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
