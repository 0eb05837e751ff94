"""The soak's bin on a fake clock: what it tells must not hang on how busy the machine is."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.soak import daemon
from tests.soak.__main__ import SHORT
from tests.support import FakeClock
from trashbin import app, resources
from trashbin.devices import world
from trashbin.events import ITEM_EVENTS
from trashbin.settings import Config


@pytest.mark.parametrize("look_s", [0.01, 0.1])
def test_each_item_is_one_event_however_slow_a_look_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look_s: float
) -> None:
    for name, value in daemon.WORLD.items():
        monkeypatch.setattr(world, name, value)
    demo = yaml.safe_load((resources.root() / "config" / "demo.yaml").read_text())
    sections = SHORT | {
        "camera": {"kind": "simulated", "fps": 1 / look_s},
        "triggers": [SHORT["triggers"][0] | {"items": 8}],
        "publisher": {"kind": "none"},
        "store": {"path": str(tmp_path)},
    }
    clock = FakeClock()
    with ExitStack() as stack:
        bin = app.build(Config.model_validate(demo | sections), clock, stack)
        bin.begin()
        clock.at(60, clock.stop)
        bin.run()
        told = bin.recorder.outbox.span(0, 100)
    assert len(told) == 8 and {event.event_type for event in told} <= set(ITEM_EVENTS), told
