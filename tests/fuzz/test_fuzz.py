"""Nothing that is read from outside may end in a traceback, a hang, or a move that was refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import inputs
from tests.fuzz.conftest import Try
from tests.fuzz.packages import packages, states
from tests.fuzz.stores import stores
from tests.fuzz.variants import BATCH

TOTAL = int(os.environ.get("FUZZ_INPUTS", 1000))


def fuzz(share: float, strategy: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Give a test its share of all inputs: examples by hypothesis, and their variants."""

    def decorate(test: Any) -> Any:
        setting = settings(
            max_examples=max(3, round(share * TOTAL / BATCH)),
            deadline=None,
            database=None,
            # a finding is kept as it is: to make one smaller may cost five seconds a try
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return setting(given(value=strategy, seed=st.integers(0, 2**32 - 1))(test))

    return decorate


@fuzz(0.10, inputs.configurations)
def test_configurations(attempt: Try, value: bytes, seed: int) -> None:
    attempt("configurations", value, seed)


@fuzz(0.29, inputs.requests)
def test_requests(attempt: Try, value: tuple[bytes, bytes, bool], seed: int) -> None:
    attempt("requests", value, seed)


@fuzz(0.12, inputs.streams)
def test_what_a_broker_sends(attempt: Try, value: bytes, seed: int) -> None:
    attempt("streams", value, seed)


@fuzz(0.29, inputs.pictures)
def test_pictures(attempt: Try, value: bytes, seed: int) -> None:
    attempt("pictures", value, seed)


@fuzz(0.12, inputs.manifests)
def test_manifests(attempt: Try, value: bytes, seed: int) -> None:
    attempt("manifests", value, seed)


@fuzz(0.03, inputs.networks)
def test_networks(attempt: Try, value: Any, seed: int) -> None:
    attempt("networks", value, seed)


@fuzz(0.02, packages)
def test_model_packages(attempt: Try, value: Any, seed: int) -> None:
    attempt("packages", value, seed)


@fuzz(0.01, states)
def test_states_of_the_shelf(attempt: Try, value: bytes, seed: int) -> None:
    attempt("states", value, seed)


@fuzz(0.04, stores)
def test_stores(attempt: Try, value: Any, seed: int) -> None:
    attempt("stores", value, seed)
