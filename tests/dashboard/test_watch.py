"""What pages are told between two changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support_events import an_event
from tests.support_processes import wait_until
from trashbin.dashboard.archive import NAME, Archive
from trashbin.dashboard.watch import Watch
from trashbin.events import EventType
from trashbin.settings import MqttPublisher


def test_a_page_learns_the_last_count_without_another_event(tmp_path: Path) -> None:
    archive = Archive(tmp_path / NAME)
    watch = Watch(archive, MqttPublisher(kind="mqtt"))
    items = [replace(an_event(seq=seq), event_type=EventType.UNCERTAIN) for seq in (1, 2)]
    answers = [
        replace(an_event(seq=seq), event_type=EventType.RESOLVED, resolves=items[seq - 3].event_id)
        for seq in (3, 4)
    ]
    shown, seen = -1, -1

    def look() -> int:
        nonlocal shown, seen
        if watch.version != seen:
            seen = watch.version
            shown = watch.waiting_count(None)
        return shown

    try:
        archive.add(items)
        assert look() == 2
        for answer in answers:  # within a second
            archive.add([answer])
            watch.version += 1
            look()
        assert shown == 2, "it is counted once a second"
        watch._keeper.start()
        assert wait_until(lambda: look() == 0)
    finally:
        watch.close()
        archive.close()
