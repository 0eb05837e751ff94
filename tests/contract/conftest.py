"""What the contract tests share: a configuration with every kind of part, and mock pins."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drawn_scenes import drawn_scenes
from tests.support import FakeClock
from trashbin.devices.pins import pin_factory
from trashbin.devices.world import Listed, World
from trashbin.ports import Context
from trashbin.settings import Config

CONFIG: dict[str, Any] = {
    "version": 1,
    "device": {"id": "contract"},
    "bins": {
        "left": {"labels": ["paper", "cardboard"], "angle": -45, "lamp": 5, "color": "blue"},
        "right": {"labels": ["glass", "metal"], "angle": 45, "lamp": 6, "color": "green"},
    },
    "camera": {"kind": "simulated"},
    "triggers": [{"kind": "pir", "pin": 4}],
    "actuators": [{"kind": "none"}],
    "sorting": {"move_s": 0.01},
    "publisher": {"kind": "none"},
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Listed:
    return drawn_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def context(clock: FakeClock, listed: Listed) -> Context:
    config = Config.model_validate(CONFIG)
    return Context(clock, config, pins=pin_factory("mock"), world=World(clock, listed=listed))
