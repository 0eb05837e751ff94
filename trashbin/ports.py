"""What the daemon sees of the world: one small Protocol for each kind of part.

Every adapter in ``trashbin.devices`` satisfies one of these, and
``tests/contract`` runs the same test over all adapters of a port. ``close`` is
always safe to call twice, and on a part that was never opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from trashbin.settings import Config
from trashbin.status import Status
from trashbin.types import Frame, ModelId, Prediction, Signal, Thresholds

if TYPE_CHECKING:  # an adapter that needs neither loads neither OpenCV nor SQLite
    from trashbin.outbox import Outbox
    from trashbin.scene import Scene

Emit = Callable[[Signal], None]


class Clock(Protocol):
    """Time, as a parameter: tests hand in one that they move themselves."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def now(self) -> datetime:
        """The time of day, UTC and aware."""
        ...

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Wait ``seconds``, or less where ``until()`` comes true; True when asked to stop.

        ``until`` is looked at first and after every ``notify``.
        """
        ...

    def notify(self) -> None:
        """Something that a ``wait(until=...)`` may look for has changed. From any thread."""
        ...


class Trigger(Protocol):
    """Something that notices an item.

    ``poll_every`` is the number of seconds between calls of ``poll`` while the bin is
    idle, or None where the trigger pushes on its own (from a GPIO or network thread).
    ``problem`` says what keeps it from noticing anything, None where nothing does.
    """

    poll_every: float | None
    problem: str | None

    def open(self, emit: Emit) -> None:
        """Begin to watch; ``emit`` may be called from any thread. TriggerError if it can't."""
        ...

    def poll(self) -> None:
        """Look once, and emit if something is there. A pushing trigger does nothing."""
        ...

    def close(self) -> None:
        """Stop watching and free the pin or thread."""
        ...


class Camera(Protocol):
    """Something that takes pictures."""

    def open(self) -> None:
        """Find and start the camera. CameraError if it can't; may be tried again."""
        ...

    def capture(self, timeout: float) -> Frame:
        """A frame taken after this call began; CameraError after ``timeout`` seconds."""
        ...

    def close(self) -> None:
        """Stop the camera. ``open`` may follow."""
        ...


@runtime_checkable
class Attentive(Protocol):
    """A camera that saves work while nobody looks, and holds its colours while somebody does."""

    def attend(self, attentive: bool) -> None:
        """Something may lie in the tray from now on, or nothing does."""
        ...


class Classifier(Protocol):
    """Something that gives each label its share.

    ``setup`` tells apart what its answers come from besides weights and head: how it is shown a
    picture, temperature, familiarity index.
    """

    model: ModelId
    setup: str
    thresholds: Thresholds

    def predict(self, frame: Frame, turns: int = 0) -> Prediction:
        """One invoke on one frame, turned by so many quarters."""
        ...

    def check(self) -> None:
        """Ask the golden inputs again. ModelError where an answer is not the promised one."""
        ...

    def changed(self) -> str | None:
        """What of the running model is no longer what lies on the disk; None where all is."""
        ...

    def close(self) -> None:
        """Free the interpreter."""
        ...


class Actuator(Protocol):
    """Something that moves or shows: a servo, lamps.

    ``moves`` says whether ``sort`` moves anything mechanical, ``lights`` whether ``show``
    lights anything. In the mode ``advisory`` what moves is left alone.
    """

    name: str
    moves: bool
    lights: bool

    def open(self) -> None:
        """Take the pins without moving anything. ActuatorError if it can't."""
        ...

    def show(self, status: Status, bin: str | None) -> None:
        """Show what the bin is doing, and for which compartment."""
        ...

    def sort(self, bin: str) -> None:
        """Begin to move towards a compartment. ActuatorError if it can't."""
        ...

    def rest(self) -> None:
        """Back to rest; what holds power lets go of it in ``release``."""
        ...

    def release(self) -> None:
        """Cut the drive: nothing moves or hums. From any thread, at any time."""
        ...

    def close(self) -> None:
        """Rest, release and free the pins."""
        ...


