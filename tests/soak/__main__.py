"""``make soak``: the simulated bin at full speed for an hour: does anything grow, is anything lost?

The daemon runs as a process against a real Mosquitto. Every item that falls into its tray has
to come out as one item event; memory, descriptors and threads are read from /proc.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.soak import daemon
from tests.soak.samples import Sample, growth, leaks, take
from tests.support_processes import Listener, Process, config, running, wait_until
from trashbin.devices.simulated import FALLS
from trashbin.events import ITEM_EVENTS

ROOT = "trashbin/demo"
WARM_UP_S = 600.0  # or a fifth of a run that is shorter than fifty minutes


@dataclass(frozen=True)
class Run:
    """What was measured: samples, and the events as they came over MQTT."""

    seconds: float
    samples: Sequence[Sample]
    events: Sequence[dict[str, Any]]
    fallen: int
    status: int

    @property
    def items(self) -> int:
        """Item events, each counted once."""
        return len({e["event_id"] for e in self.events if e["event_type"] in ITEM_EVENTS})

    def warm(self) -> list[Sample]:
        """The samples after the warm-up."""
        warm_up = min(WARM_UP_S, self.seconds / 5)
        return [sample for sample in self.samples if sample.at >= warm_up]

    def problems(self) -> list[str]:
        """Everything that must not be, in words."""
        found = leaks(self.warm())
        seqs = sorted({event["seq"] for event in self.events})
        if seqs != list(range(1, len(seqs) + 1)):
            found.append(f"seq has holes: {len(seqs)} events, the last is {seqs[-1]}")
        if self.fallen != self.items:
            found.append(f"{self.fallen} items fell, {self.items} were told")
        for event in self.events:
            if event["event_type"] not in ITEM_EVENTS:
                found.append(
                    f"event {event['seq']} of type {event['event_type']}: "
                    f"{event['detail'] or 'trigger ' + str(event['trigger'])}"
                )
        if self.items < self.seconds:
            found.append(f"only {self.items / self.seconds:.2f} items a second")
        if self.status:
            found.append(f"the daemon ended with status {self.status}")
        return found


def soak(
    folder: Path, seconds: float, every_s: float, show: Callable[[Run], None] = lambda run: None
) -> Run:
    """Run the daemon for so long; ``show`` is called with what there is after each tenth."""
    with running(folder, "allow_anonymous true") as broker:
        listener = Listener(broker, f"{ROOT}/event/#", f"{ROOT}/response/mode")
        process = Process(folder, yaml.safe_dump(config(folder, broker, **SHORT)), daemon.__name__)
        try:
            process.wait_ready()
            began = time.monotonic()
            samples: list[Sample] = []

            def so_far(status: int = 0) -> Run:
                fallen = process.log.read_text().count(FALLS)
                now = time.monotonic() - began
                return Run(now, samples, listener.events(), fallen, status)

            shown = 0
            while (now := time.monotonic() - began) < seconds:
                samples.append(take(process.process.pid, now))
                if now * 10 / seconds >= shown + 1:
                    shown += 1
                    show(so_far())
                time.sleep(max(0.0, began + len(samples) * every_s - time.monotonic()))
            # answered between two items; then no further one falls
            listener.send(f"{ROOT}/request/mode", '{"mode": "paused"}')
            wait_until(lambda: bool(listener.on(f"{ROOT}/response/mode")))
            wait_until(lambda: (run := so_far()).fallen == run.items)
            run = so_far(process.stop())
        finally:
            process.kill()
            listener.close()
    return run


# the demo's bin, with every wait as short as it may be; to settle ends as soon as the item lies
SHORT: dict[str, Any] = {
    "camera": {"kind": "simulated", "fps": 100},
    "rules": {"gap": 0.05, "top1": 0.2},  # to hold an item takes longer than to sort it
    "look": {"settle_s": 1, "refractory_s": 0, "hold_s": 0.5, "retries": 0, "burst": 1},
    "sorting": {"move_s": 0.1, "dwell_s": 0.1},  # no shorter than the world's items take to leave
    "triggers": [{"kind": "simulated", "every_s": 0.05}, {"kind": "mqtt"}],
    "actuators": [
        {"kind": "simulated", "person_s": 0.05},
        {"kind": "servo", "pin": 18},
        {"kind": "lamps", "uncertain": 19},
    ],
}


def main() -> int:
    """Print a line for each tenth, then what was found; 1 where something grows or is lost."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    asked = parser.parse_args()
    line = "{:>8}{:>9}{:>10}{:>10}{:>10}{:>13}{:>9}".format
    print(line("s", "items", "items/s", "RSS MB", "own MB", "descriptors", "threads"), flush=True)

    def show(run: Run) -> None:
        last = run.samples[-1]
        print(
            line(
                f"{run.seconds:.0f}",
                run.items,
                f"{run.items / run.seconds:.2f}",
                f"{last.rss_mb:.1f}",
                f"{last.own_mb:.1f}",
                last.descriptors,
                last.threads,
            ),
            flush=True,
        )

    with tempfile.TemporaryDirectory(prefix="trashbin-soak-") as folder:
        run = soak(Path(folder), asked.minutes * 60, 2.0, show)
    show(run)
    print(
        f"{run.fallen} items fell, {run.items} were told, {len(run.events)} events in all; after "
        f"the warm-up its memory grew by {growth(run.warm(), 'own_mb'):.1f} MB, "
        f"descriptors by {growth(run.warm(), 'descriptors'):g}, "
        f"threads by {growth(run.warm(), 'threads'):g}"
    )
    problems = run.problems()
    for problem in problems:
        print(f"FAILED: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
