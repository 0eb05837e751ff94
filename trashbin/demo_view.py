"""What ``trashbin demo`` draws: shares as bars, gap against threshold, servo and lamps, events."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime
from statistics import median

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from trashbin.daemon import Daemon
from trashbin.events import ITEM_EVENTS, Event
from trashbin.ports import Clock
from trashbin.scenes import Item
from trashbin.settings import Config, LampsActuator, Servo
from trashbin.status import Status

BAR = 15
EVENT_ROWS = 7
PANEL_HEIGHT = 11
STYLES = {
    "sorted": "bold green",
    "uncertain": "bold yellow",
    "empty": "dim",
    "fault": "bold red",
    "notice": "cyan",
}
STATUS_STYLES = {
    Status.IDLE: "dim",
    Status.LOOKING: "cyan",
    Status.SORTING: "bold green",
    Status.HOLDING: "bold yellow",
    Status.FAULT: "bold red",
    Status.PAUSED: "magenta",
}


class View:
    """Keeps what has happened, and draws it whenever rich asks. 80 columns are enough."""

    def __init__(self, config: Config, clock: Clock, broker: str) -> None:
        self.config = config
        self.clock = clock
        self.broker = broker
        self.events: deque[Event] = deque(maxlen=EVENT_ROWS)
        self.last: Event | None = None
        self.item_events = 0
        self.counts: Counter[str] = Counter()
        self.totals_ms: list[float] = []
        self.invokes_ms: list[float] = []
        self._daemon: Daemon | None = None
        self._console: Console | None = None
        self._page = ""

    def watch(self, daemon: Daemon) -> None:
        """Draw this bin."""
        self._daemon = daemon

    def lines_to(self, console: Console) -> None:
        """Instead of drawing, print a line an event."""
        self._console = console

    def page(self, address: str) -> None:
        """Where the page is, or why there is none. From any thread."""
        self._page = address
        if self._console is not None:
            where = f"The page is at {address}" if address.startswith("http") else address
            self._console.print(where, soft_wrap=True)

    def event(self, event: Event) -> None:
        """An event was committed."""
        self.events.append(event)
        if event.event_type in ITEM_EVENTS:
            self.last = event
            self.item_events += 1
            self.counts[str(event.label) if event.bin else "uncertain"] += 1
            if event.timing_ms:
                frames = max(1, sum(event.votes.values()))
                self.totals_ms.append(event.think_ms or 0.0)
                self.invokes_ms.append(event.timing_ms["invoke"] / frames)
        if self._console is not None:
            self._console.print(self._line(event), soft_wrap=True)

    # drawing

    def __rich__(self) -> RenderableType:
        """The whole screen."""
        return Group(
            self._title(),
            side_by_side(self._shares(), self._machine()),
            self._table(),
            self._footer(),
        )

    def _title(self) -> Text:
        status = self._daemon.status if self._daemon else Status.IDLE
        line = Text.assemble(
            ("trashbin demo", "bold"), "  ", (f" {status.upper()} ", STATUS_STYLES[status])
        )
        model = self._daemon.recorder.classifier if self._daemon else None
        if model is not None:
            line.append(f"  {model.model.name} {model.model.variant}", "dim")
        line.append(f"  MQTT {self.broker}", "dim")
        return line

    def _shares(self) -> Panel:
        """The shares of the last item, and its gap and familiarity against their thresholds."""
        table = Table.grid(padding=(0, 1))
        event = self.last
        for label in self.config_labels():
            share = event.scores.get(label, 0.0) if event else 0.0
            best = event is not None and label == event.label
            table.add_row(
                Text(label, "bold" if best else ""),
                bar(share, "green" if best else "blue"),
                Text(f"{share:4.0%}", "bold" if best else "dim"),
            )
        table.add_row("", "", "")
        gap, threshold = 0.0, 0.0
        if event is not None and event.thresholds is not None:
            gap, threshold = event.gap or 0.0, event.thresholds.gap
        table.add_row("gap", _gate(gap, threshold), f"{gap:4.0%}")
        if event is not None and event.familiarity is not None:
            needed = (event.thresholds.familiarity if event.thresholds else None) or 0.0
            table.add_row("familiar", _gate(event.familiarity, needed), f"{event.familiarity:4.0%}")
        subtitle = f"acts from a gap of {threshold:.0%}" if event else ""
        return Panel(table, title="shares", subtitle=subtitle, height=PANEL_HEIGHT)

    def config_labels(self) -> list[str]:
        """The labels of all bins, in the order of the alphabet."""
        return sorted(label for entry in self.config.bins.values() for label in entry.labels)

    def _machine(self) -> Panel:
        """What was dropped, what was decided, where the servo stands, which lamps are lit."""
        table = Table.grid(padding=(0, 1))
        table.add_row("item", Text(self._item() or "-", "bold"))
        table.add_row("decision", self._decision())
        daemon = self._daemon
        sorting = daemon is not None and daemon.status is Status.SORTING
        bin = daemon.condition.bin if daemon else None
        angle = self.config.bins[bin].angle if sorting and bin else None
        for actuator in self.config.actuators:
            if isinstance(actuator, Servo):
                shown = actuator.rest_angle if angle is None else angle
                table.add_row("servo", Text(dial(shown, actuator.min_angle, actuator.max_angle)))
            if isinstance(actuator, LampsActuator):
                table.add_row("lamps", self._lamps(bin if sorting else None))
        table.add_row("so far", self._counted())
        return Panel(table, title="bin", height=PANEL_HEIGHT)

    def _item(self) -> str:
        """What fell last, as a person would call it; the daemon does not know."""
        for trigger in self._daemon.parts.triggers if self._daemon else ():
            dropped: list[Item] = getattr(trigger, "dropped", [])
            if dropped:
                return dropped[-1].name
        return ""

    def _decision(self) -> Text:
        event = self.last
        looking = self._daemon is not None and self._daemon.status is Status.LOOKING
        if event is None or looking:  # the last one was of another item
            return Text("-")
        if event.bin:
            return Text(f"{event.label} -> {event.bin}", STYLES["sorted"])
        return Text(f"uncertain ({event.reason})", STYLES["uncertain"])

    def _lamps(self, lit: str | None) -> Text:
        holding = self._daemon is not None and self._daemon.status is Status.HOLDING
        line = Text()
        for name in (*self.config.bins, "uncertain"):
            on = holding if name == "uncertain" else name == lit
            color = "bold yellow" if name == "uncertain" else "bold green"
            line.append(
                f"●\N{NO-BREAK SPACE}{name} " if on else f"○\N{NO-BREAK SPACE}{name} ",
                color if on else "dim",
            )
        return line

    def _counted(self) -> Text:
        return Text(", ".join(f"{n} {label}" for label, n in sorted(self.counts.items())) or "-")

    def _table(self) -> Panel:
        """The events as they were published."""
        table = Table(box=None, expand=True, padding=(0, 1), show_header=True, header_style="dim")
        for name in ("seq", "time", "event", "label", "gap", "reason", "bin"):
            table.add_column(name, no_wrap=True)
        for event in self.events:
            table.add_row(
                str(event.seq),
                local_time(event),
                Text(event.event_type, STYLES.get(event.event_type, "")),
                event.label or "-",
                "-" if event.gap is None else f"{event.gap:.2f}",
                event.reason or "-",
                event.bin or "-",
            )
        for _ in range(EVENT_ROWS - len(self.events)):
            table.add_row(*[""] * 7)
        return Panel(table, title=f"trashbin/{self.config.device.id}/event")

    def _footer(self) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        if self._page:
            line.append(f"page: {self._page}\n", "bold cyan")  # all of it is too long for one line
        if self.totals_ms:
            line.append(
                f"frame -> decision {median(self.totals_ms):.1f} ms"
                f" (network {median(self.invokes_ms):.1f} ms)   "
            )
        if self._daemon is not None:
            line.append(f"not yet delivered: {self._daemon.recorder.outbox.depth()}   ")
        line.append("Ctrl-C ends", "dim")
        return line

    def _line(self, event: Event) -> str:
        gap = "-" if event.gap is None else f"{event.gap:.2f}"
        told = event.detail.message if event.detail else (event.bin or event.reason or "")
        return (
            f"{event.seq:4d}  {local_time(event)}  {event.event_type:9}  "
            f"{event.label or '-':9}  gap {gap:4}  {told}"
        )

    def summary(self, console: Console, delivered: bool) -> None:
        """What the demo came to, printed at its end."""
        console.print(
            f"{self.item_events} item{'s' * (self.item_events != 1)}: {self._counted().plain}. "
            + (
                f"Every event reached the broker at {self.broker}."
                if delivered
                else f"Not every event reached the broker at {self.broker}."
            )
        )
        if self.totals_ms:
            console.print(
                f"From a frame to the decision: {median(self.totals_ms):.1f} ms (median), "
                f"of which the network {median(self.invokes_ms):.1f} ms."
            )


def _gate(value: float, threshold: float) -> Text:
    """What must reach a threshold, and whether it does."""
    return bar(value, "green" if value >= threshold else "yellow", threshold)


def side_by_side(left: RenderableType, right: RenderableType) -> Table:
    """Two halves of the screen."""
    table = Table.grid(expand=True)
    table.add_column(ratio=1)
    table.add_column(ratio=1)
    table.add_row(left, right)
    return table


def bar(share: float, style: str, mark: float | None = None) -> Text:
    """A bar of ``BAR`` cells for a share of 0..1, with a mark at ``mark``."""
    cells = round(min(max(share, 0.0), 1.0) * BAR)
    line = Text("█" * cells, style)
    line.append("░" * (BAR - cells), "dim")
    if mark is not None:
        at = min(BAR - 1, round(mark * BAR))
        line = Text.assemble(line[:at], ("┃", "bold white"), line[at + 1 :])
    return line


def local_time(event: Event) -> str:
    """When it happened, by the clock on the wall."""
    return datetime.fromisoformat(event.ts).astimezone().strftime("%H:%M:%S")


def dial(angle: float, low: float, high: float) -> str:
    """A servo's angle as a place on a scale."""
    cells = 13
    at = round((angle - low) / (high - low) * (cells - 1))
    return "├" + "".join("▼" if i == at else "─" for i in range(cells)) + f"┤ {angle:+.0f}°"
