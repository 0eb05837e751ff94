"""A trigger that is the camera itself, for bins without a sensor."""

from __future__ import annotations

from trashbin.errors import ConfigError, TriggerError
from trashbin.ports import Context, Emit
from trashbin.scene import SceneState
from trashbin.settings import MotionTrigger as MotionSettings
from trashbin.types import Signal, Source


class MotionTrigger:
    """Fires when a tray that was seen empty no longer is.

    After that it fires again only once the tray has been empty, so that an item which lies
    there is one item. Uses the daemon's camera and scene model, from the daemon's thread.
    ConfigError when made, where the bin is not to learn its empty tray.
    """

    problem: str | None = None

    def __init__(self, settings: MotionSettings, context: Context) -> None:
        if context.config.look.empty_tray == "none":
            raise ConfigError("A motion trigger must know the empty tray: look: empty_tray: learn.")
        self.poll_every: float | None = settings.every_s
        self._context = context
        # a simulated camera has no time limit, since it never hangs
        self._timeout = getattr(context.config.camera, "timeout_s", 2.0)
        self._emit: Emit | None = None
        self._answered = 0

    def open(self, emit: Emit) -> None:
        """Begin to watch. TriggerError where there is no camera."""
        if self._context.camera is None or self._context.scene is None:
            self.problem = "A motion trigger has no camera to look with."
            raise TriggerError(self.problem)
        self._emit = emit

    def poll(self) -> None:
        """One frame. CameraError where the camera gives none in time."""
        camera, scene = self._context.camera, self._context.scene
        if self._emit is None or camera is None or scene is None:
            return
        view = scene.look(camera.capture(self._timeout), closely=False)
        if view.state is not SceneState.EMPTY and scene.arrivals > self._answered:
            self._answered = scene.arrivals
            self._emit(Signal(Source.MOTION, self._context.clock.monotonic()))

    def close(self) -> None:
        """Watch no more; the camera is the daemon's to close."""
        self._emit = None
