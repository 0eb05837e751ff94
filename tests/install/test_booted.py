"""The bin under a real systemd, which boots the tree in a container: its own unit, as shipped.

Nothing stands in for the unit's sandbox here: its system calls, its folders, its credential and
its restarts are systemd's. The tests of a tree build on each other, in this order.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tests.install.conftest import Tree
from tests.support_processes import Broker, Listener, config, end, run, running, wait_until

PASSWORD = "correct horse"
UNIT = "trashbin.service"

pytestmark = pytest.mark.trees


class Booted(Tree):
    """A tree whose commands run beside its own systemd."""

    container: subprocess.Popen[bytes]

    def command(
        self, *command: str, offline: bool = False, variables: Mapping[str, str] | None = None
    ) -> list[str]:
        """The command line, inside of the container; it has this machine's network."""
        first = Path(f"/proc/{self.container.pid}/task/{self.container.pid}/children").read_text()
        namespaces = ("--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd")
        return [
            *("nsenter", f"--target={first.split()[0]}", *namespaces),
            *("/usr/bin/env", "-i", *self.settings(variables or {})),
            *("/bin/sh", "-c", 'cd /src && exec "$@"', "sh", *command),
        ]

    def boot(self) -> None:
        """systemd as the tree's first process, in a container of its own."""
        with self.log.open("wb") as console:
            self.container = subprocess.Popen(
                [
                    *("systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}"),
                    *("--machine", f"trashbin-{os.getpid()}", "--register=no", "--keep-unit"),
                    *("--resolv-conf=off", "--link-journal=no", "--console=pipe"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        assert wait_until(self.is_up), self.log.read_text(errors="replace")

    def power_off(self) -> None:
        """As who runs ``poweroff``."""
        end(self.container, patience_s=60)  # systemd-nspawn(1) passes it on
        self.log.unlink()

    def is_up(self) -> bool:
        """Whether systemd has started all that it is to start."""
        assert self.container.poll() is None, self.log.read_text(errors="replace")
        try:
            state = self.run("systemctl", "is-system-running").stdout.strip()
        except IndexError:  # no first process yet
            return False
        assert state != "degraded", self.ok("systemctl", "--failed")
        return state == "running"

    @property
    def log(self) -> Path:
        """What the container's console says."""
        return self.root.with_suffix(".console")

    def shown(self, name: str) -> str:
        """A property of the bin's unit."""
        return self.ok("systemctl", "show", UNIT, f"--property={name}", "--value").strip()


@pytest.fixture(scope="module")
def system(tree: Tree) -> Iterator[Booted]:
    if shutil.which("systemd-nspawn") is None:
        pytest.fail(
            "make test-install needs systemd-nspawn: sudo apt-get install systemd-container"
        )
    tree.ok("apt-get", "-q", "update")
    tree.ok("apt-get", "-qy", "--no-install-recommends", "install", "systemd-sysv", "dbus")
    system = Booted(tree.root, tree.release)
    system.boot()
    yield system
    system.power_off()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One that lets nobody in without a password."""
    folder = tmp_path_factory.mktemp("broker")
    passwords = folder / "passwords"
    passwords.write_text(f"demo:{PASSWORD}\nlistener:{PASSWORD}\n")
    run("mosquitto_passwd", "-U", str(passwords))
    with running(folder, "allow_anonymous false", f"password_file {passwords}") as broker:
        yield broker


@pytest.fixture(scope="module")
def listener(broker: Broker) -> Iterator[Listener]:
    listener = Listener(
        broker,
        "trashbin/demo/event",
        secure=lambda client: client.username_pw_set("listener", PASSWORD),
    )
    yield listener
    listener.close()


@pytest.fixture
def tells(listener: Listener) -> Callable[[], dict[str, object]]:
    """Wait for an event that the bin commits from now on."""

    def next_event() -> dict[str, object]:
        before = len(listener.events())
        assert wait_until(lambda: len(listener.events()) > before)
        return listener.events()[-1]

    return next_event


def test_a_bin_with_no_parts_starts_and_says_which_it_lacks(system: Booted) -> None:
    said = system.ok("./install.sh")
    assert "enabled   trashbin.service" in said and "restarted" not in said
    system.ok("systemctl", "start", UNIT)
    grave = system.ok("journalctl", "--unit", UNIT, "--priority=err", "--output=cat")
    assert "camera: " in grave and "gpio: " in grave
    assert all(line.startswith("ERROR ") for line in grave.splitlines())
    assert (system.shown("NRestarts"), system.shown("StatusText")) == ("0", "fault")


def test_it_sorts_in_the_units_sandbox(
    system: Booted, broker: Broker, listener: Listener, tells: Callable[[], dict[str, object]]
) -> None:
    content = config(Path("/"), broker, store={"path": "/var/lib/trashbin"})
    content["publisher"] |= {
        "username": "demo",
        "password_file": f"/run/credentials/{UNIT}/trashbin.mqtt-password",
    }
    (system.root / "etc/trashbin/trashbin.yaml").write_text(yaml.safe_dump(content))
    secret = system.root / "etc/credstore/trashbin.mqtt-password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    system.ok("systemctl", "restart", UNIT)
    status = system.ok("cat", f"/proc/{system.shown('MainPID')}/status")
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert "CapBnd:\t0000000000000000" in status
    assert wait_until(lambda: any(e["event_type"] == "sorted" for e in listener.events()))
    assert tells()["ts_quality"] == "unsynced"
    # as systemd-timesyncd(8) does, which has no time server here
    system.ok("mkdir", "-p", "/run/systemd/timesync")
    system.ok("touch", "/run/systemd/timesync/synchronized")
    tells()
    assert tells()["ts_quality"] == "synced"
    done = system.run("trashbin", "doctor", "--json")
    levels = {check["check"]: check["level"] for check in json.loads(done.stdout)["checks"]}
    assert levels["systemd"] == levels["daemon"] == levels["files"] == "good", done.stdout


def test_one_that_is_killed_is_back_at_once_and_counts_on(
    system: Booted, tells: Callable[[], dict[str, object]]
) -> None:
    before = tells()
    system.ok("systemctl", "kill", "--signal=KILL", UNIT)
    assert wait_until(lambda: system.shown("NRestarts") == "1")
    after = tells()
    assert after["store_id"] == before["store_id"]
    assert int(str(after["seq"])) > int(str(before["seq"]))


def test_it_is_at_work_after_a_boot(system: Booted, tells: Callable[[], dict[str, object]]) -> None:
    system.power_off()
    system.boot()
    tells()
    assert (system.shown("ActiveState"), system.shown("NRestarts")) == ("active", "0")


def test_a_version_whose_bin_does_not_start_leaves_the_old_one_at_work(
    system: Booted, tells: Callable[[], dict[str, object]]
) -> None:
    """The program itself does: only the bin, with what it needs, shows that it does not."""
    with system.altered("cycle.py", 'raise SystemError("not this one")'):
        done = system.run("./install.sh")
    assert done.returncode == 1, done.stdout
    assert "the bin does not start; why: journalctl -u trashbin" in done.stderr
    assert "restored  /opt/trashbin" in done.stdout
    assert "not this one" in system.ok("journalctl", "--unit", UNIT, "--lines=100", "--output=cat")
    tells()
    assert not (system.root / "opt/trashbin.old").exists()


def test_one_that_starts_is_at_work_when_the_installer_says_so(
    system: Booted, tells: Callable[[], dict[str, object]]
) -> None:
    assert "restarted trashbin.service" in system.ok("./install.sh")
    assert system.ok("systemctl", "is-active", UNIT).strip() == "active"
    tells()
    assert "Nothing to change" in system.ok("./install.sh")


def test_it_goes_without_a_trace_in_systemd(system: Booted) -> None:
    system.ok("./install.sh", "--uninstall", "--purge")
    assert (system.shown("LoadState"), system.shown("MainPID")) == ("not-found", "0")
    assert system.is_up()
    for path in ("etc/trashbin", "var/lib/trashbin", "run/trashbin", "opt/trashbin"):
        assert not (system.root / path).exists(), path
