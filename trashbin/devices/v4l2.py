"""A USB camera, or a video file, through OpenCV's VideoCapture."""

from __future__ import annotations

import logging
import os
import queue
import threading
from pathlib import Path

import cv2

from trashbin.devices.pixels import from_bgr
from trashbin.errors import CameraError, CameraHungError
from trashbin.ports import Context
from trashbin.settings import V4l2Camera as V4l2Settings
from trashbin.types import Frame, Pixels

log = logging.getLogger(__name__)

# of the 24 MB/s that USB 2 reserves for one device at most; a hub's other devices want some
YUYV_BYTES_S = 20e6
OPEN_S = 10.0  # a USB camera may take seconds to start
CLOSE_S = 1.0


class V4l2Camera:
    """Frames from ``/dev/videoN`` (always the newest), or from a video file (one after another).

    A thread of its own owns the VideoCapture, since a driver may hang in any call: then
    ``capture`` runs out of time and the camera is closed, to be opened again. At most one
    hung thread is left behind: while it hangs the device is not free, and ``open`` says so.
    """

    def __init__(self, settings: V4l2Settings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._reader: _Reader | None = None
        self._hung: _Reader | None = None

    def open(self) -> None:
        """Start the camera. CameraError where there is none, or it may not be used, or hangs."""
        self.close()
        if self._hung is not None and self._hung.is_alive():
            raise CameraHungError(
                f"The driver of camera {self._settings.device} still hangs: unplug the camera"
                " and plug it in again."
            )
        self._hung = None
        source = _source(self._settings.device)
        self._reader = _Reader(source, self._settings)
        self._reader.start()
        self._answer(OPEN_S, "start")

    def capture(self, timeout: float) -> Frame:
        """A frame that arrived after this call. After a CameraError, ``open`` again."""
        if self._reader is None:
            raise CameraError(f"Camera {self._settings.device} is not open.")
        self._reader.wanted.set()
        pixels = self._answer(timeout, "give a picture")
        assert pixels is not None
        return Frame(pixels, self._clock.monotonic())

    def close(self) -> None:
        """Stop the camera; a thread that hangs is left to end by itself."""
        if self._reader is None:
            return
        reader, self._reader = self._reader, None
        reader.stopping.set()
        reader.wanted.set()
        reader.join(CLOSE_S)
        if reader.is_alive():
            log.warning("The driver of camera %s hangs.", self._settings.device)
            self._hung = reader

    def _answer(self, timeout: float, what: str) -> Pixels | None:
        assert self._reader is not None
        try:
            answer = self._reader.answers.get(timeout=timeout)
        except queue.Empty:
            self.close()
            raise CameraHungError(
                f"Camera {self._settings.device} did not {what} within {timeout:g} s."
            ) from None
        if isinstance(answer, CameraError):
            self.close()
            raise answer
        return answer


class _Reader(threading.Thread):
    """Owns the VideoCapture. Answers once when open (None), then once for each ``wanted``."""

    def __init__(self, source: int | str, settings: V4l2Settings) -> None:
        super().__init__(name=f"camera {settings.device}", daemon=True)
        self.source = source
        self.settings = settings
        self.wanted = threading.Event()
        self.stopping = threading.Event()
        self.answers: queue.SimpleQueue[Pixels | CameraError | None] = queue.SimpleQueue()

    def run(self) -> None:
        """Open, read until told to stop, release."""
        live = self.settings.live
        capture = cv2.VideoCapture()
        try:
            self._open(capture, live)
            self.answers.put(None)
            self._read(capture, live)
        except CameraError as error:
            self.answers.put(error)
        except cv2.error as error:
            self.answers.put(CameraError(f"Camera {self.source}: OpenCV says: {error}"))
        finally:
            capture.release()

    def _open(self, capture: cv2.VideoCapture, live: bool) -> None:
        if not capture.open(self.source, cv2.CAP_V4L2 if live else cv2.CAP_ANY):
            raise CameraError(
                f"Camera {self.source} cannot be started: does another program use it"
                " (fuser /dev/video*)? Is it a camera (v4l2-ctl --list-devices)?"
                if live
                else f"{self.source} is no video that OpenCV can read."
            )
        if live:  # a camera takes the nearest that it can do; the sizes depend on the format
            wanted = travels_as(self.settings)
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*wanted.upper()))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self.settings.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self.settings.height)
            capture.set(cv2.CAP_PROP_FPS, self.settings.fps)
            code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
            found = code.to_bytes(4, "little").decode("latin-1").strip("\0 ").lower()
            if found != wanted:
                log.warning("Camera %s gives %s, not %s.", self.source, found or "?", wanted)

    def _read(self, capture: cv2.VideoCapture, live: bool) -> None:
        while True:
            if not live:
                self.wanted.wait()  # a file waits; a camera is read all the time, so that
            if self.stopping.is_set():  # no old frame is left in the driver's buffers
                return
            wanted = self.wanted.is_set()
            if not capture.grab():
                raise CameraError(
                    f"Camera {self.source} gives no more pictures: is it still plugged in?"
                    if live
                    else f"The video {self.source} is at its end."
                )
            if not wanted:
                continue
            whole, bgr = capture.retrieve()
            if not whole:  # a USB camera now and then sends half a JPEG: the next will do
                continue
            self.wanted.clear()
            self.answers.put(from_bgr(bgr, self.settings.rotate))


def travels_as(settings: V4l2Settings) -> str:
    """``yuyv`` as long as USB 2 carries it (no JPEG to decode, and none in the edges), or mjpg."""
    if settings.format != "auto":
        return settings.format
    bytes_s = 2 * settings.width * settings.height * settings.fps
    return "yuyv" if bytes_s <= YUYV_BYTES_S else "mjpg"


def _source(device: int | str) -> int | str:
    """What VideoCapture opens. CameraError where the device or file is plainly not there."""
    if isinstance(device, str) and device.isdecimal():
        device = int(device)
    path = Path(f"/dev/video{device}" if isinstance(device, int) else device)
    if "%" in path.name:  # a picture sequence, img_%03d.jpg
        return str(path)
    try:
        found = path.exists()
    except OSError as error:  # a folder on the way there may not be entered
        raise CameraError(f"Camera {path} cannot be looked for: {error.strerror}.") from error
    if not found:
        there = ", ".join(sorted(str(other) for other in Path("/dev").glob("video*"))) or "none"
        raise CameraError(f"There is no {path}. Is the camera plugged in? Cameras here: {there}.")
    if not os.access(path, os.R_OK):
        raise CameraError(f"Camera {path} may not be read: add the user to the group video.")
    return device
