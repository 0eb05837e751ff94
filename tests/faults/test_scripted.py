"""Each scripted fault once, side by side; a test for each says what came of it."""

from __future__ import annotations

import os

import pytest

from tests.faults.scripted import SCRIPTS, Row, Script, run_all


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row | BaseException]:
    return run_all(tmp_path_factory.mktemp("faults"), at_once=4)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_is_told_and_over_by_itself(
    script: Script, outcomes: dict[str, Row | BaseException]
) -> None:
    found = outcomes[script.name]
    if isinstance(found, PermissionError) and os.geteuid() != 0:
        pytest.skip(str(found))
    if isinstance(found, BaseException):
        raise found
    assert found.fixed == (script.name, script.part, "at rest" if script.stops else "go on")
