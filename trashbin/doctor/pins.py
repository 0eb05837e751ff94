"""What hangs on the pins: triggers, servo, lamps, stop switch. Nothing moves unless it may."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from trashbin import devices
from trashbin.devices import PIN_KINDS
from trashbin.devices.gpio import Buttons, Lamp, StopInput
from trashbin.devices.level import UltrasonicSensor
from trashbin.devices.pins import pin_factory
from trashbin.doctor.report import Finding, good, stopped, unreachable, warning
from trashbin.errors import DeviceError, StoppedError, TrashbinError
from trashbin.ports import Context
from trashbin.settings import Config, LampsActuator, Servo
from trashbin.status import Status
from trashbin.types import Signal

LIT_S = 0.4
TRAY_DARK = "The tray may be too dark to judge."
TRAY_LAMP_WIRING = "Check the MOSFET, its 5 V, and that all grounds are joined."
BROKER_DARK = "Nobody at the bin sees whether its events leave it."
LED_WIRING = "Check the LED's direction, its resistor, and its ground."
GATHER_S = 1.0  # after the first signal, to see whether it fires twice
LISTEN_S = 3.0  # for some echoes of a level sensor: one now and then is lost


class Person(Protocol):
    """Who stands at the bin, if anybody does."""

    wait_s: float  # for a trigger
    may_move: bool

    def ask(self, question: str) -> bool | None:
        """Yes or no; None where nobody is there to be asked."""
        ...

    def say(self, text: str) -> None:
        """Tell what happens now."""
        ...


def way_to_pins(kind: str) -> Any:
    """A pin factory, or None where there is none; the check of the pins tells why."""
    try:
        return pin_factory(kind)
    except DeviceError:
        return None


@contextmanager
def stoppable(context: Context) -> Iterator[Context]:
    """The context with the bin's stop switch in it, where it has one. DeviceError if it can't."""
    pin = context.config.gpio.stop
    if pin is None:
        yield context
        return
    with closing(StopInput(pin, context, lambda: None)) as switch:
        switch.open()
        yield replace(context, stop=switch)


@contextmanager
def lit(context: Context) -> Iterator[None]:
    """The tray lamp is on, as it is whenever the bin looks, where there is one and a way to it."""
    pin, lamp = context.config.gpio.tray_lamp, None
    if pin is not None and context.pins is not None:
        with suppress(DeviceError):  # what the check of the lamp will tell
            lamp = Lamp("tray lamp", pin, context)
            lamp.open()
            lamp.on()
    try:
        yield
    finally:
        if lamp is not None:
            lamp.close()


@dataclass(frozen=True)
class Pins:
    """Checks of one bin's pins; ``context`` carries the pin factory, or None where is none."""

    context: Context
    person: Person

    @property
    def config(self) -> Config:
        """The bin's."""
        return self.context.config

    def wired(self) -> list[str]:
        """What hangs on a pin, in words."""
        config = self.config
        sections = [*config.triggers, *config.actuators]
        named = [self._name(section) for section in sections if section.kind in PIN_KINDS]
        if config.gpio.stop is not None:
            named.append(f"stop switch on GPIO{config.gpio.stop}")
        if config.gpio.tray_lamp is not None:
            named.append(f"tray lamp on GPIO{config.gpio.tray_lamp}")
        if config.gpio.broker_lamp is not None:
            named.append(f"broker lamp on GPIO{config.gpio.broker_lamp}")
        named += [f"button for {label} on GPIO{pin}" for label, pin in self._answers().items()]
        named += [f"emptied of {name} on GPIO{pin}" for name, pin in self._emptied().items()]
        levels = [name for name, entry in config.bins.items() if entry.level is not None]
        return named + [f"level sensor of {name}" for name in levels]

    def _answers(self) -> dict[str, int]:
        return self.config.gpio.answers or {}

    def _emptied(self) -> dict[str, int]:
        bins = self.config.bins
        return {name: entry.emptied for name, entry in bins.items() if entry.emptied is not None}

    def check(self) -> Iterator[Finding]:
        """The way to the pins, then each part on them; the rest of the triggers too."""
        wired, reached = self.wired(), self
        if wired and self.context.pins is None:
            try:
                pins = pin_factory(self.config.gpio.pins)
            except DeviceError as error:
                yield unreachable(
                    "gpio",
                    f"absent: {error}",
                    f"Nothing on a pin works. Not tested: {', '.join(wired)}.",
                    "On a Pi: sudo ./install.sh, and run this with sudo. Elsewhere there are none.",
                )
                yield from self._pinless()
                for actuator in self.config.actuators:
                    if isinstance(actuator, Servo) and actuator.kind not in PIN_KINDS:
                        yield self._servo(actuator)
                return
            reached = replace(self, context=replace(self.context, pins=pins))
        if wired:
            yield reached._way()
            yield from reached._stop()
        yield from reached._parts()

    def _parts(self) -> Iterator[Finding]:
        for section in self.config.triggers:
            if section.kind in PIN_KINDS:
                yield self._trigger(section)
        yield from self._pinless()
        for actuator in self.config.actuators:
            if isinstance(actuator, Servo):
                yield self._servo(actuator)
            elif isinstance(actuator, LampsActuator):
                yield self._lamps(actuator)
            elif actuator.kind in PIN_KINDS:
                yield self._opened(actuator)
        gpio = self.config.gpio
        yield from self._lamp("tray lamp", gpio.tray_lamp, TRAY_DARK, TRAY_LAMP_WIRING)
        yield from self._lamp("broker lamp", gpio.broker_lamp, BROKER_DARK, LED_WIRING)
        yield from self._buttons("answer buttons", self._answers(), "for")
        yield from self._buttons("emptied buttons", self._emptied(), "that says emptied")
        yield from self._levels()

    def _way(self) -> Finding:
        name = type(self.context.pins).__name__.removesuffix("Factory")
        if name == "Mock":
            return warning(
                "gpio",
                "mock: these pins are in memory only",
                "Nothing real moves or lights.",
                "On a Pi set gpio: pins: auto.",
            )
        return good("gpio", f"through {name}", "The pins can be reached.")

    def _pinless(self) -> Iterator[Finding]:
        """Triggers that need no pin have nothing of their own to break."""
        means = {
            "mqtt": ("request/look over the broker", "It works as far as the broker does."),
            "motion": ("the camera itself", "It works as far as the camera does."),
            "timer": ("a timer", "Nothing can be wrong with it."),
            "simulated": ("simulated items", "Nothing real falls."),
        }
        for section in self.config.triggers:
            if section.kind in means:
                yield good(f"trigger {section.kind}", *means[section.kind])

    def _name(self, section: Any) -> str:
        pin = getattr(section, "pin", None)
        return section.kind if pin is None else f"{section.kind} on GPIO{pin}"

    def _trigger(self, section: Any) -> Finding:
        check, name = f"trigger {section.kind}", self._name(section)
        seen: queue.SimpleQueue[Signal] = queue.SimpleQueue()
        do = "press the button" if section.kind == "button" else "wave a hand over the tray"
        wait_s = self.person.wait_s
        try:
            with closing(devices.load("trigger", section.kind)(section, self.context)) as trigger:
                trigger.open(seen.put)
                if wait_s > 0:
                    self.person.say(f"{name}: {do} within {wait_s:g} s ...")
                started = self.context.clock.monotonic()
                seen.get(timeout=max(wait_s, 0.01))
                after = self.context.clock.monotonic() - started
                self.context.clock.wait(GATHER_S)
                more = seen.qsize()
        except queue.Empty:
            if wait_s == 0:
                return good(check, f"{name} can be read", "Not waited for: --wait 10 does.")
            return warning(
                check,
                f"{name} saw nothing within {wait_s:g} s",
                "Nobody came, or the sensor is not connected, or to another pin.",
                f"Run this again and {do}. Check the pin, its 5 V and ground.",
            )
        except TrashbinError as error:
            return unreachable(check, str(error), "This trigger wakes nobody.", "Check the pin.")
        told = f"{name} fired after {after:.1f} s" + (f", {1 + more} times" if more else "")
        if more > 1:
            return warning(
                check,
                told,
                "It flickers: one item may count as several.",
                "A larger look: refractory_s; for a button a larger bounce_s; a shorter wire.",
            )
        return good(check, told, "The bin notices.")

    def _stop(self) -> Iterator[Finding]:
        pin = self.config.gpio.stop
        if pin is None:
            return
        try:
            with stoppable(self.context) as own:
                assert own.stop is not None
                closed, unread = own.stop.active, own.stop.problem
        except DeviceError as error:
            closed, unread = False, str(error)
        if unread is not None:
            yield unreachable("stop switch", unread, "Nothing moves without it.", "Check it.")
        elif closed:
            yield stopped(f"GPIO{pin} is closed: the bin is stopped")
        else:
            yield good("stop switch", f"GPIO{pin} is open", "The bin may move.")

    def _servo(self, section: Servo) -> Finding:
        bins = self.config.bins
        told = ", ".join(f"{name} {bin.angle or 0:g}°" for name, bin in bins.items())
        move = self.person.may_move
        if move and self.person.ask("The servo turns to every bin. Are all hands away?") is False:
            move = False
        load = devices.load("actuator", section.kind)
        try:
            with stoppable(self.context) as own, closing(load(section, own)) as servo:
                servo.open()
                if not move:
                    return good(
                        "servo",
                        f"{self._name(section)} can be driven ({told})",
                        "It was not moved: --move sweeps it.",
                    )
                for name in bins:
                    self.person.say(f"servo: to {name} ...")
                    self._drive(servo, name)
                seen = self.person.ask("Did it reach every bin, and come back to rest?")
        except StoppedError as error:
            return warning("servo", str(error), "It was not moved.", "Release the stop switch.")
        except TrashbinError as error:
            return unreachable("servo", str(error), "Nothing is sorted.", "Check its wiring.")
        return _swept(f"{self._name(section)}: {told}", seen)

    def _drive(self, servo: Any, bin: str) -> None:
        servo.sort(bin)
        self.context.clock.wait(self.config.sorting.move_s)
        servo.rest()
        self.context.clock.wait(self.config.sorting.move_s)
        servo.release()

    def _lamps(self, section: LampsActuator) -> Finding:
        shown: list[str] = []
        try:
            with closing(devices.load("actuator", "lamps")(section, self.context)) as lamps:
                lamps.open()
                for name, entry in self.config.bins.items():
                    if entry.lamp is not None or section.rgb is not None:
                        self.person.say(f"lamps: {name} ...")
                        lamps.show(Status.SORTING, name)
                        self.context.clock.wait(LIT_S)
                        shown.append(name)
                if section.uncertain is not None or section.rgb is not None:
                    self.person.say("lamps: uncertain ...")
                    lamps.show(Status.HOLDING, None)
                    self.context.clock.wait(2 * LIT_S)
                    shown.append("uncertain")
                lamps.show(Status.IDLE, None)
                seen = self.person.ask("Did each lamp light in turn?")
        except TrashbinError as error:
            return unreachable("lamps", str(error), "The bin shows nothing.", "Check their pins.")
        told = f"lit in turn: {', '.join(shown)}"
        if seen is False:
            return unreachable(
                "lamps",
                f"{told}; not all were seen",
                "People cannot tell what the bin does.",
                "An LED has a right way round: its long leg towards the pin (active_high: true)."
                " Check the resistor and the pin table in the README.",
            )
        return good("lamps", told, "Seen by a person." if seen else "Nobody was asked to look.")

    def _opened(self, section: Any) -> Finding:
        try:
            with closing(devices.load("actuator", section.kind)(section, self.context)) as part:
                part.open()
        except TrashbinError as error:
            return unreachable(section.kind, str(error), "Nothing is sorted.", "Check its wiring.")
        return good(section.kind, "can be reached", "It was not moved.")

    def _buttons(self, check: str, pins: dict[str, int], what: str) -> Iterator[Finding]:
        if not pins:
            return
        try:
            with closing(Buttons(pins, what, self.context)) as buttons:
                buttons.open(lambda name: None)
        except DeviceError as error:
            yield unreachable(check, str(error), "Nobody hears who presses it.", "Check its pin.")
            return
        told = ", ".join(f"{name} on GPIO{pin}" for name, pin in pins.items())
        yield good(check, f"can be read: {told}", "None was to be pressed.")

    def _levels(self) -> Iterator[Finding]:
        """What each level sensor hears."""
        for name, entry in self.config.bins.items():
            if entry.level is None:
                continue
            level, told = None, f"{name}: no echo within {LISTEN_S:g} s"
            try:
                with closing(UltrasonicSensor(entry.level, name, self.context)) as sensor:
                    sensor.open()
                    self.context.clock.wait(LISTEN_S)
                    level = sensor.level()
            except DeviceError as error:
                told = str(error)
            if level is None:
                yield unreachable(
                    "level",
                    told,
                    "How full the bin is stays unknown, or is counted (capacity).",
                    "Check its two pins, its 5 V and the divider at its echo.",
                )
            else:
                yield good("level", f"{name}: {min(1.0, max(0.0, level)):.0%} full", "It hears.")

    def _lamp(self, what: str, pin: int | None, dark: str, wiring: str) -> Iterator[Finding]:
        """A lamp of its own; ``dark`` says what it means where it is."""
        if pin is None:
            return
        try:
            with closing(Lamp(what, pin, self.context)) as lamp:
                lamp.open()
                lamp.on()
                self.context.clock.wait(LIT_S)
                seen = self.person.ask(f"Did the {what} light?")
        except DeviceError as error:
            yield unreachable(what, str(error), dark, "Check its pin.")
            return
        if seen is False:
            yield unreachable(what, f"GPIO{pin} was on, and no light was seen", dark, wiring)
        else:
            yield good(what, f"GPIO{pin} was lit", "It lights where the bin wants it to.")


def _swept(told: str, seen: bool | None) -> Finding:
    if seen is False:
        return unreachable(
            "servo",
            f"{told}; it did not reach all of them",
            "Items go to the wrong place, or stay where they are.",
            "Check its own 5 V supply and that the grounds are joined; if it hums at an end,"
            " narrow min_pulse_ms and max_pulse_ms.",
        )
    means = "Seen by a person." if seen else "It was told to; nobody was asked to look."
    return good("servo", told, means)
