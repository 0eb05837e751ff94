"""What hangs on single GPIO pins: PIR sensor, push buttons, stop switch, the lamp over the tray."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial

from gpiozero import LED, Button, DigitalInputDevice

from trashbin.devices.pins import told_as
from trashbin.errors import ActuatorError, TriggerError
from trashbin.ports import Context, Emit
from trashbin.settings import ButtonTrigger as ButtonSettings
from trashbin.settings import PirTrigger as PirSettings
from trashbin.types import Signal, Source

log = logging.getLogger(__name__)

BOUNCE_S = 0.05  # of a button that a person presses
STUCK_S = 600.0  # active without a pause: nobody presses so long, and a PIR's time ends after 5 min


class _PinTrigger:
    """A trigger that fires when its pin becomes active; pushes from the GPIO thread."""

    poll_every: float | None = None
    source: Source
    _stuck: str  # what may be wrong where it stays active

    def __init__(self, pin: int, context: Context) -> None:
        self._pin = pin
        self._context = context
        self._device: DigitalInputDevice | None = None
        self._edge_at = 0.0  # monotonic: when it last became active, or was opened

    @property
    def problem(self) -> str | None:
        """That the pin is active for so long that its next edge may never come, or is not read."""
        device, since = self._device, self._context.clock.monotonic() - self._edge_at
        try:
            if device is None or not device.is_active or since < STUCK_S:
                return None
        except Exception as error:  # the libraries raise what they please
            return f"The {self.source} on pin {self._pin} cannot be read any more: {error}"
        return (
            f"The {self.source} on pin {self._pin} has been on for {since / 60:.0f} minutes, and "
            "notices nothing until it is off: " + self._stuck
        )

    def open(self, emit: Emit) -> None:
        """Take the pin and begin to watch it. TriggerError if it can't be had."""
        self.close()
        clock = self._context.clock
        self._edge_at = clock.monotonic()

        def fire() -> None:
            self._edge_at = clock.monotonic()
            emit(Signal(self.source, self._edge_at))

        with told_as(TriggerError, f"The {self.source} on pin {self._pin} cannot be opened"):
            self._device = self._make()
            self._device.when_activated = fire

    def poll(self) -> None:
        """Nothing: the pin's own edge fires."""

    def close(self) -> None:
        """Stop watching and free the pin."""
        if self._device is not None:
            self._device.close()
            self._device = None

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
    _stuck = "it is jammed, or its wire touches ground"

    def __init__(self, settings: ButtonSettings, context: Context) -> None:
        super().__init__(settings.pin, context)
        self._bounce_s = settings.bounce_s or None  # gpiozero takes None for none

    def _make(self) -> DigitalInputDevice:
        return Button(self._pin, bounce_time=self._bounce_s, pin_factory=self._context.pins)


class Buttons:
    """Push buttons between a pin and ground, each with a name: a label, or a bin that was emptied.

    ``what`` is what the buttons are for, for messages.
    """

    def __init__(self, pins: Mapping[str, int], what: str, context: Context) -> None:
        self._pins = pins
        self._what = what
        self._context = context
        self._buttons: list[Button] = []

    def open(self, on_press: Callable[[str], None]) -> None:
        """Take the pins; ``on_press(name)`` runs on the GPIO thread. TriggerError if it can't."""
        self.close()
        for name, pin in self._pins.items():
            message = f"The button {self._what} {name} on pin {pin} cannot be opened"
            with told_as(TriggerError, message):
                button = Button(pin, bounce_time=BOUNCE_S, pin_factory=self._context.pins)
                self._buttons.append(button)
                button.when_activated = partial(on_press, name)

    def close(self) -> None:
        """Free the pins."""
        while self._buttons:
            self._buttons.pop().close()


class StopInput:
    """A lid or hand switch that closes its pin to ground; takes the pin when made.

    ``on_stop`` runs at once, on the GPIO thread, each time the switch closes.
    TriggerError if the pin can't be had.
    """

    def __init__(self, pin: int, context: Context, on_stop: Callable[[], None]) -> None:
        with told_as(TriggerError, f"The stop switch on pin {pin} cannot be opened"):
            self._button: Button | None = Button(pin, pin_factory=context.pins)
            self._button.when_activated = lambda: on_stop()
        self._unread = False  # told

    @property
    def active(self) -> bool:
        """True while the switch is closed, read from the pin itself; or cannot be read."""
        if self._button is None:
            return False
        try:
            active = bool(self._button.is_active)
        except Exception as error:  # the libraries raise what they please
            if not self._unread:
                log.error("the stop switch cannot be read, and counts as closed: %s", error)
            self._unread = True
            return True
        self._unread = False
        return active

    def close(self) -> None:
        """Free the pin."""
        if self._button is not None:
            self._button.close()
            self._button = None


class Lamp:
    """A lamp of one purpose (``what``, in words): over the tray, or for the broker.

    Takes the pin, dark, when made. ActuatorError if it can't be had.
    """

    def __init__(self, what: str, pin: int, context: Context) -> None:
        self._what = what
        with told_as(ActuatorError, f"The {what} on pin {pin} cannot be opened"):
            self._led = LED(pin, pin_factory=context.pins)

    def on(self) -> None:
        """Light it."""
        with told_as(ActuatorError, f"The {self._what} cannot be lit"):
            self._led.on()

    def off(self) -> None:
        """Put it out."""
        with told_as(ActuatorError, f"The {self._what} cannot be put out"):
            self._led.off()

    def close(self) -> None:
        """Put the lamp out and free the pin."""
        self._led.close()
