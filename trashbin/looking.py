"""One look at the tray: frames until it is settled, a burst, predictions, a decision."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from trashbin import decision
from trashbin.errors import CameraError, DeviceError
from trashbin.ports import Attentive, Camera, Classifier, Clock, Switch
from trashbin.preprocess import close_up
from trashbin.scene import Scene, SceneState, View, too_blurred, too_dark
from trashbin.settings import Look as LookSettings
from trashbin.types import Decision, Features, Frame, Pixels, Prediction, Reason, Thresholds

log = logging.getLogger(__name__)

# the keys of an event's timing_ms; ``total`` covers them all
STAGES = ("settle", "capture", "preprocess", "invoke", "decide", "total")

TURNS = 3  # quarters, in which a single picture is shown to the network: as a burst has by default
TORN = 3  # pictures in a row with a flaw are the camera's, not chance
BLACK = 16  # below, one colour is told as black
WHITE = 255  # light that is too bright is flat, too

# reasons that a fresh burst may cure; an empty or dark tray stays what it is
RETRIED = frozenset(
    {
        Reason.LOW_GAP,
        Reason.LOW_TOP1,
        Reason.TIE,
        Reason.DISAGREE,
        Reason.UNFAMILIAR,
        Reason.BLURRED,
        Reason.INVALID,
    }
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look found. ``frame`` is the last one judged; ``timing_ms`` has the event's keys.

    ``at_rest`` is False where the thing still moved in it: time was over, it was judged anyway.

    ``shown`` is the part of it that the network saw: what is kept shows no more.

    ``features`` (C,) is the mean over the frames that the decision rests on; None where it
    rests on none, or where the model has no such output.
    """

    decision: Decision
    frame: Frame
    burst_at: float
    timing_ms: dict[str, float]
    at_rest: bool = True
    features: Features | None = field(default=None, compare=False, repr=False)

    @property
    def shown(self) -> Pixels:
        """RGB uint8 (h, w, 3)."""
        return close_up(self.frame.pixels, self.frame.thing)


def turned(classifier: Classifier, frame: Frame, burst: int = TURNS) -> list[Prediction]:
    """What the network says of a single picture, turned as the frames of a burst are."""
    return [classifier.predict(frame, turns) for turns in range(burst)]


def scene_of(settings: LookSettings) -> Scene:
    """A scene model as a configuration has it."""
    return Scene(
        changed_area=settings.changed_area,
        learn=settings.empty_tray == "learn",
        dark_level=settings.dark_level,
    )


