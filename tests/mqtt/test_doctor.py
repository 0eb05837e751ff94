"""``trashbin doctor`` against a real broker, beside a bin at work and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.mqtt.test_acl import publisher
from tests.support_cli import spawn
from tests.support_processes import Broker, Start, config, wait_until
from trashbin.outbox import Outbox


def doctor(folder: Path, content: dict[str, Any]) -> tuple[int, dict[str, dict[str, str]], str]:
    """Exit status, the checks by name, and what is said of the daemon."""
    file = folder / "trashbin.yaml"
    file.write_text(yaml.safe_dump(content))
    done = spawn("doctor", "--json", "--wait", 0, "--config", file)
    assert "Traceback" not in done.stderr
    told = json.loads(done.stdout)
    return done.returncode, {check["check"]: check for check in told["checks"]}, told["daemon"]


STAGES = [f"broker {stage}" for stage in ("name", "tcp", "mqtt", "subscribe", "publish")]


def levels(checks: dict[str, dict[str, str]]) -> list[str]:
    """How the broker's stages came out, as far as they went."""
    return [checks[stage]["level"] for stage in STAGES if stage in checks]


def test_each_stage_is_told_up_to_the_one_that_fails(broker: Broker, tmp_path: Path) -> None:
    content = config(tmp_path, broker)
    status, checks, daemon = doctor(tmp_path, content)
    assert (status, daemon, levels(checks)) == (0, "stopped", ["good"] * 5)
    broker.kill()
    status, checks, _ = doctor(tmp_path, content)
    assert (status, levels(checks)) == (3, ["good", "bad"])
    content["publisher"]["host"] = "no.such.host.invalid"
    status, checks, _ = doctor(tmp_path, content)
    assert (status, levels(checks)) == (3, ["bad"])


def test_a_wrong_password_ends_at_mqtt_and_is_told_to_nobody(
    locked_broker: Broker, tmp_path: Path
) -> None:
    content = config(tmp_path, locked_broker)
    (tmp_path / "password").write_text("wr0ng\n")
    content["publisher"] |= {"username": "bin", "password_file": str(tmp_path / "password")}
    (tmp_path / "password").chmod(0o644)
    status, checks, _ = doctor(tmp_path, content)
    assert (status, levels(checks)) == (3, ["good", "good", "bad"])
    assert checks["password"]["level"] == "warning"
    assert "every user" in checks["password"]["found"]
    assert "wr0ng" not in json.dumps(checks)


def test_a_bin_at_work_is_asked_and_its_devices_are_left_alone(
    shipped: Broker,
    start: Start,
    tmp_path: Path,
) -> None:
    content = config(tmp_path, shipped, publisher=publisher(shipped))
    process = start(content)
    process.wait_ready()
    store = Outbox(tmp_path / "store" / "events.sqlite", max_bytes=2**20, drop_undelivered=True)
    assert wait_until(lambda: store.last_seq() > 0)
    store.close()
    status, checks, daemon = doctor(tmp_path, content)
    assert (status, daemon) == (0, "running")
    assert checks["broker tls"]["level"] == checks["broker publish"]["level"] == "good"
    assert checks["camera"]["found"] == "good, says the running bin"
    assert "servo" not in checks  # nothing was opened, and nothing moved
    assert process.process.poll() is None


def test_a_bin_at_work_without_a_broker_is_left_alone(
    broker: Broker,
    start: Start,
    tmp_path: Path,
) -> None:
    simulated = [{"kind": "simulated", "every_s": 1.0}]
    content = config(tmp_path, broker, publisher={"kind": "none"}, triggers=simulated)
    process = start(content)
    process.wait_ready()
    status, checks, daemon = doctor(tmp_path, content)
    assert (status, daemon) == (0, "running")
    assert checks["daemon"]["level"] == "warning"
    assert "camera" not in checks
    assert checks["store"]["level"] == "good"


def test_mistakes_in_the_configuration_hide_neither_machine_nor_network(
    broker: Broker, tmp_path: Path
) -> None:
    content = config(tmp_path, broker)
    content["camera"] = {"kind": "webcam"}
    status, checks, _ = doctor(tmp_path, content)
    assert (status, checks["configuration"]["level"]) == (2, "bad")
    assert levels(checks) == ["good"] * 5
    assert {"model", "clock", "disk", "systemd", "watchdog"} <= set(checks)
