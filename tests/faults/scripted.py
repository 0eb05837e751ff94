"""Each fault once, by a script: is it told, does anything move meanwhile, is it over by itself?"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import (
    CLOCK,
    LIMIT_S,
    MODEL,
    STILL_S,
    Bench,
    Setting,
    long_moves,
    own_clock,
    own_model,
    small_disk,
    usual,
)
from tests.faults.kills import compared
from tests.faults.proxy import How


@dataclass(frozen=True)
class Script:
    """One fault: what happens, which part the fault event names, whether the bin must rest."""

    name: str
    part: str
    play: Callable[[Bench], None]
    stops: bool = True
    holds: Sequence[str] = ("lost", "altered", "holes", "unrecorded")  # what must be 0 after it
    setting: Callable[[Path], AbstractContextManager[Setting]] = usual


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
    Script("daemon killed in a move", "actuator", _daemon_killed, setting=long_moves),
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
    Script("disk full", "store", _disk_full, holds=("lost", "altered"), setting=small_disk),
    Script("clock set forward", "clock", _clock_set(1), stops=False, setting=own_clock),
    Script("clock set back", "clock", _clock_set(-1), stops=False, setting=own_clock),
    Script("a stored event's byte flipped", "store", _byte_flipped, holds=("altered",)),
    Script("a page of the database lost", "store", _page_lost, holds=("altered",)),
    Script("model file swapped", "model file", _model_swapped, stops=False, setting=own_model),
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
