"""What a configuration names, made: the adapters of one bin, each behind its limits.

A part that cannot be made is a problem that the daemon tells; the others are made all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, TypeVar

from trashbin import devices
from trashbin.actuation import Actuation
from trashbin.errors import TrashbinError
from trashbin.frozen import LiveCamera
from trashbin.limits import LimitedActuator, LimitedCamera
from trashbin.looking import Looker, scene_of
from trashbin.model.heads import Heads
from trashbin.model.shelf import Ref, Shelf
from trashbin.model.tflite import TFLiteClassifier
from trashbin.outbox import Outbox
from trashbin.ports import (
    Camera,
    Classifier,
    Clock,
    Context,
    LevelSensor,
    Publisher,
    Switch,
    Trigger,
)
from trashbin.settings import Config, SimulatedTrigger

log = logging.getLogger(__name__)

T = TypeVar("T")


class Made:
    """The adapters of one bin, made but not opened; a part that cannot be made is a problem."""

    def __init__(
        self, config: Config, clock: Clock, outbox: Outbox, problems: dict[str, str]
    ) -> None:
        self.config = config
        self.problems = problems
        context = Context(clock, config, outbox=outbox)
        self.publisher: Publisher = self._make("publisher", config.publisher, context) or (
            devices.load("publisher", "none")(config.publisher, context)
        )
        self.camera: Camera | None = None
        self.classifier: Classifier | None = None
        self.looker: Looker | None = None
        self.triggers: list[Trigger] = []
        self.actuation = Actuation((), None, config.sorting, clock)
        self.tray_lamp: Switch | None = None
        self.broker_lamp: Switch | None = None
        self.answers: Any = None
        self.emptied: Any = None
        self.levels: dict[str, LevelSensor] = {}
        self.shelf, self.heads = Shelf(config.store.path), Heads(config.store.path)
        self.model_notices: list[str] = []  # how it came to the network that runs
        if {"configuration", "restarts"} & problems.keys():
            return  # safe mode: tell, and neither look nor move
        if config.camera.kind == "simulated":
            context = replace(context, world=self._try("camera", lambda: _world(config, clock)))
        if _wants_pins(config):
            context = replace(context, pins=self._try("gpio", lambda: _pins(config)))
        look = config.look
        scene = scene_of(look)
        self.camera = self._camera(context)
        self.classifier = self._try("model", self._model)
        context = replace(context, camera=self.camera, scene=scene)
        if config.gpio.stop is not None:
            pin = config.gpio.stop
            # looked up when it fires: the actuators are made below
            stop = _gpio().StopInput(pin, context, lambda: self.actuation.halt())
            # without a way to the pins, too: a servo on a board needs none of them, and must not
            # move past a switch that nobody reads
            context = replace(context, stop=stop)
        for section in config.triggers:
            self.triggers += filter(None, [self._make("trigger", section, context)])
        made = [self._make("actuator", entry, context) for entry in config.actuators]
        self.actuation = Actuation(
            [LimitedActuator(actuator, config.sorting.move_s) for actuator in made if actuator],
            context.stop,
            config.sorting,
            clock,
        )
        if context.pins is not None:
            self.tray_lamp = self._lamp("tray_lamp", config.gpio.tray_lamp, context)
            self.broker_lamp = self._lamp("broker_lamp", config.gpio.broker_lamp, context)
            self._at_the_bin(context)
        if self.camera is not None and self.classifier is not None:
            self.looker = Looker(
                look,
                clock,
                scene,
                self.camera,
                config.camera.timeout_s,
                self.classifier,
                self.tray_lamp,
            )

    def _lamp(self, name: str, pin: int | None, context: Context) -> Switch | None:
        return None if pin is None else _gpio().Lamp(name.replace("_", " "), pin, context)

    def _at_the_bin(self, context: Context) -> None:
        """What people press, and what sees how full the bins are."""
        bins, answers = self.config.bins, self.config.gpio.answers
        if answers:
            self.answers = _gpio().Buttons(answers, "for", context)
        emptied = {name: bin.emptied for name, bin in bins.items() if bin.emptied}
        if emptied:
            self.emptied = _gpio().Buttons(emptied, "that says emptied", context, may_stay=True)
        for name, bin in bins.items():
            if bin.level is not None:
                self.levels[name] = _level().UltrasonicSensor(bin.level, name, context)

    def _camera(self, context: Context) -> Camera | None:
        section = self.config.camera
        camera = self._make("camera", section, context)
        if camera is None:
            return None
        limited = LimitedCamera(camera)
        longest_s = self.config.watch.frozen_s if section.live else 0
        return LiveCamera(limited, longest_s) if longest_s else limited

    def _model(self) -> Classifier:
        """The network that an update put in place, or the configuration's."""
        classifier, self.model_notices = self.shelf.start(self.config.model)
        return self._dressed(classifier)

    def open_model(self, ref: Ref | None) -> Classifier:
        """An installed network, the configuration's for None. ModelError where it is no good."""
        return self._dressed(self.shelf.open(ref, self.config.model))

    def _dressed(self, classifier: TFLiteClassifier) -> Classifier:
        """A head that is no good keeps no network from running."""
        try:
            return self.heads.dress(classifier)
        except TrashbinError as error:
            self.model_notices.append(f"the network wears its own head: {error}")
            return classifier

    def open(self, name: str, part: Any, stack: ExitStack, *arguments: Any) -> None:
        """Open a part now and close it with the stack; a failure is a problem."""
        stack.callback(close, part)
        self._try(name, lambda: part.open(*arguments))

    def _make(self, port: devices.Port, section: Any, context: Context) -> Any:
        if section.kind in devices.PIN_KINDS and context.pins is None:
            return None  # told already, as the problem "gpio"
        if section.kind == "simulated" and context.world is None:
            return None  # told already, as the problem "camera"
        return self._try(port, lambda: devices.load(port, section.kind)(section, context))

    def _try(self, name: str, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except TrashbinError as error:
            told = [self.problems[name]] if name in self.problems else []
            self.problems[name] = "; ".join([*told, str(error)])  # the daemon tells it
            return None


def close(part: Any) -> None:
    """Close a part; one that fails to close must not keep the others open."""
    try:
        part.close()
    except TrashbinError as error:
        log.error("closing %s: %s", type(part).__name__, error)


def _gpio() -> Any:
    """The GPIO adapters; imported only where a pin is used."""
    from trashbin.devices import gpio as adapters

    return adapters


def _level() -> Any:
    from trashbin.devices import level

    return level


def _world(config: Config, clock: Clock) -> Any:
    from trashbin.devices.world import World

    seeds = (t.seed for t in config.triggers if isinstance(t, SimulatedTrigger))
    return World(clock, seed=next(seeds, 0))


def _pins(config: Config) -> Any:
    from trashbin.devices.pins import pin_factory

    return pin_factory(config.gpio.pins)


def _wants_pins(config: Config) -> bool:
    """True where anything hangs on a GPIO pin."""
    sections = [*config.triggers, *config.actuators]
    return (
        any(section.kind in devices.PIN_KINDS for section in sections)
        or config.gpio.stop is not None
        or config.gpio.tray_lamp is not None
        or config.gpio.broker_lamp is not None
        or bool(config.gpio.answers)
        or any(bin.level or bin.emptied for bin in config.bins.values())
    )
