"""From ``make run`` to a sorted item on the page, once .venv is there: ``make first-use``."""

from __future__ import annotations

import re
import subprocess
import time

from tests.page import site
from tests.page.site import ready

COMMAND = ["make", "run", "ARGS=--items 40"]


def main() -> None:
    """Start what a newcomer starts, look where it says, and print how long that took."""
    with site.browsing() as browser:
        began = time.monotonic()
        demo = subprocess.Popen(
            COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                if found := re.search(r"http://\S+", line):
                    break
            else:
                raise SystemExit("make run told no address of a page; see what it says by itself")
            told = time.monotonic() - began
            with site.tab(browser) as page:
                ready(page, found[0])
                page.locator("article.item.sorted").first.wait_for()
                seen = time.monotonic() - began
            print(
                f"make run: the page's address after {told:.1f} s, a sorted item after {seen:.1f} s"
            )
        finally:
            demo.terminate()
            demo.communicate()


if __name__ == "__main__":
    main()
