"""What a Raspberry Pi tells of its power; another machine tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from trashbin import machine

GOOD = dict.fromkeys(
    ("undervoltage", "throttled", "undervoltage_since_boot", "throttled_since_boot"), False
)


@pytest.fixture(params=["sysfs", "vcgencmd"])
def firmware(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A file whose text the firmware says: by the kernel's file, or by a command."""
    said = tmp_path / "said"
    if request.param == "sysfs":
        monkeypatch.setattr(machine, "THROTTLED", said)
    else:
        monkeypatch.setattr(machine, "THROTTLED", tmp_path / "none")
        monkeypatch.setattr(machine, "ASK_S", 60.0)  # a busy machine is slow to start a program
        command = tmp_path / "vcgencmd"
        command.write_text(f'#!/bin/sh\necho "throttled=0x$(cat {said})"\n')
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return said


@pytest.mark.parametrize(
    ("bits", "wanted"),
    [
        ("0", {}),
        ("50005", dict.fromkeys(GOOD, True)),
        ("50000", {"undervoltage_since_boot": True, "throttled_since_boot": True}),
        ("80008", {"throttled": True, "throttled_since_boot": True}),
    ],
)
def test_the_firmwares_bits(firmware: Path, bits: str, wanted: dict[str, bool]) -> None:
    firmware.write_text(bits)
    assert machine.power() == GOOD | wanted


def test_elsewhere_there_is_nothing_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "THROTTLED", tmp_path / "none")
    monkeypatch.setattr(machine, "TEMPERATURE", tmp_path / "none")
    assert machine.power() is None
    assert machine.temperature() is None
    assert machine.disk_free_mb(tmp_path / "none") is None


def test_a_board_tells_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    monkeypatch.setattr(machine, "MODEL", model)
    assert machine.board().startswith("no Raspberry Pi (")
    model.write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    assert machine.board() == "Raspberry Pi 4 Model B Rev 1.4"
