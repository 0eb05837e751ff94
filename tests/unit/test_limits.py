"""A driver that never comes back: the daemon gets an error in time, and one lost thread at most."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from trashbin.errors import ActuatorError, CameraError, CameraHungError
from trashbin.limits import LimitedActuator, LimitedCamera
from trashbin.status import Status
from trashbin.types import Frame

FRAME = Frame(np.zeros((2, 2, 3), np.uint8), 0.0)


class Driver:
    """A camera and an actuator whose calls hang while ``gate`` is closed."""

    name, moves, lights = "servo", True, False

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.fails: Exception | None = None
        self.done: list[str] = []

    def _call(self, name: str) -> None:
        if name != "release":
            self.gate.wait()
        if self.fails:
            raise self.fails
        self.done.append(name)

    def open(self) -> None:
        self._call("open")

    def capture(self, timeout: float) -> Frame:
        self._call("capture")
        return FRAME

    def attend(self, attentive: bool) -> None:
        self._call(f"attend {attentive}")

    def close(self) -> None:
        self._call("close")

    def show(self, status: Status, bin: str | None) -> None:
        self._call("show")

    def sort(self, bin: str) -> None:
        self._call("sort")

    def rest(self) -> None:
        self._call("rest")

    def release(self) -> None:
        self._call("release")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setattr("trashbin.limits.DRIVE_S", 0.5)  # what works must do so on a busy machine
    monkeypatch.setattr("trashbin.limits.GRACE_S", 0.05)
    driver = Driver()
    yield driver
    driver.gate.set()


def test_what_works_works_as_before_and_leaves_no_thread(driver: Driver) -> None:
    before = set(threading.enumerate())
    camera, servo = LimitedCamera(driver), LimitedActuator(driver, 60.0)
    camera.open()
    camera.attend(True)
    assert camera.capture(1.0) is FRAME
    camera.close()
    camera.close()
    servo.open()
    servo.show(Status.SORTING, "left")
    servo.sort("left")
    servo.rest()
    servo.release()
    servo.close()
    seen = ["open", "attend True", "capture", "close", "close"]
    assert driver.done == [*seen, "open", "show", "sort", "rest", "release", "close"]
    assert set(threading.enumerate()) <= before
    assert (servo.name, servo.moves, servo.lights) == ("servo", True, False)


def test_an_error_of_the_driver_is_passed_on(driver: Driver) -> None:
    driver.fails = CameraError("no camera")
    with pytest.raises(CameraError, match="no camera"):
        LimitedCamera(driver).open()
    driver.fails = TimeoutError("the adapter's own bug")
    with pytest.raises(TimeoutError, match="own bug"):
        LimitedCamera(driver).open()


def test_a_capture_that_hangs_ends_in_time_and_works_again_when_it_comes_back(
    driver: Driver,
) -> None:
    camera = LimitedCamera(driver)
    camera.open()
    driver.gate.clear()
    with pytest.raises(CameraHungError, match="did not give a picture within"):
        camera.capture(0.0)
    threads = set(threading.enumerate())
    late = {thread.daemon for thread in threading.enumerate() if thread.name == "camera"}
    assert late == {True}, "the process may end all the same"
    for _ in range(5):
        camera.close()
        camera.attend(False)
        with pytest.raises(CameraHungError, match="still hangs"):
            camera.open()
    assert set(threading.enumerate()) <= threads
    driver.gate.set()
    while camera._worker.hangs:
        threading.Event().wait(0.001)
    camera.open()
    assert camera.capture(1.0) is FRAME


class JustNow(Future[Any]):
    """Done in the moment in which nobody would wait any longer."""

    def result(self, timeout: float | None = None) -> Any:
        done = super().result()
        if timeout is not None:
            raise TimeoutError
        return done


def test_an_answer_in_the_last_moment_is_one(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for an error of the driver's that nobody knows, which ends the bin."""
    monkeypatch.setattr("trashbin.limits.Future", JustNow)
    camera = LimitedCamera(driver)
    camera.open()
    assert camera.capture(1.0) is FRAME
    camera.close()


def test_a_servo_that_hangs_is_let_go_all_the_same(driver: Driver) -> None:
    servo = LimitedActuator(driver, 0.0)
    driver.gate.clear()
    with pytest.raises(ActuatorError, match="servo did not move within"):
        servo.sort("left")
    servo.release()
    assert driver.done == ["release"]
    servo.close()


def test_a_servo_is_let_go_and_closed_where_no_more_threads_are_to_be_had(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    servo = LimitedActuator(driver, 60.0)
    servo.open()
    servo.sort("paper")
    monkeypatch.setattr(threading.Thread, "start", none_left)
    servo.release()
    servo.close()
    assert driver.done == ["open", "sort", "release", "close"]
