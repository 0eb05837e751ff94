"""systemd/trashbin.service: what it promises, and that systemd itself finds no fault in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "trashbin.service"

# what the unit pulls in by itself; without them verify complains of the tree, not of the unit
TARGETS = ("basic", "multi-user", "paths", "shutdown", "slices", "sockets", "sysinit", "timers")


def read_unit() -> dict[str, list[str]]:
    """Every setting with its values; a unit may set one several times, so it is no INI file."""
    settings = defaultdict(list)
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            settings[key].append(value)
    return settings


def test_it_restarts_for_ever_and_is_watched() -> None:
    unit = read_unit()
    assert unit["Type"] == ["notify"]
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]
    # the idle loop goes round once a minute; a shorter time would kill a bin that is well
    assert int(unit["WatchdogSec"][0]) > 60


def test_it_sorts_without_a_network() -> None:
    unit = read_unit()
    for key in ("After", "Wants", "Requires", "BindsTo"):
        assert not any("network" in value for value in unit[key])


def test_it_reaches_camera_and_pins_as_its_own_user() -> None:
    unit = read_unit()
    assert unit["User"] == ["trashbin"]
    assert unit["SupplementaryGroups"] == ["gpio video render"]
    assert not {"PrivateDevices", "ProtectClock"} & unit.keys()  # both hide device nodes
    allowed = " ".join(unit["DeviceAllow"])
    for needed in ("gpiochip", "video4linux", "media", "dma_heap"):
        assert f"char-{needed} rw" in allowed


def test_teaching_may_give_way_to_the_bin() -> None:
    # later lines take from what earlier ones left: @resources would forbid it, and nobody be told
    assert read_unit()["SystemCallFilter"][-2:] == ["~@privileged @resources", "setpriority"]


def test_its_folders_are_those_of_the_shipped_configuration() -> None:
    unit = read_unit()
    yaml = (UNIT.parents[1] / "config" / "trashbin.yaml").read_text(encoding="utf-8")
    assert f"path: /var/lib/{unit['StateDirectory'][0]} " in yaml
    credential = unit["LoadCredential"][0]
    assert f"/run/credentials/{UNIT.name}/{credential}\n" in yaml
    start = f"/opt/trashbin/bin/trashbin run --config /etc/{unit['ConfigurationDirectory'][0]}"
    assert unit["ExecStart"] == [f"{start}/trashbin.yaml"]


def test_the_pins_library_may_make_its_pipes_where_it_runs() -> None:
    unit = read_unit()
    assert unit["WorkingDirectory"] == [f"/run/{unit['RuntimeDirectory'][0]}"]


def test_what_install_sh_puts_there_is_what_it_names() -> None:
    unit, script = read_unit(), (UNIT.parents[1] / "install.sh").read_text(encoding="utf-8")
    named = dict(re.findall(r'^([A-Z_]+)="?([^"\n]+?)"?(?: #.*)?$', script, re.MULTILINE))
    assert unit["ExecStart"] == [f"{named['VENV']}/bin/trashbin run --config {named['CONFIG']}"]
    assert unit["User"] == unit["Group"] == [named["USER_NAME"]]
    assert unit["SupplementaryGroups"] == [named["DEVICE_GROUPS"]]
    assert f"/var/lib/{unit['StateDirectory'][0]}" == named["STORE"]
    # as another mode each of them would set it right again
    assert f"folder {int(unit['StateDirectoryMode'][0])} $USER_NAME $STORE\n" in script
    assert named["UNIT"].endswith(f"/{UNIT.name}")
    credential = unit["LoadCredential"][0]
    assert f"{named['CREDENTIALS']}/{credential}" == f"/etc/credstore/{credential}"
    assert f"$CREDENTIALS/{credential}" in script, "it is purged"


@pytest.mark.systemd
def test_systemd_finds_no_fault_in_an_installed_tree(tmp_path: Path) -> None:
    program = tmp_path / "opt/trashbin/bin/trashbin"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for target in TARGETS:
        (units / f"{target}.target").write_text("[Unit]\n", encoding="utf-8")
    installed = tmp_path / "etc/systemd/system"
    installed.mkdir(parents=True)
    shutil.copy(UNIT, installed)
    opened = installed / f"{UNIT.name}.d"  # as install.sh --with puts them there
    opened.mkdir()
    for extra in ("pca9685", "hardware-pwm"):
        shutil.copy(UNIT.with_name(f"{extra}.conf"), opened / f"60-{extra}.conf")
    verified = analyze("verify", f"--root={tmp_path}", "--man=no", UNIT.name)
    assert verified.stderr == verified.stdout == ""
    assert verified.returncode == 0


@pytest.mark.systemd
def test_its_exposure_is_low() -> None:
    # the threshold is in tenths: 1.8
    scored = analyze("security", "--offline=yes", "--threshold=18", str(UNIT))
    assert scored.returncode == 0, scored.stdout


@pytest.mark.systemd
def test_readme_says_what_each_exception_is_for() -> None:
    readme = (UNIT.parents[1] / "README.md").read_text(encoding="utf-8")
    table = readme.partition("### The systemd unit")[2].partition("\n#")[0]
    report = analyze("security", "--offline=yes", str(UNIT)).stdout
    exceptions = re.findall(r"✗ (?:RestrictAddressFamilies=~)?(\w+)", report)
    assert exceptions
    assert [name for name in exceptions if name not in table] == []


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
