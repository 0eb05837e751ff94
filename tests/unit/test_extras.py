"""install.sh's functions: extras that an upgrade keeps, and what a run that was cut off leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "install.sh").read_text(encoding="utf-8").partition("\npurge=no uninstall=no")[0]
BOARD = ("adafruit_circuitpython_pca9685", "adafruit_extended_bus")


def ask(folder: Path, function: str, asked: str = "") -> subprocess.CompletedProcess[str]:
    """One of the script's functions, on an environment and a record in this folder."""
    names = f"HERE='{ROOT}' VENV='{folder}/venv' RECORD='{folder}' with='{asked}'"
    # under nohup a shell may not trap what it was begun without
    heard = ["env", "--default-signal=HUP,INT,TERM"]
    return subprocess.run(
        [*heard, "sh", "-c", f"{SCRIPT}\n{names}\n{function}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )


def installed(folder: Path, *names: str) -> None:
    for name in names:
        info = folder / f"venv/lib/python3.11/site-packages/{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")


@pytest.mark.parametrize(
    ("there", "asked", "wanted"),
    [
        ((), "", ""),
        (("numpy", "lgpio", "rich", BOARD[0]), "", ""),  # half of it
        (BOARD, "", "pca9685 "),
        ((*BOARD, "rpi_hardware_pwm"), "", "hardware-pwm pca9685 "),
        (BOARD, "hardware-pwm", "hardware-pwm pca9685 "),
        ((), " pca9685 pca9685", "pca9685 "),
    ],
)
def test_an_upgrade_has_what_is_there_and_what_is_asked_for(
    tmp_path: Path, there: tuple[str, ...], asked: str, wanted: str
) -> None:
    installed(tmp_path, *there)
    (tmp_path / "digest").touch()
    done = ask(tmp_path, "wanted_extras", asked)
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")


def test_a_library_that_a_power_cut_spoilt_loses_no_other(tmp_path: Path) -> None:
    installed(tmp_path, *BOARD, "half", "empty")
    (tmp_path / "digest").touch()
    packages = tmp_path / "venv/lib/python3.11/site-packages"
    (packages / "half-1.0.dist-info/METADATA").unlink()
    (packages / "empty-1.0.dist-info/METADATA").write_text("")
    done = ask(tmp_path, "wanted_extras")
    assert (done.stdout, done.stderr) == ("pca9685 ", "")


def test_an_upgrade_that_was_cut_off_has_what_was_written_down(tmp_path: Path) -> None:
    assert ask(tmp_path, "wanted_extras").stdout == ""  # the first install
    (tmp_path / "extras").write_text("hardware-pwm\npca9685\n")
    assert ask(tmp_path, "wanted_extras").stdout == "hardware-pwm pca9685 "


def test_an_extra_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    done = ask(tmp_path, "extras lines pca9865 || exit 1")
    assert done.returncode == 1
    assert "no extra pca9865 (there are: pi, pca9685, hardware-pwm, " in done.stderr
    known = ask(tmp_path, "extras lines hardware-pwm")
    assert known.stdout.startswith("rpi-hardware-pwm>=")


@pytest.mark.parametrize("number", ["HUP", "INT", "TERM"])
def test_what_was_fetched_goes_where_it_is_cut_off(tmp_path: Path, number: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    done = ask(tmp_path, f"trap \"rm -rf '{work}'\" EXIT; kill -{number} $$; echo on")
    assert (done.returncode, done.stdout, work.exists()) == (1, "", False)


def test_a_bin_that_a_run_stopped_and_did_not_start_again_is_started_by_the_next(
    tmp_path: Path,
) -> None:
    told = "! at_work || echo yes"
    assert ask(tmp_path, f"has_systemd() {{ false; }}; {told}").stdout == ""
    (tmp_path / "stopped").touch()
    assert ask(tmp_path, told).stdout == "yes\n"


@pytest.mark.parametrize(
    ("state", "works"),
    [
        *[(state, True) for state in ("active", "activating", "reloading")],
        *[(state, False) for state in ("inactive", "failed", "deactivating", "")],
    ],
)
def test_a_bin_that_is_still_starting_is_at_work(tmp_path: Path, state: str, works: bool) -> None:
    stubs = f"has_systemd() {{ :; }}; systemctl() {{ echo '{state}'; }}"
    assert (ask(tmp_path, f"{stubs}; at_work").returncode == 0) == works


def test_events_of_a_demo_in_the_folder_are_no_new_version(tmp_path: Path) -> None:
    for name in ("trashbin", "models", "config/demo-store", "labels.txt", "pyproject.toml", "lock"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "config/demo.yaml").touch()
    digest = f"HERE='{tmp_path}' LOCK=lock; digest"
    before = ask(tmp_path, digest).stdout
    (tmp_path / "config/demo-store/events").touch()
    assert ask(tmp_path, digest).stdout == before
    (tmp_path / "config/trashbin.yaml").touch()
    assert ask(tmp_path, digest).stdout != before


def test_what_the_unit_must_leave_open_for_a_part_has_the_name_of_its_extra() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    drop_ins = {file.stem for file in (ROOT / "systemd").glob("*.conf")} - {"watchdog"}
    assert drop_ins == {"pca9685", "hardware-pwm"}
    assert all(f"\n{name} = [" in project for name in drop_ins)


def version(folder: Path, name: str, told: str) -> None:
    (folder / name).mkdir()
    (folder / name / "pyvenv.cfg").write_text(f"include-system-site-packages = {told}\n")


@pytest.mark.parametrize(
    ("lie", "stays"),
    [
        (("venv",), "venv"),
        (("venv", "venv.old"), "venv.old"),  # cut off while the new one was filled
        (("venv.old",), "venv.old"),
        (("venv", "venv.gone"), "venv"),  # ... and while the old one was removed
        (("venv.gone",), None),
    ],
)
def test_what_a_run_that_was_cut_off_left_is_put_right(
    tmp_path: Path, lie: tuple[str, ...], stays: str | None
) -> None:
    for name in lie:
        version(tmp_path, name, "false")
        (tmp_path / name / name).touch()
    done = ask(tmp_path, "put_right")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("restored" in done.stdout) == (stays == "venv.old")
    left = {f"{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*")}
    assert left == ({"venv", "venv/pyvenv.cfg", f"venv/{stays}"} if stays else set())
    if stays:  # the camera's library is the system's
        assert "= true" in (tmp_path / "venv/pyvenv.cfg").read_text()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_bin_that_was_stopped_is_started_however_it_ends(
    tmp_path: Path, stopped: bool, fails: bool
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    version(tmp_path, "venv.old", "true")
    if stopped:
        (tmp_path / "stopped").touch()
    stubs = 'systemctl() { echo "$*"; }; mv() { false; }' if fails else 'systemctl() { echo "$*"; }'
    done = ask(tmp_path, f"work='{work}'; {stubs}; trap tidy EXIT; die 'no room'")
    assert (done.returncode, done.stderr) == (1, "install.sh: no room\n")
    assert ("start --no-block trashbin" in done.stdout) == stopped
    assert not work.exists() and not (tmp_path / "stopped").exists()
    assert (tmp_path / "venv").exists() != fails
