"""A disk that is truly full, not one that a test only calls so: a tmpfs of a few megabytes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.rig import Rig
from tests.support_events import NOON, an_event
from trashbin.errors import StoreError
from trashbin.outbox import Outbox
from trashbin.status import Status
from trashbin.store_file import RESERVE, RESERVE_BYTES

EVERYTHING = (0, 2**62, 10**6)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"a small disk needs root, to mount a tmpfs: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path, *, leave: int = 0) -> None:
    """Somebody's log takes every byte that is left, and then gives back ``leave``."""
    with (disk / "log").open("ab", buffering=0) as log:
        try:
            while True:
                log.write(bytes(4096))
        except OSError:
            log.truncate(log.tell() - leave)


def free(disk: Path) -> None:
    (disk / "log").unlink()


def test_delivered_events_give_way_and_nothing_else(disk: Path) -> None:
    box = Outbox(disk / "store" / "events.sqlite")
    stored = [box.append(an_event()) for _ in range(300)]
    box.acknowledge([event.event_id for event in stored[:250]])
    later = []
    for _ in range(150):
        fill(disk)  # every byte that is given back is taken at once
        later.append(box.append(an_event()))
    box.acknowledge([later[0].event_id])  # that is a write, too
    box.set("mode", "paused")
    assert [event.seq for event in later] == list(range(301, 451))
    waiting = [event.seq for event in box.unacknowledged(*EVERYTHING)]
    assert waiting == [*range(251, 301), *range(302, 451)]
    assert box.dropped() is None
    box.close()


def test_where_nothing_may_give_way_it_is_told_and_over_with_the_first_free_byte(
    disk: Path,
) -> None:
    box = Outbox(disk / "store" / "events.sqlite")
    written = [box.append(an_event()).seq for _ in range(20)]
    fill(disk)
    with pytest.raises(StoreError, match="Free some space"):
        while True:
            written.append(box.append(an_event()).seq)
    assert [event.seq for event in box.unacknowledged(*EVERYTHING)] == written
    box.prune(NOON, 30)
    free(disk)
    assert box.append(an_event()).seq == len(written) + 1
    box.prune(NOON, 30)
    assert (disk / "store" / RESERVE).stat().st_size == RESERVE_BYTES
    box.close()


@pytest.mark.parametrize("leave", [0, 4096, 20_000, 60_000])
def test_a_disk_that_is_full_at_the_start_ends_nothing(disk: Path, leave: int) -> None:
    """A new bin, a card full of something else; however little is left."""
    fill(disk, leave=leave)
    rig = Rig(disk / "store")
    rig.drop()
    rig.go(30)
    assert rig.daemon.status is Status.FAULT
    assert "Free some space" in rig.told.topics["state"]["problems"]["store"]
    assert rig.servo.visited == []
    rig.tray.clear()
    free(disk)
    rig.go(40)
    assert rig.daemon.status is Status.IDLE
    assert rig.kinds()[0] == "fault"
    assert rig.told.topics["info"]["store_id"] == rig.outbox.store_id != ""
    rig.drop()
    rig.go()
    assert rig.kinds()[-1] == "sorted"


def test_a_store_of_old_is_opened_on_a_full_disk_and_goes_on(disk: Path) -> None:
    rig = Rig(disk / "store")
    rig.outbox.acknowledge([rig.outbox.append(an_event()).event_id for _ in range(200)])
    rig.outbox.close()
    fill(disk)
    rig.start()
    rig.drop()
    rig.go(30)
    assert rig.daemon.status is Status.IDLE
    assert rig.kinds()[-1] == "sorted"
    assert rig.servo.visited == ["rest"]
