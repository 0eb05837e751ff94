"""A workbench on which cameras are made, with known pictures before them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydantic import TypeAdapter

from tests import support_libcamera, support_picamera2
from tests.contract.toy_world import toy_world
from trashbin import settings
from trashbin.devices import load
from trashbin.ports import Camera, Context
from trashbin.types import Pixels

# make test-devices runs these tests on picamera2's own code; without it a stand-in will do
REAL = os.environ.get("REAL_PICAMERA2") == "1"
Machine = support_libcamera.Machine if REAL else support_picamera2.Machine
WIDTH, HEIGHT = 96, 64
RED, BLUE = (200, 40, 30), (30, 40, 200)
VIDEO_FRAMES = 6
SECTION: TypeAdapter[Any] = TypeAdapter(settings.Camera)


def half_red_half_blue() -> Pixels:
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 2], picture[:, WIDTH // 2 :] = RED, BLUE
    return picture


def grey(level: int) -> Pixels:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def picture_file(path: Path, rgb: Pixels) -> None:
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def video_file(path: Path) -> Path:
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), code, 15.0, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for _ in range(VIDEO_FRAMES):
        writer.write(cv2.cvtColor(half_red_half_blue(), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@dataclass
class Bench:
    """Where cameras are made: a folder, a clock, a Pi's camera connector."""

    folder: Path
    context: Context
    machine: support_libcamera.Machine | support_picamera2.Machine

    def make(self, kind: str, **settings_of_kind: Any) -> Camera:
        usual: dict[str, Any] = {
            "folder": {"path": self.folder / "pictures"},
            "v4l2": {"device": str(self.folder / "v.avi")},
        }.get(kind, {"width": WIDTH, "height": HEIGHT})
        section = SECTION.validate_python({"kind": kind} | usual | settings_of_kind)
        camera: Camera = load("camera", kind)(section, self.context)
        return camera


def workbench(folder: Path, context: Context) -> Bench:
    """A folder with a picture, a video, a simulated tray, a Pi's camera: all of one scene."""
    (folder / "pictures").mkdir()
    picture_file(folder / "pictures" / "a.png", half_red_half_blue())
    video_file(folder / "v.avi")
    world = toy_world(folder, context.clock, half_red_half_blue())
    return Bench(folder, replace(context, world=world), Machine(half_red_half_blue()))
