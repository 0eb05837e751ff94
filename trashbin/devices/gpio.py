"""What hangs on single GPIO pins: PIR sensor, push buttons, stop switch, the lamp over the tray."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from gpiozero import LED, Button, DigitalInputDevice

from trashbin.devices.pins import told_as
from trashbin.errors import ActuatorError, TriggerError
from trashbin.ports import Clock, Context, Emit
from trashbin.settings import ButtonTrigger as ButtonSettings
from trashbin.settings import PirTrigger as PirSettings
from trashbin.types import Signal, Source

log = logging.getLogger(__name__)

BOUNCE_S = 0.05  # of a button that a person presses
STUCK_S = 600.0  # active without a pause: nobody presses so long, and a PIR's time ends after 5 min
JAMMED = "it is jammed, or its wire touches ground"


class _Input:
    """One pin that is watched, ``what`` in words.

    ``stuck`` says why it may stay active; None where it may.
    """

    def __init__(
        self, what: str, stuck: str | None, make: Callable[[], DigitalInputDevice], clock: Clock
    ) -> None:
        self._what = what
        self._stuck = stuck
        self._make = make
        self._clock = clock
        self._on_edge: Callable[[float], object] | None = None  # while it is to be open
        self._device: DigitalInputDevice | None = None
        self._edge_at = 0.0  # monotonic: when it last became active, or was opened

    @property
    def problem(self) -> str | None:
        """That the pin is active for so long that its next edge may never come, or is not read.

        One that cannot be had is tried again.
        """
        try:
            if self._on_edge is not None and self._device is None:
                self._take()
        except TriggerError as error:
            return str(error)
        device, since = self._device, self._clock.monotonic() - self._edge_at
        try:
            if device is None or not device.is_active:
                return None
        except Exception as error:  # the libraries raise what they please
            return f"The {self._what} cannot be read any more: {error}"
        if self._stuck is None or since < STUCK_S:
            return None
        return (
            f"The {self._what} has been on for {since / 60:.0f} minutes, and "
            f"notices nothing until it is off: {self._stuck}"
        )

    def open(self, on_edge: Callable[[float], object]) -> None:
        """Take the pin; ``on_edge`` gets the monotonic time of each edge, on the GPIO thread.

        TriggerError if it can't be had.
        """
        self.close()
        self._on_edge = on_edge
        self._take()

    def _take(self) -> None:
        self._edge_at = self._clock.monotonic()
        with told_as(TriggerError, f"The {self._what} cannot be opened"):
            device = self._make()
            device.when_activated = self._fire
        self._device = device

    def _fire(self) -> None:
        self._edge_at, on_edge = self._clock.monotonic(), self._on_edge
        if on_edge is not None:
            on_edge(self._edge_at)

    def close(self) -> None:
        """Stop watching and free the pin."""
        self._on_edge = None
        if self._device is not None:
            self._device.close()
            self._device = None


class _PinTrigger:
    """A trigger that fires when its pin becomes active; pushes from the GPIO thread."""

    poll_every: float | None = None
    source: Source
    _stuck: str  # what may be wrong where it stays active

    def __init__(self, pin: int, context: Context) -> None:
        self._pin = pin
        self._context = context
        what = f"{self.source} on pin {pin}"
        self._input = _Input(what, self._stuck, self._make, context.clock)

    @property
    def problem(self) -> str | None:
        """That the pin stays active, is not read, or could still not be opened."""
        return self._input.problem

    def open(self, emit: Emit) -> None:
        """Take the pin and begin to watch it. TriggerError if it can't be had."""
        self._input.open(lambda at: emit(Signal(self.source, at)))

    def poll(self) -> None:
        """Nothing: the pin's own edge fires."""

    def close(self) -> None:
        """Stop watching and free the pin."""
        self._input.close()

    def _make(self) -> DigitalInputDevice:
        raise NotImplementedError


class PirTrigger(_PinTrigger):
    """A PIR sensor; high while it sees something move.

    The edge of a plain input, not gpiozero's MotionSensor: that samples from a thread of its
    own ten times a second, to smooth sensors that need it, and a PIR holds its output itself.
    """

    source = Source.PIR
    _stuck = "something moves before it all the time, it holds too long, or its wire is shorted"

    def __init__(self, settings: PirSettings, context: Context) -> None:
        super().__init__(settings.pin, context)

    def _make(self) -> DigitalInputDevice:
        return DigitalInputDevice(self._pin, pull_up=False, pin_factory=self._context.pins)


