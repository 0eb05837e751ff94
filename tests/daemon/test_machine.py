"""Any order of drops, requests, faults and hands: what must hold of the bin whatever happens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from tests.daemon.rig import LABELS, Hand, Rig, sure
from trashbin.condition import BLOCKING
from trashbin.events import EventType
from trashbin.status import Status
from trashbin.types import Mode, Source

PLACES = {"can": (20, 20), "letter": (95, 60)}
MOVES_AT_MOST = 20  # in one run: more is a bin that never ends
FAULTS_AT_MOST = 8  # in one run: more is a bin that fills its disk


class Machine(RuleBasedStateMachine):
    """One bin; things happen to it between and during what it does."""

    @initialize(
        mode=st.sampled_from([Mode.AUTO, Mode.AUTO, Mode.ADVISORY, Mode.PAUSED]),
        pir_sees_servo=st.booleans(),
    )
    def boot(self, mode: Mode, pir_sees_servo: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.rig = Rig(Path(self.folder.name), device={"id": "rig", "mode": mode})
        self.bulb = self.rig.tray.bulb
        self.pir_sees_servo = pir_sees_servo
        self.sticky = False
        self.moves = self.asked = 0
        self.rig.servo.on_sort = self.moved
        self.rig.servo.rest = self.rested  # type: ignore[method-assign]

    # what is looked at while the servo moves

    def rested(self) -> None:
        self.may_drive()
        Hand.rest(self.rig.servo)

    def may_drive(self) -> None:
        assert not self.rig.lid.active, "driven while the lid is open"

    def moved(self, bin: str) -> None:
        rig = self.rig
        self.may_drive()
        assert rig.daemon.recorder.mode is Mode.AUTO
        assert rig.daemon.status is Status.SORTING
        last = rig.events()[-1]
        assert (last.event_type, last.bin) == (EventType.SORTED, bin), "moved before it was told"
        self.moves += 1
        assert self.moves <= MOVES_AT_MOST, "sorts one thing for ever"
        if self.pir_sees_servo:
            rig.clock.at(rig.clock.elapsed + 0.2, rig.signal)
        if not self.sticky:
            rig.clock.at(rig.clock.elapsed + 0.3, rig.tray.clear)

    # what happens

    def happens(self, what: str) -> None:
        rig = self.rig
        things: dict[str, Callable[[], object]] = {
            "drop can": lambda: rig.drop("can", *PLACES["can"]),
            "drop letter": lambda: rig.drop("letter", *PLACES["letter"]),
            "taken out": rig.tray.clear,
            "passer-by": rig.signal,
            "button": lambda: rig.signal(Source.BUTTON),
            "lid opens": self.lid_opens,
            "lid closes": lambda: setattr(rig.lid, "active", False),
            "camera breaks": lambda: setattr(rig.tray, "broken", "no frame"),
            "camera mended": lambda: setattr(rig.tray, "broken", None),
            "servo breaks": lambda: setattr(rig.servo, "broken", "no pulse"),
            "servo mended": lambda: setattr(rig.servo, "broken", None),
            "bulb breaks": lambda: setattr(self.bulb, "broken", True),
            "bulb mended": lambda: setattr(self.bulb, "broken", False),
            "tray sticks": lambda: setattr(self, "sticky", True),
            "tray wiped": lambda: setattr(self, "sticky", False),
        }
        things[what]()

    def lid_opens(self) -> None:
        self.rig.lid.active = True
        self.rig.daemon.parts.actuation.halt()

    happening = st.sampled_from(
        ["drop can"] * 2
        + ["drop letter", "taken out", "passer-by", "button", "lid opens", "lid closes"]
        + ["camera breaks", "camera mended", "servo breaks", "servo mended"]
        + ["bulb breaks", "bulb mended", "tray sticks", "tray wiped"]
    )
    moments = st.sampled_from([0.0, 0.0, 0.6, 3.0, 3.0, 9.0])

    @rule(what=happening, delay=st.sampled_from([0.0, 0.0, 0.12, 0.6, 1.3, 2.5]), then=moments)
    def something_happens(self, what: str, delay: float = 0.0, then: float = 3.0) -> None:
        if delay:
            self.rig.clock.at(self.rig.clock.elapsed + delay, lambda: self.happens(what))
        else:
            self.happens(what)
        self.time_passes(then)

    @rule(label=st.sampled_from(LABELS), share=st.sampled_from([0.9, 0.9, 0.3]))
    def the_network_would_say(self, label: str, share: float) -> None:
        self.rig.network.usual = sure(label, share)

    @rule(
        asked=st.sampled_from(
            [("mode", {"mode": mode}) for mode in ("auto", "advisory", "paused")]
            + [("look", {}), ("identify", {}), ("selftest", {}), ("threshold", {"gap": 0.5})]
        ),
        then=moments,
    )
    def somebody_asks(self, asked: tuple[str, dict[str, object]], then: float = 3.0) -> None:
        verb, data = asked
        self.asked += 1
        self.rig.request(verb, **data)
        self.time_passes(then)

    @rule(seconds=st.sampled_from([9.0, 65.0]))
    def time_passes(self, seconds: float) -> None:
        """As ``Daemon.run``, which a clock that stops would end in the middle of a look."""
        daemon, clock = self.rig.daemon, self.rig.clock
        self.moves, faults = 0, self.rig.kinds().count("fault")
        end = clock.elapsed + seconds
        if not seconds:
            return
        while clock.elapsed < end or daemon._has_mail():
            due = min(daemon._until_due(), max(0.0, end - clock.elapsed))
            clock.wait(due, until=daemon._has_mail)
            daemon.step()
        assert self.rig.kinds().count("fault") - faults <= FAULTS_AT_MOST, "a flood of faults"
        self.is_consistent()

    # what always holds

    def is_consistent(self) -> None:
        rig, daemon = self.rig, self.rig.daemon
        assert daemon.status is not Status.LOOKING, "nobody looks any more"
        assert daemon.status is not Status.SORTING or daemon.cycle.waits, "nobody sorts any more"
        assert (daemon.status is Status.FAULT) == bool(BLOCKING & set(daemon.parts.problems))
        if daemon.status is not Status.FAULT:
            paused = daemon.recorder.mode is Mode.PAUSED
            assert (daemon.status is Status.PAUSED) == paused
        state = rig.told.topics["state"]
        assert (state["status"], state["mode"]) == (daemon.status, daemon.recorder.mode)
        assert state["problems"] == daemon.parts.problems
        assert len(rig.told.answers) <= self.asked, "a request has one answer at most"

    @invariant()
    def nothing_hums_and_no_event_is_missing(self) -> None:
        if hasattr(self, "rig"):
            assert not self.rig.servo.driven
            events = self.rig.events()
            assert [event.seq for event in events] == list(range(1, len(events) + 1))

    def teardown(self) -> None:
        """All is mended and the tray cleared: the bin is idle again, or paused as it was."""
        if not hasattr(self, "rig"):
            return
        try:
            self.rig.clock.advance(3)  # what was to happen later happens now
            self.pir_sees_servo = False
            for what in ("lid closes", "tray wiped", "taken out", "passer-by"):
                self.happens(what)
            for part in ("camera", "servo", "bulb"):
                self.happens(f"{part} mended")
            self.time_passes(100.0)
            paused = self.rig.daemon.recorder.mode is Mode.PAUSED
            assert self.rig.daemon.status is (Status.PAUSED if paused else Status.IDLE)
            assert self.rig.daemon.parts.problems == {}
            if self.rig.daemon.recorder.mode is Mode.AUTO:
                assert self.rig.servo.at is None, "back at rest"
        finally:
            self.rig.outbox.close()
            self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=15,
    stateful_step_count=14,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a story that fails is short enough to be read
    suppress_health_check=list(HealthCheck),
)


STORIES = {
    "a camera that breaks while a thing is held": ["unsure", "drop can", "camera breaks", 20],
    "paused while a thing is held": ["unsure", "drop can", "paused", "taken out"],
    "paused while the lamp says where": ["advisory", "drop can", "paused", 65],
    "a tray lamp that fails": ["bulb breaks", "drop can", "bulb mended", 20, "drop can"],
    "a jam that sets the PIR off": ["tray sticks", "pir sees servo", "drop can", 9],
    "a lid that closes when paused": ["lid opens", "drop can", "paused", "lid closes", 20],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_story_that_once_went_wrong(story: list[str | int]) -> None:
    machine = Machine()
    machine.boot(Mode.AUTO, "pir sees servo" in story)
    for what in story:
        if isinstance(what, int):
            machine.time_passes(what)
        elif what == "unsure":
            machine.the_network_would_say("metal", 0.3)
        elif what in set(Mode):
            machine.somebody_asks(("mode", {"mode": what}))
        elif what != "pir sees servo":
            machine.something_happens(what)
        machine.nothing_hums_and_no_event_is_missing()
    machine.teardown()
