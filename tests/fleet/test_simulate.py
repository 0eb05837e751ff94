"""``trashbin simulate`` against a real Mosquitto: many bins, nothing lost, everything counted."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.support import FakeClock
from tests.support_events import an_event
from tests.support_processes import Broker, Listener, as_from_a_terminal, running, wait_until
from trashbin import events
from trashbin.errors import BrokerError
from trashbin.fleet.rows import Batch, Refused, Row, read
from trashbin.fleet.simulate import Tally, _Fleet, _unheard, stored
from trashbin.fleet.worker import Report, Task
from trashbin.settings import MqttPublisher

VALID = Draft202012Validator(events.schema(), format_checker=FormatChecker())


def simulate(broker: Broker, *options: str) -> subprocess.Popen[str]:
    at = f"127.0.0.1:{broker.port}"
    return subprocess.Popen(
        [sys.executable, "-m", "trashbin", "simulate", "--broker", at, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=as_from_a_terminal,
        start_new_session=True,  # a terminal's Ctrl-C reaches all of these processes
    )


def test_every_bin_tells_its_own_valid_events_and_what_a_page_shows(broker: Broker) -> None:
    listener = Listener(broker, "trashbin/#")
    heard = Listener(broker, "trashbin/+/event/#")
    process = simulate(broker, "--bins", "5", "--rate", "120", "--minutes", "0.1", "--json")
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    told = json.loads(out)
    late = Listener(broker, "#")
    late.send("trashbin/last/event/mark", b"")  # comes after all that they said and was kept
    for each in (late, listener, heard):
        assert each.wait_for("trashbin/last/event/mark", b"")
        each.close()
    assert [message.topic for message in late.seen] == ["trashbin/last/event/mark"], (
        "stores that go leave no bins"
    )
    seen = heard.events()
    for event in seen:
        VALID.validate(event)
    assert {event["device_id"] for event in seen} == {f"sim-{n}" for n in range(1, 6)}
    assert told["committed"] == told["received"] == len({event["event_id"] for event in seen})
    assert (told["bins"], told["lost"], told["refused"]) == (5, 0, 0)
    assert 0 <= told["p50_ms"] <= told["p99_ms"] <= told["max_ms"]
    assert told["broker_mb"] > 1 and told["broker_cores"] >= 0
    for topic in ("availability", "info", "state", "health"):
        assert listener.on(f"trashbin/sim-3/{topic}")


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_while_the_bins_processes_start_ends_as_at_any_time(
    broker: Broker, told: signal.Signals
) -> None:
    process = simulate(broker, "--bins", "1", "--json")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def begun() -> bool:
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children.read_text().split()]
        return any(b"spawn_main" in line for line in lines)

    assert wait_until(begun)
    os.killpg(process.pid, told)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(out)["lost"] == 0


def test_ctrl_c_in_the_moment_a_process_starts_is_heard_after_it() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with _unheard():
            process = multiprocessing.get_context("spawn").Process(
                target=signal.getsignal, args=[signal.SIGINT]
            )
            process.start()
            # to this thread: the kernel would give it to one that another test has left
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            assert not heard
        assert heard
    finally:
        signal.signal(signal.SIGINT, before)
        process.join()


def test_nothing_is_lost_while_the_broker_is_away(broker: Broker, tmp_path: Path) -> None:
    """And a bin answers for what nobody heard: the broker's own queue died with it."""
    stores = tmp_path / "stores"
    process = simulate(
        broker, "--bins", "4", "--rate", "300", "--minutes", "0.2", "--store", str(stores)
    )
    assert wait_until(lambda: len(stored(stores / "sim-1")) > 3)
    broker.kill()
    before = len(stored(stores / "sim-1"))
    assert wait_until(lambda: len(stored(stores / "sim-1")) > before + 5)
    broker.start()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    kept = sum(len(stored(folder)) for folder in stores.iterdir())
    assert f"committed  {kept} events" in out
    assert f"received   {kept} of them; lost 0;" in out


