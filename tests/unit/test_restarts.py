"""The budget of restarts, as processes meet it one after another."""

from __future__ import annotations

from pathlib import Path

import pytest

from trashbin.restarts import NAME, Restarts


class Boots:
    """A bin that is started, ends or dies, and starts again; ``now`` is its uptime."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0
        self.boot = "one"

    def start(self) -> Restarts:
        found = Restarts(self.folder, 3, 600.0, self.boot, lambda: self.now)
        found.begin()
        self.now += 10
        return found


@pytest.fixture
def boots(tmp_path: Path) -> Boots:
    return Boots(tmp_path)


def test_an_end_on_purpose_does_not_count(boots: Boots) -> None:
    for _ in range(5):
        restarts = boots.start()
        assert (restarts.count, restarts.spent) == (0, False)
        restarts.end()


def test_deaths_are_counted_until_the_budget_is_spent(boots: Boots) -> None:
    seen = [boots.start() for _ in range(4)]
    assert [restarts.spent for restarts in seen] == [False, False, False, True]
    assert seen[-1].count == 3
    assert seen[-1].nobody_knows_why


def test_an_end_for_a_part_is_counted_and_known(boots: Boots) -> None:
    for _ in range(3):
        boots.start().end("camera")
    last = boots.start()
    assert last.spent
    assert not last.nobody_knows_why


def test_time_gives_the_budget_back(boots: Boots) -> None:
    for _ in range(4):
        last = boots.start()
    boots.now += 600
    assert (last.count, last.spent, last.nobody_knows_why) == (0, False, False)
    assert boots.start().count == 1


def test_another_boot_begins_anew(boots: Boots) -> None:
    for _ in range(4):
        boots.start()
    boots.boot, boots.now = "two", 20.0
    assert boots.start().count == 0


@pytest.mark.parametrize("content", [b"", b"[]", b'{"boot_id": 3}', b"\xff\x00", b'{"ended": 7}'])
def test_a_damaged_file_begins_anew(boots: Boots, content: bytes) -> None:
    boots.start()
    (boots.folder / NAME).write_bytes(content)
    assert not boots.start().spent
    assert boots.start().count == 1


def test_what_cannot_be_counted_is_not_allowed(tmp_path: Path) -> None:
    boots = Boots(tmp_path / "gone")
    assert boots.start().spent
    assert not boots.start().nobody_knows_why


def test_a_budget_of_nothing_is_spent_and_a_first_start_is_no_death(tmp_path: Path) -> None:
    first, second = (Restarts(tmp_path, 0, 600.0, "one", lambda: 100.0) for _ in range(2))
    first.begin()
    assert first.spent and not first.nobody_knows_why
    second.begin()
    assert second.nobody_knows_why
