"""The assistant's conversation: one step a part, a default for every answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from trashbin import settings
from trashbin.assistant import draft, parts, plan, service, servos
from trashbin.assistant.asking import NONE, Questions, angle_within, id_checked, whole
from trashbin.assistant.draft import Draft
from trashbin.assistant.parts import Mover
from trashbin.clock import SystemClock
from trashbin.config_checks import I2C_PINS, PWM_CHANNELS
from trashbin.devices.pins import pipes_elsewhere
from trashbin.doctor import eyes, network
from trashbin.doctor.examine import AtTerminal
from trashbin.doctor.machine import SYSTEM_CONFIG, Host, is_there
from trashbin.doctor.pins import Pins, lit, way_to_pins
from trashbin.doctor.report import show
from trashbin.errors import ConfigError, DeviceError, ExitCode, StoppedError
from trashbin.ports import Context

WITH_SUDO = "Run it with sudo, or give --config FILE."
WAIT_S = 20.0


class Setup(Questions):
    """Leads through the steps. ``yes`` takes every default and moves and asks nothing."""

    def __init__(
        self, file: Path, *, yes: bool, pins: str | None, host: Host | None = None
    ) -> None:
        super().__init__(yes=yes)
        self.file = file
        self.host = host or Host(run=service.patiently)
        self.draft = Draft(file)
        self.plan = self.draft.plan
        if self.draft.before is not None:
            self._taken = plan.elsewhere(self.draft.before)
        if pins is not None:
            self.plan.pins = pins
        self.factory: Any = None
        self._pinless = False  # there is no way to the pins, which is told once
        self._resting = False  # the service, as long as this lasts

    def run(self) -> ExitCode:
        """All steps, then the file."""
        if is_there(self.file) and self.file.is_dir():
            click.echo(f"trashbin: {self.file} is a folder: name a file in it.", err=True)
            return ExitCode.BAD_USAGE
        if self.yes and is_there(self.file):  # with mistakes, too: not ours to replace unasked
            click.echo(f"{self.file} is there already: nothing was changed.")
            return ExitCode.GOOD
        folder = draft.closed(self.file)
        if folder is not None:
            click.echo(f"trashbin: {folder} may not be written to. {WITH_SUDO}", err=True)
            return ExitCode.BAD_USAGE
        if not self.yes:
            click.secho("Setting up a bin. Enter takes what stands in [brackets].", bold=True)
            click.echo(f"Nothing is written to {self.file} before the end; Ctrl-C leaves.")
            if self.draft.before is None and is_there(self.file):
                click.echo("The file there has mistakes, so nothing of it is taken over.")
                click.echo(f"They are told by: trashbin check-config {self.file}")
        with service.hang_up_as_ctrl_c(), self._alone():
            for step in (
                self._name,
                self._bins,
                self._camera,
                self._trigger,
                self._servo,
                self._lamps,
                self._try,
                self._broker,
            ):
                step()
            return self._write()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A bin at work holds camera and pins: it rests meanwhile, and goes on whatever happens."""
        if not self.yes and service.at_work(self.host):
            self._say("The bin is at work, and holds its camera and pins.")
            if self._sure("Let it rest until this is done?"):
                self._resting = service.told(self.host, "stop")
                if not self._resting:
                    self._say("It could not be stopped, so that its parts cannot be tried.")
        try:
            yield
        finally:
            if self._resting:
                service.told(self.host, "start")

    # the steps

    def _name(self) -> None:
        self._head("Name")
        self.plan.id = self._ask(
            "Its name on MQTT (letters, digits, - and _)", self.plan.id, id_checked
        )
        self.plan.name = self._ask("Its name for people", self.plan.name)

    def _bins(self) -> None:
        self._head("Bins")
        choices: dict[str, Callable[[], plan.Bins]] = {
            "4": plan.four_bins,
            "2": plan.two_bins,
            "6": plan.six_bins,
        }
        kept = "4" if self.draft.before is None else "as it is"
        for key, make in choices.items():
            self._say(f"{key}: {', '.join(make())}")
        answer = self._choose("How many compartments?", [*choices, "as it is"], kept)
        if answer in choices:
            self.plan.bins = choices[answer]()

    def _camera(self) -> None:
        self._head("Camera and tray lamp")
        self.plan.tray_lamp = self._pin(
            "Pin of the lamp over the tray, or none", self.plan.tray_lamp
        )
        found = {str(number): camera for number, camera in enumerate(parts.cameras(), start=1)}
        for number, camera in found.items():
            self._say(f"{number}: {camera.name} ({camera.kind} {camera.device})")
        now = self.plan.camera, self.plan.camera_device
        if not found:
            if self.draft.before is None:
                self.plan.camera = "picamera2" if parts.has_picamera2() else "v4l2"
            kind = self.plan.camera
            click.echo(
                f"  No camera was found; {kind} is written down. Run this again with one in."
            )
            return
        kept = next((n for n, c in found.items() if (c.kind, c.device) == now), "1")
        if len(found) > 1:
            kept = self._choose("Which one looks into the tray?", [*found], kept)
        self.plan.camera, self.plan.camera_device = found[kept].kind, found[kept].device
        if not self.yes:
            self._try_camera()

    def _try_camera(self) -> None:
        config, clock = self._tried(), SystemClock()
        if config is None:
            return
        pins = self.factory if self.plan.tray_lamp is not None and self._has_pins() else None
        with lit(Context(clock, config, pins=pins)):
            self._look(config, clock)

    def _look(self, config: settings.Config, clock: SystemClock) -> None:
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
        self._head("Stop switch and servo")
        # asked first, so that it holds while the servo is tried
        self.plan.stop = self._pin("Pin of the stop or lid switch, or none", self.plan.stop)
        self.plan.servo = servo = self._driven()
        if servo is None or self.yes:
            return
        self._say("Its power never comes from the Pi: its own 5 V supply, grounds joined.")
        todo = servos.lacking(servo, self.host.root)
        for what in todo:
            self._say(f"It still needs {what}.")
        if todo:
            self._say("Then run this again, to find each bin's angle.")
            return
        if (servo.kind == "servo" or self.plan.stop is not None) and not self._has_pins():
            return
        if not self._sure("Shall it move now, to find each bin's angle? Hands away"):
            return
        mover = Mover(self.plan, self.draft.config, self.factory)
        try:
            for name, entry in self.plan.bins.items():
                self._find_angle(mover, name, entry)
            mover.rest()
        except StoppedError:
            self._say("The stop switch is closed, or there is none: set the angles in the file.")
        except (DeviceError, ConfigError) as error:
            self._say(f"{error}")

    def _driven(self) -> plan.Servo | None:
        """How the servo is driven, and where it hangs; None without one."""
        root, before = self.host.root, self.plan.servo
        found = [] if self.yes else [way for way in (servos.board(root), servos.pwm(root)) if way]
        for way in found:
            told = f"GPIO{way.pin} has hardware PWM"
            if way.kind == "pca9685":
                told = f"I2C bus 1 has something at address {way.address}, as a PCA9685 would"
            self._say(f"found: {told} ({way.kind})")
        if self.draft.before is None and found:
            before = found[0]
        self._say("; ".join(f"{kind}: {what}" for kind, what in servos.WAYS.items()))
        while True:
            kept = NONE if before is None else before.kind
            kind = self._choose("What drives it?", [*servos.WAYS, NONE], kept)
            taken = [pin for pin in I2C_PINS if pin in self._taken]
            if kind != "pca9685" or not taken:
                break
            self._say(f"Its I2C needs GPIO{taken[0]}, which is taken: {self._taken[taken[0]]}.")
        if kind == NONE:
            return None
        ways = [way for way in (before, *found, plan.Servo(kind)) if way and way.kind == kind]
        servo = replace(ways[0])
        if kind == "pca9685":
            self._taken |= dict.fromkeys(I2C_PINS, "the I2C of the servo's board")
            servo.channel = self._ask("Its channel, 0 to 15", servo.channel, whole(0, 15))
            return servo
        among = range(2, 28) if kind == "servo" else tuple(PWM_CHANNELS)
        servo.pin = self._pin("Pin of its signal wire", servo.pin, among) or servo.pin
        if kind == "hardware_pwm" and servo.channel not in PWM_CHANNELS[servo.pin]:
            servo.channel = servos.channel(servo.pin, root)
        return servo

    def _find_angle(self, mover: Mover, name: str, entry: plan.Compartment) -> None:
        """Turn, and ask again until the angle stays."""
        reach = angle_within(*mover.reach())
        while True:
            mover.turn(name, entry.angle)
            question = f"{name}: is this angle right? Enter, or another"
            answer = float(self._ask(question, f"{entry.angle:g}", reach))
            if answer == entry.angle:
                return
            entry.angle = answer

    def _lamps(self) -> None:
        self._head("Lamps")
        self.plan.lamps = self._sure("Are there lamps?", self.plan.lamps)
        if not self.plan.lamps:
            self.plan.uncertain = None
        else:
            self._lamps_of_bins()
            self.plan.uncertain = self._pin(
                'Pin of the lamp "uncertain", or none', self.plan.uncertain
            )
            lamps = [entry.lamp for entry in self.plan.bins.values()]
            if not self.plan.rgb and {self.plan.uncertain, *lamps} == {None}:
                self._say("None has a pin, so there are no lamps.")
                self.plan.lamps = False

    def _lamps_of_bins(self) -> None:
        while True:
            for name, entry in self.plan.bins.items():
                entry.lamp = self._pin(f"Pin of the lamp of {name}, or none", entry.lamp)
            without = [name for name, entry in self.plan.bins.items() if entry.lamp is None]
            if self.yes or self.plan.rgb or len(without) in (0, len(self.plan.bins)):
                return
            self._say(f"Each bin has a lamp, or none has; without one: {', '.join(without)}.")
            for entry in self.plan.bins.values():
                self._taken.pop(entry.lamp or 0, None)  # asked for anew

    def _try(self) -> None:
        self._head("A try")
        config = self._tried()
        if config is None:
            return
        person = AtTerminal(WAIT_S, may_move=False, interactive=True)
        if not Pins(Context(SystemClock(), config), person).wired():
            self._say("Nothing hangs on a pin.")
        elif not self.yes and self._has_pins() and self._sure("Try trigger, switch and lamps now?"):
            context = Context(SystemClock(), config, pins=self.factory)
            for finding in Pins(context, person).check():
                show(finding)

    def _broker(self) -> None:
        self._head("MQTT broker")
        default = self.plan.host or NONE
        host = self._ask("Its name or address, or none", default)
        self.plan.host = None if host == NONE else host
        if self.plan.host is None:
            return
        self.plan.port = self._ask("Its port", self.plan.port, whole(1, 65535))
        user = self._ask("User name, or none", self.plan.login[0] if self.plan.login else NONE)
        if user == NONE:
            self.plan.login = None
        elif self.plan.login is None or self.plan.login[0] != user:
            self.draft.password = self._secret("Password (not shown)")
            self.plan.login = (user, str(self.draft.password_file()))
        if self.yes or self.draft.password is not None:
            return  # a password is in its place only at the end: the doctor tries it
        config = self._tried()
        if config is None:
            return
        for finding in network.check(config.publisher, self.plan.id, True, network.Heard()):
            if finding.check != "broker publish":  # no bin is there to answer yet
                show(finding)

    # the end

    def _write(self) -> ExitCode:
        try:
            self.draft.config()
        except ConfigError as error:
            click.echo(f"trashbin: nothing is written, as {error}", err=True)
            return ExitCode.BAD_USAGE
        if self.draft.afresh:
            self._say("The file is laid out in its own way: a new one takes over what it sets.")
        self._say("")
        if not self._sure(f"Write {self.file}?"):
            click.echo("Nothing was written.")
            return ExitCode.GOOD
        try:
            kept = self.draft.write()
        except OSError as error:
            what = f"{error.filename or self.file}: cannot be written ({error.strerror})"
            advice = f". {WITH_SUDO}" if isinstance(error, PermissionError) else ""
            click.echo(f"trashbin: {what}{advice}", err=True)
            return ExitCode.BAD_USAGE
        if kept is not None:
            click.echo(f"The old one is kept as {kept}")
        click.secho(f"Written: {self.file}", bold=True)
        self._start()
        return ExitCode.GOOD

    def _start(self) -> None:
        """Start the service, where it is this file's and systemd runs."""
        if self.yes or self.file != SYSTEM_CONFIG or not self.host.has_systemd:
            if not self.yes:
                click.echo(f"Start it with: trashbin run --config {self.file}")
            return
        wanted = self._sure("Start the bin now?")
        self._resting = False
        if not wanted:
            click.echo("It starts with the next boot, or: sudo systemctl start trashbin")
        elif service.told(self.host, "restart"):
            click.echo("Started. See how it is: sudo trashbin doctor")
        else:
            click.echo("It did not start. What it says: journalctl -u trashbin -n 30", err=True)

    # trying

    def _has_pins(self) -> bool:
        if self.factory is None and not self._pinless:
            self.factory = way_to_pins(self.plan.pins)
            self._pinless = self.factory is None
            if self._pinless:
                self._say("There is no way to the pins here, so nothing on them can be tried.")
        return self.factory is not None

    def _tried(self) -> settings.Config | None:
        """What there is to try by now; None, which is told, where it does not fit together."""
        try:
            return self.draft.config()
        except ConfigError as error:
            self._say(f"That cannot be tried, as {error}")
            return None


def run(file: Path, *, yes: bool, pins: str | None) -> ExitCode:
    """``trashbin setup``."""
    with pipes_elsewhere():
        return Setup(file, yes=yes, pins=pins).run()
