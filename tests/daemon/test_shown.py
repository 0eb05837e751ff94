"""What dashboards show stays right: through a restart, and while events wait for the broker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.daemon.rig import Rig, sure
from tests.support_events import an_event
from trashbin import record


def test_a_restart_does_not_forget_the_last_item_and_its_answer(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.network.usual = sure("glass", 0.3)
    rig.drop()
    rig.go(5)
    item = rig.events()[0].event_id
    rig.request("resolve", event_id=item, label="metal")
    rig.go(10)
    before = rig.told.topics["state"]
    rig.outbox.close()
    rig.start()
    after = rig.told.topics["state"]
    assert before["last"]["event_id"] == item
    assert (after["last"], after["last_answer"]) == (before["last"], before["last_answer"])


def test_the_last_item_is_looked_for_among_the_newest_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "RECALLED", 3)
    rig = Rig(tmp_path)
    items = [rig.outbox.append(an_event()) for _ in range(5)]
    rig.outbox.close()
    rig.start()
    assert rig.daemon.recorder.last_item == items[-1]


def test_a_clock_that_was_set_back_makes_no_event_younger_than_none(tmp_path: Path) -> None:
    rig = Rig(tmp_path, publisher={"kind": "mqtt"})
    rig.outbox.append(an_event(rig.clock.now() + timedelta(hours=1)))
    assert rig.daemon.recorder.health(None, {})["oldest_age_s"] == 0.0


def test_undelivered_events_are_counted_anew_until_there_are_none(tmp_path: Path) -> None:
    rig = Rig(tmp_path, publisher={"kind": "mqtt"})
    depths = []
    rig.told.announce = lambda topic, payload: (  # type: ignore[method-assign]
        depths.append(payload["outbox_depth"]) if topic == "health" else None
    )
    rig.go(300)
    calm = len(depths)
    rig.drop()
    rig.go(20)
    assert depths[-1] == 1
    assert len(depths) > calm + 5
    rig.outbox.acknowledge([event.event_id for event in rig.events()])
    rig.go(5)
    assert depths[-1] == 0
    told = len(depths)
    rig.go(300)
    assert len(depths) <= told + calm + 1
