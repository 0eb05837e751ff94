"""What the assistant is to write: the answers, with a default for each."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trashbin import resources, settings
from trashbin.assistant.template import Template, scalar
from trashbin.config_checks import pins_of
from trashbin.config_yaml import spell
from trashbin.settings import Config

LABEL_COLUMN = 26

# labels of each bin, with the angle of a servo and the pin of a lamp; as in config/trashbin.yaml
Bins = dict[str, "Compartment"]


@dataclass
class Compartment:
    """One bin: which labels go there, and how it is reached and shown."""

    labels: tuple[str, ...]
    angle: float
    lamp: int | None
    more: dict[str, Any] = field(default_factory=dict)  # the keys that nobody is asked for


def four_bins() -> Bins:
    """Paper, glass, packaging and the rest."""
    return {
        "paper": Compartment(("cardboard", "paper"), -60.0, 16),
        "glass": Compartment(("glass",), -20.0, 20),
        "packaging": Compartment(("metal", "plastic"), 20.0, 21),
        "rest": Compartment(("trash",), 60.0, 26),
    }


def two_bins() -> Bins:
    """What can be recycled, and the rest."""
    recycled = ("cardboard", "glass", "metal", "paper", "plastic")
    return {
        "recycling": Compartment(recycled, -45.0, 16),
        "rest": Compartment(("trash",), 45.0, 20),
    }


def six_bins() -> Bins:
    """One bin for each label."""
    pins = (16, 20, 21, 26, 5, 6)
    return {
        label: Compartment((label,), -75.0 + 30.0 * number, pins[number])
        for number, label in enumerate(resources.labels())
    }


@dataclass
class Servo:
    """How a servo is driven (the actuator's kind), and where it hangs."""

    kind: str = "servo"
    pin: int = 18
    channel: int = 0  # of the board, or the kernel's behind the pin
    chip: int = 0  # the kernel's
    address: int = 0x40  # the board's


# the key that says which camera of its kind it is
CAMERA_KEYS = {"picamera2": "index", "v4l2": "device"}

# what of it each kind has; config/trashbin.yaml has the other keys
SERVO_KEYS = {
    "servo": ("pin",),
    "pca9685": ("channel", "address"),
    "hardware_pwm": ("pin", "channel", "chip"),
}


@dataclass
class Plan:
    """All that is asked; the defaults make a bin as README's wiring has it."""

    id: str = "bin-1"
    name: str = "Bin in the hall"
    bins: Bins = field(default_factory=four_bins)
    camera: str = "picamera2"
    camera_device: int | str = 0  # index of the one, /dev/video number or path of the other
    trigger: str = "pir"
    trigger_pin: int = 17
    others: tuple[str, ...] = ("mqtt",)  # kinds of the triggers beside it
    servo: Servo | None = field(default_factory=Servo)
    lamps: bool = True
    uncertain: int | None = 19
    rgb: bool = False  # one LED for all
    stop: int | None = 27
    tray_lamp: int | None = 22
    pins: str = "auto"
    host: str | None = "localhost"
    port: int = 1883
    login: tuple[str, str] | None = None  # user name, and the file with the password

    def written(
        self, base: str | None = None, *, keep_bins: bool = False, before: Config | None = None
    ) -> str:
        """The commented YAML of this plan, as changes to ``base`` or to the shipped one.

        KeyError where ``base`` is laid out differently. ``keep_bins`` leaves its bins alone.
        Without ``base``, the keys of ``before`` that nobody is asked for go into the new file.
        """
        template = Template(shipped() if base is None else base)
        put = template.put
        if base is None:
            template.lines[0] = "# Written by `trashbin setup`, which may be run again."
        # the shipped file's lack the keys that nobody is asked for
        in_place = base is not None or not any(entry.more for entry in self.bins.values())
        if not keep_bins and not (in_place and self._put_bins(template)):
            template.replace("bins", self._bins())
        brokered = self.host is not None
        others = [kind for kind in self.others if kind != "mqtt" or brokered]
        actuators = [self.servo.kind] if self.servo is not None else []
        chosen = {
            "camera": [self.camera],
            "triggers": [self.trigger, *others],
            "actuators": actuators + ["lamps"] * self.lamps or ["none"],
            "publisher": ["mqtt" if brokered else "none"],
        }
        for section, kinds in chosen.items():
            template.choose(section, kinds)
        if base is None and before is not None:
            _carry(before, template, chosen)
        # what was asked for holds over what was carried
        put("device", "id", self.id)
        put("device", "name", self.name)
        if self.camera in CAMERA_KEYS:
            put("camera", CAMERA_KEYS[self.camera], self.camera_device, self.camera)
        if self.trigger in ("pir", "button"):
            put("triggers", "pin", self.trigger_pin, self.trigger)
        if self.servo is not None:
            for key in SERVO_KEYS[self.servo.kind]:
                put("actuators", key, getattr(self.servo, key), self.servo.kind)
        if self.lamps:
            put("actuators", "uncertain", self.uncertain, "lamps")
        put("gpio", "pins", self.pins)
        put("gpio", "stop", self.stop)
        put("gpio", "tray_lamp", self.tray_lamp)
        if self.host is None:
            return template.text
        put("publisher", "host", self.host, "mqtt")
        put("publisher", "port", self.port, "mqtt")
        user, file = self.login or (None, None)
        put("publisher", "username", user, "mqtt")
        put("publisher", "password_file", file, "mqtt")
        return template.text

    def has_bins_of(self, other: Plan) -> bool:
        """Whether its bins are written as those of ``other`` were, and may stay as they are."""
        return (
            self.bins == other.bins
            and (self.servo is None or other.servo is not None)  # else they may have no angle
            and (self.lamps or not other.lamps)  # else their pins are free
        )

    def _put_bins(self, template: Template) -> bool:
        """Change the bins where they stand, with their comments; False where they are others."""
        if [name for name, _, _ in template.named("bins")] != [*self.bins]:
            return False
        try:
            for name, entry in self.bins.items():
                template.put("bins", "labels", entry.labels, name)
                template.put("bins", "angle", self._angle(entry), name)
                template.put("bins", "lamp", entry.lamp if self.lamps else None, name)
        except KeyError:
            return False
        return True

    def _angle(self, entry: Compartment) -> float | None:
        if self.servo is None:
            return None
        return int(entry.angle) if entry.angle.is_integer() else entry.angle

    def _bins(self) -> list[str]:
        lines = []
        for name, entry in self.bins.items():
            lines += [f"  {scalar(name)}:", f"    labels: {scalar(entry.labels)}"]
            if self.servo is not None:
                angle = f"    angle: {entry.angle:g}"
                lines.append(
                    f"{angle:<{LABEL_COLUMN}}# degrees; where the servo turns for this bin"
                )
            if self.lamps and entry.lamp is not None:
                lamp = f"    lamp: {entry.lamp}"
                lines.append(f"{lamp:<{LABEL_COLUMN}}# the pin of this bin's LED")
            lines += [f"    {key}: {scalar(value)}" for key, value in entry.more.items()]
            if name == next(iter(self.bins)) and not entry.more:
                lines += _unset()
        return lines


def _unset() -> list[str]:
    """What else a bin may have, as the shipped file explains it at its first one."""
    template = Template(shipped())
    _, start, end = template.named("bins")[0]
    return [line for line in template.lines[start:end] if line.lstrip().startswith("#")]


def _carry(before: Config, template: Template, chosen: Mapping[str, Sequence[str]]) -> None:
    """Put into a new file what an older one of another layout sets."""
    for name in type(before).model_fields:
        value = getattr(before, name)
        for part in reversed(value) if isinstance(value, tuple) else (value,):  # the first holds
            kind = getattr(part, "kind", None)
            if isinstance(part, settings.Section) and kind in chosen.get(name, (None,)):
                for key, entry in _set(part).items():
                    template.put(name, key, entry, kind)


def _set(part: settings.Section) -> dict[str, Any]:
    """The keys that a section sets, as a YAML has them."""
    return part.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude={"kind"})


