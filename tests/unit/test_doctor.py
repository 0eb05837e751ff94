"""What the doctor makes of a machine and its network: good, warning or bad, and what to do."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from trashbin import database
from trashbin.doctor import brain, daemon, machine, network
from trashbin.doctor.machine import Host
from trashbin.doctor.report import Level, Report, bad, good, show, unreachable, warning
from trashbin.errors import ExitCode
from trashbin.settings import Model, MqttPublisher

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PI = "Raspberry Pi 4 Model B Rev 1.5\0"


def lay(root: Path, **files: str) -> None:
    """Files by their paths, with __ for each slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# the report


def test_a_wrong_configuration_counts_more_than_what_does_not_answer() -> None:
    report = Report()
    report.add(good("a", "", ""), warning("b", "", "", "do"))
    assert report.exit_code is ExitCode.GOOD
    report.add(bad("c", "", "", "do"))
    assert report.exit_code is ExitCode.BAD_INPUT
    report.add(unreachable("d", "", "", "do"))
    assert report.exit_code is ExitCode.UNREACHABLE
    report.add(bad("e", "", "", "do", ExitCode.BAD_USAGE))
    assert report.exit_code is ExitCode.BAD_USAGE


def test_a_lid_that_a_running_bin_tells_of_is_no_failing_part() -> None:
    heard = network.Heard(state={"problems": {"stop": "the lid is open", "camera": "no picture"}})
    levels = {found.check: found.level for found in daemon.asked(heard)}
    assert levels == {"daemon": Level.GOOD, "stop switch": Level.WARNING, "camera": Level.BAD}


@pytest.mark.parametrize("made", ["cannot be read", "cannot be opened: busy"])
def test_a_stop_switch_that_the_running_bin_cannot_read_is_a_failing_part(made: str) -> None:
    heard = network.Heard(state={"problems": {"stop": f"The stop switch on pin 27 {made}"}})
    _, found = daemon.asked(heard)
    assert (found.check, found.level, found.exit_code) == ("stop", Level.BAD, ExitCode.UNREACHABLE)


def test_json_has_every_finding_and_the_counts() -> None:
    report = Report()
    report.add(good("a", "found", "means"), warning("b", "found", "means", "do"))
    told = json.loads(report.as_json(daemon="stopped"))
    assert (told["good"], told["warning"], told["bad"]) == (1, 1, 0)
    assert told["checks"][1] == {
        "check": "b",
        "level": "warning",
        "found": "found",
        "means": "means",
        "do": "do",
    }


def test_a_finding_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    show(warning("watchdog", "it is there " * 9, "what it means " * 9, "what to do " * 9))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("→ what to do" in line for line in lines)


@pytest.mark.parametrize("columns", [1, 20, 27, 40])
def test_a_finding_is_told_on_a_narrow_terminal_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show(warning("watchdog", "it is there", "what it means", "what to do"))
    assert "there" in capsys.readouterr().out


# the machine


@pytest.mark.parametrize(
    ("celsius", "level"), [(45, Level.GOOD), (78, Level.WARNING), (86, Level.BAD)]
)
def test_heat(tmp_path: Path, celsius: int, level: Level) -> None:
    lay(tmp_path, sys__class__thermal__thermal_zone0__temp=f"{celsius}000\n")
    assert machine.temperature(Host(tmp_path)).level is level


@pytest.mark.parametrize(
    ("throttled", "level", "told"),
    [
        ("0x0", Level.GOOD, "no undervoltage"),
        ("0x50000", Level.WARNING, "undervoltage and throttling since boot"),
        ("0x50005", Level.BAD, "undervoltage and throttling now"),
    ],
)
def test_power_is_what_the_firmware_remembers(
    tmp_path: Path, throttled: str, level: Level, told: str
) -> None:
    lay(tmp_path, **{"proc__device-tree__model": PI})
    found = machine.power(Host(tmp_path, run=lambda command: f"throttled={throttled}\n"))
    assert (found.level, told in found.found) == (level, True)


def test_a_pi_that_does_not_tell_of_its_power_is_a_warning_and_a_laptop_is_not(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path, run=lambda command: None)
    assert machine.power(host).level is Level.GOOD
    lay(tmp_path, **{"proc__device-tree__model": PI})
    assert machine.power(host).level is Level.WARNING


