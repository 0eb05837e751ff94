"""A stand-in for picamera2 that keeps the part of its contract which the adapter leans on.

From its manual and source: ``RGB888`` lies in memory as B, G, R; a request must be released
or the camera runs out of buffers and falls silent; ``wait(job, timeout)`` raises TimeoutError;
a second opening of one camera raises RuntimeError; ``stop`` waits behind unfinished captures.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from trashbin.types import Pixels


@dataclass
class Machine:
    """The hardware: what stands before the camera, in R, G, B, and what is wrong with it."""

    scene: Pixels
    cameras: int = 1
    silent: bool = False
    opened: set[int] = field(default_factory=set)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        libcamera: Any = ModuleType("libcamera")
        libcamera.Transform = lambda hflip, vflip: (hflip, vflip)
        libcamera.controls = ModuleType("libcamera.controls")
        monkeypatch.setitem(sys.modules, "libcamera", libcamera)
        module: Any = ModuleType("picamera2")
        module.Picamera2 = lambda camera_num=0: Picamera2(self, camera_num)
        monkeypatch.setitem(sys.modules, "picamera2", module)


class Picamera2:
    def __init__(self, machine: Machine, camera_num: int) -> None:
        if camera_num >= machine.cameras:
            raise RuntimeError(f"No camera number {camera_num} found")
        if camera_num in machine.opened:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        machine.opened.add(camera_num)
        self.machine = machine
        self.number = camera_num
        self.free = 0
        self.started = False
        self.pending = 0
        self.config: dict[str, Any] = {}
        self.sensor_resolution = (3280, 2464)
        self.camera_controls = {"AwbEnable": (False, True, True)}

    def create_video_configuration(self, **configuration: Any) -> dict[str, Any]:
        return configuration

    def set_controls(self, controls: dict[str, Any]) -> None:
        assert set(controls) <= {*self.camera_controls, "FrameDurationLimits"}

    def drop_frames(self, num_frames: int, wait: bool) -> str:
        assert not wait, "a start must have a limit"
        return "drop"

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def start(self) -> None:
        if not self.config:
            raise RuntimeError("Camera has not been configured")
        self.started, self.free = True, self.config["buffer_count"]

    def capture_request(self, wait: bool, flush: bool) -> str:
        assert not wait and flush, "a capture must have a limit, and no old frame"
        self.pending += 1
        return "job"

    def wait(self, job: str, timeout: float) -> Request | None:
        if self.machine.silent or not self.started or not self.free:
            raise TimeoutError
        if job == "drop":
            return None
        self.pending -= 1
        self.free -= 1
        return Request(self)

    def stop(self) -> None:
        assert not self.pending, "waits for ever behind a capture that never comes"
        self.started = False

    def close(self) -> None:
        self.started = False
        self.machine.opened.discard(self.number)


class Request:
    def __init__(self, camera: Picamera2) -> None:
        self.camera = camera

    def make_array(self, name: str) -> Pixels:
        stream = self.camera.config[name]
        width, height = stream["size"]
        assert self.camera.machine.scene.shape == (height, width, 3)
        in_memory = {"RGB888": slice(None, None, -1), "BGR888": slice(None)}[stream["format"]]
        turn = -1 if self.camera.config["transform"] == (True, True) else 1
        return np.array(self.camera.machine.scene[::turn, ::turn, in_memory])

    def release(self) -> None:
        self.camera.free += 1
