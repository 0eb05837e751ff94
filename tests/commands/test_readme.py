"""What README shows of a command is what the command prints."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support_cli import call
from trashbin.cli import main
from trashbin.settings import Config

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
INSTALLED = "/etc/trashbin/trashbin.yaml"
WRONG = """\
version: 1
device:
  id: hall 2
bins:
  left: {labels: [cardboard, glass, paper], angle: -45}
  right: {labels: [metal, plastic, trash], angle: 45}
camera:
  kind: v4l3
triggers:
  - kind: pir
    piin: 17
actuators:
  - kind: servo
    pin: 99
publisher:
  kind: mqtt
  host: broker.example

  port: '1883'
"""


def _rows(heading: str) -> str:
    """The first column of the table that follows a heading."""
    table = README.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    return "\n".join(line.split("|")[1] for line in table.splitlines()[2:])


def test_the_tables_name_every_command_and_every_section() -> None:
    commands, sections = _rows("command"), _rows("section")
    told = {row.strip(" `").split()[1] for row in commands.splitlines()}
    assert told == main.commands.keys()
    assert [name for name in Config.model_fields if f"`{name}`" not in sections] == []


def test_the_mistakes_of_a_configuration_are_told_as_shown(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    file.write_text(WRONG)
    done = call("check-config", file)
    assert done.exit_code == 2
    shown = README.split(f"trashbin check-config {INSTALLED}\n```\n\ntells every mistake", 1)[1]
    assert shown.split("```")[1].strip() == done.output.replace(str(file), INSTALLED).strip()


def test_what_a_target_lacks_is_told_before_anything_is_set_up() -> None:
    """The photographs' environment alone is gigabytes."""
    done = subprocess.run(
        ["make", "test-data", "TRASHNET=/nowhere"],
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin"},  # no Python, and nothing of the make that runs the tests
        capture_output=True,
        text=True,
    )
    assert done.stderr.startswith("make test-data needs the TrashNet photographs in /nowhere;")
    assert "Setting up" not in done.stdout
