"""``trashbin run`` and ``trashbin demo`` as processes, against a real Mosquitto."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from tests.support_cli import spawn
from tests.support_processes import WAIT_S, Broker, Listener, Process, Start, config, wait_until
from trashbin import events, scenes
from trashbin.outbox import Outbox
from trashbin.remembered import HELD

VALID = Draft202012Validator(events.schema(), format_checker=FormatChecker())


def state(listener: Listener) -> dict[str, Any]:
    return (listener.told("trashbin/demo/state") or [{}])[-1]


def statuses(listener: Listener) -> list[str]:
    """Each that was told, also one that is over before anybody looks."""
    return [told["status"] for told in listener.told("trashbin/demo/state")]


def without_repeats(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As a consumer has them: the demo's page asks for what it missed, and QoS 1 may repeat."""
    first: dict[str, dict[str, Any]] = {}
    for event in told:
        known = first.setdefault(event["event_id"], event)
        assert known | {"historical": None} == event | {"historical": None}
    return list(first.values())


def test_the_demo_tells_a_broker_every_item_once(broker: Broker, listener: Listener) -> None:
    at = f"127.0.0.1:{broker.port}"
    done = spawn("demo", "--items", 12, "--seed", 1, "--broker", at, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    late = Listener(broker, "trashbin/demo/#", "homeassistant/device/demo/config")
    try:
        late.send("trashbin/demo/last", "end")
        assert late.wait_for("trashbin/demo/last", b"end")
        assert [m.topic for m in late.seen if m.retain] == [], "no demo stays at the broker"
    finally:
        late.close()
    assert listener.wait_for("trashbin/demo/last", b"end")  # comes after all that the demo said
    told = without_repeats(listener.events())
    assert len([e for e in told if e["event_type"] in events.ITEM_EVENTS]) == 12
    assert sorted(event["seq"] for event in told) == list(range(1, len(told) + 1))
    assert [error.message for event in told for error in VALID.iter_errors(event)] == []


def test_a_bin_comes_up_sorts_and_leaves_offline(
    tmp_path: Path,
    broker: Broker,
    listener: Listener,
    start: Start,
) -> None:
    process = start(config(tmp_path, broker))
    process.wait_ready()
    assert listener.wait_for("trashbin/demo/availability", b"online")
    assert wait_until(lambda: bool(listener.events()))
    assert process.stop() == 0
    assert listener.wait_for("trashbin/demo/availability", b"offline")
    assert "Traceback" not in process.log.read_text()


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("camera", {"camera": {"kind": "v4l2", "device": "/dev/video77"}}),
        ("model", {"model": {"name": "no-such-model"}}),
        ("gpio", {"gpio": {"pins": "lgpio"}}),
    ],
)
def test_a_missing_part_keeps_the_bin_up_and_told(
    part: str,
    changes: dict[str, Any],
    tmp_path: Path,
    broker: Broker,
    listener: Listener,
    start: Start,
) -> None:
    if part == "camera":  # the simulated parts need the simulated camera
        changes |= {
            "triggers": [{"kind": "mqtt"}],
            "actuators": [{"kind": "servo", "pin": 18}],
        }
    process = start(config(tmp_path, broker, **changes))
    process.wait_ready()
    assert wait_until(lambda: part in state(listener).get("problems", {}))
    assert wait_until(lambda: any(e["event_type"] == "fault" for e in listener.events()))
    assert [error.message for e in listener.events() for error in VALID.iter_errors(e)] == []
    assert process.stop() == 0
    assert "Traceback" not in process.log.read_text()


def test_a_configuration_with_mistakes_runs_in_safe_mode(
    tmp_path: Path,
    broker: Broker,
    listener: Listener,
    start: Start,
) -> None:
    wrong = config(tmp_path, broker, look={"settle": 1}, model={"threads": "many"}, colour="red")
    process = start(wrong)
    process.wait_ready()
    assert wait_until(lambda: "configuration" in state(listener).get("problems", {}))
    assert wait_until(lambda: state(listener)["safe_mode"] is True)  # told right after
    for verb, more in (("look", ""), ("emptied", ', "bin": "paper"')):
        topic = f"trashbin/demo/response/{verb}"
        listener.send(f"trashbin/demo/request/{verb}", f'{{"transaction": "1"{more}}}')
        assert wait_until(lambda topic=topic: bool(listener.on(topic)))  # type: ignore[misc]
        answer = listener.told(topic)[-1]
        assert (answer["status"], answer["transaction"]) == ("refused", "1")
        assert "configuration: 3 mistake(s)" in answer["error"]
    assert process.stop() == 0
    log = process.log.read_text()
    assert "did you mean" in log.lower() and "Traceback" not in log


def test_a_bin_that_died_too_often_stays_up_and_neither_looks_nor_moves(
    tmp_path: Path,
    broker: Broker,
    listener: Listener,
    start: Start,
) -> None:
    short = config(tmp_path, broker, watch={"restarts": 1})
    first = start(short)
    first.wait_ready()
    first.process.kill()
    first.process.wait()
    (tmp_path / "notify").unlink()
    listener.seen.clear()
    second = start(short)
    second.wait_ready()
    assert wait_until(lambda: "restarts" in state(listener).get("problems", {}))
    assert wait_until(lambda: state(listener)["safe_mode"] is True)  # told right after
    listener.send("trashbin/demo/request/look", "{}")
    assert wait_until(lambda: bool(listener.on("trashbin/demo/response/look")))
    answer = listener.told("trashbin/demo/response/look")[-1]
    assert answer["status"] == "refused" and "nobody told it to" in answer["error"]
    assert listener.told("trashbin/demo/health")[-1]["restarts"] == 1
    assert second.stop() == 0


