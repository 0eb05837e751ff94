"""The page's ear and its history, which no broker and no browser has reached yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.watch import Watch
from trashbin.settings import MqttPublisher


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(Archive(tmp_path / NAME), MqttPublisher(kind="mqtt"))
    yield made
    made.close()
    made.archive.close()
