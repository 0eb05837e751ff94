"""``trashbin model``: install an update, see what there is, go back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trashbin.cli_options import EXIT_STATUSES, FILE, FOLDER, F, give_one, json_option, same_bin
from trashbin.errors import ExitCode, ModelError, NoStoreError

if TYPE_CHECKING:
    from trashbin.model.shelf import Shelf
    from trashbin.settings import Model

ITEMS = 50  # of a trial
SHORTEST_DIGEST = 6  # digits that name a network


def _where(function: F) -> F:
    """Which bin's models: by its YAML or its store."""
    function = click.option(
        "--store",
        metavar="FOLDER",
        type=FOLDER,
        help="The folder of the bin's store.  [default: /var/lib/trashbin]",
    )(function)
    text = "The bin's YAML, which says where its store is and how a model runs."
    return click.option("--config", metavar="FILE", type=FILE, help=text)(function)


def _shelf(config: Path | None, store: Path | None) -> tuple[Shelf, Model]:
    """The bin's; NoStoreError where ``--store`` names none."""
    from trashbin import config as configuration
    from trashbin import settings
    from trashbin.model.shelf import Shelf

    give_one(config, store)
    # of a misspelt one it would say that what came with us runs, or have nobody try an update
    if store is not None and not store.is_dir():
        raise NoStoreError(store)
    if config is None:
        return Shelf(store or settings.Store().path), settings.Model()
    read = configuration.read(config)
    return Shelf(read.store.path), read.model