def shipped() -> str:
    """config/trashbin.yaml, which every new file begins as."""
    return (resources.root() / "config" / "trashbin.yaml").read_text(encoding="utf-8")


def of(config: Config) -> Plan:
    """The plan that a configuration is, as far as a plan can say it."""
    plan = Plan(id=config.device.id, name=config.device.name, pins=config.gpio.pins)
    asked = {"labels", "angle", "lamp"}
    plan.bins = {
        name: Compartment(
            entry.labels,
            entry.angle or 0.0,
            entry.lamp,
            {key: value for key, value in _set(entry).items() if key not in asked},
        )
        for name, entry in config.bins.items()
    }
    camera = config.camera
    if camera.kind == "picamera2":
        plan.camera_device = camera.index
    elif camera.kind == "v4l2":
        plan.camera_device = camera.device
    plan.camera = camera.kind
    first = next((t for t in config.triggers if t.kind not in ("mqtt", "timer")), None)
    if first is not None:
        plan.trigger, plan.trigger_pin = first.kind, getattr(first, "pin", plan.trigger_pin)
    kinds = [t.kind for t in config.triggers if first is None or t.kind != first.kind]
    brokerless = ["mqtt"] if config.publisher.kind == "none" else []  # none could be had
    plan.others = tuple(dict.fromkeys(kinds + brokerless))
    servo = next((a for a in config.actuators if isinstance(a, settings.Servo)), None)
    lamps = next((a for a in config.actuators if a.kind == "lamps"), None)
    plan.servo = None
    if servo is not None:
        keys = {key: getattr(servo, key) for key in SERVO_KEYS[servo.kind]}
        plan.servo = Servo(servo.kind, **keys)
    plan.lamps = lamps is not None
    plan.uncertain = getattr(lamps, "uncertain", None)
    plan.rgb = getattr(lamps, "rgb", None) is not None
    plan.stop, plan.tray_lamp = config.gpio.stop, config.gpio.tray_lamp
    publisher = config.publisher
    plan.host = None if publisher.kind == "none" else publisher.host
    if publisher.kind == "mqtt":
        plan.port = publisher.port
        if publisher.username is not None and publisher.password_file is not None:
            plan.login = (publisher.username, str(publisher.password_file))
    return plan


