"""What the assistant is to write: the answers, with a default for each."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

from trashbin import resources, settings
from trashbin.assistant.template import Template, scalar
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
    servo: Servo | None = field(default_factory=Servo)
    lamps: bool = True
    uncertain: int | None = 19
    stop: int | None = 27
    tray_lamp: int | None = 22
    pins: str = "auto"
    host: str | None = "localhost"
    port: int = 1883
    login: tuple[str, str] | None = None  # user name, and the file with the password

    def written(self, base: str | None = None, *, keep_bins: bool = False) -> str:
        """The commented YAML of this plan, as changes to ``base`` or to the shipped one.

        KeyError where ``base`` is laid out differently. ``keep_bins`` leaves its bins alone.
        """
        template = Template(shipped() if base is None else base)
        put = template.put
        if base is None:
            template.lines[0] = "# Written by `trashbin setup`, which may be run again."
        put("device", "id", self.id)
        put("device", "name", self.name)
        if not keep_bins:
            template.replace("bins", self._bins())
        template.choose("camera", [self.camera])
        where = "index" if self.camera == "picamera2" else "device"
        put("camera", where, self.camera_device, self.camera)
        brokered = ["mqtt"] if self.host is not None else []
        template.choose("triggers", [self.trigger, *brokered])
        if self.trigger in ("pir", "button"):
            put("triggers", "pin", self.trigger_pin, self.trigger)
        actuators = [self.servo.kind] if self.servo is not None else []
        template.choose("actuators", actuators + ["lamps"] * self.lamps or ["none"])
        if self.servo is not None:
            for key in SERVO_KEYS[self.servo.kind]:
                put("actuators", key, getattr(self.servo, key), self.servo.kind)
        if self.lamps:
            put("actuators", "uncertain", self.uncertain, "lamps")
        put("gpio", "pins", self.pins)
        put("gpio", "stop", self.stop)
        put("gpio", "tray_lamp", self.tray_lamp)
        if self.host is None:
            template.choose("publisher", ["none"])
            return template.text
        template.choose("publisher", ["mqtt"])
        put("publisher", "host", self.host, "mqtt")
        put("publisher", "port", self.port, "mqtt")
        user, file = self.login or (None, None)
        put("publisher", "username", user, "mqtt")
        put("publisher", "password_file", file, "mqtt")
        return template.text

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
        return lines


def shipped() -> str:
    """config/trashbin.yaml, which every new file begins as."""
    return (resources.root() / "config" / "trashbin.yaml").read_text(encoding="utf-8")


def of(config: Config) -> Plan:
    """The plan that a configuration is, as far as a plan can say it."""
    plan = Plan(id=config.device.id, name=config.device.name, pins=config.gpio.pins)
    plan.bins = {
        name: Compartment(entry.labels, entry.angle or 0.0, entry.lamp)
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
    servo = next((a for a in config.actuators if isinstance(a, settings.Servo)), None)
    lamps = next((a for a in config.actuators if a.kind == "lamps"), None)
    plan.servo = None
    if servo is not None:
        keys = {key: getattr(servo, key) for key in SERVO_KEYS[servo.kind]}
        plan.servo = Servo(servo.kind, **keys)
    plan.lamps = lamps is not None
    plan.uncertain = getattr(lamps, "uncertain", None)
    plan.stop, plan.tray_lamp = config.gpio.stop, config.gpio.tray_lamp
    publisher = config.publisher
    plan.host = None if publisher.kind == "none" else publisher.host
    if publisher.kind == "mqtt":
        plan.port = publisher.port
        if publisher.username is not None and publisher.password_file is not None:
            plan.login = (publisher.username, str(publisher.password_file))
    return plan


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


def default_host(root: Path = Path("/")) -> str:
    """A broker on this machine: by its name, or its address where a bare system lacks the name."""
    try:
        known = re.search(r"^127\S*\s.*\blocalhost\b", (root / "etc/hosts").read_text(), re.M)
    except OSError:
        known = None
    return "localhost" if known else "127.0.0.1"
