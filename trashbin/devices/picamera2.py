"""The Raspberry Pi camera, through picamera2 and libcamera."""

from __future__ import annotations

import logging
from typing import Any

import cv2

from trashbin.devices.pixels import checked
from trashbin.errors import CameraError, CameraHungError
from trashbin.ports import Context
from trashbin.settings import Picamera2Camera as Picamera2Settings
from trashbin.types import Frame, Pixels

log = logging.getLogger(__name__)

HELP = (
    "sudo apt install python3-picamera2, and make the virtual environment with"
    " --system-site-packages (pip cannot install libcamera)"
)
SMALL = (160, 120)  # of the scene model; the camera's own processor makes it besides
RGB = "BGR888"  # libcamera names a format from its highest byte: in memory this is R, G, B


class Picamera2Camera:
    """A camera on the Pi's own connector.

    The ISP scales: the main stream has the size that the network needs, a second one that of
    the scene model. The sensor runs at half its resolution each way, which on every Raspberry
    Pi camera is a mode that sees the whole field (smaller ones cut out its middle).
    """

    def __init__(self, settings: Picamera2Settings, context: Context) -> None:
        self._settings = settings
        self._clock = context.clock
        self._camera: Any = None
        self._attentive = False
        self._running = False
        self._has_lores = False

    def open(self) -> None:
        """Start the camera. CameraError without picamera2, without a camera, or if it is in use."""
        self.close()
        try:
            from picamera2 import Picamera2
        except (ImportError, ValueError) as error:  # ValueError: built for another NumPy
            raise CameraError(f"picamera2 cannot be loaded ({error}): {HELP}.") from error
        index = self._settings.index
        try:
            self._camera = camera = Picamera2(index)
            camera.configure(self._configuration(camera))
            camera.set_controls(self._lens_and_light(camera) | self._crop(camera))
        except (RuntimeError, IndexError, OSError) as error:
            self.close()
            raise CameraError(
                f"Camera {index} cannot be started ({error}): is its cable in, and no"
                " other program using it? rpicam-hello --list-cameras shows what is there."
            ) from error
        self._start()

    def capture(self, timeout: float) -> Frame:
        """A frame exposed after this call began. After a CameraError, ``open`` again.

        A camera that is stopped between items starts first, which takes longer.
        """
        if self._camera is None:
            raise CameraError(f"Camera {self._settings.index} is not open.")
        if not self._running:
            self._start()
        # flush: older frames in the buffers are passed over
        job = self._camera.capture_request(wait=False, flush=True)
        request = self._result(job, timeout, "gave no picture")
        try:
            pixels = checked(request.make_array("main"))
            small = _from_yuv(request.make_array("lores")) if self._has_lores else None
        finally:
            request.release()
        return Frame(pixels, self._clock.monotonic(), small)

    def attend(self, attentive: bool) -> None:
        """While somebody looks: full rate, and the white balance as it was before the item came.

        Else: as slow as ``idle_fps`` says, or stopped, and the white balance follows the light.
        """
        self._attentive = attentive
        if self._camera is None or not self._running:
            return
        if not attentive and self._settings.idle_fps == 0:
            self._stop()
        else:
            idle_fps = None if attentive else self._settings.idle_fps
            self._camera.set_controls(self._pace(idle_fps) | self._white_balance())

    def close(self) -> None:
        """Stop and free the camera.

        ``close`` alone, and no ``stop`` before it: after a capture that timed out, ``stop``
        waits behind that capture for ever, and ``close`` ends picamera2's thread first.
        """
        camera, self._camera = self._camera, None
        self._running = False
        if camera is None:
            return
        try:
            camera.close()
        except RuntimeError as error:
            raise CameraError(f"Camera {self._settings.index} cannot be closed: {error}") from error

    def _configuration(self, camera: Any) -> dict[str, Any]:
        from libcamera import Transform

        settings = self._settings
        main = {"size": (settings.width, settings.height), "format": RGB}
        sensor_width, sensor_height = camera.sensor_resolution
        self._has_lores = settings.width >= SMALL[0] and settings.height >= SMALL[1]
        turned = settings.rotate == 180
        configuration: dict[str, Any] = camera.create_video_configuration(
            main=main,
            lores={"size": SMALL, "format": "YUV420"} if self._has_lores else None,
            raw=None,
            sensor={"output_size": (sensor_width // 2, sensor_height // 2)},
            transform=Transform(hflip=turned, vflip=turned),
            buffer_count=settings.buffers,
            controls=self._pace(None),
        )
        return configuration

    def _lens_and_light(self, camera: Any) -> dict[str, Any]:
        """The controls that stay; CameraError where this camera has not got what is asked for."""
        from libcamera import controls

        settings = self._settings
        wanted: dict[str, Any] = {}
        if settings.focus_cm is not None:
            # the lens wants dioptres
            wanted["AfMode"] = controls.AfModeEnum.Manual
            wanted["LensPosition"] = 100.0 / settings.focus_cm
        if settings.exposure_ms is not None:
            wanted["ExposureTime"] = round(settings.exposure_ms * 1000)
        if settings.gain is not None:
            wanted["AnalogueGain"] = settings.gain
        if settings.white_balance != "auto":
            wanted["AwbMode"] = getattr(controls.AwbModeEnum, settings.white_balance.capitalize())
        keys = {"AfMode": "focus_cm", "LensPosition": "focus_cm", "ExposureTime": "exposure_ms"}
        keys |= {"AnalogueGain": "gain", "AwbMode": "white_balance"}
        for control, key in keys.items():
            if control in wanted and control not in camera.camera_controls:
                self.close()
                raise CameraError(
                    f"camera: {key}: camera {settings.index} has no control {control}"
                    f" ({'its lens is fixed' if key == 'focus_cm' else 'it sets that itself'}):"
                    f" take {key} out of the configuration."
                )
        return wanted

    def _crop(self, camera: Any) -> dict[str, Any]:
        """The region of interest, in the sensor's own pixels. CameraError where there is none."""
        if self._settings.region is None:
            return {}
        if "ScalerCrop" not in camera.camera_controls:  # a USB camera, of which libcamera knows too
            self.close()
            raise CameraError(
                f"camera: region: camera {self._settings.index} cannot cut out a part: take region"
                " out of the configuration."
            )
        left, top, width, height = camera.camera_controls["ScalerCrop"][1]
        x, y, across, down = self._settings.region
        crop = (
            left + round(x * width),
            top + round(y * height),
            round(across * width),
            round(down * height),
        )
        # the Pi 5 crops each stream by itself, and then lets the older control fall
        if "ScalerCrops" in camera.camera_controls:
            return {"ScalerCrops": [crop] * (2 if self._has_lores else 1)}
        return {"ScalerCrop": crop}

    def _pace(self, idle_fps: float | None) -> dict[str, Any]:
        frame_us = round(1e6 / (idle_fps or self._settings.fps))
        return {"FrameDurationLimits": (frame_us, frame_us)}

    def _white_balance(self) -> dict[str, Any]:
        if "AwbEnable" not in self._camera.camera_controls:
            return {}
        return {"AwbEnable": not self._attentive}

    def _start(self) -> None:
        """Start the stream, and let exposure and white balance find their values."""
        settings = self._settings
        try:
            self._camera.start()
        except (RuntimeError, OSError) as error:
            self.close()
            raise CameraError(f"Camera {settings.index} cannot be started: {error}") from error
        self._running = True
        if settings.warm_up:
            limit = settings.timeout_s + settings.warm_up / settings.fps
            job = self._camera.drop_frames(settings.warm_up, wait=False)
            self._result(job, limit, f"did not give its first {settings.warm_up} pictures")
        self._camera.set_controls(self._white_balance())

    def _stop(self) -> None:
        """Stop the stream between two items; a driver that hangs is told by the next capture."""
        camera = self._camera
        try:
            camera.dispatch_functions([camera.stop_], wait=self._settings.timeout_s, immediate=True)
            self._running = False
        except (TimeoutError, RuntimeError) as error:
            log.error("Camera %s does not stop: %s", self._settings.index, error)
            self.close()

    def _result(self, job: Any, timeout: float, what: str) -> Any:
        index = self._settings.index
        try:
            return self._camera.wait(job, timeout=timeout)
        except TimeoutError as error:
            self.close()
            message = f"Camera {index} {what} within {timeout:g} s: is its cable loose?"
            raise CameraHungError(message) from error
        except RuntimeError as error:
            self.close()
            raise CameraError(f"Camera {index} failed: {error}") from error


def _from_yuv(planes: Any) -> Pixels:
    """YUV420 as picamera2 hands it over (rows may be padded) -> read-only RGB of ``SMALL``."""
    rgb = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)[:, : SMALL[0]]
    return checked(rgb)
