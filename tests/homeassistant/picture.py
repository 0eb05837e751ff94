"""The picture of config/homeassistant's dashboard: ``python -m tests.homeassistant.picture FILE``.

Everything is real but the bars of earlier days, which are made up: Home Assistant counts a day
before it draws one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.homeassistant.conftest import Site, within
from tests.homeassistant.home import Home
from tests.page import site
from tests.support_processes import Broker, started
from trashbin import resources

ITEMS = 12
SEEN = {"width": 1500, "height": 1180}
# busy until something is not clear; then it waits for an answer
BIN = {
    "device": {"id": "demo", "name": "Bin in the hall"},
    "rules": {"gap": 0.6, "familiarity": 0},
    "look": {"settle_s": 0.8, "refractory_s": 0.2, "hold_s": 600},
    "triggers": [{"kind": "simulated", "every_s": 0.3, "seed": 2}, {"kind": "mqtt"}],
    "actuators": [{"kind": "simulated", "person_s": 600}, {"kind": "servo", "pin": 18}],
    "sorting": {"move_s": 0.1, "dwell_s": 0.1},
}


def main(picture: Path) -> None:
    """Start the three, wait until the bin asks, and look."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "broker").mkdir()
        text = "listener 8883\nset_tcp_nodelay true\nallow_anonymous true"
        here = Site(folder, stack.enter_context(started(Broker(folder / "broker", text))), **BIN)
        stack.callback(here.home.kill)
        stack.callback(here.bin.kill)
        here.home.start()
        here.home.wait_running()
        here.bin.start()
        within(300, lambda: asks_after_some(here.home))
        browser = stack.enter_context(site.browsing())
        page = browser.new_context(viewport=SEEN, device_scale_factor=1).new_page()
        enter(page, here.home)
        page.evaluate(IMPORT, earlier_days())
        page.reload()
        page.get_by_text("What is it?").wait_for()
        page.wait_for_timeout(4000)  # until charts and gauges have stopped to move
        page.screenshot(path=str(picture))


def asks_after_some(home: Home) -> bool:
    """Does the bin ask, after a dozen items? Until then it is answered by its own guess."""
    shown = {
        name.partition("trashbin_demo_")[2]: one["state"] for name, one in home.states().items()
    }
    if shown.get("uncertain") != "on":
        return False
    if sum(float(value) for name, value in shown.items() if name.startswith("count_")) >= ITEMS:
        return True
    home.call("select.select_option", "select.trashbin_demo_resolve_as", option=shown["class"])
    within(10, lambda: home.state("binary_sensor.trashbin_demo_uncertain") == "off")
    return False


def enter(page: Page, home: Home) -> None:
    """Open the dashboard as somebody who is logged in."""
    tokens = {
        "access_token": home.token,
        "token_type": "Bearer",
        "expires_in": 86400,
        "hassUrl": home.url,
        "clientId": f"{home.url}/",
        "expires": 2**43,
        "refresh_token": "",
    }
    page.goto(f"{home.url}/manifest.json")  # a page of the same origin, for its storage
    page.evaluate("tokens => localStorage.setItem('hassTokens', tokens)", json.dumps(tokens))
    page.goto(f"{home.url}/trash-bins/bin?kiosk")
    page.get_by_text("In the tray").wait_for()


IMPORT = """all => Promise.all(all.map(one => document.querySelector('home-assistant')
    .hass.callWS({type: 'recorder/import_statistics', ...one})))"""


def earlier_days() -> list[dict[str, Any]]:
    """Made-up sums of the last week."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for index, label in enumerate(resources.labels()):
        entity = f"sensor.trashbin_demo_count_{label}"
        sums, total = [], 0
        for day in range(7):
            total += (day * (index + 3) + index * 5) % 9 + 2
            at = today - timedelta(days=7 - day)
            sums.append({"start": at.isoformat(), "sum": total, "state": total})
        found.append(
            {
                "metadata": {
                    "has_mean": False,
                    "has_sum": True,
                    "name": None,
                    "source": "recorder",
                    "statistic_id": entity,
                    "unit_of_measurement": "items",
                },
                "stats": sums,
            }
        )
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
