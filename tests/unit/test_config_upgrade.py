"""An older configuration is rewritten, step by step, and the old one kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_cli import call
from trashbin.config_upgrade import CURRENT, STEPS, upgrade
from trashbin.errors import ConfigError

TEXT = "# mine\nversion: 1  # of the layout\ndevice: {id: hall}\n"
TO_3 = {
    1: lambda text: text.replace("device:", "bin:"),
    2: lambda text: text.replace("id:", "name:"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trashbin.yaml"
    path.write_text(TEXT)
    path.chmod(0o640)
    return path


def test_a_file_of_today_is_left_alone(file: Path) -> None:
    assert upgrade(file) is None
    assert file.read_text() == TEXT
    assert list(file.parent.iterdir()) == [file]


def test_an_older_file_goes_through_every_step_and_is_kept(file: Path) -> None:
    kept = upgrade(file, TO_3, 3)
    assert file.read_text() == "# mine\nversion: 3  # of the layout\nbin: {name: hall}\n"
    assert kept is not None
    assert kept.read_text() == TEXT
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_newer_file_and_one_that_no_step_reads_are_refused_and_untouched(file: Path) -> None:
    with pytest.raises(ConfigError, match="nothing leads on from version 1"):
        upgrade(file, {2: TO_3[2]}, 3)
    file.write_text(TEXT.replace("1", "9"))
    with pytest.raises(ConfigError, match="newer trashbin"):
        upgrade(file)
    assert list(file.parent.iterdir()) == [file]


def test_what_cannot_be_read_is_told_as_check_config_tells_it(file: Path) -> None:
    file.write_bytes(b"version: 1\n# B\xfcro\n")
    for name in (file, file.with_name("none.yaml"), file.parent):
        told = [call("check-config", *upgrade, name) for upgrade in ((), ("--upgrade",))]
        assert {(each.exit_code, each.output) for each in told} == {(2, told[0].output)}
        assert "codec" not in told[0].output


def test_every_version_before_this_one_has_its_step() -> None:
    assert set(STEPS) == set(range(1, CURRENT))
