"""``trashbin dashboard`` on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from trashbin.cli_options import EXIT_STATUSES


@click.command(epilog=EXIT_STATUSES)
@click.option(
    "--broker",
    metavar="HOST:PORT",
    default="localhost:1883",
    show_default=True,
    help="The MQTT broker that the bins publish to.",
)
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Where browsers reach the page.",
)
@click.option(
    "--store",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the page keeps its history.",
)
@click.option(
    "--keep",
    type=click.IntRange(100, 10_000_000),
    default=100_000,
    show_default=True,
    help="Events that are kept; the oldest go.",
)
def dashboard(broker: str, listen: str, store: Path | None, keep: int) -> int:
    """Show every bin on a broker, live, in a browser.

    \b
    Examples:
      trashbin dashboard --broker localhost:1883
    """
    from trashbin.dashboard import server
    from trashbin.settings import MqttPublisher

    host, port = _address(broker, "--broker", 1883)
    page_host, page_port = _address(listen, "--listen", 8080)
    return server.main(
        server.Options(
            broker=MqttPublisher(kind="mqtt", host=host, port=port),
            host=page_host,
            port=page_port,
            store=store or server.default_store(),
            keep=keep,
        )
    )


def _address(text: str, option: str, port: int) -> tuple[str, int]:
    """``HOST:PORT``, ``HOST`` or ``PORT``; a usage error for anything else."""
    if text.isdecimal():
        text = f"127.0.0.1:{text}"
    host, colon, given = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, given = text, str(port)
    if not host or not given.isdecimal() or not 0 < int(given) < 65536:
        raise click.UsageError(f"{option} {text}: expected HOST:PORT, for example localhost:{port}")
    return host.strip("[]"), int(given)
