"""What the bin notices of itself and around it, and what it does about a driver that hangs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.daemon.rig import Rig
from tests.support_events import an_event
from trashbin import surroundings
from trashbin.errors import CameraHungError, GivenUpError
from trashbin.looking import flaw
from trashbin.restarts import Restarts
from trashbin.status import Status
from trashbin.types import Frame, Pixels

NOISE: Pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def faults(rig: Rig) -> list[tuple[str, str]]:
    return [
        (event.detail.part, event.detail.message)
        for event in rig.events()
        if event.event_type == "fault" and event.detail is not None
    ]


class Hanging:
    """The tray's camera with a driver that hangs while ``hangs``."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.tray = rig, rig.tray
        self.hangs = False
        self.opened = 0
        assert rig.daemon.parts.looker is not None
        rig.daemon.parts.looker.camera = self

    def open(self) -> None:
        self.opened += 1
        if self.hangs:
            raise CameraHungError("The camera's driver still hangs")

    def capture(self, timeout: float) -> Frame:
        if self.hangs:
            self.rig.clock.advance(timeout)
            raise CameraHungError("The camera did not give a picture within 2 s")
        return self.tray.capture(timeout)

    def close(self) -> None: ...


def may_end(rig: Rig) -> None:
    """Somebody starts the process again, five times an hour."""
    restarts = Restarts(rig.folder, 5, 3600.0, "boot", rig.clock.monotonic)
    restarts.begin()
    rig.daemon.parts.restarts = restarts


# a camera that hangs


def test_a_camera_that_hangs_is_opened_again_then_the_process_ends(rig: Rig) -> None:
    may_end(rig)
    camera = Hanging(rig)
    camera.hangs = True
    rig.drop()
    with pytest.raises(GivenUpError, match="camera"):
        rig.go(600)
    assert camera.opened == rig.config.watch.camera_tries
    assert [part for part, _ in faults(rig)] == ["camera", "camera"]
    assert "restart 1 of 5" in faults(rig)[-1][1]
    assert not rig.servo.driven
    after = Restarts(rig.folder, 5, 3600.0, "boot", rig.clock.monotonic)
    after.begin()
    assert after.count == 1


def test_one_that_hangs_after_it_was_unplugged_ends_the_process_too(rig: Rig) -> None:
    may_end(rig)
    rig.tray.broken = "unplugged"
    rig.go(600)
    rig.tray.broken = None
    Hanging(rig).hangs = True
    with pytest.raises(GivenUpError, match="hangs"):
        rig.go(600)


def test_one_that_hangs_now_and_then_and_comes_back_ends_nothing(rig: Rig) -> None:
    may_end(rig)
    camera = Hanging(rig)
    for _ in range(3):
        camera.hangs = True
        rig.go(25)
        camera.hangs = False
        rig.go(120)
        assert rig.daemon.status is Status.IDLE
    assert camera.opened > rig.config.watch.camera_tries
    rig.sorts_the_next()


def test_past_the_budget_it_stays_up_and_comes_back_by_itself(rig: Rig) -> None:
    for _ in range(3):
        restarts = Restarts(rig.folder, 2, 3600.0, "boot", rig.clock.monotonic)
        restarts.begin()
        restarts.end("camera")
    rig.daemon.parts.restarts = restarts
    camera = Hanging(rig)
    camera.hangs = True
    rig.drop()
    rig.go(900)
    assert "started anew 2 times within 60 minutes: the camera is off" in faults(rig)[-1][1]
    assert len(faults(rig)) == 2
    assert rig.told.topics["state"]["problem"] is True
    assert rig.told.topics["health"]["restarts"] == 2
    camera.hangs = False
    rig.tray.clear()
    rig.go(60)
    assert rig.daemon.status is Status.IDLE
    rig.drop()
    rig.go()
    assert rig.kinds()[-1] == "sorted"


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_what_ended_too_often_is_started_anew_once_an_hour(rig: Rig, budget: int) -> None:
    def boot() -> Restarts:
        rig.clock.advance(10)
        made = Restarts(rig.folder, budget, 3600.0, "boot", rig.clock.monotonic)
        made.begin()
        return made

    boots = [boot() for _ in range(1 + max(1, budget))]  # each ends without a word
    assert boots[-1].nobody_knows_why
    rig.daemon.parts.restarts = boots[-1]
    rig.daemon.parts.problems["restarts"] = "too often"
    with pytest.raises(GivenUpError):
        rig.go(4000)
    assert not boot().nobody_knows_why, "one more start"
    assert boot().nobody_knows_why == (budget < 2), "which ended like the others"


def test_a_camera_that_is_not_there_ends_no_process(rig: Rig) -> None:
    may_end(rig)
    rig.tray.broken = "There is no /dev/video0"
    rig.go(3600)
    assert len(faults(rig)) == 1


# pictures that no lens made


