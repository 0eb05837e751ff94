"""The page's pictures in README: ``python -m tests.page.picture FOLDER``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from tests.page import site
from tests.page.site import DESKTOP, PHONE, ready
from tests.support_processes import running, wait_until
from trashbin import scenes

ITEMS = 8
PERSON = [{"kind": "simulated", "person_s": 1}, {"kind": "servo", "pin": 18}]
SCENE = Path(scenes.__file__).parent / "metal-can-red.jpg"
STILL = site.LOOK | {"settle_s": 1.5}  # tests do not wait until a thing lies still
WHOLE_ITEM = 1120  # pixels of a phone's page: a phone shows its buttons once it is scrolled
# name, size, dark, address
SHOTS = (
    ("page-desktop.png", DESKTOP, False, "/"),
    ("page-dark.png", DESKTOP, True, "/try"),
    ("page-phone.png", PHONE, False, "/queue"),
)


def main(folder: Path) -> None:
    """Start broker, two bins and the page, let items fall, and look."""
    with ExitStack() as stack:
        here = stack.enter_context(site.scratch())
        (here / "broker").mkdir()
        broker = stack.enter_context(running(here / "broker", "allow_anonymous true"))
        stack.enter_context(
            site.at_work(
                here / "hall", broker, "hall", "Bin in the hall", look=STILL, actuators=PERSON
            )
        )
        others = [{"kind": "simulated", "every_s": 2.0, "seed": 4}, {"kind": "mqtt"}]
        yard = {"look": STILL, "rules": {"gap": 0.9, "familiarity": 0}, "triggers": others}
        stack.enter_context(site.at_work(here / "yard", broker, "yard", "Bin in the yard", **yard))
        url = stack.enter_context(site.shown(here / "page", broker))
        browser = stack.enter_context(site.browsing())
        for name, size, dark, address in SHOTS:
            page = stack.enter_context(site.tab(browser, size=size, dark=dark))
            ready(page, url + address)
            if address == "/":
                assert any(
                    wait_until(lambda: page.locator("article.item").count() >= ITEMS)  # noqa: B023
                    for _ in range(8)
                )
            elif address == "/try":
                page.set_input_files("#picture", SCENE)
                page.locator("#digits").wait_for(state="attached")
            else:
                page.set_viewport_size({"width": size[0], "height": WHOLE_ITEM})
            page.wait_for_function(
                "() => [...document.images].slice(0, 3).every(one => one.naturalWidth > 0)"
            )
            site.settled(page)
            page.screenshot(path=str(folder / name))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
