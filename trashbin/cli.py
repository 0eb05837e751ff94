"""The command line: reads options, opens what a command needs, turns our errors into exit statuses.

The bodies live in rooms of their own and are imported only when their command runs, so that
``trashbin --help`` loads neither OpenCV nor the network's runtime.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

import trashbin
from trashbin.cli_dashboard import dashboard
from trashbin.cli_fleet import collect, simulate
from trashbin.cli_history import events, replay
from trashbin.cli_learn import calibrate, export_labels, teach
from trashbin.cli_model import model as model_commands
from trashbin.cli_options import (
    EXIT_STATUSES,
    FILE,
    Commands,
    Number,
    config_option,
    json_option,
    model_option,
)
from trashbin.cli_pictures import classify, evaluate
from trashbin.errors import ExitCode

if TYPE_CHECKING:
    from trashbin.config import Loaded
    from trashbin.settings import Config


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(trashbin.__version__, prog_name="trashbin")
def main() -> None:
    """A smart waste bin: it looks at what falls into its tray, sorts it or holds it, and tells.

    \b
    See it work, without any hardware:     trashbin demo
    Ask the network about a photograph:    trashbin classify photo.jpg
    Check a bin's configuration:           trashbin check-config trashbin.yaml
    Set up a bin for the first time:       trashbin setup
    Run the bin:                           trashbin run --config trashbin.yaml
    Is everything well with it?            trashbin doctor

    Each command has a --help of its own.
    """


main.epilog = EXIT_STATUSES
for command in (
    *(classify, evaluate, calibrate, teach, export_labels, events, replay),
    *(dashboard, simulate, collect, model_commands),
):
    main.add_command(command)


@main.command(epilog=EXIT_STATUSES)
@config_option(required=True)
def run(config: Path) -> int:
    """Run the bin until it is stopped (SIGTERM or Ctrl-C).

    It stays up in safe mode, in which nothing moves, when a part is missing or the
    configuration has mistakes, and says why in its log and over MQTT.

    \b
    Example:
      trashbin run --config /etc/trashbin/trashbin.yaml
    """
    gc.disable()  # until it is ready: nothing that a start makes is garbage
    from trashbin import app

    return app.run(config)


@main.command(epilog=EXIT_STATUSES)
@click.option("--items", type=click.IntRange(min=1), help="End by itself after this many items.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which items fall, and how.",
)
@click.option(
    "--broker", metavar="HOST:PORT", help="Publish to this broker instead of one of the demo's own."
)
@click.option("--picture", metavar="FILE.svg", type=FILE, help="Draw the last sort.")
@click.option("--no-page", is_flag=True, help="In the terminal alone, without the web page.")
def demo(
    items: int | None, seed: int, broker: str | None, picture: Path | None, no_page: bool
) -> int:
    """Watch a simulated bin sort, live in the terminal and on a web page.

    Rendered items fall into a simulated tray; everything else is what runs on a real bin:
    the network, the rules, the event store and MQTT. Ctrl-C ends it.

    \b
    Examples:
      trashbin demo
      trashbin demo --items 12 --seed 1
      trashbin demo --broker localhost:1883
    """
    from trashbin import demo

    if picture is not None and picture.suffix.lower() != ".svg":
        raise click.UsageError(f"--picture {picture}: a drawing, whose name must end in .svg")
    return demo.main(items, seed, broker, picture, page=not no_page)


@main.command("check-config", epilog=EXIT_STATUSES)
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--upgrade", is_flag=True, help="First rewrite a file of an older version; the old one is kept."
)
@json_option
def check_config(file: Path, upgrade: bool, as_json: bool) -> int:
    """Read a configuration and tell every mistake in it, with its line.

    No device and no broker is touched. With --json, a list of mistakes with the keys line,
    key, found, expected, suggestion and message; an empty list is a good configuration.

    \b
    Example:
      trashbin check-config /etc/trashbin/trashbin.yaml
    """
    from trashbin import config, config_upgrade

    if upgrade:
        kept = config_upgrade.upgrade(file)
        if kept is not None:
            click.echo(f"{file}: rewritten; the old one is kept as {kept}", err=True)
    loaded = config.load(file)
    if as_json:
        keys = ("line", "key", "found", "expected", "suggestion")
        mistakes = [
            {key: getattr(mistake, key) for key in keys} | {"message": str(mistake)}
            for mistake in loaded.mistakes
        ]
        click.echo(json.dumps(mistakes, indent=2))
    elif loaded.config is None:
        click.echo(_told(file, loaded), err=True)
    else:
        click.echo(f"{file}: good\n{_summary(loaded.config)}")
    return ExitCode.GOOD if loaded.config else ExitCode.BAD_USAGE


@main.command(epilog=EXIT_STATUSES)
@click.option(
    "--runs", type=click.IntRange(10, 100_000), default=300, show_default=True, help="Frames timed."
)
@click.option("--threads", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option(
    "--idle",
    "idle_s",
    type=Number(0, 3600),
    default=0,
    help="Seconds for which an idle bin is watched.",
)
@click.option("--report", is_flag=True, help="Print one line about this board, to be sent back.")
@click.option("--counts", is_flag=True, help="Count what a frame costs instead of timing it.")
@model_option(multiple=True)
@json_option
def bench(
    runs: int,
    threads: int,
    idle_s: float,
    report: bool,
    counts: bool,
    models: Sequence[str],
    as_json: bool,
) -> int:
    """Measure how long a decision takes on this machine.

    Times a 640x480 frame through preprocess, invoke and decide, and in the same run, turn
    by turn, the least that it could cost: a bare cv2.resize (INTER_AREA) and a bare
    invoke. The limit is 1.15 x their sum. Turns into which the kernel put other work are
    left out and counted. Also told of a whole bin: how long it takes from a trigger to the
    actuation command beside what that rests on, how long `trashbin run` takes from its start
    to ready, and with --idle what it costs while nothing falls.

    With --counts nothing is timed: the multiply-adds, comparisons, bytes moved and large
    allocations of each stage are counted for one frame, the same on every machine.

    With --json, one object: stages_ms, ratio_total_over_limit, ratio_total_over_invoke,
    model, runtime, threads, bare_ms, limit_ms, runs, disturbed, cold_start_s, start,
    trigger_to_actuation, idle; with several --model, one such object each under models. With
    --counts: frames (of an item) and per_frame, with multiply_adds, comparisons, bytes_moved
    and large_allocations for each stage.

    \b
    Examples:
      trashbin bench
      trashbin bench --model trashnet-mobilenetv3-large:int8 \\
                     --model trashnet-mobilenetv3-large:float16
      trashbin bench --json | jq .ratio_total_over_limit
      trashbin bench --report
    """
    if report and (as_json or counts):
        raise click.UsageError("--report is one line by itself: leave --json and --counts out.")
    if (report or counts) and len(models) > 1:
        raise click.UsageError("--report and --counts are of one network: give --model once.")
    from trashbin import bench
    from trashbin.model import manifest, tflite
    from trashbin.quiet import quiet

    files = [manifest.find(name) for name in models or (None,)]
    if counts:
        from trashbin.bench.counts import show

        show(files[0], as_json=as_json)
        return ExitCode.GOOD
    with quiet():
        opened = [tflite.TFLiteClassifier(file, threads=threads) for file in files]
    if report:
        click.echo(bench.report(opened[0], runs))
        return ExitCode.GOOD
    return bench.run(opened, runs, as_json=as_json, idle_s=idle_s)


@main.command(epilog=EXIT_STATUSES)
@click.option(
    "--config",
    metavar="FILE",
    type=FILE,
    default=Path("/etc/trashbin/trashbin.yaml"),
    show_default=True,
    help="The YAML to write.",
)
@click.option("--yes", is_flag=True, help="Take every default; ask, move and overwrite nothing.")
@click.option(
    "--pins",
    type=click.Choice(["auto", "lgpio", "rpigpio", "pigpio", "mock"]),
    help="How pins are reached.  [default: auto]",
)
def setup(config: Path, yes: bool, pins: str | None) -> int:
    """Set up a bin for the first time, or again, in eight steps.

    Names the bin, finds the camera and learns the empty tray, turns the servo to find each
    bin's angle, tries the lamps and the broker, and writes a commented YAML. Every answer has
    a default. A file that is there gives the defaults, and is kept beside the new one.

    \b
    Examples:
      sudo trashbin setup
      trashbin setup --yes --config trashbin.yaml
    """
    from trashbin.assistant import talk

    return talk.run(config, yes=yes, pins=pins)


@main.command(epilog=EXIT_STATUSES)
@click.option(
    "--config",
    metavar="FILE",
    type=FILE,
    help="The bin's YAML.  [default: /etc/trashbin/trashbin.yaml]",
)
@click.option(
    "--wait",
    type=Number(0, 600),
    default=10.0,
    show_default=True,
    help="Seconds to wait for each trigger; 0: do not wait.",
)
@click.option(
    "--move/--no-move",
    default=None,
    help="Sweep the servo through all bins.  [default: only in a terminal, after asking]",
)
@json_option
def doctor(config: Path | None, wait: float, move: bool | None, as_json: bool) -> int:
    """Examine a bin: is every part well, and what is to be done where one is not?

    Looks at camera, triggers, servo, lamps, network, broker, clock, disk, heat, power,
    permissions, systemd and watchdog. In a terminal it asks what only a person can see.
    Where the daemon runs, it is asked how it is, and its devices are left alone.

    With --json, one object: config, daemon (running, stopped, unknown), good, warning, bad
    (counts) and checks, a list with the keys check, level, found, means and do.

    \b
    Examples:
      sudo trashbin doctor
      trashbin doctor --json --wait 0 | jq '.checks[] | select(.level != "good")'
    """
    from trashbin.doctor import examine

    person = examine.at_terminal(wait, move, as_json=as_json)
    return examine.run(config, person, as_json=as_json)


def _told(file: Path, loaded: Loaded) -> str:
    count = len(loaded.mistakes)
    told = "\n".join(f"  {mistake}" for mistake in loaded.mistakes)
    return f"{file}: {count} mistake{'s' * (count != 1)}\n{told}"


def _summary(config: Config) -> str:
    """What a good configuration describes, in a few lines."""
    kinds = {
        "camera": config.camera.kind,
        "triggers": ", ".join(trigger.kind for trigger in config.triggers),
        "actuators": ", ".join(actuator.kind for actuator in config.actuators),
        "publisher": config.publisher.kind,
        "model": config.model.name,
    }
    lines = [f"  {config.device.id}: {len(config.bins)} bins, mode {config.device.mode.value}"]
    lines += [f"  bin {name}: {', '.join(bin.labels)}" for name, bin in config.bins.items()]
    return "\n".join(lines + [f"  {key}: {value}" for key, value in kinds.items()])
