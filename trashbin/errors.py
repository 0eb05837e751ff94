"""Every error that trashbin raises on purpose, drawn as one tree.

    TrashbinError                 the base: caught once, in cli.py, and told without a traceback
    +-- ConfigError               the YAML is wrong       (a key misspelt, two devices on a pin)
    +-- ModelError                the model can't be used (a torn .tflite, labels out of order)
    +-- FetchError                a model can't be fetched (no network, no such address)
    +-- PictureError              a picture can't be read (a text file called photo.jpg)
    +-- DeviceError               hardware did not do its part
    |   +-- CameraError           no camera, an empty frame, half a picture
    |   |   +-- CameraHungError   a driver that did not come back in time, or stands still
    |   +-- TriggerError          the sensor's pin cannot be opened
    |   +-- ActuatorError         the servo or a lamp cannot be driven
    |   |   +-- StoppedError      a hand or the open lid stopped a move
    +-- BrokerError               the MQTT broker is unreachable or refuses us
    +-- StoreError                the event store cannot be read or written
    |   +-- NoStoreError          there is none where it was looked for
    |   +-- OlderStoreError       an older trashbin wrote it
    |   +-- NewerStoreError       a newer one did
    +-- GivenUpError              the process ends, so that systemd starts it again
    +-- RequestError              a request is refused    (retained, expired, wrong JSON)

Adapters turn the errors that their library documents into these, ``from exc``;
bugs are let through. Each message says what is wrong, where, and what to do.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means."""

    GOOD = 0
    BAD_INPUT = 1
    BAD_USAGE = 2
    UNREACHABLE = 3


class TrashbinError(Exception):
    """Base of all errors that are for people."""

    exit_code: ExitCode = ExitCode.BAD_INPUT


class ConfigError(TrashbinError):
    """The configuration cannot be used as it stands."""

    exit_code = ExitCode.BAD_USAGE


class ModelError(TrashbinError):
    """The model folder, its manifest or its .tflite does not fit."""

    exit_code = ExitCode.BAD_USAGE
    part = "model"


class FetchError(TrashbinError):
    """A file at an address cannot be fetched."""

    exit_code = ExitCode.UNREACHABLE


class PictureError(TrashbinError):
    """A file is no picture that can be classified. ``what`` has places for ``values``."""

    def __init__(self, what: str, *values: object) -> None:
        super().__init__(what.format(*values) if values else what)
        self.what, self.values = what, values


class DeviceError(TrashbinError):
    """A device is missing or failed; ``part`` names it in fault events."""

    exit_code = ExitCode.UNREACHABLE
    part = "device"


class CameraError(DeviceError):
    """The camera is missing, hung or gave no usable picture."""

    part = "camera"


class CameraHungError(CameraError):
    """The driver did not come back in time, or stands still: what a new process may cure."""


class TriggerError(DeviceError):
    """A trigger cannot be opened."""

    part = "trigger"


class ActuatorError(DeviceError):
    """A servo or lamp cannot be opened or driven."""

    part = "actuator"


class StoppedError(ActuatorError):
    """The stop input became active during a move, or was before it began."""

    part = "stop"


class BrokerError(DeviceError):
    """The MQTT broker cannot be reached or refuses the session."""

    part = "broker"


class StoreError(TrashbinError):
    """The event store cannot be opened, read or written."""

    exit_code = ExitCode.UNREACHABLE


class NoStoreError(StoreError):
    """No bin ever kept an event in this folder: it is the wrong one, or too early."""

    exit_code = ExitCode.BAD_USAGE

    def __init__(self, folder: object) -> None:
        super().__init__(
            f"There is no event store in {folder}: name its folder with --store, or the bin's YAML "
            "with --config. Before its first start a bin has none."
        )


class OlderStoreError(StoreError):
    """The daemon brings this store up to date when it starts; who only reads changes nothing."""


class NewerStoreError(StoreError):
    """A newer trashbin wrote this store: it is left as it is."""


class GivenUpError(TrashbinError):
    """Only a new process can help: this one ends, within the budget of ``watch: restarts``."""

    exit_code = ExitCode.UNREACHABLE


class RequestError(TrashbinError):
    """A request over MQTT is refused; message and ``transaction`` are sent back to who asked."""

    transaction: str | None = None