class Switch(Protocol):
    """Something that is on or off: the lamp over the tray, or the broker's."""

    @property
    def problem(self) -> str | None:
        """Why it cannot be had, and does nothing; it is tried again. None where it works."""
        ...

    def on(self) -> None:
        """Switch on."""
        ...

    def off(self) -> None:
        """Switch off."""
        ...

    def close(self) -> None:
        """Switch off and free the pin."""
        ...


class Buttons(Protocol):
    """What people press at the bin besides a trigger; each press is told on the pin's thread."""

    @property
    def problem(self) -> str | None:
        """Which of them nobody can press, and why; one that cannot be opened is tried again."""
        ...


class LevelSensor(Protocol):
    """Something that sees how full a bin is."""

    def open(self) -> None:
        """Begin to measure. TriggerError if it can't."""
        ...

    def level(self) -> float | None:
        """0 empty to 1 full, at once; None where nothing is known yet. TriggerError if silent."""
        ...

    def close(self) -> None:
        """Stop measuring and free the pins."""
        ...


class StopInput(Protocol):
    """A lid or hand switch: while it is active, nothing may move.

    What must stop at once is stopped by the adapter's own callback, on the pin's thread.
    ``problem`` says why it could not be read when it was last asked, and so counts as active.
    """

    problem: str | None

    @property
    def active(self) -> bool:
        """True while somebody has a hand in it."""
        ...

    def close(self) -> None:
        """Free the pin."""
        ...


class Publisher(Protocol):
    """Tells the world. Events are read from the outbox; the rest is handed over."""

    @property
    def connected(self) -> bool:
        """True while the broker holds our session."""
        ...

    @property
    def progressed_at(self) -> float | None:
        """When its threads last went round, monotonic; the broker has no part in it.

        None where it has no thread.
        """
        ...

    @property
    def problem(self) -> str | None:
        """What stands between us and the broker, in words; None while there is nothing."""
        ...

    def open(self, on_request: Callable[[str, bytes, bool], None]) -> None:
        """Begin to connect, and keep trying. ``on_request(verb, payload, retained)``
        is called on the network thread."""
        ...

    def announce(self, topic: str, payload: Mapping[str, Any] | bytes) -> None:
        """Set what ``info``, ``state``, ``health`` or ``image/last`` (a JPEG) says.

        Now and after every reconnect; no bytes clear what the broker kept.
        """
        ...

    def respond(self, verb: str, payload: Mapping[str, Any]) -> None:
        """Answer a request on ``response/<verb>``; on any thread."""
        ...

    def wake(self) -> None:
        """The outbox has a new event."""
        ...

    def resend(self, after_seq: int, limit: int) -> int:
        """Send stored events once more, as backlog; the number of events that follow."""
        ...

    def forget(self) -> None:
        """Leave nothing of this bin at the broker, until the next start; events still go there."""
        ...

    def drain(self, timeout: float) -> bool:
        """Wait until every stored event is delivered; False after ``timeout`` seconds."""
        ...

    def close(self) -> None:
        """Say ``offline`` and disconnect; waits a bounded time for what is in flight."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What adapters may need beside their own section: ``Adapter(section, context)``.

    ``pins`` is a gpiozero pin factory and ``world`` the simulated tray; both are None
    where no part asks for one. ``camera`` and ``scene`` are what a trigger that looks
    for itself looks with, ``outbox`` is what a publisher reads, ``stop`` is what keeps a
    moving actuator still: made.py fills each in with ``dataclasses.replace`` once it exists.
    """

    clock: Clock
    config: Config
    pins: Any = None
    world: Any = None
    camera: Camera | None = None
    scene: Scene | None = None
    outbox: Outbox | None = None
    stop: StopInput | None = None
