"""Sections against each other: what is sound by itself and still cannot work together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, get_args

from trashbin import resources, settings
from trashbin.config_words import did_you_mean, nearest, one_of
from trashbin.config_yaml import Document, KeyPath, spell
from trashbin.settings import SLOWEST, Section

S = TypeVar("S", bound=Section)


I2C_PINS = (2, 3)  # of bus 1
# the kernel's PWM channels behind each pin that has one: up to the Pi 4, and on the Pi 5
PWM_CHANNELS = {12: (0,), 13: (1,), 18: (0, 2), 19: (1, 3)}


@dataclass(frozen=True, slots=True)
class Checks:
    """The sections that are sound by themselves, what is sound of the others, the plain data,
    and where to note mistakes.
    """

    document: Document
    parts: dict[KeyPath, Section]
    torn: dict[KeyPath, Section]
    data: dict[str, Any]

    def run(self) -> None:
        """Note everything that does not fit together."""
        self._pins()
        self._labels()
        self._answers()
        self._levels()
        self._servo()
        self._lamps()
        self._camera()
        self._company()

    def _of(self, cls: type[S]) -> Iterator[tuple[KeyPath, S]]:
        return ((path, part) for path, part in self.parts.items() if isinstance(part, cls))

    def _pins(self) -> None:
        """No pin is taken twice, nor one that a section with another mistake takes."""
        taken: dict[int, KeyPath] = {}
        everything = self.parts | self.torn
        pins = [pin for path, part in everything.items() for pin in pins_of(path, part)]
        boards = ((path, b) for path, b in self._of(settings.Pca9685Actuator) if b.bus == 1)
        for path, _ in islice(boards, 1):  # any other shares the bus with the first
            at = (*path, "bus" if (*path, "bus") in self.document else "kind")
            pins += [(at, pin) for pin in I2C_PINS]
        for path, pin in sorted(pins, key=lambda found: self.document.line(found[0])):
            first = taken.setdefault(pin, path)
            if first != path:
                line = self.document.line(first)
                suggestion = f"pin {pin} is {spell(first)} in line {line}"
                self.document.note(path, "a pin of its own", suggestion)

    def _labels(self) -> None:
        """Every label goes into exactly one bin.

        Read from the plain data, so that another mistake in a bin does not make its
        labels look homeless.
        """
        bins = self.data.get("bins")
        if not isinstance(bins, dict) or not bins:
            return  # told already
        known = resources.labels()
        homes: dict[str, KeyPath] = {}
        meant = set()
        for name, entry in bins.items():
            labels = entry.get("labels") if isinstance(entry, dict) else None
            for index, label in enumerate(labels if isinstance(labels, list) else ()):
                path = ("bins", name, "labels", index)
                if not isinstance(label, str):
                    continue  # told already
                if label not in known:
                    meant.add(nearest(label, known))
                    self.document.note(path, one_of(known), did_you_mean(label, known))
                elif label in homes:
                    where = f"line {self.document.line(homes[label])}: {spell(homes[label])}"
                    self.document.note(path, "each label in one bin only", f"see {where}")
                else:
                    homes[label] = path
        homeless = ", ".join(label for label in known if label not in homes and label not in meant)
        if homeless:
            self.document.note(
                ("bins",),
                "a bin for every label of labels.txt",
                f"add {homeless} to the labels of a bin",
                found=f"no bin for {homeless}",
            )

    def _answers(self) -> None:
        """A button answers with a label that there is."""
        known = resources.labels()
        for path, gpio in self._of(settings.Gpio):
            for label in gpio.answers or ():
                if label not in known:
                    at = (*path, "answers", label)
                    self.document.note(at, one_of(known), did_you_mean(label, known), found=label)

    def _levels(self) -> None:
        """A full bin is nearer to its sensor than an empty one."""
        for path, entry in self._of(settings.Bin):
            level = entry.level
            if level is not None and level.full_cm >= level.empty_cm:
                found = f"{level.full_cm:g} and {level.empty_cm:g}"
                self.document.note(
                    (*path, "level", "full_cm"), "full_cm below empty_cm", found=found
                )

    def _servo(self) -> None:
        """A servo's bounds are in order, and it reaches its rest and every bin."""
        note = self.document.note
        for path, pwm in self._of(settings.HardwarePwmActuator):
            if pwm.pin not in PWM_CHANNELS:
                note((*path, "pin"), f"a pin with hardware PWM: {_or(PWM_CHANNELS)}")
            elif pwm.channel not in PWM_CHANNELS[pwm.pin]:
                channels = _or(PWM_CHANNELS[pwm.pin])
                note((*path, "channel"), f"the channel of GPIO{pwm.pin}: {channels}")
        driven: dict[tuple[int, ...], KeyPath] = {}
        for path, servo in self._of(settings.Servo):
            first = driven.setdefault(_channel(servo), path) if _channel(servo) else path
            if first != path:
                note((*path, "channel"), f"a channel of its own, not that of {spell(first)}")
            for low, high in (("min_angle", "max_angle"), ("min_pulse_ms", "max_pulse_ms")):
                least, most = getattr(servo, low), getattr(servo, high)
                if least >= most:
                    at = (*path, high if (*path, high) in self.document else low)
                    note(at, f"{low} below {high}", found=f"{least:g} and {most:g}")
            reach = f"an angle from {servo.min_angle:g} to {servo.max_angle:g}, the servo's range"
            if not servo.min_angle <= servo.rest_angle <= servo.max_angle:
                note((*path, "rest_angle"), reach, found=f"{servo.rest_angle:g}")
            for at, entry in self._of(settings.Bin):
                if entry.angle is None or not servo.min_angle <= entry.angle <= servo.max_angle:
                    note((*at, "angle"), reach)

    def _lamps(self) -> None:
        """With an RGB LED every bin has a color or a lamp; without, all or none have a lamp."""
        note = self.document.note
        bins = list(self._of(settings.Bin))
        some = any(entry.lamp is not None for _, entry in bins)
        first = next((path for path, _ in self._of(settings.LampsActuator)), ())
        for path, lamps in self._of(settings.LampsActuator):
            if some and path != first:
                note((*path, "kind"), f"no more lamps, as {spell(first)} has those of the bins")
            for at, entry in bins:
                if entry.lamp is not None:
                    continue
                if lamps.rgb is not None and entry.color is None:
                    note((*at, "color"), f"the color that {spell(path)}.rgb shows for this bin")
                elif lamps.rgb is None and some:
                    note((*at, "lamp"), "a lamp's pin, as other bins have one")
            if lamps.rgb is None and lamps.uncertain is None and bins and not some:
                expected = "rgb:, uncertain: or a lamp: in each bin"
                note(path, expected, "remove this actuator if there are no lamps", "no pin")

    def _camera(self) -> None:
        """What is to be cut out lies within the picture, and an exposure within its frame."""
        note = self.document.note
        for path, camera in self._of(settings.Picamera2Camera):
            if camera.region is not None:
                left, top, width, height = camera.region
                if not (width > 0 and height > 0 and left + width <= 1 and top + height <= 1):
                    note(
                        (*path, "region"),
                        "a part of the picture: left + width and top + height"
                        " at most 1, width and height above 0",
                    )
            if camera.exposure_ms is not None and camera.exposure_ms * camera.fps > 1000:
                note(
                    (*path, "exposure_ms"),
                    f"at most {1000 / camera.fps:.3g}, one of {camera.fps:g} pictures a second",
                    found=f"{camera.exposure_ms:g}",
                )
            if camera.idle_fps and not SLOWEST <= camera.idle_fps <= camera.fps:
                note((*path, "idle_fps"), f"0, or from {SLOWEST:g} to at most fps, {camera.fps:g}")
            if camera.idle_fps == 0:
                for at, _ in self._of(settings.MotionTrigger):
                    note(
                        (*at, "kind"),
                        "a trigger that works while the camera is stopped",
                        "or take idle_fps: 0 out under camera:",
                    )

    def _company(self) -> None:
        """Parts and keys that are of no use without another."""
        note = self.document.note
        camera = self.parts.get(("camera",))
        publisher = self.parts.get(("publisher",))
        for path, part in self.parts.items():
            if (
                isinstance(part, settings.SimulatedTrigger | settings.SimulatedActuator)
                and camera is not None
                and not isinstance(camera, settings.SimulatedCamera)
            ):
                suggestion = "or set kind: simulated under camera:"
                note((*path, "kind"), "a kind that works with this camera", suggestion)
            if isinstance(part, settings.MqttTrigger) and isinstance(
                publisher, settings.NoPublisher
            ):
                suggestion = "or set kind: mqtt under publisher:"
                note((*path, "kind"), "a kind that works without a broker", suggestion)
            look = self.parts.get(("look",))
            if (
                isinstance(part, settings.MotionTrigger)
                and isinstance(look, settings.Look)
                and look.empty_tray == "none"
            ):
                suggestion = "or set empty_tray: learn under look:"
                note((*path, "kind"), "a kind that works without an empty tray", suggestion)
            if isinstance(part, settings.MqttPublisher):
                self._both(path, part, "username", "password_file")
                if self.data["publisher"].get("tls", {}) is None:
                    # whoever writes tls: wants it, and must not get a plain connection
                    suggestion = "write tls: {} to trust the system's authorities"
                    note((*path, "tls"), "keys, or {}", suggestion)
                if part.tls is not None:
                    self._both((*path, "tls"), part.tls, "cert", "key")

    def _both(self, path: KeyPath, part: Section, one: str, other: str) -> None:
        """Two keys that are set together or not at all."""
        for name, partner in ((one, other), (other, one)):
            if getattr(part, name) is not None and getattr(part, partner) is None:
                suggestion = f"add {partner}: or remove {name}:"
                self.document.note((*path, partner), f"a value, as {name} is set", suggestion)


