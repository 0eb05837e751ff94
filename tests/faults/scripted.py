"""Each fault once, by a script: is it told, does anything move meanwhile, is it over by itself?

The harness is systemd to the bin: it starts it again where it ends, and ends it where it does not
feed its watchdog. It does nothing else; what recovers, recovers without a person.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any

from tests.faults.bin import Bin
from tests.faults.kills import BROKER, compared
from tests.faults.proxy import How, Proxy
from tests.faults.subscriber import Subscriber
from tests.support_processes import Broker
from trashbin import resources
from trashbin.model.manifest import DEFAULT_MODEL

LIMIT_S = 120.0  # for anything that must happen; many times what it takes on a busy machine
WATCHDOG_S = 30.0  # the unit has 90; a busy machine alone must not use it up
MOST_ENDS = 20  # by itself, until it is plain that no bin of this script can start
STILL_S = 0.5  # how long nothing may move once a fault is told that stops the bin
AFTER = ("sort", "rest")
PROMPT = {"publisher": {"keepalive_s": 5}}  # to notice sooner that a broker says nothing
CLOCK, MODEL = "clock", "model"  # in a bin's folder


class Bench:
    """One bin under systemd's eyes, with a broker, a proxy between them, and a subscriber."""

    def __init__(self, folder: Path, setting: Setting, watchdog_s: float = WATCHDOG_S) -> None:
        self.folder = folder
        self._watchdog_s = watchdog_s
        self.broker = Broker(folder, "\n".join(BROKER))
        self.proxy = Proxy(self.broker.port)
        self.bin = Bin(folder, folder.name, self.proxy.port, **PROMPT | setting.changes)
        self.subscriber = Subscriber(self.broker.port, folder.name)
        self.ended: list[int] = []  # with what it ended by itself
        self.silenced = 0  # how often its watchdog was not fed
        self.told_s = float("nan")
        self.at_rest = False
        self._environment = setting.environment
        self._since = 0.0
        self._closing = threading.Event()
        self._held = threading.Lock()  # while a script has stopped the bin on purpose
        self._manager = threading.Thread(target=self._manage, daemon=True)

    def open(self) -> None:
        self.broker.start()
        self.subscriber.start()
        self.bin.start(**self._environment)
        self._manager.start()

    def close(self) -> None:
        self._closing.set()
        self._manager.join()
        self.subscriber.close()
        self.bin.close()
        self.proxy.close()
        self.broker.kill()

    def _manage(self) -> None:
        """Restart=always and WatchdogSec=, no more."""
        while not self._closing.wait(0.02):
            with self._held:
                status = self.bin.status()
                if status is not None:
                    self.ended.append(status)
                    self.bin.start(**self._environment)
                elif self.bin.silent_for() > self._watchdog_s:
                    self.silenced += 1
                    self.bin.kill()
                    self.bin.start(**self._environment)

    @contextmanager
    def power_cut(self) -> Iterator[None]:
        """The bin dies, and starts again where the block ends."""
        with self._held:
            self.bin.kill()
            yield
            self.breaks()
            self.bin.start(**self._environment)

    # what a script waits for

    def wait(self, true: Callable[[], Any], what: str, limit: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit
        while not true():
            late = time.monotonic() > deadline
            if late or len(self.ended) > MOST_ENDS:
                why = f"not within {limit:g} s" if late else f"it ended with {self.ended}"
                raise AssertionError(f"{why}: {what}\n{self.bin.log()[-3000:]}")
            time.sleep(0.02)

    def sorts(self, since: float = 0.0) -> None:
        """Wait for an item that is sorted, and told as it happens, after that time."""
        self.wait(
            lambda: any(
                at >= since and event["event_type"] == "sorted" and not event["historical"]
                for at, event in list(self.subscriber.arrived)
            ),
            "an item sorted, and told live",
        )

    def breaks(self) -> None:
        """From here on the fault is there."""
        self._since = time.monotonic()

    def told(
        self, part: str, words: str = "", meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for the fault event in the store; then the bin has to be at rest."""

        def found() -> bool:
            meanwhile()
            with suppress(Exception):  # a damaged store, until it is set aside
                return any(
                    event["event_type"] == "fault"
                    and event["detail"]["part"] == part
                    and words in event["detail"]["message"]
                    and event["uptime_ms"] / 1e3 >= self._since - 1e-3
                    for event in map(json.loads, self.bin.stored())
                )
            return False

        self.wait(found, f"a fault event of {part}")
        self.told_s = time.monotonic() - self._since

    def rests(self, still: float = STILL_S) -> None:
        """Wait until no actuator is driven; then nothing may begin to move for so long."""
        self.wait(lambda: not self.driven(), "no actuator is driven")
        moves = len(self.moves())
        time.sleep(still)
        more = self.moves()[moves:]
        assert not [line for line in more if line["moves"] == "sort"], more
        assert not self.driven()
        self.at_rest = True

    def rested(self) -> None:
        """Since it was started, nothing moved before the fault was told."""
        lines = self.bin.witness()
        start = max(number for number, line in enumerate(lines) if "begins" in line)
        kinds = ["event" if "event" in line else line.get("moves") for line in lines[start:]]
        assert "sort" not in kinds or kinds.index("event") < kinds.index("sort"), kinds
        self.at_rest = True

    def moves(self) -> list[dict[str, Any]]:
        return [line for line in self.bin.witness() if "moves" in line]

    def driven(self) -> bool:
        """Is the servo's drive on? A process that is gone drives nothing."""
        lines = [line for line in self.bin.witness() if "moves" in line or "begins" in line]
        last = lines[-1] if lines else {}
        return bool(last.get("driven", last.get("moves") in AFTER))


@dataclass(frozen=True)
class Setting:
    """What a script's bin differs by: sections of its configuration, and its environment."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def _usual(folder: Path) -> Iterator[Setting]:
    yield Setting()


@contextmanager
def _long_moves(folder: Path) -> Iterator[Setting]:
    yield Setting({"sorting": {"move_s": 0.02, "dwell_s": 1.0, "jam_retries": 0}})


@contextmanager
def _small_disk(folder: Path) -> Iterator[Setting]:
    """Its store on a tmpfs of some megabytes. PermissionError where we may mount none."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(f"a small disk needs root, to mount a tmpfs: {done.stderr.strip()}")
    try:
        yield Setting({"store": {"path": str(disk)}, "pictures": {"keep": "none"}})
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextmanager
def _own_clock(folder: Path) -> Iterator[Setting]:
    """Its time of day is libfaketime's; its monotonic clock stays the kernel's, as it would."""
    (folder / CLOCK).write_text("+0s")
    yield Setting(
        environment={
            "LD_PRELOAD": faketime(),
            "FAKETIME_TIMESTAMP_FILE": str(folder / CLOCK),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    )


@contextmanager
def _own_model(folder: Path) -> Iterator[Setting]:
    copytree(resources.root() / "models" / DEFAULT_MODEL, folder / MODEL)
    yield Setting({"model": {"name": str(folder / MODEL)}})


def faketime() -> str:
    """The path of libfaketime: $LIBFAKETIME ($FAKETIME is its own), or where Debian has it."""
    installed = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    found = os.environ.get("LIBFAKETIME") or next(map(str, installed), None)
    if not found:
        raise FileNotFoundError("libfaketime is needed: sudo apt-get install libfaketime")
    return found


@dataclass(frozen=True)
class Script:
    """One fault: what happens, which part the fault event names, whether the bin must rest."""

    name: str
    part: str
    play: Callable[[Bench], None]
    stops: bool = True
    holds: Sequence[str] = ("lost", "altered", "holes", "unrecorded")  # what must be 0 after it
    setting: Callable[[Path], AbstractContextManager[Setting]] = _usual


@dataclass(frozen=True)
class Row:
    """What came of a script."""

    name: str
    part: str
    actuators: str
    told_s: float
    over_s: float

    @property
    def fixed(self) -> tuple[str, str, str]:
        """What is the same in every run."""
        return self.name, self.part, self.actuators

    def __str__(self) -> str:
        times = f"{self.told_s:.1f} s | {self.over_s:.1f} s"
        return f"| {' | '.join(self.fixed)} | {times} |"


HEAD = """| fault | its `fault` event names | actuators | told after | sorts again after |
|---|---|---|---|---|"""


def run(script: Script, folder: Path) -> Row:
    """Let a bin sort, play the script, and see it sort again; AssertionError where it fails."""
    folder = folder / f"bin-{SCRIPTS.index(script)}"
    folder.mkdir(parents=True)
    with script.setting(folder) as setting, closing(Bench(folder, setting)) as bench:
        bench.open()
        bench.sorts()
        bench.breaks()
        script.play(bench)
        over = time.monotonic()
        bench.sorts(over)
        over_s = time.monotonic() - over
        assert bench.at_rest is script.stops
        bench.wait(lambda: bench.subscriber.ask("mode", mode="paused"), "it is paused")
        # what a broker that came back had before its subscriber did is to be asked for again
        bench.subscriber.complete()
        assert bench.subscriber.faults(script.part, bench._since), "the subscriber has it"
        bench.wait(lambda: not bench.driven(), "no actuator is driven")
        tally = compared(bench.bin.stored(), bench.bin.witness(), bench.subscriber)
        assert not any(getattr(tally, name) for name in script.holds), tally
        assert "Traceback" not in bench.bin.log(), bench.bin.log()
    return Row(
        script.name, script.part, "at rest" if script.stops else "go on", bench.told_s, over_s
    )


# what dies


def _daemon_killed(bench: Bench) -> None:
    moved = len(bench.moves())
    bench.wait(lambda: [m for m in bench.moves()[moved:] if m["moves"] == "sort"], "a move")
    with bench.power_cut():
        pass
    bench.told("actuator", "before the move was over")
    bench.rested()


def _broker_killed(bench: Bench) -> None:
    bench.broker.kill()
    bench.told("broker")
    bench.broker.start()


def _broker_frozen(bench: Bench) -> None:
    assert bench.broker.process is not None
    bench.broker.process.send_signal(signal.SIGSTOP)
    try:
        bench.told("broker")
    finally:
        bench.broker.process.send_signal(signal.SIGCONT)


def _network(how: How) -> Callable[[Bench], None]:
    def play(bench: Bench) -> None:
        bench.proxy.does(how)
        bench.told("broker")
        bench.proxy.does("passes")

    return play


# drivers


def _driver(part: str, how: str) -> Callable[[Bench], None]:
    def play(bench: Bench) -> None:
        bench.bin.trouble(f"{part} {how}")
        bench.told(part)
        # without its servo the bin lights its lamps; each further try ends at rest as well
        bench.rests(STILL_S if part == "camera" else 0.0)
        bench.bin.trouble(None)

    return play


def _camera_hangs(bench: Bench) -> None:
    """Until the process has ended by itself, and a new one finds the camera as it was."""
    bench.bin.trouble("camera hangs")
    bench.told("camera")
    bench.rests()
    bench.wait(lambda: bench.ended, "the process ends by itself")
    assert bench.ended[0] == 3 and bench.silenced == 0, (bench.ended, bench.silenced)
    bench.bin.trouble(None)


# disk, store, clock, model


def _disk_full(bench: Bench) -> None:
    """With the broker away, as events that it has give way to new ones."""
    log = bench.bin.store.with_name("somebody's log")
    bench.proxy.does("resets")
    with log.open("ab", buffering=0) as file:

        def fill() -> bool:
            with suppress(OSError):
                while True:
                    file.write(bytes(4096))
            return "store: No room for events" in bench.bin.log()

        bench.wait(fill, "its log says that the disk is full")
        bench.rests()
    log.unlink()
    bench.told("store", "disk of")
    bench.proxy.does("passes")


def _clock_set(way: int) -> Callable[[Bench], None]:
    def play(bench: Bench) -> None:
        hours, starts = 0, 0

        def set_clock() -> None:
            """And again after each start: what began since then has nothing to notice."""
            nonlocal hours, starts
            if bench.bin.starts > starts and bench.bin.ready_within(LIMIT_S):
                hours, starts = hours + 2 * way, bench.bin.starts
                (bench.folder / CLOCK).write_text(f"{3600 * hours:+d}s")

        bench.told("clock", "forward" if way > 0 else "back", meanwhile=set_clock)

    return play


def _byte_flipped(bench: Bench) -> None:
    bench.wait(lambda: len(bench.bin.stored()) > 2, "some events")
    with bench.power_cut():
        wanted = json.loads(bench.bin.stored()[-2])["event_id"].encode()
        bench.bin.checkpoint()
        content = bytearray(bench.bin.store.read_bytes())
        at = content.index(b'"event_id":"' + wanted) + len(b'"event_id":"') + 3
        content[at] ^= 0x01
        bench.bin.store.write_bytes(content)
    bench.told("store", "damaged and set aside")
    bench.rested()


def _page_lost(bench: Bench) -> None:
    with bench.power_cut():
        bench.bin.checkpoint()
        with bench.bin.store.open("r+b") as file:
            file.write(os.urandom(4096))
    bench.told("store", "a new one began")
    bench.rested()


def _model_swapped(bench: Bench) -> None:
    file = bench.folder / MODEL / "int8.tflite"
    sound = file.read_bytes()
    new = file.with_suffix(".new")
    new.write_bytes(sound[:100_000] + bytes(1000) + sound[101_000:])
    new.replace(file)
    bench.told("model file")
    bench.wait(lambda: bench.subscriber.state["problem"], "state says so")
    new.write_bytes(sound)
    new.replace(file)
    bench.wait(lambda: not bench.subscriber.state["problem"], "it is over")


SCRIPTS = [
    Script("daemon killed in a move", "actuator", _daemon_killed, setting=_long_moves),
    Script("broker killed", "broker", _broker_killed, stops=False),
    Script("broker frozen", "broker", _broker_frozen, stops=False),
    Script("network stalls", "broker", _network("stalls"), stops=False),
    Script("network cuts packets in half", "broker", _network("truncates"), stops=False),
    Script("network resets connections", "broker", _network("resets"), stops=False),
    Script("camera hangs inside its call", "camera", _camera_hangs),
    Script("camera gives black pictures", "camera", _driver("camera", "black")),
    Script("camera gives half pictures", "camera", _driver("camera", "half")),
    Script("camera gives pictures of another size", "camera", _driver("camera", "size")),
    Script("servo's driver raises", "actuator", _driver("actuator", "raises")),
    Script("servo's driver hangs", "actuator", _driver("actuator", "hangs")),
    # events that the broker has give way, so the store alone can't show that none is missing
    Script("disk full", "store", _disk_full, holds=("lost", "altered"), setting=_small_disk),
    Script("clock set forward", "clock", _clock_set(1), stops=False, setting=_own_clock),
    Script("clock set back", "clock", _clock_set(-1), stops=False, setting=_own_clock),
    Script("a stored event's byte flipped", "store", _byte_flipped, holds=("altered",)),
    Script("a page of the database lost", "store", _page_lost, holds=("altered",)),
    Script("model file swapped", "model file", _model_swapped, stops=False, setting=_own_model),
]


def run_all(
    folder: Path, scripts: Sequence[Script] = SCRIPTS, at_once: int = 4
) -> dict[str, Row | BaseException]:
    """Some at a time, in order; what came of each, or why it failed."""

    def outcome(script: Script) -> Row | BaseException:
        try:
            return run(script, folder)
        except Exception as error:
            return error

    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip((s.name for s in scripts), pool.map(outcome, scripts), strict=True))