class Looker:
    """Looks with a camera, a scene model and a network; remembers the last frame alone."""

    def __init__(
        self,
        settings: LookSettings,
        clock: Clock,
        scene: Scene,
        camera: Camera,
        capture_timeout: float,
        classifier: Classifier,
        tray_lamp: Switch | None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.scene = scene
        self.camera = camera
        self.classifier = classifier
        self.tray_lamp = tray_lamp
        self.capture_timeout = capture_timeout
        self.last_frame: Frame | None = None
        self._state = SceneState.EMPTY  # in the last whole frame
        self._shape: tuple[int, ...] | None = None  # of every frame: the scene model needs it

    def glance(self, *, closely: bool = False) -> View:
        """One frame through the scene model. CameraError where no frame is whole."""
        for _ in range(TORN):  # a USB camera now and then sends half a picture
            frame = self._captured()
            fault = flaw(frame.pixels)
            if fault is None:
                view = self.scene.look(frame, closely=closely)
                self._state = view.state
                if self.settings.closely and view.thing is not None:
                    self.last_frame = replace(frame, thing=view.thing)
                return view
        raise CameraError(fault)

    def probe(self) -> None:
        """Does the camera still give frames, if only of the night? CameraError where not."""
        self._captured()

    def _captured(self) -> Frame:
        frame = self.camera.capture(self.capture_timeout)
        pixels = frame.pixels
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
            raise CameraError(f"the camera gave an array of shape {pixels.shape}, no picture")
        if self._shape is not None and pixels.shape != self._shape:
            (height, width, _), (rows, columns, _) = pixels.shape, self._shape
            raise CameraError(
                f"the camera gives pictures of {width}x{height}, and gave {columns}x{rows} before;"
                " if that stays so the tray is learned anew, and is to be empty"
            )
        self._shape, self.last_frame = pixels.shape, frame
        return frame

    def take_up_size(self) -> bool:
        """Let the camera, opened anew, give pictures of another size; True where it does.

        Then that is its size from now on, and the tray is not known in it. CameraError where it
        gives now this, now that, or no whole picture.
        """
        before, self._shape = self._shape, None
        try:
            for _ in range(TORN):
                fault = flaw(self._captured().pixels)
                if fault is not None:
                    raise CameraError(fault)
        except DeviceError:
            self._shape = before
            raise
        if before is None or before == self._shape:
            return False
        self.scene.forget()
        return True

    @property
    def seen(self) -> Frame:
        """The frame of the last glance."""
        assert self.last_frame is not None
        return self.last_frame

    def attend(self, attentive: bool) -> None:
        """Tell a camera that cares whether something may lie in the tray."""
        if isinstance(self.camera, Attentive):
            self.camera.attend(attentive)

    def learn_empty_tray(self) -> None:
        """Take what the camera shows now for the empty tray, unless it is too dark to see one."""
        if self.settings.empty_tray == "none":
            return
        with self._lit():
            for _ in range(self.scene.learn_frames):
                if too_dark(self.glance(), self.settings.dark_level):
                    self.scene.forget()
                    break
                self.scene.learn(self.seen)
        self.attend(False)

    def look(self, thresholds: Thresholds) -> Sight:
        """Wait until the tray is settled, then judge it; one more burst before holding."""
        started = self.clock.monotonic()
        with self._lit():
            # a sensor fires before the item has landed: empty is believed when time is over
            view = self._settle({SceneState.SETTLED}, closely=True)
            settled = self.seen.at  # this frame is the burst's first
            timing = dict.fromkeys(STAGES, 0.0) | {"settle": (settled - started) * 1e3}
            found, features = self._judge(view, thresholds, timing)
            for _ in range(self.settings.retries):
                if found.reason not in RETRIED:
                    break
                found, features = self._judge(self.glance(closely=True), thresholds, timing)
        timing["total"] = (self.clock.monotonic() - started) * 1e3
        at_rest = self._state is SceneState.SETTLED
        return Sight(found, self.seen, settled, timing, at_rest, features)

    def at_rest(self) -> View:
        """What lies in the tray once it is at rest; an empty one is believed at once."""
        with self._lit():
            return self._settle({SceneState.SETTLED, SceneState.EMPTY})

    def now(self) -> SceneState | None:
        """What the tray is seen to do; None where it is too dark to tell."""
        with self._lit():
            view = self.glance()
        return None if too_dark(view, self.settings.dark_level) else view.state

    def _settle(self, done: set[SceneState], *, closely: bool = False) -> View:
        """Frames until one shows a state of ``done``, or the time to settle is over."""
        deadline = self.clock.monotonic() + self.settings.settle_s
        while True:
            view = self.glance(closely=closely)
            if view.state in done or self.clock.monotonic() >= deadline:
                return view

    def _judge(
        self, view: View, thresholds: Thresholds, timing: dict[str, float]
    ) -> tuple[Decision, Features | None]:
        if too_dark(view, self.settings.dark_level):
            return decision.hold(Reason.DARK), None
        if view.state is SceneState.EMPTY:
            return decision.hold(Reason.EMPTY), None
        views, predictions, sharp = self._burst(view, timing)
        with _stage(timing, "decide"):
            found = decision.decide(predictions, thresholds)
        if not sharp:
            found = decision.overrule(found, Reason.BLURRED)
        elif min(view.items for view in views) > 1:
            found = decision.overrule(found, Reason.DISAGREE)
        return found, mean_features(predictions)

    def _burst(
        self, view: View, timing: dict[str, float]
    ) -> tuple[list[View], list[Prediction], bool]:
        """A burst's views, what the network says of the sharp frames, and whether any is sharp.

        A settled ``view`` is its first. While one frame is asked about, the camera exposes
        the next. Each is turned by a quarter more than the one before: seen from above, a thing
        has no upright, and a network errs less on the mean of several views than on one.
        """
        views: list[View] = []
        predictions: list[Prediction] = []
        blurred: list[Frame] = []
        while len(views) < self.settings.burst:
            if views or view.state is not SceneState.SETTLED:
                with _stage(timing, "capture"):
                    view = self.glance(closely=True)
            views.append(view)
            if too_blurred(view, self.settings.min_sharpness):
                blurred.append(self.seen)
            else:
                predictions.append(self._predict(self.seen, len(predictions), timing))
        if predictions:
            return views, predictions, True
        # the network is asked even where none is sharp, so that the event says what it saw
        return views, [self._predict(f, turns, timing) for turns, f in enumerate(blurred)], False

    def _predict(self, frame: Frame, turns: int, timing: dict[str, float]) -> Prediction:
        prediction = self.classifier.predict(frame, turns)
        timing["preprocess"] += prediction.preprocess_ms
        timing["invoke"] += prediction.invoke_ms
        return prediction

    @contextmanager
    def _lit(self) -> Iterator[None]:
        """The tray lamp is on for the look, and off again whatever happens."""
        if self.tray_lamp is None:
            yield
            return
        with _tolerated():
            self.tray_lamp.on()
        try:
            yield
        finally:
            with _tolerated():
                self.tray_lamp.off()


def flaw(pixels: Pixels) -> str | None:
    """What no lens does to a picture (rows, columns, RGB), in words; None where it seems whole.

    A sensor always has a little noise: what is of one colour was never exposed.
    """
    part = pixels[-max(1, len(pixels) // 8) :]
    colour = part[0, 0]
    if colour.min() == WHITE or not _is_of(colour, part):
        return None
    if _is_of(colour, pixels):
        name = "black" if colour.max() < BLACK else "of one colour"
        return f"the camera's pictures are {name}: look at lens cap, cable and tray lamp"
    return "the camera gives half pictures: check its cable"


def _is_of(colour: Pixels, pixels: Pixels) -> bool:
    """Row by row: of nearly every picture the first one tells."""
    return all((row == colour).all() for row in pixels)


def mean_features(predictions: Sequence[Prediction]) -> Features | None:
    """What an event keeps of a burst: (C,); None where the model tells no features."""
    known = [p.features for p in predictions if p.features is not None]
    return np.mean(known, axis=0, dtype=np.float32) if known else None


@contextmanager
def _tolerated() -> Iterator[None]:
    """A lamp that fails is a pity: what is then too dark to judge is held as such."""
    try:
        yield
    except DeviceError as error:
        log.error("tray_lamp: %s", error)


@contextmanager
def _stage(timing_ms: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall-clock milliseconds of a stage to ``timing_ms``."""
    start = time.perf_counter()
    yield
    timing_ms[name] += (time.perf_counter() - start) * 1e3
