"""``make fleet``: a thousand bins, a real Mosquitto, the page and a browser that looks at it.

Bins, broker and page are processes as people start them. What the bins committed is read from
their stores on disk, what the page has from its history file, and when it had it by looking into
that file all the time. An event's delay counts from the time stamped on it, which is just before
its commit. 1 where a bound fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.tables import ROOT, with_tables
from tests.page import site
from tests.support_processes import Broker, Listener, running
from trashbin import database
from trashbin.dashboard.archive import NAME
from trashbin.fleet import cost
from trashbin.fleet.simulate import quantile

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE_MB, PAGE_CORES, P99_MS = 300, 0.5, 1000  # what must hold
LOOK_S = 0.02  # between looks into the page's history
SAMPLE_S = 1.0
START_S = 300.0  # for the bins to come in
BEGIN = "<!-- written by: make fleet ARGS=--write -->"
END = "<!-- end of what make fleet wrote -->"
# when each card came into the document, in milliseconds since 1970
SEEN = """
window.cardsSeen = {};
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) {
    if (node.nodeType !== 1) continue;
    const inside = node.matches("[data-event]") ? [node] : node.querySelectorAll("[data-event]");
    for (const card of inside) window.cardsSeen[card.dataset.event] ??= Date.now();
  }
}).observe(document, { childList: true, subtree: true });
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process while items fell: share of a core, and the most resident memory."""

    cores: float
    mb: float

    def __str__(self) -> str:
        return f"{100 * self.cores:.1f} % of a core, {self.mb:.0f} MB"


@dataclass(slots=True)
class Watched:
    """What was seen from outside: when the page had each event, and what page and broker cost."""

    had: dict[str, float] = field(default_factory=dict)  # event id -> monotonic seconds
    began: float = 0.0  # the first event
    ended: float = 0.0  # the last sample
    loads: list[float] = field(default_factory=list)
    first: dict[str, cost.Usage] = field(default_factory=dict)
    last: dict[str, cost.Usage] = field(default_factory=dict)
    mb: dict[str, float] = field(default_factory=dict)

    def sample(self, pids: dict[str, int]) -> None:
        self.loads.append(os.getloadavg()[0])
        self.ended = time.monotonic()
        for name, pid in pids.items():
            usage = cost.usage(pid)
            if usage is None:
                raise SystemExit(f"the {name} has ended; its error is above")
            self.first.setdefault(name, usage)
            self.last[name] = usage
            self.mb[name] = max(self.mb.get(name, 0.0), usage.rss_mb)

    def cost(self, name: str) -> Cost:
        return Cost(self.last[name].cores_since(self.first[name]), self.mb[name])


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    told: dict[str, Any]  # by trashbin simulate --json
    committed: dict[str, float]  # event id -> monotonic seconds, of its stamp
    watched: Watched
    seen: dict[str, float]  # by the browser
    looked: bool
    page_ids: set[str]
    holes: int  # numbers missing in the page's history
    sizes: dict[str, float]  # mean bytes of a message

    @property
    def lost(self) -> int:
        return len(self.committed.keys() - self.page_ids)

    def problems(self) -> list[str]:
        """What is not as it must be, in words."""
        page = self.watched.cost("page")
        p99 = quantile(self._delays(self.watched.had), 0.99)
        wrong = {
            "no event was committed": not self.committed,
            f"{self.lost} events are not in the page's history": self.lost > 0,
            f"{self.holes} numbers are missing in the page's history": self.holes > 0,
            f"{self.told['lost']} events did not reach the subscriber": self.told["lost"] > 0,
            f"the page took {page.mb:.0f} MB": page.mb > PAGE_MB,
            f"the page took {page.cores:.2f} of a core": page.cores > PAGE_CORES,
            f"p99 from commit to page is {p99} ms": p99 is None or p99 > P99_MS,
            "the browser saw no item": self.looked and not self.seen,
        }
        return [what for what, is_so in wrong.items() if is_so]

    def rows(self) -> list[tuple[str, str, str]]:
        """What, how much, and the bound."""
        watched, told = self.watched, self.told
        a_second = len(self.committed) / told["seconds"]
        sizes = self.sizes
        found = [
            ("bins, items a minute each", f"{told['bins']:,}, {told['rate_per_min']:g}", ""),
            ("run", f"{told['seconds']:.0f} s, {a_second:.1f} events a second", ""),
            ("committed, in the stores on disk", f"{len(self.committed):,}", ""),
            ("of these not in the page's history", f"{self.lost}", "0"),
            ("numbers (`seq`) missing there", f"{self.holes}", "0"),
            ("of these not at another subscriber", f"{told['lost']}", "0"),
            ("commit to the page's history", self._times(watched.had), "p99 1,000 ms"),
        ]
        if self.looked:
            found.append(
                ("commit to the card in a browser on the same machine", self._times(self.seen), "")
            )
        found += [
            ("page's process", str(watched.cost("page")), "50 % of a core, 300 MB"),
            ("Mosquitto", str(watched.cost("broker")), ""),
            (
                "the bins together",
                f"{100 * told['bins_cores']:.0f} % of a core, {told['bins_mb']:.0f} MB "
                f"in {told['processes']} process{'es' * (told['processes'] != 1)}",
                "",
            ),
            (
                "mean bytes of `event`, `state`, `health`",
                f"{sizes['event']:.0f}, {sizes['state']:.0f}, {sizes['health']:.0f}",
                "",
            ),
            (
                "machine",
                f"{os.cpu_count()} cores, {platform.machine()}; load "
                f"{min(watched.loads):.1f} to {max(watched.loads):.1f} with all this",
                "",
            ),
        ]
        return found

    def table(self) -> str:
        """For people and for Markdown."""
        head = ["| | measured | at most |", "|---|---|---|"]
        return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in self.rows())])

    def _delays(self, came: dict[str, float]) -> list[float]:
        return sorted(
            max(0.0, 1e3 * (at - self.committed[event_id]))
            for event_id, at in came.items()
            if event_id in self.committed
        )

    def _times(self, came: dict[str, float]) -> str:
        delays = self._delays(came)
        parts = [f"{name} {quantile(delays, share):,.0f} ms" for name, share in QUANTILES if delays]
        return f"{', '.join(parts)} ({len(delays):,} events)"


QUANTILES = (("p50", 0.5), ("p99", 0.99), ("longest", 1.0))


def main() -> int:
    """Measure, print, and write it down where asked."""
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--bins", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1.0, help="items a minute each")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--blind", action="store_true", help="no browser looks at the page")
    parser.add_argument("--write", action="store_true", help="write docs/scale.md from it")
    asked = parser.parse_args()
    allow_files(asked.bins)
    with tempfile.TemporaryDirectory(prefix="trashbin-fleet-") as folder:
        result = measure(Path(folder), asked.bins, asked.rate, asked.minutes, looks=not asked.blind)
    print(result.table())
    problems = result.problems()
    for problem in problems:
        print(f"FAILED: {problem}")
    if asked.write and not problems:
        path = ROOT / "docs" / "scale.md"
        path.write_text(with_tables(path.read_text(), result.table(), BEGIN, END))
    return int(bool(problems))


def allow_files(bins: int) -> None:
    """The broker has a file for each bin; what it and the others may open, they have from us."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = bins + 100
    if most != resource.RLIM_INFINITY and most < needed:
        raise SystemExit(
            f"make fleet: {bins} bins need {needed} open files, and {most} are allowed: as root, "
            f"ulimit -n {needed}, or a larger hard nofile in /etc/security/limits.conf"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(folder: Path, bins: int, rate: float, minutes: float, *, looks: bool) -> Result:
    """Start everything, let items fall, and compare what the bins have with what the page has."""
    stores, page_folder = folder / "bins", folder / "page"
    with ExitStack() as stack:
        broker = stack.enter_context(running(folder, "allow_anonymous true"))
        dashboard = site.Dashboard(page_folder, broker)
        stack.callback(dashboard.close)
        browser = stack.enter_context(_looking(dashboard.url)) if looks else None
        assert broker.process is not None
        pids = {"page": dashboard.process.pid, "broker": broker.process.pid}
        options = ("--bins", str(bins), "--rate", str(rate), "--minutes", str(minutes))
        simulate = subprocess.Popen(
            [
                *(sys.executable, "-m", "trashbin", "simulate", *options, "--json"),
                *("--broker", f"127.0.0.1:{broker.port}", "--store", str(stores)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(simulate.wait)
        stack.callback(simulate.terminate)
        watched = _watch(page_folder / NAME, simulate, pids, 60 * minutes)
        assert simulate.stdout is not None
        told = simulate.stdout.read()
        if not told:
            raise SystemExit("trashbin simulate told nothing; its error is above")
        seen = browser.evaluate("() => window.cardsSeen") if browser else {}
        shift = time.time() - time.monotonic()
        page_ids, holes, event_bytes = _kept(page_folder / NAME)
        return Result(
            told=json.loads(told),
            committed=_committed(stores),
            watched=watched,
            seen={event_id: at / 1e3 - shift for event_id, at in seen.items()},
            looked=looks,
            page_ids=page_ids,
            holes=holes,
            sizes={"event": event_bytes, **_retained(broker, bins)},
        )


@contextmanager
def _looking(url: str) -> Iterator[Page]:
    """A browser on the first page, which notes when each card came."""
    with site.browsing() as browser, site.tab(browser) as page:
        page.add_init_script(SEEN)
        site.ready(page, url)
        yield page


def _watch(
    path: Path, simulate: subprocess.Popen[str], pids: dict[str, int], seconds: float
) -> Watched:
    """Until the bins are done: look into the page's history, and at what it all costs."""
    watched, number, sampled = Watched(), 0, 0.0
    deadline = time.monotonic() + START_S
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as db:
        while True:
            over = simulate.poll() is not None
            rows = db.execute("SELECT number, event_id FROM event WHERE number > ?", (number,))
            found = rows.fetchall()
            now = time.monotonic()
            if found:
                watched.began = watched.began or now
                number = max(row[0] for row in found)
                watched.had.update((event_id, now) for _, event_id in found)
            falling = watched.began and now <= watched.began + seconds
            if falling and now - sampled >= SAMPLE_S:
                sampled = now
                watched.sample(pids)
            if over:
                return watched
            if not watched.began and now > deadline:
                raise SystemExit(f"no event reached the page within {START_S:.0f} s")
            time.sleep(LOOK_S)


def _committed(stores: Path) -> dict[str, float]:
    """The events in the bins' stores, and when each was stamped, monotonic seconds."""
    found = {}
    for folder in stores.iterdir():
        with closing(database.opened_to_read(folder / database.NAME)) as db:
            for event_id, text in db.execute("SELECT event_id, json FROM event"):
                found[event_id] = json.loads(text)["uptime_ms"] / 1e3
    return found


def _kept(path: Path) -> tuple[set[str], int, float]:
    """Of the page's history: the ids, how many numbers are missing, the mean bytes of an event."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        ids = {event_id for (event_id,) in db.execute("SELECT event_id FROM event")}
        (holes,) = db.execute(
            "SELECT coalesce(sum(last - n), 0) FROM"
            " (SELECT max(seq) AS last, count(*) AS n FROM event GROUP BY device_id, store_id)"
        ).fetchone()
        (size,) = db.execute("SELECT avg(length(CAST(json AS BLOB))) FROM event").fetchone()
    return ids, holes, size or 0.0


def _retained(broker: Broker, bins: int) -> dict[str, float]:
    """The mean bytes of what each bin said last of itself."""
    sizes = {}
    for topic in ("state", "health"):
        with closing(Listener(broker, f"trashbin/+/{topic}")) as listener:
            deadline = time.monotonic() + 10
            while len(listener.seen) < bins and time.monotonic() < deadline:
                time.sleep(LOOK_S)
            sizes[topic] = sum(len(m.payload) for m in listener.seen) / max(1, len(listener.seen))
    return sizes


if __name__ == "__main__":
    sys.exit(main())