def _digest(ctx: click.Context, parameter: click.Parameter, text: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{64}", text) is None:
        raise click.BadParameter("a sha256 has 64 of the digits 0-9 and a-f; sha256sum prints it")
    return text


@click.group(epilog=EXIT_STATUSES)
def model() -> None:
    """Update a bin's network, with a way back.

    An update is verified, then judges some items beside the running network without moving
    anything, and only then takes over. The daemon need not be stopped for it.

    \b
    Examples:
      sudo trashbin model install model.zip --sha256 4f3a...
      sudo trashbin model list
      sudo trashbin model rollback
    """


@model.command(epilog=EXIT_STATUSES)
@click.argument("source", metavar="FILE|URL")
@click.option(
    "--sha256", required=True, callback=_digest, metavar="HEX", help="Of the .zip or .tflite."
)
@click.option("--variant", help="Which of its networks runs.  [default: int8, or the first]")
@click.option(
    "--items",
    type=click.IntRange(1, 100_000),
    default=ITEMS,
    show_default=True,
    help="How many items it judges beside the running network before it takes over.",
)
@click.option("--now", is_flag=True, help="Take over at once, without a trial.")
@_where
def install(
    source: str,
    sha256: str,
    variant: str | None,
    items: int,
    now: bool,
    config: Path | None,
    store: Path | None,
) -> None:
    """Verify a network and let the bin try it.

    It is a ZIP of a model's folder (`trashbin model pack` makes one) or a .tflite with its
    manifest.json beside it, as a file or an https:// address. Its digest must be the one given,
    its files must fit its manifest, and in a process of its own it must give the golden answers
    on this machine. Then it judges the next items beside the running network: it takes over
    unless it fails, gives other labels too often, or holds what the other would act on.

    \b
    Examples:
      sudo trashbin model install model.zip --sha256 4f3a...
      sudo trashbin model install https://example.org/m.zip --sha256 4f3a...
    """
    from trashbin.model import package
    from trashbin.quiet import quiet

    shelf, section = _shelf(config, store)
    with quiet():
        ref, file = package.install(source, sha256, shelf, section, variant)
    shelf.begin_trial(ref, 0 if now else items)
    click.echo(f"{file.manifest.name} {file.variant} ({file.id.sha256}) lies in {file.path.parent}")
    if now:
        click.echo("It takes over between two items, or as the bin starts.")
    else:
        click.echo(f"It judges {items} items beside the running network, and then takes over.")
    of = same_bin(config, store)
    click.echo(
        f"How it goes: sudo trashbin model list{of}\nThe way back: sudo trashbin model rollback{of}"
    )


@model.command("list", epilog=EXIT_STATUSES)
@_where
@json_option
def list_(config: Path | None, store: Path | None, as_json: bool) -> None:
    """Tell which networks there are, which one runs, and how a trial goes.

    With --json, one object: told (the last change), trial (or null) and models, a list with
    the keys name, variant, version, sha256, file, installed, state (running, trial, before or
    null).
    """
    shelf, section = _shelf(config, store)
    told = _told(shelf, section)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for entry in told["models"]:
        mark = {"running": "*", "trial": "?", "before": "<"}.get(entry["state"], " ")
        where = "installed" if entry["installed"] else "with trashbin"
        click.echo(
            f"{mark} {entry['name']}:{entry['variant']}  {entry['version']}  "
            f"{entry['sha256'][:12]}  {where}"
        )
    click.echo("* runs   ? is tried beside it   < ran before")
    if told["trial"]:
        trial = told["trial"]
        click.echo(
            f"trial: {trial['done']} of {trial['items']} items; would have acted on "
            f"{trial['acted']} (the running one on {trial['acted_before']}); same label on "
            f"{trial['same']} of {trial['both']} that both would act on"
        )
    if told["told"]:
        click.echo(f"last: {told['told']}")


def _told(shelf: Shelf, section: Model) -> dict[str, Any]:
    from trashbin import resources
    from trashbin.model import manifest

    state = shelf.state()
    with_us = sorted(resources.root().glob("models/*/manifest.json"))
    files = [
        (False, manifest.find(f"{path.parent.name}:{variant}"))
        for path in with_us
        for variant in manifest.read_manifest(path).variants
    ]
    files += [(True, file) for file in shelf.installed()]
    configured = manifest.find(section.name).path
    marks: dict[Path, str] = {}
    for ref in state.before:
        marks[configured if ref is None else shelf.folder / ref.file] = "before"
    if state.trial is not None:
        marks[shelf.folder / state.trial.ref.file] = "trial"
    marks[configured if state.active is None else shelf.folder / state.active.file] = "running"
    models = [
        {
            "name": file.manifest.name,
            "variant": file.variant,
            "version": file.manifest.version,
            "sha256": file.id.sha256,
            "file": str(file.path),
            "installed": installed,
            "state": marks.get(file.path),
        }
        for installed, file in files
    ]
    trial = None if state.trial is None else state.trial.model_dump()
    return {"told": state.told, "trial": trial, "models": models}


@model.command(epilog=EXIT_STATUSES)
@_where
def rollback(config: Path | None, store: Path | None) -> None:
    """Let the network before run again, or end the trial of a new one.

    The daemon changes between two items; nothing is deleted.
    """
    shelf, _ = _shelf(config, store)
    state = shelf.state()
    if state.trial is not None:
        said = f"the trial of {state.trial.ref} was ended by hand"
        shelf.end_trial(said)
    else:
        said = shelf.go_back("rolled back by hand")
    click.echo(said)


@model.command(epilog=EXIT_STATUSES)
@click.argument("name", metavar="DIGEST|FOLDER")
@_where
def remove(name: str, config: Path | None, store: Path | None) -> int:
    """Delete an installed network that neither runs, nor is tried, nor is the way back.

    DIGEST are its first digits, as `trashbin model list` shows them; FOLDER is its name below
    models/.
    """
    import shutil

    from trashbin.model import package

    shelf, section = _shelf(config, store)
    entries = _told(shelf, section)["models"]
    installed = [entry for entry in entries if entry["installed"]]
    meant = {_folder(entry) for entry in installed if _is_meant(entry, name)}
    if len(meant) > 1:
        several = ", ".join(sorted(meant))
        raise click.UsageError(f"{name!r} means several: name one by its folder, of {several}")
    if not meant:
        there = ", ".join(sorted({_folder(entry) for entry in installed})) or "none"
        raise click.UsageError(
            f"{name!r}: no such installed model in {shelf.folder}; there is {there}"
        )
    [folder] = meant
    if any(entry["state"] for entry in installed if _folder(entry) == folder):
        raise click.UsageError(f"{folder}: it runs, is tried, or is the way back")
    try:
        with shelf.locked():  # renamed first: what is cut off is no half model, and is swept
            left = (shelf.folder / folder).rename(shelf.folder / f"{package.INCOMING}{folder}")
        shutil.rmtree(left)
    except OSError as error:
        raise ModelError(
            f"{shelf.folder / folder}: cannot be deleted ({error.strerror}); use sudo"
        ) from error
    click.echo(f"{folder} is deleted")
    return ExitCode.GOOD


def _is_meant(entry: dict[str, Any], name: str) -> bool:
    digits = len(name) >= SHORTEST_DIGEST and entry["sha256"].startswith(name.lower())
    return digits or _folder(entry) == name


def _folder(entry: dict[str, Any]) -> str:
    return Path(entry["file"]).parent.name


@model.command(epilog=EXIT_STATUSES)
@click.argument("name", metavar="NAME|FILE")
@click.argument("target", metavar="FILE.zip", type=FILE)
def pack(name: str, target: Path) -> None:
    """Write a ZIP of a model for other bins, and print the digest that they ask for.

    NAME is a model that came with trashbin, FILE a .tflite with its manifest.json beside it.

    \b
    Example:
      trashbin model pack trashnet-mobilenetv3-large model.zip
    """
    from trashbin.model import manifest, package

    name, _, variant = (name, "", "") if Path(name).is_file() else name.partition(":")
    if variant:
        raise click.UsageError(
            "A package holds every variant; the bin chooses: "
            f"trashbin model install FILE --sha256 HEX --variant {variant}"
        )
    digest = package.pack(manifest.find(name), target)
    click.echo(f"{digest}  {target}")