def test_the_clock(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert machine.clock(host, datetime(2021, 1, 1, tzinfo=UTC), True).level is Level.BAD
    assert machine.clock(host, NOW, True).level is Level.GOOD
    assert machine.clock(host, NOW, False).level is Level.GOOD  # nobody there to keep it
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert machine.clock(host, NOW, False).level is Level.WARNING


def test_the_account_must_be_in_the_groups_that_own_the_devices(tmp_path: Path) -> None:
    host = Host(tmp_path)
    lay(tmp_path, etc__passwd="root:x:0:0::/root:/bin/sh\n", etc__group="root:x:0:\n")
    assert machine.account(host).level is Level.WARNING
    lay(tmp_path, etc__passwd="trashbin:x:99:99::/nonexistent:/bin/false\n")
    assert "no group gpio, video, render" in machine.account(host).found
    groups = "gpio:x:1:trashbin\nvideo:x:2:pi,trashbin\nrender:x:3:\n"
    lay(tmp_path, etc__group=groups)
    found = machine.account(host)
    assert (found.level, "not in render" in found.found) == (Level.BAD, True)
    lay(tmp_path, etc__group=groups.replace("3:", "3:trashbin"))
    assert machine.account(host).level is Level.GOOD


def test_a_password_that_others_may_read_is_told(tmp_path: Path) -> None:
    lay(tmp_path, **{"etc__credstore__trashbin.mqtt-password": "secret"})
    password = tmp_path / "etc/credstore/trashbin.mqtt-password"
    password.chmod(0o644)
    (found,) = machine.files(Host(tmp_path), tmp_path / "none.yaml", tmp_path)
    assert (found.level, "mode 644" in found.found) == (Level.WARNING, True)
    assert "secret" not in repr(found)
    password.chmod(0o600)
    (found,) = machine.files(Host(tmp_path), tmp_path / "none.yaml", tmp_path)
    assert found.level is Level.GOOD and "none.yaml" not in found.found


def test_a_store_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.os, "access", lambda path, mode: path != tmp_path)  # root may all
    (found,) = machine.files(Host(tmp_path), tmp_path / "none.yaml", tmp_path / "bin" / "store")
    assert found.level is Level.BAD and str(tmp_path) in found.found


@pytest.mark.parametrize(
    ("change", "level", "todo"),
    [(-1, Level.WARNING, "Start the daemon"), (1, Level.BAD, "Update this trashbin")],
)
def test_a_store_of_another_trashbin_is_not_called_damaged(
    tmp_path: Path, change: int, level: Level, todo: str
) -> None:
    with closing(database.opened(tmp_path / database.NAME)) as db:
        db.execute(f"PRAGMA user_version = {database.VERSION + change}")
    found = daemon.store(tmp_path)
    assert (found.level, todo in found.do, "damaged" in found.do) == (level, True, False)


def test_a_store_on_a_disk_that_is_not_mounted_is_not_called_good(tmp_path: Path) -> None:
    (tmp_path / "store").symlink_to("/mnt/usb/that/is/away")
    found = daemon.store(tmp_path / "store")
    assert found.level is Level.BAD and "leads to /mnt/usb/that/is/away" in found.found


def test_folders_that_may_not_be_entered_are_no_end_of_the_examination(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / (300 * "x") / "store"  # to root, too, is this refused
    assert str(tmp_path) in machine.disk(closed, 1).found
    assert list(machine.files(Host(tmp_path), closed, closed))
    monkeypatch.setattr(network, "CREDENTIALS", tmp_path)
    section = MqttPublisher(kind="mqtt", password_file=tmp_path / (300 * "x"))
    assert network._with_password(section) == section


def test_a_password_is_where_systemd_takes_it_from_while_the_unit_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "CREDENTIALS", tmp_path / "run")
    monkeypatch.setattr(network, "STORED", tmp_path / "etc")
    at_work, own = tmp_path / "run/secret", MqttPublisher(kind="mqtt", password_file=tmp_path / "p")
    section = MqttPublisher(kind="mqtt", password_file=at_work)
    assert network._with_password(section).password_file == tmp_path / "etc/secret"
    assert network._with_password(own) == own
    at_work.parent.mkdir()
    at_work.touch()
    assert network._with_password(section) == section


@pytest.mark.parametrize(
    ("state", "wanted"),
    [("active", True), ("activating", True), ("inactive", False), ("failed", False), (None, None)],
)
def test_where_the_stores_lock_may_not_be_looked_at_systemd_says_whether_the_bin_runs(
    tmp_path: Path, state: str | None, wanted: bool | None
) -> None:
    closed = tmp_path / (300 * "x")  # to root, too, is this refused
    host = Host(tmp_path, run=lambda command: state and f"{state}\n")
    assert daemon.runs(closed, host) is None, "nobody knows"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert daemon.runs(closed, host) is wanted


