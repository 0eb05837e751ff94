"""README's Pi chapter, typed in as it stands: no step fails, or says what README does not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.conftest import ROOT, Tree
from tests.support_terminal import converse

pytestmark = pytest.mark.trees


def chapter() -> str:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.split("\n## Install on a Raspberry Pi\n")[1].split("\n### ")[0]


def typed() -> list[list[str]]:
    """The commands for the Pi, in order; the first block is typed on the computer."""
    blocks = re.findall(r"```console\n(.*?)```", chapter(), re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks[1:] for line in block.splitlines()]
    return [line.removeprefix("sudo ").split() for line in lines]


@pytest.fixture
def beside(tree: Tree, tmp_path: Path) -> Iterator[list[str]]:
    """What stands before a command, so that it has a loopback and the tree's own broker there."""
    script = tmp_path / "beside.sh"
    script.write_text(
        "ip link set lo up || exit 9\n"
        f"chroot {tree.root} /usr/sbin/mosquitto -p 1883 >/dev/null 2>&1 & broker=$!\n"
        'sleep 1\ntrap "kill $broker" EXIT\n"$@"\n'
    )
    yield ["unshare", "--net", "sh", str(script)]


def test_every_command_of_the_chapter_does_what_it_says(tree: Tree, beside: list[str]) -> None:
    # no systemd runs here, and no service is to be started on the machine of the test
    policy = tree.root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    done = set()
    for command in typed():
        if command == ["trashbin", "setup"]:
            status, screen = converse([*beside, *tree.command(*command)], {})
            assert status == 0, screen
            assert "8/8 MQTT broker" in screen
            assert "Written: /etc/trashbin/trashbin.yaml" in screen
            assert not re.search("^bad ", screen, re.MULTILINE), screen
        elif command == ["trashbin", "doctor"]:
            examined = subprocess.run(
                [*beside, *tree.command(*command, "--wait", "0")],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert examined.returncode == 3, (
                examined.stdout + examined.stderr
            )  # as the chapter says
            bad = re.findall(r"^bad +(\S+) +(\S+)", examined.stdout, re.MULTILINE)
            assert bad == [("camera", "absent:"), ("gpio", "absent:")]
        else:
            said = tree.ok(*command)
            if "--uninstall" in command:
                assert "--purge removes them" in said
            elif "check-config" in command:
                assert said.startswith("/etc/trashbin/trashbin.yaml: good")
                tree.ok("sh", "-c", "command -v mosquitto_sub")  # with which the first item is seen
        done.add(tuple(command[:2]))
    assert done >= {
        ("./install.sh",),
        ("./install.sh", "--with"),
        ("./install.sh", "--uninstall"),
        ("trashbin", "setup"),
        ("trashbin", "doctor"),
        ("trashbin", "check-config"),
    }
