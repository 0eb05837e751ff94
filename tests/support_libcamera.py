"""A stand-in for the module ``libcamera``, so that picamera2's real Python code runs on it.

It keeps what libcamera documents of its Python binding and what picamera2 0.3 uses: a camera
manager with an event descriptor, cameras that are acquired, configured, started and given
requests, controls that take effect with the next queued request, DRM's pixel formats (named
from the highest byte: BGR888 lies in memory as R, G, B), rows padded to 64 bytes. The kernel's
DMA heap, which picamera2 opens by itself, is stood in for by memory files.
"""

from __future__ import annotations

import mmap
import os
import queue
import sys
import threading
import time
from dataclasses import dataclass, field
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest

from tests.support_libcamera_values import (
    CONTROLS,
    CameraConfiguration,
    ColorSpace,
    ControlInfo,
    ControlType,
    FrameBuffer,
    FrameMetadata,
    Named,
    Orientation,
    PixelFormat,
    Rectangle,
    Request,
    RequestStatus,
    SensorConfiguration,
    Size,
    StreamConfiguration,
    StreamRole,
    Transform,
)
from trashbin.types import Pixels

FULL = (4608, 2592)  # Camera Module 3
MODES = [(1536, 864), (2304, 1296), FULL]
FRAME_S = 0.002  # tests need not wait for a real camera's pace


