"""The Raspberry Pi camera, through picamera2 and libcamera."""

from __future__ import annotations

from typing import Any

from trashbin.devices.pixels import from_bgr
from trashbin.errors import CameraError
from trashbin.ports import Context
from trashbin.settings import Picamera2Camera as Picamera2Settings
from trashbin.types import Frame

BUFFERS = 3
HELP = (
    "sudo apt install python3-picamera2, and make the virtual environment with"
    " --system-site-packages (pip cannot install libcamera)"
)


class Picamera2Camera:
    """A camera on the Pi's own connector.

    What picamera2 calls ``RGB888`` lies in memory as B, G, R (its manual says so, in the table
    of formats): it is turned here, once.
    """

    def __init__(self, settings: Picamera2Settings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._camera: Any = None

    def open(self) -> None:
        """Start the camera. CameraError without picamera2, without a camera, or if it is in use."""
        self.close()
        try:
            from picamera2 import Picamera2
        except (ImportError, ValueError) as error:  # ValueError: built for another NumPy
            raise CameraError(f"picamera2 cannot be loaded ({error}): {HELP}.") from error
        settings = self._settings
        frame_us = round(1e6 / settings.fps)
        try:
            self._camera = Picamera2(settings.index)
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (settings.width, settings.height), "format": "RGB888"},
                    buffer_count=BUFFERS,
                    controls={"FrameDurationLimits": (frame_us, frame_us)},
                )
            )
            self._camera.start()
        except (RuntimeError, IndexError, OSError) as error:
            self.close()
            raise CameraError(
                f"Camera {settings.index} cannot be started ({error}): is its cable in, and no"
                " other program using it? rpicam-hello --list-cameras shows what is there."
            ) from error

    def capture(self, timeout: float) -> Frame:
        """A frame exposed after this call began. After a CameraError, ``open`` again."""
        if self._camera is None:
            raise CameraError(f"Camera {self._settings.index} is not open.")
        # flush: older frames in the buffers are passed over
        job = self._camera.capture_request(wait=False, flush=True)
        try:
            request = self._camera.wait(job, timeout=timeout)
        except TimeoutError as error:
            self.close()
            raise CameraError(
                f"Camera {self._settings.index} gave no picture within {timeout:g} s: is its"
                " cable loose?"
            ) from error
        except RuntimeError as error:
            self.close()
            raise CameraError(f"Camera {self._settings.index} failed: {error}") from error
        try:
            pixels = from_bgr(request.make_array("main"), self._settings.rotate)
        finally:
            request.release()
        return Frame(pixels, self._clock.monotonic())

    def close(self) -> None:
        """Stop and free the camera.

        ``close`` alone, and no ``stop`` before it: after a capture that timed out, ``stop``
        waits behind that capture for ever, and ``close`` ends picamera2's thread first.
        """
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.close()
        except RuntimeError as error:
            raise CameraError(f"Camera {self._settings.index} cannot be closed: {error}") from error
