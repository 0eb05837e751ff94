"""A move's times, and what ends it: the drives are off from then on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.daemon.rig import Hand, Lamp, Lid
from tests.support import FakeClock
from trashbin.actuation import Actuation
from trashbin.errors import ActuatorError, StoppedError
from trashbin.settings import Sorting
from trashbin.status import Status
from trashbin.types import Mode

BEGIN, REST, OFF = "begin", "rest", "off"
SECONDS = st.integers(1, 8).map(lambda eighths: eighths / 8)  # whose sums are exact


class Arm(Hand):
    """Keeps when it was told what."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.did: list[tuple[str, float]] = []

    def sort(self, bin: str) -> None:
        super().sort(bin)
        self.did.append((BEGIN, self.clock.elapsed))

    def rest(self) -> None:
        super().rest()
        self.did.append((REST, self.clock.elapsed))

    def release(self) -> None:
        super().release()
        self.did.append((OFF, self.clock.elapsed))


class Bench:
    def __init__(self, move_s: float = 0.5, dwell_s: float = 1.0) -> None:
        self.clock, self.lid = FakeClock(), Lid()
        self.arm = Arm(self.clock)
        times = Sorting(move_s=move_s, dwell_s=dwell_s)
        self.actuation = Actuation([Lamp("lamps"), self.arm], self.lid, times, self.clock)

    def move(self) -> None:
        self.actuation.move("rest", self.actuation.movers(Mode.AUTO))

    def close_lid(self, closed: bool = True) -> None:
        """As the switch's thread does it; ``active`` is what stops a bin."""
        self.lid.active = closed
        if closed:
            self.actuation.halt()


STOPS: dict[str, Callable[[Bench], None]] = {
    "switch": Bench.close_lid,
    "switch for an instant": lambda bench: (bench.close_lid(), bench.close_lid(False))[0],
    "told to end": lambda bench: bench.clock.stop(),
}


@given(SECONDS, SECONDS, st.booleans())
def test_a_move_waits_at_the_bin_and_is_driven_until_it_is_back(
    move_s: float, dwell_s: float, has_switch: bool
) -> None:
    bench = Bench(move_s, dwell_s)
    if not has_switch:
        bench.actuation.stop = None
    bench.move()
    there = move_s + dwell_s
    assert bench.arm.did == [(BEGIN, 0.0), (REST, there), (OFF, there + move_s)]


@given(SECONDS, SECONDS, st.integers(1, 23), st.sampled_from(sorted(STOPS)))
def test_whatever_stops_a_move_has_the_drive_off_at_once_and_nothing_moved_until_the_next(
    move_s: float, dwell_s: float, part: int, how: str
) -> None:
    bench = Bench(move_s, dwell_s)
    lasts = 2 * move_s + dwell_s
    at = lasts * part / 24
    bench.clock.at(at, lambda: STOPS[how](bench))
    with pytest.raises(StoppedError):
        bench.move()
    assert bench.clock.elapsed == at
    assert [what for what, when in bench.arm.did if when >= at and what is not OFF] == []
    assert bench.arm.did[-1] == (OFF, at) and not bench.arm.driven
    bench.clock.stopped = False
    bench.close_lid(False)
    bench.actuation.home()
    assert bench.arm.did[-2:] == [(REST, at), (OFF, at + move_s)]


def test_an_instant_of_the_switch_ends_one_move_and_not_the_next() -> None:
    bench = Bench()
    STOPS["switch for an instant"](bench)
    bench.move()
    assert [what for what, _ in bench.arm.did] == [OFF, BEGIN, REST, OFF]


@pytest.mark.parametrize(
    "stop", [lambda bench: bench.close_lid(), lambda bench: bench.clock.stop()]
)
def test_nothing_begins_while_the_bin_is_stopped(stop: Callable[[Bench], None]) -> None:
    bench = Bench()
    stop(bench)
    for action in (bench.move, bench.actuation.home):
        with pytest.raises(StoppedError):
            action()
    assert {what for what, _ in bench.arm.did} == {OFF}


def test_one_drive_that_fails_is_no_reason_not_to_cut_the_others() -> None:
    bench = Bench()

    class Stuck(Hand):
        def release(self) -> None:
            raise ActuatorError("stuck")

        def show(self, status: Status, bin: str | None) -> None:
            raise ActuatorError("stuck")

    bench.actuation.actuators = [Stuck(), bench.arm]
    bench.arm.driven = True
    bench.actuation.halt()
    bench.actuation.show(Status.IDLE, None)
    assert not bench.arm.driven and bench.arm.shown == [(Status.IDLE, None)]
