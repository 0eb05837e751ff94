"""The two emulated bins, made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.arm64 import emulated
from tests.arm64.emulated import Emulated


@pytest.fixture(scope="session")
def bins() -> Iterator[dict[str, Emulated]]:
    """The emulated bin of each release."""
    try:
        yield {release: emulated.made(release) for release in emulated.PYTHON}
    except emulated.CannotBeMade as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(params=sorted(emulated.PYTHON))
def arm(request: pytest.FixtureRequest, bins: dict[str, Emulated]) -> Emulated:
    """One of them."""
    return bins[str(request.param)]
