"""Every adapter there is, in one table from port and kind to its class.

A new kind of part is one file in this folder, one line here and one section in
``settings.py``. Classes are named as strings, so that only the libraries of the
parts in use are loaded. Each is made as ``Adapter(section, context)``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from trashbin.errors import ConfigError

Port = Literal["camera", "trigger", "actuator", "publisher"]

PIN_KINDS = frozenset({"pir", "button", "servo", "lamps"})  # what hangs on GPIO pins

TABLE: dict[Port, dict[str, str]] = {
    "camera": {
        "picamera2": "trashbin.devices.picamera2:Picamera2Camera",
        "v4l2": "trashbin.devices.v4l2:V4l2Camera",
        "folder": "trashbin.devices.folder:FolderCamera",
        "simulated": "trashbin.devices.simulated:SimulatedCamera",
    },
    "trigger": {
        "pir": "trashbin.devices.gpio:PirTrigger",
        "button": "trashbin.devices.gpio:ButtonTrigger",
        "motion": "trashbin.devices.motion:MotionTrigger",
        "mqtt": "trashbin.devices.none:MqttTrigger",
        "timer": "trashbin.devices.timer:TimerTrigger",
        "simulated": "trashbin.devices.simulated:SimulatedTrigger",
    },
    "actuator": {
        "servo": "trashbin.devices.servo:ServoActuator",
        "pca9685": "trashbin.devices.servo_boards:Pca9685Actuator",
        "hardware_pwm": "trashbin.devices.servo_boards:HardwarePwmActuator",
        "lamps": "trashbin.devices.lamps:LampsActuator",
        "simulated": "trashbin.devices.simulated:SimulatedActuator",
        "none": "trashbin.devices.none:NoActuator",
    },
    "publisher": {
        "mqtt": "trashbin.devices.mqtt:MqttPublisher",
        "none": "trashbin.devices.none:NoPublisher",
    },
}


def load(port: Port, kind: str) -> Any:
    """The class behind one ``kind`` of a port; ConfigError names the kinds that exist."""
    kinds = TABLE[port]
    if kind not in kinds:
        known = ", ".join(sorted(kinds))
        raise ConfigError(f"There is no {port} of kind {kind!r}. Kinds that exist: {known}.")
    module, name = kinds[kind].split(":")
    return getattr(import_module(module), name)
