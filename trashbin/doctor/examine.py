"""The whole examination, from the configuration to the watchdog."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from trashbin import config as configuration
from trashbin import devices
from trashbin.clock import SystemClock, is_synchronized
from trashbin.config import Loaded
from trashbin.devices.pins import pipes_elsewhere
from trashbin.doctor import brain, daemon, eyes, machine, network
from trashbin.doctor.machine import SYSTEM_CONFIG, Host
from trashbin.doctor.network import Heard
from trashbin.doctor.pins import Person, Pins, lit, way_to_pins
from trashbin.doctor.report import Finding, Report, bad, good, show, unreachable, warning
from trashbin.errors import ExitCode, TrashbinError
from trashbin.limits import LimitedCamera
from trashbin.ports import Context
from trashbin.settings import Config, Model, Store


@dataclass
class AtTerminal:
    """A person at the terminal, or nobody: then nothing is asked. Satisfies ``pins.Person``."""

    wait_s: float
    may_move: bool
    interactive: bool

    def ask(self, question: str) -> bool | None:
        """Yes or no, where somebody is there."""
        return click.confirm(f"  {question}", default=True, err=True) if self.interactive else None

    def say(self, text: str) -> None:
        """To standard error, so that --json stays JSON."""
        click.echo(f"  {text}", err=True)


def run(path: Path | None, person: Person, *, as_json: bool) -> ExitCode:
    """Examine, tell each finding as it is made, and sum up."""
    file = path or SYSTEM_CONFIG
    report = Report(tell=(lambda finding: None) if as_json else show)
    with pipes_elsewhere():
        running = examine(file, person, report, Host())
    if as_json:
        told = {True: "running", False: "stopped", None: "unknown"}[running]
        print(report.as_json(config=str(file), daemon=told))
    else:
        click.echo(f"\n{report.summary()}")
    return report.exit_code


def examine(
    file: Path, person: Person, report: Report, host: Host, pins: Any = None
) -> bool | None:
    """Every check, into ``report``; whether the daemon runs. ``pins`` is a pin factory to use."""
    loaded = configuration.load(file)
    report.add(_configuration(file, loaded))
    config, sections = loaded.config, loaded.sections
    store = sections.get("store", Store())
    assert isinstance(store, Store)
    running = daemon.runs(store.path, host)
    heard = Heard()
    model = sections.get("model", Model())
    assert isinstance(model, Model)
    if running is False and config is not None:
        if pins is None and config.gpio.tray_lamp is not None:
            pins = way_to_pins(config.gpio.pins)
        context = Context(SystemClock(), config, pins=pins)
        with lit(context):
            report.add(*_eyes(config, context, person))
        for finding in Pins(context, person).check():
            report.add(finding)
    for finding in brain.check(model, host.board):
        report.add(finding)
    publisher: Any = sections.get("publisher")
    device: Any = sections.get("device")
    if publisher is not None and device is not None:
        for finding in network.check(publisher, device.id, running is not False, heard):
            report.add(finding)
    if running:
        report.add(*daemon.asked(heard))
    elif running is None:
        report.add(
            warning(
                "daemon",
                "it cannot be seen whether the bin is at work",
                "Camera and pins were left alone, and not tested.",
                daemon.SUDO,
            )
        )
    report.add(daemon.store(store.path))
    report.add(*_machine(file, store, host))
    return running


def _machine(file: Path, store: Store, host: Host) -> Iterator[Finding]:
    yield machine.clock(host, datetime.now(UTC), is_synchronized())
    yield machine.disk(store.path, store.max_mb)
    yield machine.temperature(host)
    yield machine.power(host)
    yield machine.account(host)
    yield from machine.files(host, file, store.path)
    yield machine.service(host)
    yield machine.watchdog(host)


def _configuration(file: Path, loaded: Loaded) -> Finding:
    if loaded.config is not None:
        return good("configuration", f"{file}", "Every key in it is sound.")
    first = str(loaded.mistakes[0]).splitlines()[0]
    count = len(loaded.mistakes)
    return bad(
        "configuration",
        f"{file}: {count} mistake{'s' * (count != 1)}: {first}",
        "The bin stays in safe mode and moves nothing. Camera and pins were not tested.",
        f"trashbin check-config {file} tells all; sudo trashbin setup writes a new file.",
        ExitCode.BAD_USAGE,
    )


def _eyes(config: Config, context: Context, person: Person) -> Iterator[Finding]:
    """The camera's checks; made here, since a simulated one needs its world."""
    try:
        if config.camera.kind == "simulated":
            from trashbin.devices.world import World

            context = Context(context.clock, config, world=World(context.clock, seed=0))
        camera = LimitedCamera(devices.load("camera", config.camera.kind)(config.camera, context))
    except TrashbinError as error:
        yield unreachable("camera", f"absent: {error}", "The bin sees nothing.", "Mend that.")
        return
    yield from eyes.check(camera, config, person.ask)


def at_terminal(wait_s: float, move: bool | None, *, as_json: bool) -> AtTerminal:
    """Somebody is asked where both ends are a terminal, and no program reads along."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    return AtTerminal(wait_s, interactive if move is None else move, interactive)
