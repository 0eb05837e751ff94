"""``trashbin dashboard`` on the command line."""

from __future__ import annotations

import getpass
import warnings
from pathlib import Path

import click

from trashbin.address import parse_address
from trashbin.cli_options import EXIT_STATUSES, FILE, FOLDER, config_option, model_option
from trashbin.errors import ConfigError, ExitCode


@click.command(epilog=EXIT_STATUSES)
@click.option(
    "--broker",
    metavar="HOST:PORT",
    default="localhost:1883",
    show_default=True,
    help="The MQTT broker that the bins publish to.",
)
@click.option("--username", "--user", "user", help="The user that the broker knows.")
@click.option("--password-file", type=FILE, help="Its first line is the password of --username.")
@click.option("--ca", type=FILE, help="Talk TLS to the broker; this file says whom to trust.")
@click.option("--cert", type=FILE, help="A client certificate, where the broker asks for one.")
@click.option("--key", type=FILE, help="The key of --cert.")
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    default="127.0.0.1:8080",
    show_default=True,
    help="Where browsers reach the page; beyond this machine only with --login.",
)
@click.option("--login", type=FILE, help="Ask for the password that this file holds, hashed.")
@click.option("--set-password", type=FILE, help="Ask for a password, write that file, and end.")
@click.option(
    "--store",
    metavar="FOLDER",
    type=FOLDER,
    help="Where the page keeps its history.  [default: ~/.local/state/trashbin]",
)
@click.option(
    "--keep",
    type=click.IntRange(100, 10_000_000),
    default=100_000,
    show_default=True,
    help="Events that are kept; the oldest go.",
)
@config_option()
@model_option()
def dashboard(
    broker: str,
    user: str | None,
    password_file: Path | None,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    listen: str,
    login: Path | None,
    set_password: Path | None,
    store: Path | None,
    keep: int,
    config: Path | None,
    model: str | None,
) -> int:
    """Show every bin on a broker, live, in a browser.

    Items as they fall in, with picture, shares and gap; each bin's state and health;
    figures; the items that wait for a person's answer, with a button for each label; a
    photograph through the same network and rules as `trashbin classify`. The page keeps
    a history of its own and asks the bins for events that it missed.

    \b
    Examples:
      trashbin dashboard --broker localhost:1883
      trashbin dashboard --set-password page.password
      trashbin dashboard --listen 0.0.0.0:8080 --login page.password
    """
    from trashbin.dashboard import server
    from trashbin.settings import MqttPublisher, Tls

    if set_password is not None:
        return _set_password(set_password)
    host, port = parse_address(broker)
    page_host, page_port = _listen(listen)
    return server.main(
        server.Options(
            broker=MqttPublisher(
                kind="mqtt",
                host=host,
                port=port,
                username=user,
                password_file=password_file,
                tls=Tls(ca=ca, cert=cert, key=key) if ca or cert or key else None,
            ),
            host=page_host,
            port=page_port,
            store=store or server.default_store(),
            keep=keep,
            config=config,
            model=model,
            login=login,
        )
    )


def _set_password(file: Path) -> int:
    """Ask twice, and write the hash where only its owner can read it."""
    from trashbin import whole_file
    from trashbin.dashboard import login

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", getpass.GetPassWarning)  # it says so in words besides
        password = click.prompt("Password of the page", hide_input=True, confirmation_prompt=True)
    try:
        whole_file.write(file, login.hashed(password) + "\n", 0o600)
    except OSError as error:
        raise ConfigError(f"--set-password {file}: cannot be written ({error.strerror})") from error
    click.echo(f"Written to {file}: name it with --login {file}")
    return ExitCode.GOOD


def _listen(text: str) -> tuple[str, int]:
    """``HOST:PORT`` or ``PORT``; a usage error for anything else."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--listen {text}: expected HOST:PORT or PORT, such as 8080")
    return host.strip("[]") or "127.0.0.1", int(port)
