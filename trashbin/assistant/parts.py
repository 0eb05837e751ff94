"""Finding the bin's parts, and trying them: camera, tray, servo, lamps, trigger."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trashbin import config as configuration
from trashbin import devices
from trashbin.assistant.plan import Plan
from trashbin.clock import SystemClock
from trashbin.doctor.pins import stoppable
from trashbin.limits import LimitedCamera
from trashbin.ports import Camera, Clock, Context
from trashbin.quiet import quiet
from trashbin.scene import Scene, SceneState
from trashbin.settings import Config, Servo
from trashbin.types import Frame

# the kernel's names of video devices on a Pi that are no cameras
NO_CAMERAS = re.compile(r"bcm2835|rp1-|rpi-|pispbe|unicam|codec|hevc", re.IGNORECASE)
TIMEOUT_S = 5.0
STEADY_FRAMES = 10
WATCHED_FRAMES = 60


@dataclass(frozen=True)
class Found:
    """A camera: the kind and device to write down, and what it calls itself."""

    kind: str
    device: int | str
    name: str


def cameras() -> list[Found]:
    """Those on the Pi's own connector first, then USB cameras."""
    return [*_ribbon(), *_usb(Path("/"))]


def has_picamera2() -> bool:
    """Whether picamera2 can be used here."""
    try:
        import picamera2  # noqa: F401
    except (ImportError, ValueError):  # the latter where it is built for another NumPy
        return False
    return True


def _ribbon() -> list[Found]:
    if not has_picamera2():
        return []
    from picamera2 import Picamera2

    with quiet():
        infos = Picamera2.global_camera_info()
    return [
        Found("picamera2", int(info["Num"]), str(info["Model"]))
        for info in infos
        if "/usb" not in str(info.get("Id", ""))
    ]


def _usb(root: Path) -> list[Found]:
    by_id = sorted((root / "dev/v4l/by-id").glob("*-video-index0"))
    if by_id:
        return [
            Found("v4l2", f"/{link.relative_to(root)}", _plain(link.name.removeprefix("usb-")))
            for link in by_id
        ]
    found = []
    for device in sorted((root / "sys/class/video4linux").glob("video*")):
        try:
            name = (device / "name").read_text().strip()
        except OSError:
            continue
        if not NO_CAMERAS.search(name) and (root / "dev" / device.name).exists():
            found.append(Found("v4l2", int(device.name.removeprefix("video")), name))
    return found


def _plain(name: str) -> str:
    return name.removesuffix("-video-index0").replace("_", " ")


def as_config(text: str, folder: Path = Path("/")) -> Config:
    """The configuration that a text in ``folder`` would be. ConfigError where it has mistakes."""
    return configuration.sound(configuration.parse(text.encode(), folder), "these answers")


@contextmanager
def opened_camera(config: Config, clock: Clock) -> Iterator[Camera]:
    """The camera, as the daemon would have it. CameraError without one."""
    context = Context(clock, config)
    camera = LimitedCamera(devices.load("camera", config.camera.kind)(config.camera, context))
    try:
        camera.open()
        yield camera
    finally:
        camera.close()


class Tray:
    """What the camera sees of the tray, learned empty as the daemon does at each start."""

    def __init__(self, camera: Camera, config: Config) -> None:
        self._camera = camera
        self.scene = Scene(changed_area=config.look.changed_area)

    def learn(self) -> float:
        """Learn, and look on: the largest change that nothing at all made, a share of the view."""
        for _ in range(self.scene.learn_frames):
            self.scene.learn(self._frame())
        views = [self.scene.look(self._frame()) for _ in range(STEADY_FRAMES)]
        return max(view.changed or 0.0 for view in views)

    def watch(self) -> float | None:
        """Something lies there now: its share of the view; None where nothing is seen."""
        for _ in range(WATCHED_FRAMES):
            view = self.scene.look(self._frame())
            if view.state is SceneState.SETTLED:
                return view.changed
        return None

    def _frame(self) -> Frame:
        return self._camera.capture(TIMEOUT_S)


class Mover:
    """The servo, turned by hand to try an angle. ``pins`` is a gpiozero pin factory, if needed.

    ``configured`` gives the configuration as the plan would have it written, pulses and all.
    """

    def __init__(
        self, plan: Plan, configured: Callable[[], Config], pins: Any, clock: Clock | None = None
    ) -> None:
        self.plan = plan
        self._configured = configured
        self._pins = pins
        self._clock = clock or SystemClock()

    def reach(self) -> tuple[float, float]:
        """The least and the largest angle."""
        section = _servo_of(self._configured())
        return section.min_angle, section.max_angle

    def turn(self, bin: str, angle: float) -> None:
        """Turn to an angle for a bin, and stay there without force. ActuatorError if it can't."""
        self.plan.bins[bin].angle = angle
        with self._servo() as (servo, config):
            servo.sort(bin)
            self._clock.wait(config.sorting.move_s)
            servo.release()

    def rest(self) -> None:
        """Back to rest."""
        with self._servo() as (servo, config):
            servo.rest()
            self._clock.wait(config.sorting.move_s)

    @contextmanager
    def _servo(self) -> Iterator[tuple[Any, Config]]:
        config = self._configured()
        section = _servo_of(config)
        with ExitStack() as stack:
            context = Context(self._clock, config, pins=self._pins)
            context = stack.enter_context(stoppable(context))
            servo = devices.load("actuator", section.kind)(section, context)
            stack.callback(_closed, servo)
            servo.open()
            yield servo, config


def _servo_of(config: Config) -> Any:
    return next(entry for entry in config.actuators if isinstance(entry, Servo))


def _closed(servo: Any) -> None:
    """Close without the way back to rest: the next angle is tried from where it stands."""
    servo._away = False
    servo.close()
