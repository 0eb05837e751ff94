"""The composition root: reads a configuration, opens the parts, runs the daemon. Start here.

``made`` makes the parts. They are opened in order on an ExitStack and closed in reverse.
A part that fails to open does not end the process: the daemon runs without it, moves
nothing, and says so.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from trashbin import config as configuration
from trashbin import database, logs, machine, sdnotify
from trashbin.canary import Canary
from trashbin.clock import SystemClock
from trashbin.condition import Condition, Parts
from trashbin.config import Loaded
from trashbin.daemon import Daemon
from trashbin.errors import ExitCode, GivenUpError, StoreError
from trashbin.events import Event, boot_id
from trashbin.made import Made
from trashbin.outbox import Outbox
from trashbin.ports import Clock
from trashbin.record import Recorder
from trashbin.restarts import Restarts
from trashbin.settings import Config
from trashbin.watchdog import Watchdog
from trashbin.wearing import Wearing

log = logging.getLogger(__name__)

TOLD = 10  # mistakes of a configuration
LOCK_PAUSES_S = (0.05, 0.2)  # the doctor has it for an instant, to see whether a bin has it
SHUTDOWN_S = 15  # less than the unit's TimeoutStopSec

# sections that the daemon cannot run without, not even in safe mode
NEEDED_FOR_SAFE_MODE = ("device", "publisher")


def run(path: Path) -> ExitCode:
    """``trashbin run``: the daemon, until SIGTERM or SIGINT.

    A configuration with mistakes runs in safe mode where device and publisher are
    sound: nothing moves, and MQTT says what is wrong. With any other, nothing runs;
    under systemd the process waits until the file is mended.
    """
    logs.begin()
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
    stack.enter_context(alone(config.store.path))
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
    made = Made(config, clock, outbox, problems)
    made.open("store", outbox, stack)
    condition = Condition(
        Parts(
            clock=clock,
            publisher=made.publisher,
            recorder=Recorder(config, clock, outbox, made.publisher, made.classifier, made.levels),
            looker=made.looker,
            restarts=restarts,
            triggers=made.triggers,
            actuation=made.actuation,
            problems=problems,
            broker_lamp=made.broker_lamp,
            buttons=[buttons for buttons in (made.answers, made.emptied) if buttons is not None],
        ),
        on_event,
    )
    canary = wearing = None
    if made.classifier is not None:
        canary = Canary(condition, made.shelf, made.open_model, made.model_notices)
        wearing = Wearing(condition, made.heads, config.teach.after if config.teach.auto else None)
        stack.callback(wearing.close)
    daemon = Daemon(config, condition, canary, wearing)
    for trigger in made.triggers:
        made.open("trigger", trigger, stack, daemon.emit)
    if made.camera is not None:
        made.open("camera", made.camera, stack)
    for name, switch in (
        ("tray_lamp", made.tray_lamp),
        ("broker_lamp", made.broker_lamp),
        ("stop", made.actuation.stop),
    ):
        if switch is not None:
            made.open(name, switch, stack)
    for actuator in made.actuation.actuators:
        made.open("actuator" if actuator.moves else "lamps", actuator, stack)
    if made.answers is not None:
        made.open("buttons", made.answers, stack, daemon.press)
    if made.emptied is not None:
        made.open("buttons", made.emptied, stack, daemon.press_emptied)
    for sensor in made.levels.values():
        made.open("level", sensor, stack)
    made.open("publisher", made.publisher, stack, daemon.request)
    return daemon


@contextmanager
def alone(store: Path, wait: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Keep a store for this bin while the block lasts: two would share pins, or a name on MQTT.

    StoreError where another has it. A folder that cannot be used is the store's to tell.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            store.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((store / "lock").open("w"))
            for pause in (*LOCK_PAUSES_S, None):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if pause is None:
                        message = f"{store}: another trashbin runs on this store; stop it first"
                        raise StoreError(message) from error
                    wait(pause)
        yield
