"""Whatever befalls a bin, it moves only what it told before, and comes back by itself."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.daemon.rig import LABELS, PowerCut, Rig, sure
from trashbin.events import ITEM_EVENTS, EventType
from trashbin.remembered import HELD, OCCUPIED, TRAY
from trashbin.status import Status
from trashbin.types import Mode

labels = st.sampled_from(LABELS)
# on a frame of 160 x 120, a thing of 34
xs, ys = st.integers(0, 120), st.integers(0, 80)
seconds = st.sampled_from([0.3, 1.0, 4.0, 15.0, 90.0])
MOMENTS = [0.0, 0.3, 1.0, 2.5]  # seconds
NIGHT = 0.02  # of the light by day


class Life(RuleBasedStateMachine):
    """A bin, its tray, people and what breaks."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="trashbin-life-")
        self.rig = Rig(Path(self.folder.name))
        self.rig.servo.on_sort = self.moves
        self.stuck = self.brown_out = False
        self.held: dict[str, tuple[int, int]] = {}  # what lay there as it was remembered
        self.moved: Counter[str] = Counter()  # by the event that told it
        self.told = 0

    def moves(self, bin: str) -> None:
        """What every move must keep to."""
        rig = self.rig
        told = [event for event in rig.events() if event.bin is not None][-1]
        assert told.bin == bin and told.actuation == ["servo", "lamps"]
        assert rig.daemon.recorder.mode is Mode.AUTO and not rig.lid.active
        self.moved[told.event_id] += 1
        assert self.moved[told.event_id] <= 1 + rig.config.sorting.jam_retries
        if self.brown_out:
            raise PowerCut
        if not self.stuck:
            rig.tray.clear()

    # people

    @rule(x=xs, y=ys, label=labels, share=st.sampled_from([0.3, 0.9]), seen=st.booleans())
    def something_falls_in(self, x: int, y: int, label: str, share: float, seen: bool) -> None:
        self.rig.network.usual = sure(label, share)
        self.rig.tray.put(f"{x} {y}", x, y)
        if seen:
            self.rig.signal()

    @rule(frames=st.integers(1, 60), step=st.integers(1, 4))
    def something_rolls(self, frames: int, step: int) -> None:
        clock = self.rig.clock
        for frame in range(frames):
            place = partial(self.rig.tray.put, "rolls", 5 + step * frame % 115, 40)
            clock.at(clock.elapsed + 0.05 * frame, place)
        self.rig.signal()

    @rule()
    def somebody_takes_all_out(self) -> None:
        self.rig.tray.clear()

    @rule()
    def somebody_passes_by(self) -> None:
        self.rig.signal()

    @rule(label=labels, back=st.integers(0, 3), button=st.booleans())
    def somebody_answers(self, label: str, back: int, button: bool) -> None:
        items = [event for event in self.rig.events() if event.event_type in ITEM_EVENTS]
        if button:
            self.rig.daemon.press(label)
        elif items:
            self.rig.answer(items[-1 - back % len(items)], label)

    @rule(mode=st.sampled_from(list(Mode)), after=st.sampled_from(MOMENTS))
    def somebody_sets_the_mode(self, mode: Mode, after: float) -> None:
        self.ask(after, "mode", mode=mode)

    @rule(share=st.sampled_from([None, 0.2]), after=st.sampled_from(MOMENTS))
    def somebody_sets_the_thresholds(self, share: float | None, after: float) -> None:
        self.ask(after, "threshold", gap=share, top1=share)

    @rule(verb=st.sampled_from(["identify", "selftest"]), after=st.sampled_from(MOMENTS))
    def somebody_asks_how_it_is(self, verb: str, after: float) -> None:
        self.ask(after, verb)

    def ask(self, after: float, verb: str, **data: Any) -> None:
        """In the midst of whatever it does by then."""
        asks = partial(self.rig.daemon.request, verb, json.dumps(data).encode(), False)
        self.rig.clock.at(self.rig.clock.elapsed + after, asks)

    @rule()
    def somebody_asks_it_to_look(self) -> None:
        self.rig.daemon.request("look", b"{}", False)

    @rule(open=st.booleans())
    def the_lid(self, open: bool) -> None:
        self.rig.lid.active = open
        if open:
            self.rig.daemon.parts.actuation.halt()

    # what breaks

    @rule(light=st.sampled_from([1.0, 0.8, NIGHT]))
    def the_light(self, light: float) -> None:
        self.rig.tray.light = light

    @rule(broken=st.booleans())
    def the_camera(self, broken: bool) -> None:
        self.rig.tray.broken = "the ribbon is loose" if broken else None

    @rule(frames=st.sampled_from([None, None, 1, 3, 12]))
    def the_camera_is_back_for_moments_only(self, frames: int | None) -> None:
        self.rig.tray.frames = self.rig.tray.left = frames

    @rule(broken=st.booleans())
    def the_network(self, broken: bool) -> None:
        self.rig.network.broken = "no memory" if broken else None

    @rule(seconds=st.sampled_from([-7200, 30, 10_000_000]))
    def the_clock_is_set(self, seconds: int) -> None:
        self.rig.clock.start += timedelta(seconds=seconds)

    @rule(broken=st.booleans())
    def the_servo(self, broken: bool) -> None:
        self.rig.servo.broken = "no power" if broken else None

    @rule(full=st.booleans())
    def the_disk(self, full: bool) -> None:
        outbox = self.rig.outbox
        outbox._max_bytes = 1 if full else self.rig.config.store.max_mb * 2**20
        outbox._drop_undelivered, outbox._room = False, 0

    @rule(stuck=st.booleans())
    def a_thing_sticks(self, stuck: bool) -> None:
        self.stuck = stuck

    @rule()
    def the_power_goes(self) -> None:
        """What fell in meanwhile, by day, is taken for the empty tray."""
        tray, known = self.rig.tray, self.rig.outbox.get(HELD) is not None
        learns = not tray.things and not tray.broken and tray.light == 1.0
        night = not known and not tray.broken and tray.light == NIGHT and self.remembers_the_tray
        holds = known and tray.things in ({}, self.held)
        occupied = self.rig.outbox.get(OCCUPIED) is not None and self.remembers_the_tray
        if not self.rig.clock.due and (learns or night or holds or occupied):
            self.rig.start()

    @rule()
    def the_servo_takes_the_power_down_from_now_on(self) -> None:
        self.brown_out = self.remembers_the_tray

    @property
    def remembers_the_tray(self) -> bool:
        return self.rig.outbox.get(TRAY) is not None

    @rule(seconds=seconds)
    def time_passes(self, seconds: float) -> None:
        before, calm = self.rig.outbox.get(HELD), not self.rig.clock.due
        try:
            self.rig.go(seconds)
        except PowerCut:
            self.brown_out = False
            self.rig.clock.due.clear()
            self.rig.start()
        if self.rig.outbox.get(HELD) != before:
            self.held = dict(self.rig.tray.things) if calm else {}

    # what always holds

    @invariant()
    def what_it_told_is_whole(self) -> None:
        events = self.rig.events()
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        by_id = {event.event_id: event for event in events}
        for event in events:
            if event.event_type is EventType.RESOLVED:
                assert event.resolves is not None
                assert by_id[event.resolves].event_type in ITEM_EVENTS
            else:
                assert event.bin is None or event.event_type is EventType.SORTED

    @invariant()
    def what_it_says_is_so(self) -> None:
        daemon, told = self.rig.daemon, self.rig.told.topics
        state, waiting = told["state"], daemon.condition.waiting()
        assert (state["status"], state["mode"]) == (daemon.status, daemon.recorder.mode)
        assert state["problems"] == told["health"]["problems"] == daemon.parts.problems
        assert (state["waiting"] or {}).get("event_id") == (waiting and waiting.event_id)
        assert (daemon.status is Status.PAUSED) <= (daemon.recorder.mode is Mode.PAUSED)
        assert (daemon.status is Status.FAULT) <= bool(daemon.parts.problems)
        assert not self.rig.servo.driven

    @invariant()
    def it_does_not_tell_on_and_on(self) -> None:
        self.told, before = self.rig.outbox.last_seq(), self.told
        assert self.told - before < 100

    def teardown(self) -> None:
        """All is mended and the tray empty: it is ready by itself, and sorts the next thing."""
        rig = self.rig
        self.stuck = self.brown_out = False
        self.the_disk(False)
        rig.tray.light, rig.tray.broken, rig.servo.broken = 1.0, None, None
        rig.tray.frames = rig.tray.left = rig.network.broken = None
        rig.lid.active = False
        rig.go(5)  # more requests at once than it reads are turned away
        self.ask(0, "threshold", gap=None, top1=None)
        self.ask(0, "mode", mode="auto")
        rig.network.usual = sure("metal")
        rig.go(5)
        waiting = rig.told.topics["state"]["waiting"]
        held = rig.outbox.find(waiting["event_id"]) if waiting else None
        if held is not None and len(rig.tray.things) == 1:
            rig.answer(held, "glass")
            rig.go(20)
            assert not rig.tray.things
        rig.go(400)
        if len(rig.tray.things) == 1 and "tray" not in rig.daemon.parts.problems:
            rig.daemon.request("look", b"{}", False)
            rig.go(20)
            assert not rig.tray.things
        rig.tray.clear()
        rig.go(5)
        assert (rig.daemon.status, rig.daemon.parts.problems) == (Status.IDLE, {})
        sorts = sum(self.moved.values())
        rig.drop("can", 60, 40)
        rig.go(20)
        assert not rig.tray.things, rig.kinds()[-3:]
        assert sum(self.moved.values()) == sorts + 1
        self.folder.cleanup()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=min(40, settings().max_examples),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
