"""The composition root: reads a configuration, opens the parts, runs the daemon. Start here.

Parts are opened in order on an ExitStack and closed in reverse. A part that fails to
open does not end the process: the daemon runs without it, moves nothing, and says so.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from trashbin import config as configuration
from trashbin import database, devices, machine, sdnotify
from trashbin.actuation import Actuation
from trashbin.canary import Canary
from trashbin.clock import SystemClock
from trashbin.condition import Condition, Parts
from trashbin.config import Loaded
from trashbin.daemon import Daemon
from trashbin.errors import ExitCode, GivenUpError, StoreError, TrashbinError
from trashbin.events import Event, boot_id
from trashbin.frozen import LiveCamera
from trashbin.limits import LimitedActuator, LimitedCamera
from trashbin.looking import Looker, scene_of
from trashbin.model import tflite
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
from trashbin.record import Recorder
from trashbin.restarts import Restarts
from trashbin.settings import Config, SimulatedTrigger
from trashbin.watchdog import Watchdog
from trashbin.wearing import Wearing

log = logging.getLogger(__name__)

T = TypeVar("T")

PIN_KINDS = frozenset({"pir", "button", "servo", "lamps"})

TOLD = 10  # mistakes of a configuration
SHUTDOWN_S = 15  # less than the unit's TimeoutStopSec

# sections that the daemon cannot run without, not even in safe mode
NEEDED_FOR_SAFE_MODE = ("device", "publisher")


def run(path: Path) -> ExitCode:
    """``trashbin run``: the daemon, until SIGTERM or SIGINT.

    A configuration with mistakes runs in safe mode where device and publisher are
    sound: nothing moves, and MQTT says what is wrong. With any other, nothing runs;
    under systemd the process waits until the file is mended.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    machine.give_back_large_blocks()
    loaded = configuration.load(path)
    clock, notify = SystemClock(), sdnotify.Notifier()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(clock))
    problems: dict[str, str] = {}
    config = loaded.config or safe_config(loaded)
    if loaded.config is None:
        for mistake in loaded.mistakes:
            print(f"{path}: {mistake}", file=sys.stderr)
        if config is None:
            print(
                f"trashbin: {path}: cannot run, not even in safe mode, which needs sound sections "
                f"{' and '.join(NEEDED_FOR_SAFE_MODE)}. Mend the mistakes above.",
                file=sys.stderr,
            )
            notify.wait_for_change(path, clock.wait)
            return ExitCode.BAD_USAGE
        problems["configuration"] = _in_short(loaded)
    assert config is not None
    watch = config.watch
    restarts = Restarts(
        config.store.path, watch.restarts, watch.restarts_within_s, boot_id(), clock.monotonic
    )
    with ExitStack() as stack:
        daemon = build(config, clock, stack, problems, restarts=restarts)
        daemon.condition.on_progress = Watchdog(daemon.parts, notify.progress).progress
        daemon.begin()
        notify.ready()
        gc.freeze()  # what a start has made stays
        gc.enable()
        try:
            daemon.run()
        except GivenUpError:
            signal.alarm(SHUTDOWN_S)
            raise
        daemon.end()
        restarts.end()
        notify.stopping()
    return ExitCode.GOOD


def _in_short(loaded: Loaded) -> str:
    """The first mistakes: this goes into an event, and to the broker with each change."""
    told = [str(mistake).splitlines()[0] for mistake in loaded.mistakes[:TOLD]]
    more = ["check-config tells all"] * (len(loaded.mistakes) > TOLD)
    return f"{len(loaded.mistakes)} mistake(s): " + "; ".join(told + more)


def _stop(clock: SystemClock) -> None:
    """Told to stop: the kernel ends a process that is not down in time, whatever hangs in it."""
    signal.alarm(SHUTDOWN_S)
    clock.stop()