@dataclass
class Machine:
    """The hardware: what stands before the camera, in R, G, B, and what is wrong with it.

    ``applied`` is every control as last applied, ``configured`` what ``configure`` was given.
    """

    scene: Pixels
    cameras: int = 1
    silent: bool = False
    pi5: bool = False
    fixed_lens: bool = False
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)  # as the camera's white balance has it
    opened: set[int] = field(default_factory=set)
    applied: dict[str, Any] = field(default_factory=dict)
    configured: CameraConfiguration | None = None
    frames: int = 0
    starts: int = 0
    running: bool = False

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the stand-in where picamera2 imports libcamera, and memory where it wants a heap."""
        module = libcamera_module(self)
        for name in [n for n in sys.modules if n.split(".")[0] in ("picamera2", "libcamera")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "libcamera", module)
        monkeypatch.setitem(sys.modules, "libcamera.controls", module.controls)
        # for pictures on a screen, none of ours; Debian has it (python3-kms++), PyPI has not
        screens: Any = ModuleType("pykms")
        screens.PixelFormat = MagicMock()
        monkeypatch.setitem(sys.modules, "pykms", screens)
        import picamera2.allocators.dmaallocator as allocator

        monkeypatch.setattr(allocator, "DmaHeap", MemoryHeap)
        monkeypatch.setattr(allocator.fcntl, "ioctl", lambda *_: 0)


class MemoryHeap:
    """``/dev/dma_heap``, of memory files."""

    def alloc(self, name: str, size: int) -> Any:
        fd = os.memfd_create(name)
        os.ftruncate(fd, size)
        return SimpleNamespace(get=lambda: fd, isValid=lambda: True)

    def close(self) -> None:
        pass


class Camera:
    def __init__(self, manager: CameraManager, number: int) -> None:
        self.manager, self.machine, self.number = manager, manager.machine, number
        self.id = f"/base/soc/i2c0mux/i2c@{number}/imx708@1a"
        self.queue: queue.Queue[Request | None] = queue.Queue()
        self.thread: threading.Thread | None = None
        self.config: CameraConfiguration | None = None

    @property
    def controls(self) -> dict[Named, ControlInfo]:
        whole = Rectangle(0, 0, *FULL)
        limits: dict[str, tuple[Any, Any, Any]] = {
            "FrameDurationLimits": (8333, 220_000_000, None),
            "ScalerCrop": (Rectangle(0, 0, 64, 64), whole, whole),
            # for main 4:3: the middle of the sensor, which is 16:9
            "ScalerCrops": (Rectangle(576, 0, 3456, 2592), whole, whole),
        }
        left_out = {"AfMode", "LensPosition"} if self.machine.fixed_lens else set()
        left_out |= set() if self.machine.pi5 else {"ScalerCrops"}
        return {
            id: ControlInfo(*limits.get(name, (0, 64, 0)))
            for name, id in CONTROLS.items()
            if name not in left_out
        }

    @property
    def properties(self) -> dict[Named, Any]:
        return {
            Named("Model"): "imx708",
            Named("ColorFilterArrangement"): 0,
            Named("PixelArrayActiveAreas"): [Rectangle(0, 0, *FULL)],
        }

    def acquire(self) -> None:
        if self.number in self.machine.opened:
            raise RuntimeError("Failed to acquire camera")
        self.machine.opened.add(self.number)

    def release(self) -> None:
        assert self.thread is None, "libcamera refuses to release a running camera"
        self.machine.opened.discard(self.number)

    def generate_configuration(self, roles: list[StreamRole]) -> CameraConfiguration:
        sizes = [Size(*mode) for mode in MODES]
        raw = SimpleNamespace(
            pixel_formats=[PixelFormat("SRGGB10_CSI2P")], sizes=lambda _format: sizes
        )
        return CameraConfiguration([StreamConfiguration(raw) for _ in roles])

    def configure(self, config: CameraConfiguration) -> int:
        assert self.thread is None
        self.config = self.machine.configured = config
        return 0

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def start(self, controls: dict[Named, Any]) -> None:
        self.machine.starts += 1
        self.machine.running = True
        self._apply(controls)
        self.queue = queue.Queue()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        assert self.thread is not None
        self.queue.put(None)
        self.thread.join()
        self.thread = None
        self.machine.running = False

    def queue_request(self, request: Request) -> None:
        self.queue.put(request)

    def _apply(self, controls: dict[Named, Any]) -> None:
        for id, value in controls.items():
            assert id in self.controls or id.name.endswith("Mode"), f"{id} is not advertised"
            self.machine.applied[id.name] = value

    def _run(self) -> None:
        while (request := self.queue.get()) is not None:
            self._apply(request.controls)
            exposed_at = time.monotonic_ns()
            time.sleep(FRAME_S)
            if self.machine.silent:
                continue  # the cable is loose: the request never comes back
            assert self.config is not None
            for stream in self.config.streams:
                self._expose(stream, request.buffers[stream.stream])
            self.machine.frames += 1
            request.metadata = {
                Named("SensorTimestamp"): exposed_at + 1000,
                Named("ExposureTime"): 1,
            }
            request.status = RequestStatus.Complete
            self.manager.finish(request)

    def _expose(self, stream: StreamConfiguration, buffer: FrameBuffer) -> None:
        """The ISP: crop, scale, turn, and lay out in memory as the pixel format says."""
        assert self.config is not None
        width, height = stream.size.width, stream.size.height
        picture = self.machine.scene
        crop = self.machine.applied.get("ScalerCrop")
        crops = self.machine.applied.get("ScalerCrops")
        if crops:
            crop = crops[min(self.config.streams.index(stream), len(crops) - 1)]
        if crop is not None and crop not in self._whole():
            rows, columns = picture.shape[:2]
            x, y = crop.x * columns // FULL[0], crop.y * rows // FULL[1]
            picture = picture[
                y : y + crop.height * rows // FULL[1], x : x + crop.width * columns // FULL[0]
            ]
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        if self.config.orientation is Orientation.Rotate180:
            picture = picture[::-1, ::-1]
        gains = np.array(self.machine.light)
        picture = np.clip(picture * gains, 0, 255).astype(np.uint8)
        with mmap.mmap(buffer.planes[0].fd, stream.frame_size) as memory:
            rows = np.frombuffer(memory, np.uint8).reshape(-1, stream.stride)
            if stream.pixel_format == "YUV420":
                planes = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YUV_I420)
                rows[:height, :width] = planes[:height]
                half = rows[height:].reshape(-1, stream.stride // 2)
                half[:, : width // 2] = planes[height:].reshape(-1, width // 2)
                del half
            else:
                order = {"BGR888": slice(None), "RGB888": slice(None, None, -1)}
                rows[:, : 3 * width] = picture[:, :, order[stream.pixel_format]].reshape(height, -1)
            del rows

    def _whole(self) -> list[Rectangle]:
        return [Rectangle(0, 0, *FULL), Rectangle(576, 0, 3456, 2592)]


class CameraManager:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.cameras = [Camera(self, number) for number in range(machine.cameras)]
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.ready: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def finish(self, request: Request) -> None:
        self.ready.put(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        try:
            os.eventfd_read(self.event_fd)
        except BlockingIOError:
            return []
        return [self.ready.get() for _ in range(self.ready.qsize())]


def libcamera_module(machine: Machine) -> Any:
    module: Any = ModuleType("libcamera")
    manager = CameraManager(machine)
    module.CameraManager = SimpleNamespace(singleton=lambda: manager)
    for thing in (
        *(ControlType, Size, Rectangle, Transform, Orientation, ColorSpace, StreamRole),
        *(PixelFormat, FrameBuffer, FrameMetadata, SensorConfiguration, CameraConfiguration),
        *(Request, Camera),
    ):
        setattr(module, thing.__name__, thing)
    module._libcamera = module
    controls: Any = ModuleType("libcamera.controls")
    for name, id in CONTROLS.items():
        setattr(controls, name, id)
    controls.AfModeEnum = IntEnum("AfModeEnum", ["Manual", "Auto", "Continuous"], start=0)
    awb = ["Auto", "Incandescent", "Tungsten", "Fluorescent", "Indoor", "Daylight", "Cloudy"]
    controls.AwbModeEnum = IntEnum("AwbModeEnum", awb, start=0)
    noise = IntEnum("NoiseReductionModeEnum", ["Off", "Fast", "HighQuality", "Minimal"], start=0)
    controls.draft = SimpleNamespace(NoiseReductionModeEnum=noise)
    module.controls = controls
    module.properties = SimpleNamespace()
    return module
