"""What every command shares: its options, its exit statuses, and how an error is told."""

from __future__ import annotations

import codecs
import errno
import io
import math
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trashbin.errors import ExitCode, TrashbinError

F = TypeVar("F", bound=Callable[..., Any])

# What may not be read is told where it is read, with what helps, and the rest is still done.
FILE = click.Path(path_type=Path, readable=False)
FOLDER = click.Path(file_okay=False, path_type=Path, readable=False)

INTERRUPTED = 130  # what a shell expects of a command that Ctrl-C ended

EXIT_STATUSES = """
\b
Exit status:
  0  good
  1  bad input (the rest was still done), or nothing was changed
  2  bad usage or configuration
  3  device or broker unreachable
"""


class Commands(click.Group):
    """Tells our errors in one message, without a traceback, and exits with their status."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Read the arguments, and run what they name."""
        _open_what_is_closed()
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            click.echo(f"trashbin: no room to write to ({error})", err=True)
            sys.exit(ExitCode.UNREACHABLE)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its return value becomes the exit status."""
        _write_any_name()
        try:
            ctx.exit(int(super().invoke(ctx) or ExitCode.GOOD))
        except TrashbinError as error:
            click.echo(f"trashbin: {error}", err=True)
            ctx.exit(int(error.exit_code))
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except PermissionError as error:
            click.echo(
                f"trashbin: {error.filename} cannot be looked into ({error.strerror}): let this "
                "user in, or use sudo",
                err=True,
            )
            ctx.exit(int(ExitCode.BAD_USAGE))


def _open_what_is_closed() -> None:
    """A stream may have been closed before (``<&-``): then the next file would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 (until the end)
            setattr(sys, name, nowhere)


def _write_any_name() -> None:
    """A file's name may be no text; where the terminal takes text alone, it is written escaped.

    So is what the terminal has no character for. In UTF-8 that is nothing, and the locale C passes
    names on byte by byte.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and (
        out.errors == "strict" or codecs.lookup(out.encoding).name != "utf-8"
    ):
        out.reconfigure(errors="backslashreplace")


class Number(click.FloatRange):
    """A number within bounds; not NaN, which every comparison lets through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error for anything else."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail("nan is no number", param, ctx)
        return number


class Share(Number):
    """A number from 0 to 1."""

    def __init__(self) -> None:
        super().__init__(0, 1)


def config_option(required: bool = False) -> Callable[[F], F]:
    """``--config FILE``, the same wherever it stands."""
    return click.option(
        "--config",
        "config",
        metavar="FILE",
        required=required,
        type=FILE,
        help="The bin's YAML; its model and rules hold.",
    )


def store_option(function: F) -> F:
    """``--store FOLDER``, the same wherever it stands."""
    return click.option(
        "--store",
        metavar="FOLDER",
        type=FOLDER,
        help="The folder of the event store.  [default: /var/lib/trashbin]",
    )(function)


def give_one(config: object, store: Path | None) -> None:
    """UsageError where ``--config`` and ``--store`` are both given."""
    if config is not None and store is not None:
        raise click.UsageError("--config and --store both say where the store is: give one.")


def same_bin(config: Path | None, store: Path | None, model: str | None = None) -> str:
    """What ends a command that is told as the next one, so that it is about the same bin."""
    given = {"config": config, "store": store, "model": model}
    return "".join(f" --{key} {shlex.quote(str(value))}" for key, value in given.items() if value)


def json_option(function: F) -> F:
    """``--json``, the same wherever it stands."""
    text = "Print JSON for programs instead of text for people."
    return click.option("--json", "as_json", is_flag=True, callback=_in_utf8, help=text)(function)


def _in_utf8(ctx: click.Context, parameter: click.Parameter, as_json: bool) -> bool:
    """JSON is UTF-8 whatever the terminal takes; what is no text is escaped as JSON does it."""
    if as_json and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return as_json


def model_option(multiple: bool = False) -> Callable[[F], F]:
    """``--model NAME[:VARIANT]|FILE``, the same wherever it stands."""
    return click.option(
        "--model",
        "models" if multiple else "model",
        metavar="NAME[:VARIANT]|FILE",
        multiple=True,
        callback=None if multiple else _the_only_one,
        help="A model by name, or a .tflite with its manifest.json beside it."
        + (" May be given several times, to compare." if multiple else ""),
    )


def _the_only_one(
    ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> str | None:
    """Else click would let the last one hold, and figures of one pass for a comparison."""
    if len(given) > 1:
        raise click.BadParameter("given more than once, and one network is asked here")
    return given[0] if given else None


def rule_options(function: F) -> F:
    """``--gap``, ``--top1``, ``--familiarity``: above the configuration and the manifest."""
    share = Share()
    function = click.option(
        "--familiarity",
        type=share,
        help="Act only if the familiarity is >= this; 0: whatever it is.",
    )(function)
    function = click.option("--top1", type=share, help="Act only if the largest share is >= this.")(
        function
    )
    return click.option("--gap", type=share, help="Act only if the gap is >= this.")(function)