def safe_config(loaded: Loaded) -> Config | None:
    """What can run of a configuration with mistakes: it tells, and neither looks nor moves."""
    if not all(name in loaded.sections for name in NEEDED_FOR_SAFE_MODE):
        return None
    sound: dict[str, Any] = {
        name: section for name, section in loaded.sections.items() if name in Config.model_fields
    }
    # unvalidated on purpose: camera, triggers and actuators stay out whatever the file says
    left_out: dict[str, Any] = {"bins": {}, "camera": None, "triggers": (), "actuators": ()}
    return Config.model_construct(None, **{"version": 1, **sound, **left_out})


def build(
    config: Config,
    clock: Clock,
    stack: ExitStack,
    problems: dict[str, str] | None = None,
    *,
    restarts: Restarts | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Daemon:
    """Make every part that ``config`` names, wire the daemon, then open them.

    What is opened is closed by ``stack``, in reverse: offline first, then the servo to
    rest, the camera, the triggers. A part that fails is told in ``problems``. ``restarts``
    is for a process that is started again where it ends.
    """
    stack.enter_context(_alone(config.store.path))
    problems = {} if problems is None else problems
    if restarts is not None:
        restarts.begin()
        if restarts.nobody_knows_why:
            problems["restarts"] = (
                f"the bin ended {restarts.count} times within {restarts.within_s / 60:g} minutes, "
                "and nobody told it to: read its log (journalctl -u trashbin). Until it is started "
                "anew, which it does by itself after that time, it neither looks nor moves"
            )
    outbox = Outbox(
        config.store.path / database.NAME,
        max_bytes=config.store.max_mb * 2**20,
        drop_undelivered=config.store.overflow == "drop_oldest",
    )
    parts = _Parts(config, clock, outbox, problems)
    parts.open("store", outbox, stack)
    daemon = Daemon(
        config,
        Parts(
            clock=clock,
            publisher=parts.publisher,
            recorder=Recorder(
                config, clock, outbox, parts.publisher, parts.classifier, parts.levels
            ),
            looker=parts.looker,
            restarts=restarts,
            triggers=parts.triggers,
            actuation=parts.actuation,
            problems=parts.problems,
            canary=parts.canary,
            wearing=parts.wearing,
        ),
        on_event=on_event,
    )
    if parts.wearer is not None:
        stack.callback(parts.wearer.close)
    for trigger in parts.triggers:
        parts.open("trigger", trigger, stack, daemon.emit)
    if parts.camera is not None:
        parts.open("camera", parts.camera, stack)
    for switch in (parts.tray_lamp, parts.actuation.stop):
        if switch is not None:
            stack.callback(_close, switch)
    for actuator in parts.actuation.actuators:
        parts.open("actuator" if actuator.moves else "lamps", actuator, stack)
    if parts.answers is not None:
        parts.open("buttons", parts.answers, stack, daemon.press)
    if parts.emptied is not None:
        parts.open("buttons", parts.emptied, stack, daemon.press_emptied)
    for sensor in parts.levels.values():
        parts.open("level", sensor, stack)
    parts.open("publisher", parts.publisher, stack, daemon.request)
    return daemon


class _Parts:
    """The adapters of one bin, made but not opened; a part that cannot be made is a problem."""

    def __init__(
        self, config: Config, clock: Clock, outbox: Outbox, problems: dict[str, str]
    ) -> None:
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
        self.answers: Any = None
        self.emptied: Any = None
        self.levels: dict[str, LevelSensor] = {}
        self.canary: Callable[[Condition], Canary] | None = None
        self.wearing: Callable[[Condition], Wearing] | None = None
        self.wearer: Wearing | None = None
        if {"configuration", "restarts"} & problems.keys():
            return  # safe mode: tell, and neither look nor move
        if config.camera.kind == "simulated":
            context = replace(context, world=self._try("camera", lambda: _world(config, clock)))
        if _wants_pins(config):
            context = replace(context, pins=self._try("gpio", lambda: _pins(config)))
        look = config.look
        scene = scene_of(look)
        self.camera = self._camera(config, context)
        self.classifier = self._try("model", lambda: self._model(config))
        context = replace(context, camera=self.camera, scene=scene)
        if config.gpio.stop is not None and context.pins is None:
            # a servo on a board needs no pin, and must not move past a switch that nobody reads
            problems["stop"] = f"The stop switch on pin {config.gpio.stop} cannot be read: see gpio"
        elif config.gpio.stop is not None:
            pin = config.gpio.stop
            # looked up when it fires: the actuators are made below
            stop = self._try(
                "stop", lambda: _gpio().StopInput(pin, context, lambda: self.actuation.halt())
            )
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
        if config.gpio.tray_lamp is not None and context.pins is not None:
            lamp = config.gpio.tray_lamp
            self.tray_lamp = self._try("tray_lamp", lambda: _gpio().TrayLamp(lamp, context))
        if context.pins is not None:
            self._at_the_bin(config, context)
        if self.camera is not None and self.classifier is not None:
            self.looker = Looker(
                look, clock, scene, self.camera, _timeout(config), self.classifier, self.tray_lamp
            )

    def _at_the_bin(self, config: Config, context: Context) -> None:
        """What people press, and what sees how full the bins are."""
        if config.gpio.answers:
            self.answers = _gpio().Buttons(config.gpio.answers, "for", context)
        emptied = {name: bin.emptied for name, bin in config.bins.items() if bin.emptied}
        if emptied:
            self.emptied = _gpio().Buttons(emptied, "that says emptied", context)
        for name, bin in config.bins.items():
            if bin.level is not None:
                self.levels[name] = _level().UltrasonicSensor(bin.level, name, context)

    def _camera(self, config: Config, context: Context) -> Camera | None:
        camera = self._make("camera", config.camera, context)
        if camera is None:
            return None
        limited = LimitedCamera(camera)
        longest_s = config.watch.frozen_s if config.camera.live else 0
        return LiveCamera(limited, longest_s) if longest_s else limited

    def _model(self, config: Config) -> Classifier:
        """The network that an update put in place, or the configuration's."""
        shelf = Shelf(config.store.path)

        heads = Heads(config.store.path)

        def opened(ref: Ref | None) -> Classifier:
            if ref is None:
                return dressed(tflite.open_model(config.model))
            return dressed(shelf.open(ref, config.model))

        def dressed(classifier: TFLiteClassifier) -> Classifier:
            """A head that is no good keeps no network from running."""
            try:
                return heads.dress(classifier)
            except TrashbinError as error:
                told.append(f"the network wears its own head: {error}")
                return classifier

        def followed(condition: Condition) -> Wearing:
            self.wearer = Wearing(
                condition, heads, config.teach.after if config.teach.auto else None
            )
            return self.wearer

        classifier, told = shelf.start(config.model)
        self.canary = lambda condition: Canary(condition, shelf, opened, told)
        self.wearing = followed
        return dressed(classifier)

    def open(self, name: str, part: Any, stack: ExitStack, *arguments: Any) -> None:
        """Open a part now and close it with the stack; a failure is a problem."""
        stack.callback(_close, part)
        self._try(name, lambda: part.open(*arguments))

    def _make(self, port: devices.Port, section: Any, context: Context) -> Any:
        if section.kind in PIN_KINDS and context.pins is None:
            return None  # told already, as the problem "gpio"
        if section.kind == "simulated" and context.world is None:
            return None  # told already, as the problem "camera"
        return self._try(port, lambda: devices.load(port, section.kind)(section, context))

    def _try(self, name: str, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except TrashbinError as error:
            told = [self.problems[name]] if name in self.problems else []
            self.problems[name] = "; ".join(
                [*told, str(error)]
            )  # the daemon tells it, as it begins
            return None


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Keep a store for this bin while the block lasts: two bins would drive the same pins.

    StoreError where another has it. A folder that cannot be used is the store's to tell.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            store.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((store / "lock").open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"{store}: another trashbin runs on this store; stop it first"
                raise StoreError(message) from error
        yield


def _close(part: Any) -> None:
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
        any(section.kind in PIN_KINDS for section in sections)
        or config.gpio.stop is not None
        or config.gpio.tray_lamp is not None
        or bool(config.gpio.answers)
        or any(bin.level or bin.emptied for bin in config.bins.values())
    )


def _timeout(config: Config) -> float:
    """Seconds that a capture may take; a simulated camera never hangs."""
    return getattr(config.camera, "timeout_s", 2.0)