def test_a_second_bin_on_one_store_is_refused(tmp_path: Path, broker: Broker, start: Start) -> None:
    first = start(config(tmp_path, broker))
    first.wait_ready()
    done = spawn("run", "--config", tmp_path / "trashbin.yaml")
    assert done.returncode == 3
    assert "another trashbin runs" in done.stderr and "Traceback" not in done.stderr


NOTHING_TO_RUN = "version: 1\npublisher: none\n"


def test_nothing_to_run_is_one_message_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "trashbin.yaml").write_text(NOTHING_TO_RUN)
    alone = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    done = spawn("run", "--config", tmp_path / "trashbin.yaml", env=alone)
    assert done.returncode == 2
    assert "Mend the mistakes" in done.stderr and "Traceback" not in done.stderr


def test_under_systemd_nothing_to_run_is_no_crash_loop_and_over_once_it_is_mended(
    tmp_path: Path, broker: Broker, start: Start
) -> None:
    told_to_stop = start(NOTHING_TO_RUN)
    told_to_stop.wait_ready()
    assert told_to_stop.stop() == 2
    (tmp_path / "notify").unlink()
    process = start(NOTHING_TO_RUN)
    process.wait_ready()
    assert process.process.poll() is None
    mended = tmp_path / "mended"
    mended.write_text(yaml.safe_dump(config(tmp_path, broker)))
    mended.rename(tmp_path / "trashbin.yaml")
    assert process.process.wait(WAIT_S) == 2  # systemd starts it again
    assert process.log.read_text().count("Mend the mistakes") == 1


def test_a_broker_that_refuses_the_password_is_said_plainly(
    tmp_path: Path, locked_broker: Broker, start: Start
) -> None:
    (tmp_path / "password").write_text("wrong")
    publisher = {
        "kind": "mqtt",
        "host": "127.0.0.1",
        "port": locked_broker.port,
        "username": "bin",
        "password_file": str(tmp_path / "password"),
    }
    process = start(config(tmp_path, locked_broker, publisher=publisher))
    process.wait_ready()
    assert wait_until(lambda: "password" in process.log.read_text())
    assert process.stop() == 0
    log = process.log.read_text()
    assert "Traceback" not in log and "wrong" not in log


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:1883"])
def test_the_demo_without_its_broker_ends_with_status_3(address: str) -> None:
    done = spawn("demo", "--items", 1, "--broker", address)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr and address.split(":")[0] in done.stderr


def test_what_a_killed_bin_held_is_sorted_by_its_answer_after_the_restart(
    broker: Broker,
    listener: Listener,
    start: Start,
    tmp_path: Path,
) -> None:
    trays, items = scenes.load()
    jar = next(item for item in items if item.id == "glass-jar")
    (tmp_path / "seen").mkdir()

    def show(picture: Path) -> None:
        for name in ("a.jpg", "b.jpg"):  # by turns, so that each is read anew
            copied = Path(shutil.copy(picture, tmp_path / "seen" / f".{name}"))
            copied.replace(tmp_path / "seen" / name)

    def begin() -> Process:
        (tmp_path / "notify").unlink(missing_ok=True)
        camera = {"kind": "folder", "path": str(tmp_path / "seen"), "seconds_each": 0.1}
        process = start(
            config(
                tmp_path,
                broker,
                camera=camera,
                triggers=[{"kind": "mqtt"}],
                actuators=[{"kind": "servo", "pin": 18}],
                rules={"gap": 1.0, "top1": 0.0, "familiarity": 0.0},  # sure of nothing
                # until the empty tray is shown; a busy machine may need a while for it
                sorting={"move_s": 0.5, "dwell_s": 0.5, "jam_retries": 3},
            )
        )
        process.wait_ready()
        return process

    show(trays[jar.tray].path)
    process = begin()
    show(jar.path)
    listener.send("trashbin/demo/request/look", "{}")
    assert wait_until(lambda: state(listener).get("status") == "holding")
    assert wait_until(lambda: bool(listener.events()))
    (held,) = listener.events()
    process.process.kill()
    process.process.wait()
    before = len(listener.on("trashbin/demo/state"))
    process = begin()
    assert wait_until(lambda: len(listener.on("trashbin/demo/state")) > before)
    assert wait_until(lambda: state(listener)["status"] == "holding")
    assert state(listener)["waiting"]["event_id"] == held["event_id"]
    answer = {"event_id": held["event_id"], "label": "glass"}
    listener.send("trashbin/demo/request/resolve", json.dumps(answer))
    assert wait_until(lambda: "sorting" in statuses(listener))
    show(trays[jar.tray].path)
    assert wait_until(lambda: state(listener)["status"] == "idle")
    told = without_repeats(listener.events())
    assert [event["event_type"] for event in told] == ["uncertain", "resolved"]
    assert (told[1]["bin"], told[1]["actuation"]) == ("glass", ["servo"])
    # told to stop and started in one boot, it forgets: whoever did it may have emptied the tray
    show(jar.path)
    listener.send("trashbin/demo/request/look", "{}")
    assert wait_until(lambda: state(listener)["status"] == "holding")
    assert process.stop() == 0
    assert begin().stop() == 0
    with closing(Outbox(tmp_path / "store" / "events.sqlite")) as outbox:
        outbox.open()
        assert outbox.get(HELD) is None
