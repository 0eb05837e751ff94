"""The commands for many bins: ``trashbin simulate`` and ``trashbin collect``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trashbin.cli_options import EXIT_STATUSES, FILE, FOLDER, F, Number, json_option

if TYPE_CHECKING:
    from trashbin.settings import MqttPublisher


def broker_options(function: F) -> Callable[..., Any]:
    """``--broker`` and how it lets us in, handed on as ``broker``."""

    @click.option(
        "--broker",
        "at",
        metavar="HOST:PORT",
        default="localhost:1883",
        show_default=True,
        help="The MQTT broker of the bins.",
    )
    @click.option("--username", help="The user that the broker knows.")
    @click.option("--password-file", type=FILE, help="Holds that user's password alone.")
    @click.option("--ca", type=FILE, help="Speak TLS, and trust this authority (PEM).")
    @wraps(function)
    def with_broker(
        at: str, username: str | None, password_file: Path | None, ca: Path | None, **rest: Any
    ) -> Any:
        return function(broker=_broker(at, username, password_file, ca), **rest)

    return with_broker


def _broker(
    at: str, username: str | None, password_file: Path | None, ca: Path | None
) -> MqttPublisher:
    from trashbin import settings
    from trashbin.address import parse_address

    host, port = parse_address(at)
    return settings.MqttPublisher(
        kind="mqtt",
        host=host,
        port=port,
        username=username,
        password_file=password_file,
        tls=None if ca is None else settings.Tls(ca=ca),
    )


@click.command(epilog=EXIT_STATUSES)
@broker_options
@click.option(
    "--database",
    metavar="URL",
    required=True,
    envvar="TRASHBIN_DATABASE",
    help="postgresql://USER@HOST/NAME; also from $TRASHBIN_DATABASE.",
)
def collect(broker: MqttPublisher, database: str) -> int:
    """Write the events of every bin on a broker into PostgreSQL.

    Makes its tables by itself, in the schema trashbin, and runs until it is stopped. What
    was missed while broker, database or this service were away is asked of the bins, which
    keep their events: each is there once, by its event id. Give the password in a
    ~/.pgpass, or in $PGPASSWORD, where other users of the machine could read it otherwise.

    Needs the extra: pip install 'trashbin[collect]'.

    \b
    Examples:
      trashbin collect --broker localhost --database postgresql:///trashbin
      trashbin collect --broker hub:8883 --ca ca.crt --username collector \\
          --password-file collector.password --database postgresql://trashbin@db/t
    """
    from trashbin.fleet import collect

    return collect.main(broker, database)


@click.command(epilog=EXIT_STATUSES)
@broker_options
@click.option("--bins", type=click.IntRange(1, 100_000), default=10, show_default=True)
@click.option(
    "--rate",
    metavar="ITEMS",
    type=Number(min=0, min_open=True, max=6000),
    default=1.0,
    show_default=True,
    help="Items a minute that fall into each bin, at random times.",
)
@click.option(
    "--minutes",
    type=Number(min=0, min_open=True),
    help="End by itself after so long.  [default: at Ctrl-C]",
)
@click.option(
    "--store",
    metavar="FOLDER",
    type=FOLDER,
    help="Keep the bins' stores there, and go on with them next time.  [default: thrown away]",
)
@click.option("--prefix", default="sim-", show_default=True, help="What the bins' ids begin with.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which items fall.")
@json_option
def simulate(
    broker: MqttPublisher,
    bins: int,
    rate: float,
    minutes: float | None,
    store: Path | None,
    prefix: str,
    seed: int,
    as_json: bool,
) -> int:
    """Run many simulated bins against a broker, and count what arrives of what they commit.

    Each bin has a store on disk, an MQTT client and answers of its own: all of a real bin
    but tray, camera and network. At the end, the events in the stores are compared with
    those that a subscriber got, and the exit status is 1 where one is lost. Told too: the
    time from commit to subscriber, and what the broker costs where it runs on this machine.

    With --json, one object with these figures.

    \b
    Examples:
      trashbin simulate --broker localhost --bins 10 --rate 6
      trashbin simulate --broker localhost:1883 --bins 1000 --minutes 5
    """
    from trashbin.fleet import simulate

    return simulate.main(bins, rate, broker, minutes, store, prefix, seed, as_json=as_json)