def test_a_user_without_a_name_is_told_by_his_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 4_294_967_000)
    assert machine._me() == "the user 4294967000"


@pytest.mark.parametrize(
    ("answer", "level", "told"),
    [
        ("LoadState=not-found", Level.WARNING, "there is no trashbin.service"),
        ("LoadState=loaded\nActiveState=failed\nSubState=failed", Level.BAD, "failed"),
        (
            "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\nNRestarts=0",
            Level.WARNING,
            "not enabled",
        ),
        (
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=4",
            Level.WARNING,
            "restarted 4 times",
        ),
        (
            "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=0",
            Level.GOOD,
            "runs",
        ),
    ],
)
def test_the_unit(tmp_path: Path, answer: str, level: Level, told: str) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    found = machine.service(Host(tmp_path, run=lambda command: answer))
    assert (found.level, told in found.found) == (level, True)


def test_without_systemd_and_watchdog_both_are_absent(tmp_path: Path) -> None:
    for found in (machine.service(Host(tmp_path)), machine.watchdog(Host(tmp_path))):
        assert (found.level, found.found.startswith("absent")) == (Level.WARNING, True)


def test_a_watchdog_that_nobody_feeds_is_a_warning(tmp_path: Path) -> None:
    lay(tmp_path, dev__watchdog0="")
    assert machine.watchdog(Host(tmp_path, lambda command: "0\n")).level is Level.WARNING
    assert machine.watchdog(Host(tmp_path, lambda command: "15s\n")).level is Level.GOOD


# the network


def test_the_shipped_network_is_whole_and_answers_as_promised() -> None:
    found = {finding.check: finding for finding in brain.check(Model(), None)}
    assert {finding.level for finding in found.values()} == {Level.GOOD}
    assert "exact under reference kernels" in found["model answers"].found


def test_a_network_that_is_slower_than_its_board_should_be_is_told() -> None:
    assert brain._latency(1000.0, PI).level is Level.WARNING
    assert brain._latency(20.0, PI).level is Level.GOOD


def test_a_network_that_is_not_there_is_told() -> None:
    (closed,) = brain.check(replace_name(Model(), 300 * "x"), None)
    assert "cannot be looked for" in closed.found
    (found,) = brain.check(replace_name(Model(), "nobody"), None)
    assert (found.level, found.exit_code) == (Level.BAD, ExitCode.BAD_USAGE)


def replace_name(model: Model, name: str) -> Model:
    return model.model_copy(update={"name": name})


# what fills up, belongs to another, or says nonsense


@pytest.mark.parametrize(
    ("free_mb", "level", "told"),
    [
        (99, Level.BAD, "99 MB free below"),
        (100, Level.WARNING, "less than store: max_mb (500)"),
        (499, Level.WARNING, "499 MB free"),
        (500, Level.GOOD, "500 MB free"),
        (12345, Level.GOOD, "12,345 MB free"),
    ],
)
def test_a_disk_is_told_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, level: Level, told: str
) -> None:
    usage = SimpleNamespace(free=free_mb * 2**20 + 1)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda there: usage)
    found = machine.disk(tmp_path / "not" / "there yet", 500)
    assert (found.check, found.level, told in found.found) == ("disk", level, True)
    assert found.found.partition(" below ")[2].startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("owner", "there", "bad_"),
    [
        ("pi", True, True),
        ("trashbin", True, False),
        ("me", True, False),
        ("pi", False, False),  # no service: whoever runs it owns it
        (None, True, False),  # not there yet
    ],
)
def test_a_store_that_belongs_to_somebody_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str | None, there: bool, bad_: bool
) -> None:
    monkeypatch.setattr(machine, "_owner", lambda path: owner)
    monkeypatch.setattr(machine, "_me", lambda: "me")
    monkeypatch.setattr(machine, "_user_exists", lambda name: there and name == "trashbin")
    (found,) = machine.files(Host(tmp_path), tmp_path / "trashbin.yaml", tmp_path)
    assert found.check == "files" and (found.level is Level.BAD) is bad_
    assert f"{tmp_path} belongs to pi" in found.found or not bad_


@pytest.mark.parametrize("text", ["", "hot", "45 C"])
def test_a_temperature_that_is_no_number_is_none(tmp_path: Path, text: str) -> None:
    lay(tmp_path, sys__class__thermal__thermal_zone0__temp=text)
    assert "tells none" in machine.temperature(Host(tmp_path)).found
