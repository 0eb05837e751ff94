"""One broker, two bins, one page and one Chromium for all tests; a browser of its own for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.page import site
from tests.support_processes import Broker, Listener, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Open = Callable[..., "Page"]


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running(tmp_path_factory.mktemp("broker"), "allow_anonymous true") as made:
        yield made


@pytest.fixture(scope="session")
def listener(broker: Broker) -> Iterator[Listener]:
    heard = Listener(broker, "trashbin/+/event/#", "trashbin/+/info")
    yield heard
    heard.close()


@pytest.fixture(scope="session")
def bins(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[None]:
    """``hall`` sorts whatever falls in; ``yard`` is sure of nothing, and waits for an answer."""
    folder = tmp_path_factory.mktemp("bins")
    never = {"gap": 1.0, "top1": 0.0, "familiarity": 0.0}
    always = {"rules": dict.fromkeys(never, 0.0), "look": site.LOOK | {"burst": 1}}  # one agrees
    with (
        site.at_work(folder / "hall", broker, "hall", "Hall", **always),
        site.at_work(folder / "yard", broker, "yard", "Yard", rules=never),
    ):
        yield


@pytest.fixture(scope="session")
def url(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker, listener: Listener, bins: None
) -> Iterator[str]:
    with site.shown(tmp_path_factory.mktemp("page"), broker) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with site.browsing() as made:
        yield made


@pytest.fixture
def tab(browser: Browser) -> Iterator[Open]:
    """Opens a window; at the end of the test each must have been quiet."""
    with ExitStack() as stack:

        def opened(**how: object) -> Page:
            made: AbstractContextManager[Page] = partial(site.tab, browser)(**how)  # type: ignore[arg-type]
            return stack.enter_context(made)

        yield opened