@pytest.mark.parametrize(
    ("pixels", "wanted"),
    [
        (NOISE, None),
        (np.zeros_like(NOISE), "black"),
        (np.full_like(NOISE, 128), "of one colour"),
        (np.vstack([NOISE[:60], np.full_like(NOISE[60:], 128)]), "half pictures"),
        (np.vstack([NOISE[:60], np.zeros_like(NOISE[60:])]), "half pictures"),
        (np.full_like(NOISE, 255), None),  # the sun
        (NOISE // 64, None),  # night
    ],
)
def test_what_a_picture_lacks(pixels: Pixels, wanted: str | None) -> None:
    found = flaw(pixels)
    assert found is None if wanted is None else found is not None and wanted in found


@pytest.mark.parametrize("what", ["black", "half pictures", "80x60"])
def test_such_a_camera_is_a_fault_and_back_when_it_sees_again(rig: Rig, what: str) -> None:
    whole, size = rig.tray.capture, rig.tray.empty.shape

    def torn(timeout: float) -> Frame:
        frame = whole(timeout)
        if what == "80x60":
            return Frame(frame.pixels[::2, ::2], frame.at)
        pixels = frame.pixels.copy()
        pixels[0 if what == "black" else size[0] // 2 :] = 0
        return Frame(pixels, frame.at)

    rig.tray.capture = torn  # type: ignore[method-assign]
    rig.drop()
    rig.go(6)
    ((part, message),) = faults(rig)
    assert part == "camera" and what in message
    assert rig.servo.visited == []
    rig.tray.capture = whole  # type: ignore[method-assign]
    rig.tray.clear()
    rig.go(40)
    assert rig.daemon.status is Status.IDLE
    rig.drop()
    rig.go()
    assert rig.kinds()[-1] == "sorted"


def test_one_torn_picture_is_no_news(rig: Rig) -> None:
    whole, frames = rig.tray.capture, iter(range(1000))

    def torn(timeout: float) -> Frame:
        frame = whole(timeout)
        return frame if next(frames) % 3 else Frame(np.zeros_like(frame.pixels), frame.at)

    rig.tray.capture = torn  # type: ignore[method-assign]
    rig.drop()
    rig.go()
    assert rig.kinds() == ["sorted"]


# broker, clock, model


def test_a_long_outage_is_one_fault_and_over_when_the_broker_is_back(rig: Rig) -> None:
    rig.told.problem = "The broker bench:1883 cannot be reached"
    rig.go(30)
    assert faults(rig) == []
    rig.go(600)
    ((part, message),) = faults(rig)
    assert part == "broker" and "cannot be reached" in message
    rig.drop()
    rig.go()
    assert rig.servo.visited == ["rest"], "it sorts on"
    rig.told.problem = None
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False
    assert rig.told.topics["health"]["problems"] == {}


def test_a_broker_that_is_away_for_moments_is_no_fault_however_often(rig: Rig) -> None:
    for _ in range(5):
        rig.told.problem = "The broker bench:1883 cannot be reached"
        rig.go(30)
        rig.told.problem = None
        rig.go(30)
    assert faults(rig) == []


def test_a_store_that_fails_is_no_broker_that_is_away(rig: Rig) -> None:
    rig.told.problem = "The event store failed"
    rig.daemon.condition.problems["store"] = rig.told.problem
    rig.daemon.recovery.try_again = lambda: None  # type: ignore[method-assign]
    rig.go(600)
    assert "broker" not in rig.told.topics["state"]["problems"]


@pytest.mark.parametrize(("seconds", "way"), [(3600, "forward by 3600"), (-7200, "back by 7200")])
def test_a_clock_that_was_set_is_told_once_and_stops_nothing(
    rig: Rig, seconds: int, way: str
) -> None:
    rig.go(60)
    rig.clock.start += timedelta(seconds=seconds)
    rig.go(60)
    ((part, message),) = faults(rig)
    assert part == "clock" and way in message
    rig.drop()
    rig.go()
    assert rig.kinds() == ["fault", "sorted"]
    assert rig.told.topics["state"]["problem"] is False


def test_a_time_servers_first_answer_is_no_fault_and_any_later_jump_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronized = [False]
    monkeypatch.setattr(surroundings, "is_synchronized", lambda: synchronized[0])
    rig.go(60)
    synchronized[0] = True
    for told in (["notice"], ["notice", "fault"]):
        rig.clock.start += timedelta(hours=1)
        rig.go(60)
        assert rig.kinds() == told


def test_a_clock_that_was_right_from_the_start_is_set_by_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "is_synchronized", lambda: True)
    rig = Rig(tmp_path)
    rig.go(60)
    rig.clock.start += timedelta(hours=1)
    rig.go(60)
    assert [part for part, _ in faults(rig)] == ["clock"]


def test_a_model_exchanged_on_the_disk_is_told_and_the_loaded_one_goes_on(rig: Rig) -> None:
    rig.network.exchanged = "digest does not fit"
    rig.go(60)
    rig.drop()
    rig.go()
    assert faults(rig) == [("model file", "digest does not fit")]
    assert rig.kinds() == ["fault", "sorted"]
    rig.network.exchanged = None
    rig.go(10)
    assert rig.told.topics["state"]["problem"] is False


# health


def test_health_tells_how_old_the_oldest_event_is_and_how_many_faults_there_were(rig: Rig) -> None:
    rig.go(61)
    assert rig.told.topics["health"]["oldest_age_s"] is None
    rig.outbox.append(an_event(rig.clock.now()))
    rig.go(120)
    health = rig.told.topics["health"]
    assert 60 <= health["oldest_age_s"] <= 120
    assert health["outbox_depth"] == 1
    assert health["last_frame_age_s"] <= rig.config.watch.frame_every_s + 1
    assert (health["restarts"], health["faults"]) == (0, 0)
    rig.tray.broken = "no frame"
    rig.go(30)
    assert rig.told.topics["health"]["problems"] == {"camera": "no frame"}, "told at once"
    assert rig.told.topics["health"]["faults"] == 1
