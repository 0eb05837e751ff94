"""The real ``trashbin run``, with drivers that fail when told to, and write down what they do.

Only the simulated camera and the actuators are others, by their lines in the table of devices,
and the tray's items move faster. Beside the configuration lie two files: ``trouble`` says which
driver is to fail and how (``camera hangs``), ``witness`` gets a line for everything that must
hold whatever dies: each event once it is committed, and each call that moves something.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from trashbin import app, cli, database, devices, limits, recovery
from trashbin import daemon as loop
from trashbin.devices import lamps, mqtt, none, pins, servo, simulated, world
from trashbin.errors import ActuatorError
from trashbin.events import Event, new_event_id
from trashbin.model import golden, tflite
from trashbin.outbox import Outbox
from trashbin.types import Frame

CONFIG, TROUBLE, WITNESS, LOG, NOTIFY = "trashbin.yaml", "trouble", "witness", "log", "notify"
LOOK_S = 0.01  # between two looks of a driver that hangs

# what a daemon loads only as it goes: a fork of this process has it already
PRELOADED = (lamps, mqtt, none, pins, golden, tflite)

folder = Path()  # of this process's one bin
_witness = -1


def main(at: str) -> None:
    """Run the bin whose folder is ``at`` until it ends, and exit as it does."""
    global folder, _witness
    folder = Path(at)
    _witness = os.open(folder / WITNESS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.environ["NOTIFY_SOCKET"] = str(folder / NOTIFY)
    app.Outbox = WitnessedOutbox  # type: ignore[misc]
    devices.TABLE["camera"]["simulated"] = f"{__name__}:TroubledCamera"
    devices.TABLE["trigger"]["simulated"] = f"{__name__}:TroubledTrigger"
    devices.TABLE["actuator"]["servo"] = f"{__name__}:TroubledServo"
    _hurry()
    tell(begins=os.getpid())
    cli.main(["run", "--config", str(folder / CONFIG)])


def _hurry() -> None:
    """Times that no configuration names, as short as the others: items, rounds, patience."""
    world.FALL_S, world.BOUNCE_S, world.LEAVE_S = 0.02, 0.01, 0.02
    TroubledTrigger.poll_every = 0.02
    loop.LOOK_ROUND_S, loop.HEALTH_EVERY_S, loop.WATCH_EVERY_S = 0.2, 1.0, 0.05
    recovery.REOPEN_S = (0.1, 0.2, 0.5)
    limits.GRACE_S, limits.DRIVE_S = 1.0, 1.0


def tell(**what: Any) -> None:
    """One line that outlives the process; a line is written whole or not at all."""
    os.write(_witness, (json.dumps({"at": time.monotonic(), **what}) + "\n").encode())


def trouble(part: str) -> str | None:
    """What is to be wrong with a part now."""
    with suppress(OSError):
        name, _, how = (folder / TROUBLE).read_text().partition(" ")
        return how if name == part else None
    return None


class WitnessedOutbox(Outbox):
    """Writes down each event as soon as it is committed."""

    def _append(self, *arguments: Any, **more: Any) -> Event:
        stored = super()._append(*arguments, **more)
        tell(
            event=stored.event_id,
            seq=stored.seq,
            store=stored.store_id,
            sha256=sha256(stored.to_json().encode()).hexdigest(),
        )
        return stored


class TroubledCamera(simulated.SimulatedCamera):
    """Its pictures come late, never, black, torn or of another size."""

    def open(self) -> None:
        """As the camera's, unless it hangs."""
        self._hang()
        super().open()

    def capture(self, timeout: float) -> Frame:
        """As the camera's, unless something is wrong."""
        self._hang()
        frame, wrong = super().capture(timeout), trouble("camera")
        if wrong == "size":
            return Frame(frame.pixels[::2, ::2], frame.at)
        if wrong in ("black", "half"):
            pixels = frame.pixels.copy()
            pixels[0 if wrong == "black" else len(pixels) // 2 :] = 0
            return Frame(np.ascontiguousarray(pixels), frame.at)
        return frame

    def _hang(self) -> None:
        while trouble("camera") == "hangs":  # inside the call, whatever its time limit says
            time.sleep(LOOK_S)


class TroubledTrigger(simulated.SimulatedTrigger):
    """Hangs the loop itself, which no time limit guards; or floods the store with events."""

    def poll(self) -> None:
        """As the trigger's, unless something is wrong."""
        while (wrong := trouble("trigger")) == "hangs":
            time.sleep(LOOK_S)
        if wrong is not None and wrong.startswith("floods"):
            (folder / TROUBLE).unlink()
            self._flood(int(wrong.removeprefix("floods")))
        super().poll()

    def _flood(self, many: int) -> None:
        """As many items as would take an hour, each as the last one was, in a few seconds."""
        outbox = self._context.outbox
        assert outbox is not None
        (last,) = outbox.span(outbox.last_seq() - 1, 1)
        features = last_features(outbox)
        for _ in range(many):
            outbox.append(replace(last, event_id=new_event_id(self._clock.now())), features)


def last_features(outbox: Outbox) -> bytes | None:
    """What the network saw of the newest item that it saw anything of."""
    with closing(database.opened_to_read(outbox.path)) as db:
        query = "SELECT features FROM event WHERE features NOT NULL ORDER BY seq DESC LIMIT 1"
        found = db.execute(query).fetchone()
    return None if found is None else bytes(found[0])


class TroubledServo(servo.ServoActuator):
    """Raises or hangs where it is told to, and writes down each move before it makes it."""

    def sort(self, bin: str) -> None:
        """As the servo's."""
        tell(moves="sort", bin=bin)
        self._troubled()
        super().sort(bin)

    def rest(self) -> None:
        """As the servo's."""
        tell(moves="rest")
        self._troubled()
        super().rest()

    def release(self) -> None:
        """As the servo's."""
        super().release()
        # gpiozero's own word for whether the pin still gives a pulse
        driven = self._pulse is not None and self._pulse._servo.value is not None
        tell(moves="release", driven=driven, away=self._away)

    def close(self) -> None:
        """As the servo's."""
        super().close()
        tell(moves="close", driven=False, away=self._away)

    def _troubled(self) -> None:
        wrong = trouble("actuator")
        if wrong == "raises":
            raise ActuatorError("The servo's driver says: no such device")
        while wrong == "hangs" and trouble("actuator") == "hangs":
            time.sleep(LOOK_S)


if __name__ == "__main__":
    main(sys.argv[1])
