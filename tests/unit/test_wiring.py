"""README's pin table and docs/wiring.svg say what config/trashbin.yaml says."""

from __future__ import annotations

import re
from pathlib import Path

from trashbin import config
from trashbin.config_checks import pins_of
from trashbin.config_yaml import spell

ROOT = Path(__file__).parents[2]

# the header pin of BCM 2, 3, ... 27, the same on every Raspberry Pi since the B+
# fmt: off
HEADER = (3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8,
          10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13)
# fmt: on


def configured() -> dict[str, int]:
    """Each key of the shipped configuration that takes a pin."""
    loaded = config.load(ROOT / "config" / "trashbin.yaml")
    return {
        spell((name, *path)): pin
        for name, section in loaded.sections.items()
        for path, pin in pins_of((), section)
    }


def test_the_pin_table_is_that_of_the_configuration() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.split("<!-- pins -->")[1].split("<!-- /pins -->")[0]
    rows = re.findall(r"^\|.*\| `([^`]+)` \| GPIO(\d+) \| (\d+) \|", table, re.MULTILINE)
    assert {key: int(pin) for key, pin, _ in rows} == configured()
    assert all(HEADER[int(pin) - 2] == int(header) for _, pin, header in rows)


def test_the_drawing_connects_the_pins_of_the_configuration() -> None:
    svg = (ROOT / "docs" / "wiring.svg").read_text(encoding="utf-8")
    connected = re.findall(r'class="name"[^>]*>GPIO(\d+)<', svg)
    assert sorted(map(int, connected)) == sorted(configured().values())
