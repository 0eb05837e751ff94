"""``make test-arm64``: the aarch64 build does what the x86-64 one does, on both Pythons."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.arm64.emulated import CACHE, PYTHON, ROOT, Emulated
from trashbin import scenes

pytestmark = pytest.mark.arm64

GAP_TOLERANCE = 0.02
DEMO_ITEMS = 3


def natively(*arguments: str) -> str:
    """The output of this machine's own Python."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def said(arm: Emulated, *arguments: str) -> str:
    """The output of the emulated Python, which must succeed."""
    done = arm.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def classified(output: str) -> dict[str, dict[str, Any]]:
    """``trashbin classify --json``'s lines by their file."""
    lines = map(json.loads, output.splitlines())
    return {line["file"]: line for line in lines}


@pytest.fixture(scope="session")
def unit_runs(bins: dict[str, Emulated]) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The unit tests of both, at the same time: nobody waits for one to begin the other."""
    plain = ["--hypothesis-profile", "few", "tests/unit", "tests/model"]
    tests = ["-m", "pytest", "-p", "tests.arm64.slow", *plain]
    runs = {
        release: arm.start(*tests, log=CACHE / f"unit-{release}.log")
        for release, arm in bins.items()
    }
    yield runs
    for run in runs.values():
        if run.poll() is None:
            run.send_signal(signal.SIGTERM)
            run.wait()


def test_it_is_the_release_and_the_machine_that_is_meant(arm: Emulated) -> None:
    found = said(
        arm,
        "-c",
        "import platform, sys, ai_edge_litert, cv2, gpiozero, numpy\n"
        "print(platform.machine(), *sys.version_info[:2], numpy.__version__)",
    ).split()
    assert found[:3] == ["aarch64", *PYTHON[arm.release].split(".")]
    assert found[3].startswith({"bookworm": "1.26.", "trixie": "2."}[arm.release])


def test_products_are_right(arm: Emulated) -> None:
    # OpenBLAS's kernels for a processor that qemu makes up gave NaN; whole numbers are exact
    said(
        arm,
        "-c",
        "import numpy as np\n"
        "left, right = np.arange(240.0 * 32).reshape(240, 32), np.arange(6.0 * 32).reshape(6, 32)\n"
        "assert (left @ right.T == (left[:, None] * right).sum(2)).all()",
    )


def test_golden_inputs_are_exact_under_reference_kernels(arm: Emulated) -> None:
    native, emulated = (
        json.loads(output)
        for output in (
            natively("-m", "tests.arm64.answers"),
            said(arm, "-m", "tests.arm64.answers"),
        )
    )
    assert (native["machine"], emulated["machine"]) == ("x86_64", "aarch64")
    assert native["golden"]
    assert emulated["golden"] == native["golden"]


def test_every_sample_scene_gets_the_same_label_and_gap(arm: Emulated) -> None:
    _, items = scenes.load()
    pictures = [str(item.path.relative_to(ROOT)) for item in items]
    command = ["-m", "trashbin", "classify", "--json", *pictures]
    native, emulated = classified(natively(*command)), classified(said(arm, *command))
    assert len(native) == len(emulated) == len(items)
    other = [file for file in native if emulated[file]["label"] != native[file]["label"]]
    largest = max(abs(emulated[file]["gap"] - native[file]["gap"]) for file in native)
    print(f"\n{arm.release}: {len(native)} scenes, {len(other)} other labels,", end=" ")
    print(f"gaps within {largest:.4f}")
    assert not other
    assert largest <= GAP_TOLERANCE


def test_the_demo_sorts_a_few_items(arm: Emulated) -> None:
    output = said(arm, "-m", "trashbin", "demo", "--items", str(DEMO_ITEMS), "--no-page")
    assert f"{DEMO_ITEMS} items" in output
    print(f"\n{arm.release}: {output.splitlines()[-1]}")


@pytest.mark.parametrize("release", sorted(PYTHON))
def test_the_unit_tests_pass(release: str, unit_runs: dict[str, subprocess.Popen[bytes]]) -> None:
    status = unit_runs[release].wait()
    log = (CACHE / f"unit-{release}.log").read_text(encoding="utf-8", errors="replace")
    assert status == 0, "\n".join(log.splitlines()[-60:])
    print(f"\n{release}: {log.splitlines()[-1]}")
