"""``make faults``: what README's reliability section promises, tried out at length."""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.kills import KILLS_HEAD, Tally, kill_on
from tests.faults.scripted import HEAD, Row, run_all
from tests.faults.tables import readme, with_tables


def main() -> int:
    """Print what comes, then the tables; 1 where anything was lost or less tried than asked."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="of the daemon, and of the broker")
    parser.add_argument("--items", type=int, help="at least so many (default: ten a kill)")
    parser.add_argument("--lanes", type=int, default=4, help="bins at a time, each with a broker")
    parser.add_argument("--minutes", type=float, default=math.inf, help="of kills, at the most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readme", action="store_true", help="write README's tables from it")
    asked = parser.parse_args()
    began = time.monotonic()
    shown = 0.0

    def show(tally: Tally) -> None:
        nonlocal shown
        if time.monotonic() - shown >= 30:
            shown = time.monotonic()
            print(
                f"{shown - began:6.0f} s: {tally.daemon_kills} kills of the daemon, "
                f"{tally.broker_kills} of the broker, {tally.items} items",
                flush=True,
            )

    with tempfile.TemporaryDirectory(prefix="trashbin-faults-") as folder:
        items = 10 * asked.kills if asked.items is None else asked.items
        tally = kill_on(
            Path(folder, "kills"),
            asked.kills,
            items,
            asked.lanes,
            asked.seed,
            show=show,
            limit_s=60 * asked.minutes,
        )
        print("scripted faults ...", flush=True)
        outcomes = run_all(Path(folder, "scripts"), at_once=asked.lanes)
    kills = [KILLS_HEAD, *(f"| {what} | {count:,} |" for what, count in tally.rows())]
    scripts = [HEAD, *(str(outcome) for outcome in outcomes.values() if isinstance(outcome, Row))]
    both = "\n".join([*kills, "", *scripts])
    print(f"\n{both}")
    print(f"\n{time.monotonic() - began:.0f} s in all")
    failed = {name: why for name, why in outcomes.items() if not isinstance(why, Row)}
    for name, why in failed.items():
        print(f"FAILED: {name}: {type(why).__name__}: {why}")
    if not tally.good:
        print("FAILED: something was lost, altered, missing or unrecorded")
    short = tally.lacks(asked.kills, items)
    for lack in short:
        print(f"FAILED: {lack}")
    good = tally.good and not failed and not short
    if good and asked.readme:
        readme().write_text(with_tables(readme().read_text(), both))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
