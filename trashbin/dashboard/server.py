"""``trashbin dashboard``: the page's composition root."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from trashbin.errors import ConfigError, ExitCode
from trashbin.settings import MqttPublisher


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. ``host`` and ``port`` are where the page listens."""

    broker: MqttPublisher
    host: str
    port: int
    store: Path
    keep: int


def main(options: Options) -> ExitCode:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        from nicegui import app, ui
    except ModuleNotFoundError as error:
        raise ConfigError("the page needs NiceGUI: pip install 'trashbin[dashboard]'") from error
    from trashbin.dashboard import pages
    from trashbin.dashboard.archive import NAME, Archive
    from trashbin.dashboard.watch import Watch

    archive = Archive(options.store / NAME, options.keep)
    watch = Watch(archive, options.broker)
    pages.register(watch)
    app.on_startup(watch.open)
    where = f"http://{options.host}:{options.port}/"
    app.on_startup(lambda: print(f"The page is at {where}", flush=True))
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
        tailwind=False,
        uvicorn_logging_level="error",
    )
    archive.close()
    return ExitCode.GOOD


def default_store() -> Path:
    """Where systemd says, else where a user's programs keep state."""
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "trashbin"
