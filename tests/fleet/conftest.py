"""A broker for every test here, and a database for those that are marked ``fleet``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.postgres import Server
from tests.support_processes import Broker, running


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running(tmp_path, "allow_anonymous true") as broker:
        yield broker


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    try:
        made.start()
        yield made
    finally:
        made.remove()
