"""A real network is taught: from a store's answers to the head it wears, and the way back."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.test_familiarity import a_model, opened, picture
from tests.support_cli import call
from trashbin import answers, events, resources, teaching
from trashbin import config as configuration
from trashbin.errors import ModelError
from trashbin.events import Answer, Event, EventType
from trashbin.model import head, rehearsal
from trashbin.model.heads import BACK, Heads
from trashbin.model.tflite import TFLiteClassifier
from trashbin.outbox import Outbox
from trashbin.types import Mode, ModelId
from trashbin.wearing import untried


class Taught:
    """A network with a rehearsal.npz, and a store of answers about a tray that confuses it."""

    def __init__(self, folder: Path) -> None:
        (folder / "model").mkdir()
        self.store = folder / "store"
        self.store.mkdir()
        self.path = a_model(folder / "model")
        self.network = opened(self.path)
        weights, bias = self.network.last_layer()
        self.rng = np.random.default_rng(0)
        seen = np.stack([self.network.predict(picture(seed)).features for seed in range(20)])
        self.mean, self.spread = seen.mean(0), seen.std() + 0.05
        tries = self.mean + 6 * self.spread * self.rng.standard_normal((9000, len(self.mean)))
        logits = tries @ weights.T + bias
        ranked = np.sort(logits, 1)
        surest = np.argsort(ranked[:, -2] - ranked[:, -1])[:3000]
        said = logits[surest].argmax(1)
        self.sure = [tries[surest[said == place]] for place in range(6)]
        features = np.concatenate([rows[:40] for rows in self.sure])
        labels = np.repeat(np.arange(6), 40)
        towards = weights[0] - weights.mean(0)
        self.shift = 90 * self.spread * towards / np.linalg.norm(towards)
        (folder / "model" / rehearsal.NAME).write_bytes(rehearsal.packed(features, labels))
        self.network = opened(self.path)

    def tray(self, each: int) -> tuple[np.ndarray, np.ndarray]:
        """Things in another light: the network takes most of them for the first label."""
        rows = [mine[self.rng.integers(40, len(mine), each)] for mine in self.sure]
        return np.concatenate(rows) + self.shift, np.repeat(np.arange(6), each)

    def answer(
        self, features: np.ndarray, labels: np.ndarray, model: ModelId | None = None
    ) -> None:
        outbox = Outbox(self.store / "events.sqlite")
        outbox.open()
        now = datetime.now(UTC)
        for feature, place in zip(features, labels, strict=True):
            item = Event(
                event_id=events.new_event_id(now),
                event_type=EventType.UNCERTAIN,
                device_id="b",
                boot_id="0",
                ts=events.timestamp(now),
                ts_quality="synced",
                uptime_ms=1,
                mode=Mode.AUTO,
                model=model or self.network.file.id,
            )
            outbox.append(item, feature.astype("<f2").tobytes())
            said = Answer(self.network.labels[place], "page")
            outbox.append(
                replace(
                    item,
                    event_id=events.new_event_id(now),
                    event_type=EventType.RESOLVED,
                    resolves=item.event_id,
                    answer=said,
                )
            )
        outbox.close()

    def trashbin(self, *arguments: str) -> Result:
        given = ["--store", str(self.store), "--model", str(self.path)]
        return call("teach", *given, *arguments)


@pytest.fixture
def taught(tmp_path: Path) -> Taught:
    return Taught(tmp_path)


def test_the_last_layer_is_read_out_of_the_file(taught: Taught) -> None:
    weights, bias = taught.network.last_layer()
    for seed in range(40, 50):
        taught.network.predict(picture(seed))
        features = taught.network.features()
        assert features is not None
        assert weights @ features + bias == pytest.approx(taught.network.logits(), abs=1e-3)


def test_answers_become_a_head_that_is_worn_and_taken_back(taught: Taught) -> None:
    taught.answer(*taught.tray(10))
    result = taught.trashbin("--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["why"] is None
    assert told["after"] > told["before"]
    heads = Heads(taught.store)
    worn = heads.current(taught.network.file.id.sha256)
    assert worn is not None
    assert worn.digest == told["head"]
    assert worn.about.parent is None
    features, labels = taught.tray(30)
    own = teaching.Last(*taught.network.last_layer()).logits(features)
    mine = [
        worn.logits(row, feature.astype(np.float32)).argmax()
        for row, feature in zip(own, features, strict=True)
    ]
    assert (np.array(mine) == labels).mean() >= (own.argmax(1) == labels).mean() + 0.15
    assert "own head instead" in taught.trashbin("--back").output
    assert heads.current(taught.network.file.id.sha256) is None
    again = taught.trashbin("--back")
    assert again.exit_code != 0
    assert "nothing to go back to" in again.output


def test_the_last_answer_counts_and_strange_examples_do_not(taught: Taught) -> None:
    features, labels = taught.tray(3)
    taught.answer(features, labels)
    taught.answer(features, labels, replace(taught.network.file.id, sha256="0" * 64))
    found = answers.read(taught.store)
    assert len(found) == 2 * len(labels)
    mine = answers.examples(found, taught.network.file.id.sha256, features.shape[1])
    assert [each.label for each in mine] == [taught.network.labels[place] for place in labels]
    assert answers.examples(found, taught.network.file.id.sha256, 7) == []


def test_few_answers_change_nothing(taught: Taught) -> None:
    taught.answer(*taught.tray(1))
    result = taught.trashbin()
    assert result.exit_code == 1
    assert "6 answered items" in result.output
    assert Heads(taught.store).worn(taught.network.file.id.sha256) is None


def test_a_network_without_a_rehearsal_is_not_taught(taught: Taught) -> None:
    (taught.path.parent / rehearsal.NAME).unlink()
    taught.answer(*taught.tray(10))
    result = taught.trashbin()
    assert result.exit_code != 0
    assert "rehearsal.npz" in result.output
    assert "Traceback" not in result.output


def test_a_rehearsal_that_cannot_be_read_is_told(taught: Taught) -> None:
    file = taught.path.parent / rehearsal.NAME
    file.write_bytes(b"spoilt")
    taught.answer(*taught.tray(10))
    result = taught.trashbin()
    assert result.exit_code != 0
    assert f"{file}: is no .npz" in result.output


def test_answers_that_nobody_learned_from_count_after_a_restart(taught: Taught) -> None:
    taught.answer(*taught.tray(1))
    assert untried(Heads(taught.store)) == 6
    taught.trashbin()  # too few, but tried
    assert untried(Heads(taught.store)) == 0


def test_a_new_store_counts_its_answers_anew(taught: Taught) -> None:
    features, labels = taught.tray(12)
    taught.answer(features, labels)
    assert taught.trashbin().exit_code == 0
    (taught.store / "events.sqlite").unlink()  # damaged, and set aside
    taught.answer(features[:-1], labels[:-1])
    heads = Heads(taught.store)
    assert untried(heads) == len(labels) - 1
    result = taught.trashbin()
    assert "nobody has answered anything" not in result.output
    assert untried(heads) == 0
    assert heads.state().tried == 2 * len(labels) - 2


def test_of_many_heads_those_of_the_way_back_are_kept(taught: Taught) -> None:
    heads, worn = Heads(taught.store), []
    network, width = taught.network.file.id.sha256, taught.mean.size
    for number in range(BACK + 4):
        about = head.About(
            network=network, parent=worn[-1] if worn else None, made=str(number), answers={},
            last_seq=number, before=0, after=1, rehearsed=1, rehearsed_before=1, rehearsed_after=1,
        )  # fmt: skip
        content = head.packed(
            np.zeros((6, width)), np.zeros(6), np.zeros(width), 0.0, np.ones((1, width)), [0], about
        )
        worn.append(heads.install(content, number).digest)
    assert {file.stem for file in heads.folder.glob("*.npz")} == set(worn[-1 - BACK :])
    for digest in worn[-2 : -2 - BACK : -1]:
        heads.go_back(network, "by hand")
        assert heads.worn(network) == digest
    heads.go_back(network, "by hand")
    assert heads.current(network) is None


def test_a_dry_run_installs_nothing(taught: Taught) -> None:
    taught.answer(*taught.tray(10))
    assert taught.trashbin("--dry-run").exit_code == 0
    assert Heads(taught.store).worn(taught.network.file.id.sha256) is None


def test_the_commands_that_it_tells_are_about_the_same_bin(taught: Taught, tmp_path: Path) -> None:
    file = tmp_path / "my bin.yaml"
    base = yaml.safe_load((resources.root() / "config" / "demo.yaml").read_text())
    mine = {"model": {"name": str(taught.path)}, "store": {"path": str(taught.store)}}
    file.write_text(yaml.safe_dump(base | mine))
    taught.answer(*taught.tray(10))
    told = call("teach", "--config", str(file)).output
    assert f"trashbin calibrate --config '{file}' DIR" in told
    (back,) = re.findall("The way back: trashbin (.+)", told)
    assert "own head instead" in call(*shlex.split(back)).output


def test_evaluate_compares_before_and_after(
    taught: Taught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read = [], configuration.read
    monkeypatch.setattr(configuration, "read", lambda file: reads.append(file) or read(file))
    tray = tmp_path / "tray" / "glass"
    tray.mkdir(parents=True)
    cv2.imwrite(str(tray / "1.jpg"), np.full((48, 64, 3), 90, np.uint8))
    file = tmp_path / "trashbin.yaml"
    base = yaml.safe_load((resources.root() / "config" / "demo.yaml").read_text())
    mine = {"model": {"name": str(taught.path)}, "store": {"path": str(taught.store)}}
    file.write_text(yaml.safe_dump(base | mine))

    def judged(which: str) -> Result:
        given = ["evaluate", "--json", "--head", which, "--config", str(file), str(tray.parent)]
        return call(*given)

    assert "wears no taught head" in judged("after").output
    taught.answer(*taught.tray(10))
    assert taught.trashbin().exit_code == 0
    for which in ("before", "after"):
        result = judged(which)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["images"] == 1
    assert len(reads) == 3  # once each: a file that changes meanwhile is no mixture of two


def test_what_a_head_was_taught_with_is_no_test_for_it(taught: Taught, tmp_path: Path) -> None:
    taught.answer(*taught.tray(10))
    assert taught.trashbin().exit_code == 0
    taught.answer(*taught.tray(1))
    tray = tmp_path / "tray"
    for number, each in enumerate(answers.read(taught.store)):
        (tray / each.label).mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), number, np.uint8)
        cv2.imwrite(str(tray / each.label / f"{each.item.event_id}.png"), pixels)
    assert len([*tray.glob("*/*.png")]) == 66

    given = ["--json", "--store", str(taught.store), "--model", str(taught.path), str(tray)]
    promised = call("calibrate", *given)
    assert "60 of 66 pictures left out: the head was taught" in promised.stderr
    assert json.loads(promised.stdout)["pictures"] == 6

    file = tmp_path / "trashbin.yaml"
    base = yaml.safe_load((resources.root() / "config" / "demo.yaml").read_text())
    mine = {"model": {"name": str(taught.path)}, "store": {"path": str(taught.store)}}
    file.write_text(yaml.safe_dump(base | mine))
    for which in ([], ["--head", "before"], ["--head", "after"]):
        given = ["evaluate", "--json", *which, "--config", str(file), str(tray)]
        result = call(*given)
        assert "60 of 66 pictures left out" in result.stderr
        assert json.loads(result.stdout)["images"] == 6


def test_a_damaged_head_is_told_and_the_network_wears_its_own(taught: Taught) -> None:
    taught.answer(*taught.tray(10))
    taught.trashbin()
    (file,) = (taught.store / "heads").glob("*.npz")
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ModelError, match="digest does not fit"):
        Heads(taught.store).dress(taught.network)
    assert taught.network.model.head is None


def test_what_was_answered_becomes_folders_a_label(taught: Taught, tmp_path: Path) -> None:
    taught.answer(*taught.tray(2))
    out = tmp_path / "out"
    result = call("export-labels", "--json", "--store", taught.store, out)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["items"] == 12
    assert len((out / "labels.csv").read_text().splitlines()) == 13


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80) | st.tuples(st.integers(0, 4000), st.integers(1, 255)))
def test_any_bytes_are_a_head_or_refused(content: bytes | tuple[int, int]) -> None:
    if isinstance(content, tuple):
        about = head.About(
            network="0" * 64, parent=None, made="", answers={}, last_seq=1, before=0, after=1,
            rehearsed=1, rehearsed_before=1, rehearsed_after=1,
        )  # fmt: skip
        whole = np.zeros((6, 8))
        spoilt = bytearray(
            head.packed(whole, np.zeros(6), np.zeros(8), 0.0, np.ones((2, 8)), [0, 1], about)
        )
        spoilt[content[0] % len(spoilt)] ^= content[1]
        content = bytes(spoilt)
    try:
        assert isinstance(head.parse(content), head.Head)
    except ValueError as error:
        assert str(error)


def test_the_index_learns_what_was_taught(taught: Taught) -> None:
    assert isinstance(taught.network, TFLiteClassifier)
    features, labels = taught.tray(10)

    def familiar() -> list[float]:
        pairs = zip(features.astype(np.float32), labels, strict=True)
        return [taught.network.familiarity(row, int(label)) or 0.0 for row, label in pairs]

    before = familiar()
    taught.answer(features, labels)
    assert taught.trashbin().exit_code == 0
    Heads(taught.store).dress(taught.network)
    after = familiar()
    assert min(np.array(after) - np.array(before)) >= -1e-6
    assert np.mean(after) > np.mean(before)