def test_what_other_bins_on_that_broker_tell_is_not_counted() -> None:
    tally = Tally({"sim-1"})
    for name in ("sim-1", "hall", "hall"):
        event = an_event(device_id=name, store_id=str(UUID(int=1)), seq=1)
        row = read(f"trashbin/{name}/event", event.to_json().encode(), 0.0)
        none = read(f"trashbin/{name}/event", b"no event", 0.0)
        assert isinstance(row, Row) and isinstance(none, Refused)
        tally.write(Batch([row], [none]))
    assert (len(tally.came), tally.repeats, tally.refused) == (1, 0, 1)


def test_bins_that_another_run_has_are_left_to_it(broker: Broker, tmp_path: Path) -> None:
    """Two bins of one name would end each other's connections for ever."""
    options = ("--bins", "2", "--store", str(tmp_path))
    first = simulate(broker, *options)
    assert wait_until(lambda: (tmp_path / "sim-1" / "events.sqlite").exists())
    _, errors = simulate(broker, *options).communicate(timeout=60)
    assert f"trashbin: {tmp_path}/sim-1: another trashbin runs on this store" in errors
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate(timeout=60)
    assert (first.returncode, errors) == (0, "")


def test_without_a_broker_it_says_so(broker: Broker) -> None:
    broker.kill()
    process = simulate(broker, "--bins", "2")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert errors.startswith(f"trashbin: The broker 127.0.0.1:{broker.port} cannot be reached")
    assert "Traceback" not in errors


def test_a_broker_that_refuses_it_is_told_as_one(tmp_path: Path) -> None:
    with running(tmp_path, "allow_anonymous false") as broker:
        process = simulate(broker, "--bins", "1")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "refuses us (Not authorized): check user and password" in errors


Heard = tuple[int, bool, str | None]  # bins that are there; does the consumer listen; what is wrong


@pytest.mark.parametrize(
    ("heard", "ends"),
    [
        ([(0, False, "away")], "away"),  # never there
        ([(0, True, None), *[(0, False, "away")] * 5, (1, True, "away"), (2, True, None)], None),
        ([(1, False, None), *[(0, False, "away")] * 5, (2, True, None)], None),
        ([(1, True, None), *[(0, False, "away")] * 100], "away"),  # and does not come back
        ([(1, True, None)] * 100, "only 1 of 2 bins got in"),
    ],
)
def test_a_broker_that_goes_while_the_bins_connect_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: list[Heard], ends: str | None
) -> None:
    section, clock, said = MqttPublisher(kind="mqtt"), FakeClock(), iter(heard)
    fleet = _Fleet(Task(["sim-1", "sim-2"], tmp_path, section, 1.0, 0), quiet=True)
    ours, theirs = multiprocessing.Pipe()

    def hear(seconds: float) -> None:
        clock.advance(1.0)
        there, fleet._collector.listening, fleet._collector.problem = next(said)
        fleet._last[ours] = Report([], there, None, 0.0, 0.0)

    monkeypatch.setattr(fleet, "_hear", hear)
    with ours, theirs, nullcontext() if ends is None else pytest.raises(BrokerError, match=ends):
        fleet.connect(clock)
    assert ends is not None or next(said, None) is None


@pytest.mark.parametrize(
    ("option", "value", "status", "told"),
    [
        ("--prefix", "a/b", 2, "trashbin: --prefix 'a/b': 'a/b1' is no device id"),
        ("--prefix", "x" * 64, 2, "trashbin: --prefix"),
        ("--store", "/proc/nowhere", 3, "trashbin: The event store /proc/nowhere/sim-1"),
    ],
)
def test_an_odd_option_is_told_in_words(
    broker: Broker, option: str, value: str, status: int, told: str
) -> None:
    process = simulate(broker, "--bins", "1", option, value)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors.startswith(told) and "Traceback" not in errors


def test_ctrl_c_ends_it_with_a_count(broker: Broker) -> None:
    listener = Listener(broker, "trashbin/+/event")
    process = simulate(broker, "--bins", "3", "--rate", "600")
    assert wait_until(lambda: len(listener.seen) > 10)
    process.send_signal(2)
    out, errors = process.communicate(timeout=60)
    listener.close()
    assert process.returncode == 0, errors
    assert "lost 0" in out