def elsewhere(config: Config) -> dict[int, str]:
    """Pins that nobody is asked for, by the key that takes each."""
    known = of(config)
    asked = {known.trigger_pin, known.uncertain, known.stop, known.tray_lamp}
    asked |= {entry.lamp for entry in known.bins.values()}
    asked |= {known.servo.pin} if known.servo is not None else set()
    taken: dict[int, str] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        parts = value.values() if isinstance(value, dict) else value
        for part in parts if isinstance(value, dict | tuple) else (value,):
            if isinstance(part, settings.Section):
                taken |= {pin: f"{name}: {spell(path)}" for path, pin in pins_of((), part)}
    return {pin: key for pin, key in taken.items() if pin not in asked}


def default_id(root: Path = Path("/")) -> str:
    """A name that no other bin has: from the Pi's serial number, else from the host's name."""
    for file in ("proc/device-tree/serial-number", "sys/firmware/devicetree/base/serial-number"):
        try:
            serial = (root / file).read_text().strip("\0\n ")
        except OSError:
            continue
        if re.fullmatch(r"[0-9a-fA-F]{8,}", serial):
            return f"bin-{serial[-6:].lower()}"
    name = re.sub(r"[^a-zA-Z0-9_-]+", "-", socket.gethostname()).strip("-")
    return f"bin-{name}"[:64] if name and name != "localhost" else "bin-1"


def default_host() -> str:
    """A broker on this machine: by its name, or its address where a bare system lacks the name."""
    try:
        hosts = Path("/etc/hosts").read_text()
    except OSError:
        hosts = ""
    known = re.search(r"^127\S*\s.*\blocalhost\b", hosts, re.MULTILINE)
    return "localhost" if known else "127.0.0.1"
