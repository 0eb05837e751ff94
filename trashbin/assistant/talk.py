"""The assistant's conversation: one step a part, a default for every answer."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from trashbin import config as configuration
from trashbin import settings
from trashbin.assistant import parts, plan
from trashbin.assistant.parts import Found, Mover
from trashbin.assistant.plan import Plan
from trashbin.clock import SystemClock
from trashbin.devices.pins import pipes_elsewhere
from trashbin.doctor import eyes, network
from trashbin.doctor.examine import AtTerminal
from trashbin.doctor.pins import Pins
from trashbin.doctor.report import show
from trashbin.errors import ConfigError, DeviceError, ExitCode, StoppedError
from trashbin.ports import Context

STEPS = 8
CREDENTIAL = Path("/etc/credstore/trashbin.mqtt-password")
CREDENTIAL_AT_WORK = "/run/credentials/trashbin.service/trashbin.mqtt-password"
SYSTEM_CONFIG = Path("/etc/trashbin/trashbin.yaml")
WAIT_S = 20.0
NONE = "none"


class Setup:
    """Leads through the steps. ``yes`` takes every default and moves and asks nothing."""

    def __init__(self, file: Path, *, yes: bool, pins: str | None) -> None:
        self.file = file
        self.yes = yes
        self.base: str | None = None
        self.plan = Plan()
        self._first_bins: plan.Bins | None = None
        self._begin()
        if pins is not None:
            self.plan.pins = pins
        self.factory: Any = None
        self.password: str | None = None
        self._step = 0
        self._taken: dict[int, str] = {}  # pins, by what they were asked for

    def run(self) -> ExitCode:
        """All steps, then the file."""
        if self.yes and self.base is not None:
            click.echo(f"{self.file} is there already: nothing was changed.")
            return ExitCode.GOOD
        if not self.yes:
            click.secho("Setting up a bin. Enter takes what stands in [brackets].", bold=True)
            click.echo(f"Nothing is written to {self.file} before the end; Ctrl-C leaves.")
        for step in (
            self._name,
            self._bins,
            self._camera,
            self._trigger,
            self._servo,
            self._lamps,
            self._switches,
            self._broker,
        ):
            step()
        return self._write()

    # the steps

    def _name(self) -> None:
        self._head("Name")
        self.plan.id = self._ask("Its name on MQTT (letters, digits, - and _)", self.plan.id, _id)
        self.plan.name = self._ask("Its name for people", self.plan.name)

    def _bins(self) -> None:
        self._head("Bins")
        choices: dict[str, Callable[[], plan.Bins]] = {
            "4": plan.four_bins,
            "2": plan.two_bins,
            "6": plan.six_bins,
        }
        kept = "as it is" if self._first_bins is not None else "4"
        for key, make in choices.items():
            self._say(f"{key}: {', '.join(make())}")
        answer = self._choose("How many compartments?", [*choices, "as it is"], kept)
        if answer in choices:
            self.plan.bins, self._first_bins = choices[answer](), None

    def _camera(self) -> None:
        self._head("Camera")
        found = parts.cameras()
        names = [f"{camera.kind} {camera.device}" for camera in found]
        for camera, name in zip(found, names, strict=True):
            self._say(f"found: {camera.name} ({name})")
        if not found:
            kind = "picamera2" if parts.has_picamera2() else "v4l2"
            click.echo(
                f"  No camera was found; {kind} is written down. Run this again with one in."
            )
            found = [Found(kind, 0, "")]
            names = [f"{kind} 0"]
        chosen = names[0]
        if len(names) > 1:
            chosen = self._choose("Which one looks into the tray?", names, chosen)
        camera = found[names.index(chosen)]
        self.plan.camera, self.plan.camera_device = camera.kind, camera.device
        if camera.name and not self.yes:
            self._try_camera()

    def _try_camera(self) -> None:
        config = self._config()
        clock = SystemClock()
        try:
            with parts.opened_camera(config, clock) as camera:
                for finding in eyes.check(camera, config, lambda question: None):
                    show(finding)
            if not self._sure("Is the tray empty, and are all hands out? Then it is learned"):
                return
            with parts.opened_camera(config, clock) as camera:
                tray = parts.Tray(camera, config)
                change = tray.learn()
                self._say(f"Learned. With nothing there {change:.1%} of the view changes.")
                if change >= config.look.changed_area:
                    self._say("That looks like an item: keep shadows, sun and people off it.")
                if self._sure("Put something into the tray. Does it lie there?"):
                    share = tray.watch()
                    self._say(
                        "It is not seen. A plainer tray or more light helps."
                        if share is None
                        else f"It is seen: {share:.1%} of the view."
                    )
        except DeviceError as error:
            self._say(f"{error}")

    def _trigger(self) -> None:
        self._head("Trigger: what wakes the bin")
        self._say("pir: a motion sensor; button: a push button; motion: the camera itself")
        kinds = ["pir", "button", "motion"]
        kept = self.plan.trigger if self.plan.trigger in kinds else "pir"
        self.plan.trigger = self._choose("Which one?", kinds, kept)
        if self.plan.trigger != "motion":
            self.plan.trigger_pin = self._pin("Its pin", self.plan.trigger_pin) or 17

    def _servo(self) -> None:
        self._head("Servo")
        self.plan.servo = self._pin("Pin of its signal wire, or none", self.plan.servo)
        if self.plan.servo is None or self.yes:
            return
        self._say("Its power never comes from the Pi: its own 5 V supply, grounds joined.")
        if not self._has_pins():
            return
        if not self._sure("Shall it move now, to find each bin's angle? Hands away"):
            return
        mover = Mover(self.plan, self.factory)
        self._first_bins = None
        try:
            for name, entry in self.plan.bins.items():
                self._find_angle(mover, name, entry)
            mover.rest()
        except StoppedError:
            self._say("The stop switch is closed, or there is none: set the angles in the file.")
        except (DeviceError, ConfigError) as error:
            self._say(f"{error}")

    def _find_angle(self, mover: Mover, name: str, entry: plan.Compartment) -> None:
        """Turn, and ask again until the angle stays."""
        while True:
            mover.turn(name, entry.angle)
            question = f"{name}: is this angle right? Enter, or another"
            answer = float(self._ask(question, f"{entry.angle:g}", _angle))
            if answer == entry.angle:
                return
            entry.angle = answer

    def _lamps(self) -> None:
        self._head("Lamps")
        self.plan.lamps = self._sure("Are there lamps?", self.plan.lamps)
        if not self.plan.lamps:
            self.plan.uncertain = None
        else:
            before = {name: entry.lamp for name, entry in self.plan.bins.items()}
            for name, entry in self.plan.bins.items():
                entry.lamp = self._pin(f"Pin of the lamp of {name}, or none", entry.lamp)
            if before != {name: entry.lamp for name, entry in self.plan.bins.items()}:
                self._first_bins = None
            self.plan.uncertain = self._pin(
                'Pin of the lamp "uncertain", or none', self.plan.uncertain
            )

    def _switches(self) -> None:
        self._head("Stop switch and tray lamp")
        self.plan.stop = self._pin("Pin of the stop or lid switch, or none", self.plan.stop)
        self.plan.tray_lamp = self._pin(
            "Pin of the lamp over the tray, or none", self.plan.tray_lamp
        )
        if not self.yes and self._has_pins() and self._sure("Try trigger, switch and lamps now?"):
            person = AtTerminal(WAIT_S, may_move=False, interactive=True)
            config = self._config()
            context = Context(SystemClock(), config, pins=self.factory)
            for finding in Pins(config, context, person).check():
                show(finding)

    def _broker(self) -> None:
        self._head("MQTT broker")
        default = self.plan.host or NONE
        host = self._ask("Its name or address, or none", default)
        self.plan.host = None if host == NONE else host
        if self.plan.host is None:
            return
        self.plan.port = self._ask("Its port", self.plan.port, _port)
        user = self._ask("User name, or none", self.plan.login[0] if self.plan.login else NONE)
        if user == NONE:
            self.plan.login = None
        elif self.plan.login is None or self.plan.login[0] != user:
            self.password = click.prompt("  Password (not shown)", hide_input=True, default="")
            self.plan.login = (user, str(self._password_file()))
        if self.yes or self.password is not None:
            return  # a password is in its place only at the end: the doctor tries it
        config = self._config()
        for finding in network.check(config.publisher, self.plan.id, True, network.Heard()):
            if finding.check != "broker publish":  # no bin is there to answer yet
                show(finding)

    # the file

    def _begin(self) -> None:
        """Take up a configuration that is there and sound."""
        loaded = configuration.load(self.file)
        if loaded.config is None:
            self.plan.id = plan.default_id()
            self.plan.host = plan.default_host()
            if self.yes and self.file.exists():
                self.base = ""  # somebody's file, with mistakes: not ours to replace unasked
            return
        self.plan = plan.of(loaded.config)
        self._first_bins = self.plan.bins
        self.base = self.file.read_text(encoding="utf-8")

    def _text(self) -> str:
        if self.base:
            with suppress(KeyError):
                return self.plan.written(self.base, keep_bins=self._first_bins is not None)
            self._say("The file is laid out in its own way: it is begun afresh, the old one kept.")
        return self.plan.written()

    def _write(self) -> ExitCode:
        try:
            self._config()
        except ConfigError as error:
            click.echo(f"trashbin: the answers do not fit together:\n{error}", err=True)
            return ExitCode.BAD_USAGE
        text = self._text()
        self._say("")
        if not self._sure(f"Write {self.file}?"):
            click.echo("Nothing was written.")
            return ExitCode.GOOD
        try:
            self._put(text)
        except OSError as error:
            click.echo(f"trashbin: {error}. Run it with sudo, or give --config FILE.", err=True)
            return ExitCode.BAD_USAGE
        click.secho(f"Written: {self.file}", bold=True)
        self._start()
        return ExitCode.GOOD

    def _put(self, text: str) -> None:
        """Whole or not at all; what was there before is kept beside it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self.password is not None:
            _put_secret(self._password_file(at_work=False), self.password)
        if self.file.exists():
            kept = self.file.with_name(f"{self.file.name}.{datetime.now():%Y%m%dT%H%M%S}")
            kept.write_bytes(self.file.read_bytes())
            click.echo(f"The old one is kept as {kept}")
        new = self.file.with_name(f".{self.file.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(self.file)

    def _start(self) -> None:
        """Start the service, where it is this file's and systemd runs."""
        if self.yes or self.file != SYSTEM_CONFIG or not Path("/run/systemd/system").is_dir():
            if not self.yes:
                click.echo(f"Start it with: trashbin run --config {self.file}")
            return
        if self._sure("Start the bin now?"):
            subprocess.run(["systemctl", "restart", "trashbin"], check=False)
            click.echo("Started. See how it is: sudo trashbin doctor")

    def _password_file(self, at_work: bool = True) -> Path:
        """Where the password lies; under systemd the bin sees it in another place."""
        if self.file == SYSTEM_CONFIG:
            return Path(CREDENTIAL_AT_WORK) if at_work else CREDENTIAL
        return self.file.absolute().with_name("mqtt-password")

    # asking

    def _head(self, title: str) -> None:
        self._step += 1
        if not self.yes:
            click.echo()
            click.secho(f"{self._step}/{STEPS} {title}", bold=True)

    def _say(self, text: str) -> None:
        if not self.yes:
            click.echo(click.wrap_text(text, 78, "  ", "  "))

    def _ask(self, question: str, default: Any, check: Callable[[str], Any] = str) -> Any:
        if self.yes:
            return default
        return click.prompt(f"  {question}", default=default, value_proc=check)

    def _sure(self, question: str, default: bool = True) -> bool:
        return default if self.yes else click.confirm(f"  {question}", default=default)

    def _choose(self, question: str, choices: Sequence[str], default: str) -> str:
        if self.yes:
            return default
        shown = choices if len(choices) < 8 else ()
        answer: str = click.prompt(
            f"  {question}", default=default, type=click.Choice(choices), show_choices=bool(shown)
        )
        return answer

    def _pin(self, question: str, default: int | None) -> int | None:
        """A BCM pin that no answer before took; none where the question allows it."""
        optional = NONE in question

        def checked(text: str) -> str:
            if text == NONE and optional:
                return text
            if not text.isdigit() or not 2 <= int(text) <= 27:
                also = ", or none" if optional else ""
                raise click.BadParameter(f"a BCM pin from 2 to 27{also}")
            if int(text) in self._taken:
                raise click.BadParameter(f"GPIO{text} is taken: {self._taken[int(text)]}")
            return text

        shown = NONE if default is None else str(default)
        answer = self._ask(question, shown, checked)
        if answer == NONE:
            return None
        self._taken[int(answer)] = question.removesuffix(f", or {NONE}").lower()
        return int(answer)

    def _has_pins(self) -> bool:
        if self.factory is None:
            self.factory = parts.pin_factory(self.plan.pins)
            if self.factory is None:
                self._say("There is no way to the pins here, so nothing on them can be tried.")
        return self.factory is not None

    def _config(self) -> settings.Config:
        return parts.as_config(self.plan)


def _id(text: str) -> str:
    if not re.fullmatch(settings.ID_PATTERN, text):
        raise click.BadParameter("1 to 64 of the letters a-z, A-Z, digits, - and _")
    return text


def _angle(text: str) -> str:
    try:
        angle = float(text)
    except ValueError:
        raise click.BadParameter("a number of degrees, such as -45") from None
    if not -90 <= angle <= 90:
        raise click.BadParameter("degrees from -90 to 90")
    return text


def _port(text: str) -> int:
    if not str(text).isdigit() or not 1 <= int(text) <= 65535:
        raise click.BadParameter("a whole number from 1 to 65535")
    return int(text)


def _put_secret(file: Path, secret: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(f"{secret}\n")


def run(file: Path, *, yes: bool, pins: str | None) -> ExitCode:
    """``trashbin setup``."""
    with pipes_elsewhere():
        return Setup(file, yes=yes, pins=pins).run()
