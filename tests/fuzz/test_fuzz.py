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

TOTAL = int(os.environ.get("FUZZ_INPUTS", 1000))


def fuzz(share: float, strategy: st.SearchStrategy[Any]) -> Callable[[Any], Any]:
    """Give a test its share of all inputs."""

    def decorate(test: Any) -> Any:
        setting = settings(
            max_examples=max(10, round(share * TOTAL)),
            deadline=None,
            database=None,
            # a finding is kept as it is: to make one smaller may cost five seconds a try
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        return setting(given(strategy)(test))

    return decorate


@fuzz(0.14, inputs.configurations)
def test_configurations(attempt: Try, value: bytes) -> None:
    attempt("configurations", value)


@fuzz(0.28, inputs.requests)
def test_requests(attempt: Try, value: tuple[bytes, bytes, bool]) -> None:
    attempt("requests", value)


@fuzz(0.10, inputs.streams)
def test_what_a_broker_sends(attempt: Try, value: bytes) -> None:
    attempt("streams", value)


@fuzz(0.28, inputs.pictures)
def test_pictures(attempt: Try, value: bytes) -> None:
    attempt("pictures", value)


@fuzz(0.10, inputs.manifests)
def test_manifests(attempt: Try, value: bytes) -> None:
    attempt("manifests", value)


@fuzz(0.05, inputs.networks)
def test_networks(attempt: Try, value: Any) -> None:
    attempt("networks", value)


@fuzz(0.04, packages)
def test_model_packages(attempt: Try, value: Any) -> None:
    attempt("packages", value)


@fuzz(0.01, states)
def test_states_of_the_shelf(attempt: Try, value: bytes) -> None:
    attempt("states", value)


@fuzz(0.05, stores)
def test_stores(attempt: Try, value: Any) -> None:
    attempt("stores", value)