class ButtonTrigger(_PinTrigger):
    """A push button between its pin and ground."""

    source = Source.BUTTON
    _stuck = JAMMED

    def __init__(self, settings: ButtonSettings, context: Context) -> None:
        super().__init__(settings.pin, context)
        self._bounce_s = settings.bounce_s or None  # gpiozero takes None for none

    def _make(self) -> DigitalInputDevice:
        return Button(self._pin, bounce_time=self._bounce_s, pin_factory=self._context.pins)


class Buttons:
    """Push buttons between a pin and ground, each with a name: a label, or a bin that was emptied.

    ``what`` is what the buttons are for, for messages. With ``may_stay`` one of them may be a
    switch at a door.
    """

    def __init__(
        self, pins: Mapping[str, int], what: str, context: Context, *, may_stay: bool = False
    ) -> None:
        stuck = None if may_stay else JAMMED

        def watched(name: str, pin: int) -> _Input:
            make = partial(Button, pin, bounce_time=BOUNCE_S, pin_factory=context.pins)
            return _Input(f"button {what} {name} on pin {pin}", stuck, make, context.clock)

        self._inputs = {name: watched(name, pin) for name, pin in pins.items()}

    @property
    def problem(self) -> str | None:
        """Which of them stay pressed, are not read, or could still not be opened."""
        found = [input.problem for input in self._inputs.values()]
        return "; ".join(filter(None, found)) or None

    def open(self, on_press: Callable[[str], None]) -> None:
        """Take the pins; ``on_press(name)`` runs on the GPIO thread.

        TriggerError where one can't be had; the others work.
        """
        failed = []
        for name, input in self._inputs.items():
            try:
                input.open(lambda _, name=name: on_press(name))  # type: ignore[misc]
            except TriggerError as error:
                failed.append(str(error))
        if failed:
            raise TriggerError("; ".join(failed))

    def close(self) -> None:
        """Free the pins."""
        for input in self._inputs.values():
            input.close()


class StopInput:
    """A lid or hand switch that closes its pin to ground.

    ``on_stop`` runs at once, on the GPIO thread, each time the switch closes. While its pin
    cannot be had it counts as closed, and is tried again whenever it is asked.
    """

    def __init__(self, pin: int, context: Context, on_stop: Callable[[], None]) -> None:
        self._what = f"The stop switch on pin {pin}"
        self._pins = context.pins
        self._make = partial(Button, pin, pin_factory=context.pins)
        self._on_stop = on_stop
        self._button: Button | None = None
        self._closed = False
        self.problem: str | None = None

    def open(self) -> None:
        """Take the pin. TriggerError if it can't be had."""
        if self._pins is None:  # gpiozero would choose a way to it by itself
            raise TriggerError(f"{self._what} cannot be read: see gpio")
        with told_as(TriggerError, f"{self._what} cannot be opened, and counts as closed"):
            button = self._make()
            button.when_activated = self._on_stop
        self._button = button

    @property
    def active(self) -> bool:
        """True while the switch is closed, read from the pin itself; or cannot be read."""
        if self._closed:
            return False
        try:
            if self._button is None:
                self.open()
            button = self._button
            assert button is not None
            active = bool(button.is_active)
        except TriggerError as error:
            self.problem = self.problem or str(error)
            return True
        except Exception as error:  # the libraries raise what they please
            if self.problem is None:  # the first of them, or it would be another each time
                self.problem = f"{self._what} cannot be read, and counts as closed: {error}"
                log.error("%s", self.problem)
            return True
        self.problem = None
        return active

    def close(self) -> None:
        """Free the pin."""
        self._closed = True
        if self._button is not None:
            self._button.close()
            self._button = None


class Lamp:
    """A lamp of one purpose (``what``, in words): over the tray, or for the broker.

    One whose pin cannot be had stays dark.
    """

    def __init__(self, what: str, pin: int, context: Context) -> None:
        self._what, self._pin = what, pin
        self._make = partial(LED, pin, pin_factory=context.pins)
        self._led: LED | None = None
        self._closed = False

    @property
    def problem(self) -> str | None:
        """Why its pin cannot be had; it is tried again."""
        try:
            if self._led is None and not self._closed:
                self.open()
        except ActuatorError as error:
            return str(error)
        return None

    def open(self) -> None:
        """Take the pin, dark. ActuatorError if it can't be had."""
        with told_as(ActuatorError, f"The {self._what} on pin {self._pin} cannot be opened"):
            self._led = self._make()

    def on(self) -> None:
        """Light it."""
        if self._led is not None:
            with told_as(ActuatorError, f"The {self._what} cannot be lit"):
                self._led.on()

    def off(self) -> None:
        """Put it out."""
        if self._led is not None:
            with told_as(ActuatorError, f"The {self._what} cannot be put out"):
                self._led.off()

    def close(self) -> None:
        """Put the lamp out and free the pin."""
        self._closed = True
        if self._led is not None:
            self._led.close()
