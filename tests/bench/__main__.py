"""``python -m tests.bench``: what an event costs, and what an outage of the broker does to a bin.

The second half of ``make bench``. Prints each figure; 1 where one is not as it must be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench.commit import Cost, cost
from tests.bench.outage import LIFTED_RATE, SHIPPED_RATE, Outage, outage


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000, help="of the outage")
    parser.add_argument("--items", type=int, default=60, help="timed with and without the broker")
    asked = parser.parse_args()
    failed = False

    def show(found: Cost | Outage) -> None:
        nonlocal failed
        print(found, flush=True)
        for problem in found.problems():
            failed = True
            print(f"FAILED: {problem}", flush=True)

    with tempfile.TemporaryDirectory(prefix="trashbin-bench-") as folder:
        show(cost(Path(folder, "commit")))
        show(outage(Path(folder, "shipped"), asked.events // 10, SHIPPED_RATE, asked.items // 4))
        show(outage(Path(folder, "lifted"), asked.events, LIFTED_RATE, asked.items))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
