"""``trashbin run`` as a process of its own: how long it takes to be ready, what it costs idle."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from trashbin import resources
from trashbin.config import read
from trashbin.model import manifest

LIMIT_S = 30.0
TURNS = 5  # of a start and its control
SETTLING_S = 12.0  # the simulated trigger's one item falls, is judged and taken out
START_RATIO = 1.5

# What no start can do without: every declared import, the model, one invoke by the reference.
CONTROL = """
import sys, ai_edge_litert.interpreter as tf, click, cv2, gpiozero, numpy, paho.mqtt.client
import pydantic, rich, uuid6, yaml
network = tf.Interpreter(
    sys.argv[1], num_threads=1, experimental_op_resolver_type=tf.OpResolverType.BUILTIN_REF)
network.allocate_tensors()
network.invoke()
"""


@dataclass(frozen=True)
class Start:
    """From a process's start: ``ready_s`` until READY=1, ``control_s`` for what it rests on."""

    ready_s: float
    control_s: float

    def figures(self) -> dict[str, float]:
        """What ``--json`` has of it."""
        ratio = self.ready_s / self.control_s
        return {"ready_s": self.ready_s, "control_s": self.control_s, "ratio": ratio}

    def __str__(self) -> str:
        return (
            f"`trashbin run` from start to ready: {self.ready_s:.2f} s, "
            f"{self.ready_s / self.control_s:.2f} x {self.control_s:.2f} s (all declared imports, "
            f"model load, one reference invoke; at most {START_RATIO}"
            f"{': over' if self.ready_s > START_RATIO * self.control_s else ''})"
        )


@dataclass(frozen=True)
class Idle:
    """A bin with nothing to do for ``seconds``, after one item; no camera looks meanwhile."""

    seconds: float
    cpu_share: float  # of one core
    wakeups_per_s: float  # of all its threads
    resident_mb: float

    def __str__(self) -> str:
        return (
            f"idle for {self.seconds:.0f} s: {self.cpu_share:.2%} of a core (at most 1 %), "
            f"{self.wakeups_per_s:.1f} wake-ups a second (at most 5), "
            f"{self.resident_mb:.0f} MB resident (at most 130)"
        )


def start() -> Start | None:
    """Starts and controls in turn, the quickest of each; None where the bin never comes up.

    The quickest, because whatever else the machine does can only add.
    """
    ready: list[float] = []
    control: list[float] = []
    model = manifest.find().path
    for _ in range(TURNS):
        with running() as bin:
            if bin is None:
                return None
            ready.append(bin.ready_s)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", CONTROL, str(model)], check=True, capture_output=True)
        control.append(time.perf_counter() - began)
    return Start(min(ready), min(control))


def idle(seconds: float) -> Idle | None:
    """What a bin costs while no item falls; None where 0 seconds are asked for or it fails."""
    if not seconds:
        return None
    with running() as bin:
        if bin is None:
            return None
        time.sleep(SETTLING_S)
        began, cpu, wakeups = time.perf_counter(), bin.cpu_s(), bin.wakeups()
        time.sleep(seconds)
        took = time.perf_counter() - began
        return Idle(
            took, (bin.cpu_s() - cpu) / took, (bin.wakeups() - wakeups) / took, bin.resident_mb()
        )


@dataclass(frozen=True)
class Running:
    """A ``trashbin run`` that is up, as the kernel knows it."""

    pid: int
    ready_s: float

    def cpu_s(self) -> float:
        """Seconds of a processor so far, of all threads, in user and in kernel mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wakeups(self) -> int:
        """How often any thread has gone to sleep so far."""
        found = (self._status(task) for task in Path(f"/proc/{self.pid}/task").iterdir())
        return sum(int(status["voluntary_ctxt_switches"]) for status in found)

    def resident_mb(self) -> float:
        """Resident memory in megabytes."""
        return int(self._status(Path(f"/proc/{self.pid}"))["VmRSS"].split()[0]) * 1024 / 1e6

    def _status(self, folder: Path) -> dict[str, str]:
        lines = (folder / "status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


@contextmanager
def running() -> Iterator[Running | None]:
    """The demo's bin, with no broker and a store of its own, until the block ends.

    None where it does not come up, which is told.
    """
    with tempfile.TemporaryDirectory(prefix="trashbin-bench-") as name:
        folder = Path(name)
        config, log = folder / "bench.yaml", folder / "log"
        config.write_text(_quiet_bin(folder), encoding="utf-8")
        read(config)  # with mistakes it would be ready too, in safe mode
        address = str(folder / "notify")
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
            log.open("wb") as output,
        ):
            listener.bind(address)
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "trashbin", "run", "--config", str(config)],
                env=_environment() | {"NOTIFY_SOCKET": address},
                stdout=output,
                stderr=output,
            )
            try:
                ready = _wait_ready(listener, process, started + LIMIT_S)
                seconds = time.perf_counter() - started
                if not ready:
                    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
                    click.echo(f"trashbin: `trashbin run`: {(lines or ['no word'])[-1]}", err=True)
                    yield None
                    return
                # a bin whose words nobody takes would try again and again
                threading.Thread(target=_listen, args=(listener,), daemon=True).start()
                yield Running(process.pid, seconds)
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _environment() -> dict[str, str]:
    """Ours, but with byte code kept, as an installed bin has it: the control's packages do too."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _listen(listener: socket.socket) -> None:
    while listener.fileno() >= 0:
        try:
            listener.recv(4096)
        except OSError:
            return


def _quiet_bin(folder: Path) -> str:
    """config/demo.yaml: no publisher, a store in ``folder``, a quick camera, one item an hour."""
    demo = resources.root() / "config" / "demo.yaml"
    config: dict[str, Any] = yaml.safe_load(demo.read_text(encoding="utf-8"))
    config |= {"publisher": {"kind": "none"}, "store": {"path": str(folder / "store")}}
    config["triggers"] = [{"kind": "simulated", "every_s": 3600}]
    # the three frames of an empty tray take a camera's time, which no quicker machine shortens
    config["camera"] |= {"fps": 120}
    return str(yaml.safe_dump(config))


def _wait_ready(listener: socket.socket, process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Whether READY=1 came before the process ended or the time was over."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while process.poll() is None and time.perf_counter() < deadline:
            if selector.select(timeout=0.05) and b"READY=1" in listener.recv(4096).split(b"\n"):
                return True
    return False
