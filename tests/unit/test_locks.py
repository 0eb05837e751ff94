"""What install.sh fetches is locked for each release that it takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
RELEASES = {"bookworm": ("3.11", "1"), "trixie": ("3.13", "2")}  # Python; NumPy's first number


def locked(release: str) -> dict[str, Version]:
    text = (ROOT / f"requirements-{release}.lock").read_text()
    return {
        canonicalize_name(name): Version(version)
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


def test_install_takes_these_releases() -> None:
    script = (ROOT / "install.sh").read_text()
    assert dict(re.findall(r"^    (\w+)\) WANTED_PYTHON=(.*) ;;$", script, re.MULTILINE)) == {
        release: python for release, (python, _) in RELEASES.items()
    }


@pytest.mark.parametrize("release", RELEASES)
def test_the_lock_holds_what_trashbin_asks_for(release: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = locked(release)
    for line in project["dependencies"]:
        wanted = Requirement(line)
        version = found.get(canonicalize_name(wanted.name))
        assert version is not None, f"requirements-{release}.lock lacks {wanted.name}: make lock"
        assert version in wanted.specifier
    assert str(found["numpy"].major) == RELEASES[release][1]
    assert {"hatchling", "editables"} <= set(found)  # install.sh builds the wheel with them