def _channel(servo: settings.Servo) -> tuple[int, ...]:
    """What one servo alone may hang on; empty where that is a pin."""
    if isinstance(servo, settings.Pca9685Actuator):
        return servo.bus, servo.address, servo.channel
    return (servo.chip, servo.channel) if isinstance(servo, settings.HardwarePwmActuator) else ()


def _or(numbers: Iterable[int]) -> str:
    return " or ".join(map(str, numbers))


def pins_of(path: KeyPath, part: Section) -> Iterator[tuple[KeyPath, int]]:
    """Every pin that a section takes, by the mark ``pin`` in its fields' metadata."""
    for name, field in type(part).model_fields.items():
        value = getattr(part, name, None)  # a torn part may lack one
        if isinstance(value, Section):
            yield from pins_of((*path, name), value)
        elif _marked(field) or _holds_pins(field.annotation):
            if isinstance(value, int):
                yield (*path, name), value
            elif isinstance(value, tuple | list | dict):
                for key, pin in value.items() if isinstance(value, dict) else enumerate(value):
                    yield (*path, name, key), pin


def _holds_pins(annotation: Any) -> bool:
    """Whether it is ``Pin``, or is made of it; read here, as a JSON schema costs milliseconds."""
    marked = any(_marked(mark) for mark in getattr(annotation, "__metadata__", ()))
    return marked or any(map(_holds_pins, get_args(annotation)))


def _marked(mark: Any) -> bool:
    return bool((getattr(mark, "json_schema_extra", None) or {}).get("pin"))
