"""A file that cannot be written whole leaves what was there before."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trashbin import whole_file


def test_a_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    for text in ("longer than the next", "näxt"):
        whole_file.write(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]
    (tmp_path / "other").touch()
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, failure: BaseException
) -> None:
    file = tmp_path / "state.json"
    whole_file.write(file, "old")
    with pytest.raises(type(failure)), whole_file.writing(file) as half:
        half.write(b"ne")
        raise failure
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "none" / "state.json"
    with pytest.raises(FileNotFoundError) as told:
        whole_file.write(file, "new")
    assert told.value.filename == str(file)


@pytest.mark.parametrize(("named", "told"), [(None, "state.json"), ("source.zip", "source.zip")])
def test_an_error_names_the_file_that_it_is_about(
    tmp_path: Path, named: str | None, told: str
) -> None:
    error = OSError(5, "Input/output error", named)
    with pytest.raises(OSError) as raised, whole_file.writing(tmp_path / "state.json"):
        raise error
    assert Path(raised.value.filename).name == told


@pytest.mark.parametrize(
    ("make", "told"), [(Path.mkdir, "Is a directory"), (os.mkfifo, "Is no regular file")]
)
def test_what_is_no_file_keeps_its_place(
    tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    """As root, `trashbin model pack NAME /dev/null` put a package there."""
    make(tmp_path / "null")
    before = (tmp_path / "null").stat()
    with pytest.raises(OSError) as raised:
        whole_file.write(tmp_path / "null", "new")
    assert raised.value.strerror == told
    assert os.path.samestat((tmp_path / "null").stat(), before)
    assert list(tmp_path.iterdir()) == [tmp_path / "null"]


@pytest.mark.parametrize("refuses", [False, True])
def test_its_name_is_on_the_disk_too_where_that_can_be_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    file, synced = tmp_path / "state.json", []

    def fsync(descriptor: int) -> None:
        what = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((what, file.exists(), what.is_file() and what.read_text()))
        if what == tmp_path and refuses:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr("os.fsync", fsync)
    whole_file.write(file, "new")
    assert synced == [(tmp_path / ".state.json.part", False, "new"), (tmp_path, True, False)]
    assert file.read_text() == "new"


def test_a_secret_is_its_owners_alone_from_the_first_byte_on(tmp_path: Path) -> None:
    file = tmp_path / "password"
    left = tmp_path / ".password.part"  # by a kill, when it was nobody's secret yet
    left.touch(0o644)
    with whole_file.writing(file, 0o600) as half:
        half.write(b"s")
        assert left.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_mode & 0o777 == 0o600


def test_of_two_that_write_it_at_once_the_second_waits_and_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They had one half file: it was taken from under the second, or was half the other's."""
    file = tmp_path / "state.json"
    with (
        whole_file.writing(file) as half,
        (tmp_path / ".state.json.part").open() as other,
        pytest.raises(BlockingIOError),
    ):
        half.write(b"first")
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert file.read_text() == "first"

    def waits(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        whole_file.write(file, "by another meanwhile")

    monkeypatch.setattr(fcntl, "flock", waits)
    whole_file.write(file, "second")
    assert file.read_text() == "second"
    assert list(tmp_path.iterdir()) == [file]


WRITES = """
import signal, sys
from pathlib import Path
from trashbin import whole_file
with whole_file.writing(Path(sys.argv[1])):
    print(flush=True)
    signal.pause()
"""


def test_who_is_stopped_while_it_writes_holds_up_nobody_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state.json"
    monkeypatch.setattr(whole_file, "WRITTEN_S", 0.1)
    command = [sys.executable, "-c", WRITES, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        other.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError, match=f"process {other.pid} has had it for 0.1 s"):
            whole_file.write(file, "ours")
        other.kill()
    whole_file.write(file, "ours")
    assert file.read_text() == "ours" and list(tmp_path.iterdir()) == [file]


def test_where_there_are_no_locks_it_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    whole_file.write(tmp_path / "state.json", "ours")
    assert (tmp_path / "state.json").read_text() == "ours"
