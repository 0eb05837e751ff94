"""``trashbin demo``: the simulated bin with a broker of its own and a live view in the terminal.

Everything but the tray, the camera and the pins is what runs on a real bin.
"""

from __future__ import annotations

import io
import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from trashbin import app, logs, resources, whole_file
from trashbin import config as configuration
from trashbin.address import parse_address
from trashbin.broker import embedded_broker
from trashbin.clock import SystemClock
from trashbin.daemon import Daemon
from trashbin.demo_page import demo_page
from trashbin.demo_view import View
from trashbin.errors import BrokerError, ConfigError, ExitCode
from trashbin.quiet import quiet
from trashbin.settings import Config, MqttPublisher, SimulatedActuator, SimulatedTrigger
from trashbin.status import Status

CONNECT_S = 10.0
DRAIN_S = 15.0
HOLD_S = 10.0  # of an uncertain item, where the demo does not end by itself


def main(
    items: int | None = None,
    seed: int = 0,
    broker: str | None = None,
    picture: Path | None = None,
    *,
    page: bool = True,
) -> ExitCode:
    """Show the bin until ``items`` are done, or Ctrl-C. BrokerError where it is unreachable.

    With ``page``, in a browser too, at an address that is printed.
    ``picture`` is where the screen of the last sort is drawn as an SVG.
    """
    logs.begin(logging.ERROR)
    console = Console(stderr=False)
    clock = SystemClock()
    clock.stop_on_signals()
    if picture is not None and not picture.absolute().parent.is_dir():
        raise ConfigError(f"--picture {picture}: there is no folder {picture.parent}")
    with ExitStack() as stack:
        host, port = parse_address(broker) if broker else stack.enter_context(embedded_broker())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trashbin-demo-")))
        config = demo_config(folder, host, port, seed, items)
        view = View(config, clock, f"{host}:{port}")
        if not draws(console):
            view.lines_to(console)
        if page and picture is None:
            stack.enter_context(demo_page(f"{host}:{port}", folder / "page", view.page))
        with quiet():  # the network's runtime greets on standard error
            daemon = app.build(config, clock, stack, on_event=view.event)
        view.watch(daemon)
        _wait_for_broker(daemon, clock, host, port)

        drawing: str | None = None

        def progress(status: Status) -> None:
            nonlocal drawing
            if picture is not None and status is Status.SORTING:
                drawing = drawn(view)
            if items and view.item_events >= items and status is Status.IDLE:
                clock.stop()

        daemon.begin()
        daemon.condition.on_progress = progress
        with _shown(view, console):
            daemon.run()
        delivered = daemon.parts.publisher.drain(DRAIN_S)
        daemon.parts.publisher.forget()  # else it stays offline there, and in Home Assistant
        view.summary(console, delivered)
        if picture is not None:
            _write(picture, drawing, console)
    return ExitCode.GOOD if delivered else ExitCode.UNREACHABLE


def _write(picture: Path, drawing: str | None, console: Console) -> None:
    """ConfigError where it cannot be written."""
    if drawing is None:
        console.print("Nothing was sorted, so there is no new picture; try more --items.")
        return
    try:
        whole_file.write(picture, drawing)
    except OSError as error:
        raise ConfigError(f"--picture {picture}: cannot be written ({error.strerror})") from error


def drawn(view: View) -> str:
    """The screen as an SVG that asks no other host for its font."""
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    console.print(view)
    svg = console.export_svg(title="trashbin demo")
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def demo_config(folder: Path, host: str, port: int, seed: int, items: int | None) -> Config:
    """config/demo.yaml, with this run's broker, store and items."""
    config = configuration.read(resources.root() / "config" / "demo.yaml")
    triggers = tuple(
        trigger.model_copy(update={"seed": seed, "items": items})
        if isinstance(trigger, SimulatedTrigger)
        else trigger
        for trigger in config.triggers
    )
    if items is None:  # somebody watches: time to answer before the person takes it out
        look = config.look.model_copy(update={"hold_s": HOLD_S})
        actuators = tuple(
            actuator.model_copy(update={"person_s": HOLD_S - 2})
            if isinstance(actuator, SimulatedActuator)
            else actuator
            for actuator in config.actuators
        )
        config = config.model_copy(update={"look": look, "actuators": actuators})
    publisher = MqttPublisher(kind="mqtt", host=host, port=port)
    store = config.store.model_copy(update={"path": folder})
    return config.model_copy(update={"triggers": triggers, "publisher": publisher, "store": store})


def _wait_for_broker(daemon: Daemon, clock: SystemClock, host: str, port: int) -> None:
    publisher = daemon.parts.publisher
    deadline = clock.monotonic() + CONNECT_S
    while not publisher.connected and clock.monotonic() < deadline and not clock.wait(0.05):
        pass
    if not publisher.connected and not clock.stopped:
        problem = publisher.problem or "nothing answers"
        raise BrokerError(f"the MQTT broker at {host}:{port} cannot be used: {problem}")


def draws(console: Console) -> bool:
    """False for a file or pipe, for TERM=dumb, and where there are no letters for bars."""
    return (
        console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
    )


@contextmanager
def _shown(view: View, console: Console) -> Iterator[None]:
    """Live where there is a terminal that can show it; else a line an event."""
    if not draws(console):
        yield
        return
    with Live(view, console=console, screen=True, refresh_per_second=10, transient=True):
        yield
