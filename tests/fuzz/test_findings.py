"""What the fuzzing found, each as a test of its own."""

from __future__ import annotations

import io
import shutil
import sys
import zipfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.broker import Wire
from tests.fuzz.inputs import publish
from tests.fuzz.packages import SOUND, Package
from tests.fuzz.stores import Spoilt
from tests.fuzz.targets import CONFIG
from tests.fuzz.variants import BATCH, batch, variant
from tests.fuzz.worker import Worker
from tests.support import FakeClock
from tests.support_events import an_event
from trashbin.database import NAME
from trashbin.devices.mqtt import MqttPublisher
from trashbin.errors import ModelError, StoreError
from trashbin.history import History
from trashbin.model import trial
from trashbin.model.manifest import find
from trashbin.model.package import install
from trashbin.model.shelf import Shelf
from trashbin.model.tflite import TFLiteClassifier
from trashbin.outbox import Outbox
from trashbin.ports import Context
from trashbin.settings import Model
from trashbin.settings import MqttPublisher as MqttSettings


def test_a_topic_that_is_no_text_is_a_verb_that_is_none(tmp_path: Path) -> None:
    asked: list[tuple[str, bytes, bool]] = []
    with closing(Outbox(tmp_path / NAME)) as outbox:
        context = Context(FakeClock(), CONFIG, outbox=outbox)
        publisher = MqttPublisher(MqttSettings(kind="mqtt"), context)
        publisher._ear.on_request = lambda *request: asked.append(request)
        Wire().say(publisher._client, publish(b"trashbin/demo/request/\xff", b"{}"))
    assert asked == [("unknown", b"{}", False)]


def test_a_name_in_the_store_that_is_no_text_is_damage(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with closing(Outbox(path)) as outbox:
        outbox.append(an_event())
    path.write_bytes(path.read_bytes().replace(b"TABLE damaged", b"TABL\x88 damaged"))
    with pytest.raises(StoreError):
        list(History(path).read())
    with closing(Outbox(path)) as outbox:
        assert outbox.append(an_event()).seq == 1
        assert outbox.lost_file is not None


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """The shipped network in another folder."""
    for name in (find().path.name, "manifest.json", "familiarity.npz"):
        shutil.copy(find().path.parent / name, tmp_path)
    return tmp_path / find().path.name


@pytest.mark.parametrize(("ended", "told"), [(-11, "SIGSEGV"), (None, "within 20 s")])
def test_a_network_that_crashes_or_hangs_does_so_in_another_process(
    stranger: Path, monkeypatch: pytest.MonkeyPatch, ended: int | None, told: str
) -> None:
    tried: list[list[str]] = []

    def child(arguments: list[str]) -> int | None:
        tried.append(arguments)
        return ended

    monkeypatch.setattr(trial, "child", child)
    TFLiteClassifier(find())  # came with trashbin
    assert tried == []
    with pytest.raises(ModelError, match=told):
        TFLiteClassifier(find(str(stranger)))
    assert [arguments[0] for arguments in tried] == [str(stranger)]


def test_the_other_process_opens_a_network_as_the_bin_does(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = TFLiteClassifier(find()).runtime.name
    assert trial.child([str(stranger), "xnnpack", "1", runtime]) == 0
    monkeypatch.setattr(trial, "LIMIT_S", 0.01)
    assert trial.child([str(stranger), "xnnpack", "1", runtime]) is None
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(trial, "LIMIT_S", 20)
    assert trial.child([]) == 1


def _zip(name: str, method: int) -> bytearray:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, b'{"schema": 1}' * 50, method)
    return bytearray(target.getvalue())


def _no_text() -> bytearray:
    return _zip("manifest.json\u00e9", zipfile.ZIP_STORED).replace(b"\xc3\xa9", b"\xff\xfe")


def _spoilt(method: int, at: int) -> bytearray:
    content = _zip("manifest.json", method)
    content[at] ^= 0xFF
    return content


def _before_its_beginning() -> bytearray:
    content = _zip("manifest.json", zipfile.ZIP_STORED)
    content[-6:-2] = b"\xff\xff\xff\x7f"  # where the directory begins
    return content


@pytest.mark.parametrize(
    "content",
    [
        _no_text(),
        _spoilt(zipfile.ZIP_LZMA, 52),
        _spoilt(zipfile.ZIP_BZIP2, 46),
        _before_its_beginning(),
    ],
    ids=["a name that is no text", "lzma", "bzip2", "a directory before the beginning"],
)
def test_a_package_that_no_unzipping_can_read_is_no_sound_zip(
    tmp_path: Path, content: bytearray
) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"package\.zip: is no sound ZIP"):
        install(str(path), sha256(content).hexdigest(), Shelf(tmp_path / "store"), Model())


# and that something would be found


@pytest.mark.parametrize(
    "value",
    [
        b'{"gap": 0.3}',
        (b"trashbin/demo/request/look", b'{"transaction": "7"}', False),
        [(3, b"x"), (9, b"yy")],
        Package(SOUND, patches=[(3, b"x")]),
        Package(SOUND, cut=100),
        Spoilt(statements=["DROP TABLE event"], log=[(3, b"x")], cut=7),
    ],
    ids=["bytes", "request", "edits", "package", "cut package", "store"],
)
def test_an_input_comes_again_from_its_seed_and_its_place(value: Any) -> None:
    once = list(batch(value, 7))
    assert once == [value, *(variant(value, 7, index) for index in range(1, BATCH))]
    assert sum(one != value for one in once) > BATCH // 2


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    with closing(Worker(tmp_path)) as made:
        yield made


def test_a_traceback_a_death_and_a_hang_are_findings(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "KeyError" in (worker.try_("broken", "no such way").finding or "")
    assert worker.try_("pictures", b"no picture").finding is None
    assert "SIGSEGV" in (worker.try_("broken", "die").finding or "")
    monkeypatch.setattr("tests.fuzz.worker.LIMIT_S", 0.2)
    assert "hangs" in (worker.try_("broken", "hang").finding or "")
    assert "a thread died" in (worker.try_("broken", "thread").finding or "")
