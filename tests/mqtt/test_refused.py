"""Requests that are refused, at a whole bin: each is answered, all are counted, nothing happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mqtt.test_run import state
from tests.support_processes import Broker, Listener, Start, config, wait_until

ROOT = "trashbin/demo"
REFUSED: list[tuple[str, bytes, str]] = [
    ("look", b'{"expires": "2020-01-01T00:00:00Z", "transaction": "t"}', "expired at 2020"),
    ("look", b'{"fast": true, "transaction": "t"}', "unknown key 'fast'"),
    ("mode", b'{"mode": "turbo", "transaction": "t"}', "'auto', 'advisory' or 'paused'"),
    ("events", b'{"after_seq": -1, "transaction": "t"}', "after_seq"),
    ("dance", b'{"transaction": "t"}', "Unknown request 'dance'"),
    ("look", b'{"transaction": 7}', "transaction must be text"),
    ("look", b"not json", "not JSON"),
    ("look", b"\xff\xfe", "not JSON"),
    ("mode", b'["paused"]', "JSON object"),
    ("look", b" " * 1_000_000, "too long"),
]


def test_what_is_refused_is_answered_and_counted_and_changes_nothing(
    tmp_path: Path,
    broker: Broker,
    listener: Listener,
    start: Start,
) -> None:
    listener.send(f"{ROOT}/request/mode", b'{"mode": "paused"}', retain=True)
    # nothing falls: whatever happens, a request has done it
    process = start(config(tmp_path, broker, triggers=[{"kind": "mqtt"}]))
    process.wait_ready()

    def answers(verb: str) -> list[dict[str, Any]]:
        return listener.told(f"{ROOT}/response/{verb}")

    assert wait_until(lambda: bool(answers("mode")))
    assert (answers("mode")[0]["status"], "retained" in answers("mode")[0]["error"]) == (
        "refused",
        True,
    )
    listener.send(f"{ROOT}/request/mode", b"", retain=True)  # the broker forgets it; and so refused
    assert wait_until(lambda: len(answers("mode")) == 2)

    def ask(verb: str, payload: bytes) -> dict[str, Any]:
        before = len(answers(verb))
        listener.send(f"{ROOT}/request/{verb}", payload)
        assert wait_until(lambda: len(answers(verb)) > before)
        return answers(verb)[-1]

    for verb, payload, words in REFUSED:
        answer = ask(verb, payload)
        assert (answer["status"], answer["data"]) == ("refused", None)
        assert words in answer["error"]
        assert answer["transaction"] == ("t" if b'"t"' in payload else None)

    def refused() -> int:
        told = listener.told(f"{ROOT}/health")
        return int(told[-1]["requests_refused"]) if told else 0

    listener.send(f"{ROOT}/request/threshold", b'{"gap": null}')  # tells health anew
    assert wait_until(lambda: refused() == len(REFUSED) + 2)
    assert (state(listener)["mode"], state(listener)["status"]) == ("auto", "idle")
    assert listener.on(f"{ROOT}/event") == []
    assert process.stop() == 0
    assert "Traceback" not in process.log.read_text()
