"""``trashbin dashboard``: the page's composition root."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trashbin import logs
from trashbin.errors import ConfigError, ExitCode
from trashbin.settings import MqttPublisher

FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="none" '
    'stroke="#17693f" stroke-width="2" d="M5 6h14M10 6V3h4v3M7 6l1 15h8l1-15"/></svg>'
)
# A browser on a busy machine or a poor network is not thrown out: it takes up where it was. NiceGUI
# expects a sign of life within 0.4 of this, too.
RECONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. ``host`` and ``port`` are where the page listens."""

    broker: MqttPublisher
    host: str
    port: int
    store: Path
    keep: int
    config: Path | None = None  # for pictures that are tried: its model and rules hold
    model: str | None = None
    login: Path | None = None  # the password's file


def main(options: Options) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C."""
    logs.begin(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_worth_telling)
    # NiceGUI takes itself for a test of its own where it runs below pytest
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        from nicegui import app, ui
    except ModuleNotFoundError as error:
        raise ConfigError("the page needs NiceGUI: pip install 'trashbin[dashboard]'") from error
    from trashbin.dashboard import pages
    from trashbin.dashboard.archive import NAME, Archive
    from trashbin.dashboard.login import LOOPBACK, Guard, Password
    from trashbin.dashboard.tryout import Judge
    from trashbin.dashboard.watch import Watch

    password = Password(options.login) if options.login else None
    if password is None and options.host not in LOOPBACK:
        raise ConfigError(
            f"--listen {options.host}:{options.port}: beyond this machine the page asks for a "
            "password. Make its file with: trashbin dashboard --set-password FILE, then name it "
            "with --login FILE"
        )
    _check_free(options.host, options.port)
    archive = Archive(options.store / NAME, options.keep)
    watch = Watch(archive, options.broker)
    pages.register(watch, Judge(options.config, options.model), logout=password is not None)
    app.add_middleware(Guard, password=password, host=options.host)
    app.on_startup(watch.open)
    app.on_startup(partial(_tell, options))
    app.on_shutdown(watch.close)
    ui.run(
        host=options.host,
        port=options.port,
        title="trashbin",
        dark=None,
        language="en-US",
        reload=False,
        show=False,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT_S,
        tailwind=False,
        uvicorn_logging_level="error",
        favicon=FAVICON,
    )
    archive.close()
    return ExitCode.GOOD


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Not that a browser went on before a file came: Starlette takes that for an error of ours."""
    return not (record.exc_info and str(record.exc_info[1]) == "No response returned.")


async def _tell(options: Options) -> None:
    """Print where the page is, once it answers there: uvicorn listens after it has started us."""
    from nicegui.server import Server

    while not Server.instance.started:
        await asyncio.sleep(0.01)
    print(f"The page is at {address(options)}", flush=True)


def address(options: Options) -> str:
    """Where a browser finds the page."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.host, options.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{host}:{options.port}/"


def _check_free(host: str, port: int) -> None:
    """ConfigError where somebody listens there already, or nobody may."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise ConfigError(
            f"--listen {host}:{port}: the page cannot listen there ({error.strerror or error}); "
            "name another HOST:PORT"
        ) from error


def default_store() -> Path:
    """Where systemd says, else where a user's programs keep state."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "trashbin"
