"""What fuzzed inputs are fed to: a target returns, or raises one of our own errors."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from paho.mqtt.client import MQTTMessage

from tests.daemon.rig import Rig, Told
from tests.fuzz.broker import Wire
from tests.fuzz.mutations import Edit, edited
from tests.fuzz.packages import HOME, Package
from tests.fuzz.stores import Spoilt, spoil
from tests.support import FakeClock
from tests.support_events import an_event
from trashbin import app, cli, config, pictures
from trashbin.database import NAME
from trashbin.decision import decide
from trashbin.devices import mqtt_ear
from trashbin.devices.mqtt import MqttPublisher
from trashbin.devices.mqtt_flow import MAX_SEQ
from trashbin.errors import ConfigError, ModelError, StoreError
from trashbin.history import History
from trashbin.losses import Losses
from trashbin.model import package, trial
from trashbin.model.manifest import find
from trashbin.model.shelf import Ref, Shelf
from trashbin.model.tflite import TFLiteClassifier
from trashbin.outbox import Outbox
from trashbin.ports import Context
from trashbin.record import Recorder
from trashbin.settings import Config
from trashbin.settings import MqttPublisher as MqttSettings
from trashbin.status import Status
from trashbin.types import Frame, Mode

Target = Callable[[Any], None]
LIMIT_S = 5.0  # for one input


def configurations(folder: Path) -> Target:
    """``trashbin check-config``, and what safe mode would make of the file."""
    path = folder / "trashbin.yaml"
    runner = CliRunner()
    forms = [["--json"], []]

    def try_(content: bytes) -> None:
        path.write_bytes(content)
        forms.reverse()
        result = runner.invoke(cli.main, ["check-config", *forms[0], str(path)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in (0, 2), result.output
        assert result.output
        app.safe_config(config.load(path))
        if result.exit_code:
            raise ConfigError(result.output)

    return try_


class Bin:
    """A whole daemon that a real publisher hands its requests; there is metal in its tray."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder, device={"id": "demo"})
        context = Context(self.rig.clock, self.rig.config, outbox=self.rig.outbox)
        self.publisher = MqttPublisher(MqttSettings(kind="mqtt"), context)
        self.publisher._ear.on_request = self.rig.daemon.request
        self.rig.tray.put()

    def ask(self, topic: bytes, payload: bytes, retained: bool) -> None:
        """Hand in a message, as paho does, and follow it to its end."""
        client, message = self.publisher._client, MQTTMessage(topic=topic)
        message.payload, message.retain = payload, retained
        self.follow(lambda: client.on_message(client, None, message))

    def follow(self, deliver: Callable[[], None]) -> None:
        """Let something arrive and do what it asks; what is refused must move nothing."""
        rig, client = self.rig, self.publisher._client
        rig.clock.advance(2.0)  # so that none is turned away by the rate
        deliver()
        while rig.daemon._desk.waiting:
            moves = len(rig.servo.visited)
            rig.daemon.step()
            verb, answer = rig.told.answers[-1]
            looked = (verb, answer["status"]) == ("look", "ok")
            assert looked or len(rig.servo.visited) == moves, f"moved, and said {answer}"
            self.publisher.respond(verb, answer)  # has to be something that MQTT can carry
            client.drop_out_messages()
            if answer["status"] == "ok":
                self._as_before()
            assert rig.daemon.status is Status.IDLE, rig.daemon.status
        rig.told.answers.clear()

    def _as_before(self) -> None:
        """Ready to move again: in mode auto, with the usual thresholds and a thing in the tray."""
        self.rig.daemon.set_mode(Mode.AUTO)
        self.rig.daemon.recorder.set_thresholds(dict.fromkeys(("gap", "top1", "familiarity")))
        self.rig.go(10)
        self.rig.tray.put()


def requests(folder: Path) -> Target:
    """Requests at a whole daemon: what is refused moves nothing."""
    bin = Bin(folder)

    def try_(value: tuple[bytes, bytes, bool]) -> None:
        bin.ask(*value)

    return try_


def streams(folder: Path) -> Target:
    """What a broker may send, through paho and the publisher to a whole daemon."""
    bin, wire = Bin(folder), Wire()
    mqtt_ear.JITTER_S = 0.0

    def try_(stream: bytes) -> None:
        bin.follow(lambda: wire.say(bin.publisher._client, stream))

    return try_


def photographs(folder: Path) -> Target:
    """The bytes of a picture file."""

    def try_(content: bytes) -> None:
        pixels = pictures.decode(content)
        assert pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
        assert 0 < pixels.size <= 3 * pictures.MAX_PIXELS

    return try_


def manifests(folder: Path) -> Target:
    """A manifest beside the shipped network, which is then opened and asked."""
    network = find().path
    trial.child = _forked
    for path in (network, *network.parent.glob("*.npz")):
        (folder / path.name).symlink_to(path)

    def try_(content: bytes) -> None:
        (folder / "manifest.json").write_bytes(content)
        _classify(folder / network.name)

    return try_


def networks(folder: Path) -> Target:
    """A damaged network whose digest fits its manifest all the same."""
    file = find()
    whole = file.path.read_bytes()
    manifest = json.loads((file.path.parent / "manifest.json").read_text(encoding="utf-8"))
    path = folder / file.path.name
    for beside in file.path.parent.glob("*.npz"):
        (folder / beside.name).symlink_to(beside)
    trial.child = _forked

    def try_(changes: list[Edit]) -> None:
        content = edited(whole, changes)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        manifest["variants"][file.variant] |= {"sha256": digest, "bytes": len(content)}
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        _classify(path)

    return try_


def packages(folder: Path) -> Target:
    """``trashbin model install`` of a ZIP whose digest is right, whatever is in it."""
    trial.child = _forked
    path = folder / "package.zip"

    def try_(made: Package) -> None:
        store = folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        content = made.content()
        path.write_bytes(content)
        shelf = Shelf(store)
        done = None
        try:
            done = package.install(
                str(path), hashlib.sha256(content).hexdigest(), shelf, CONFIG.model
            )
        finally:
            assert {entry.name for entry in folder.iterdir()} == {"store", "package.zip"}
            assert [entry.name for entry in store.iterdir()] == ["models"]
            homes = {entry.name for entry in shelf.folder.iterdir()} - {"lock"}
            assert homes == ({shelf.find(done[0]).path.parent.name} if done else set()), homes

    return try_


def states(folder: Path) -> Target:
    """A ``models/state.json`` under all that command line and daemon do with it."""
    shelf, network = Shelf(folder), find()
    home = shelf.folder / HOME
    home.mkdir(parents=True)
    shipped = network.path.parent
    for path in (network.path, shipped / "manifest.json", *shipped.glob("*.npz")):
        (home / path.name).symlink_to(path)
    ref = Ref(file=f"{HOME}/{network.path.name}", sha256=network.id.sha256)

    def try_(content: bytes) -> None:
        (shelf.folder / "state.json").write_bytes(content)
        classifier, told = shelf.start(CONFIG.model)  # the configuration's is sound
        assert classifier.model == network.id and all(told)
        shelf.judged()
        shelf.begin_trial(ref, 3)
        assert shelf.state().trial is not None
        shelf.end_trial("it was tried")
        with suppress(ModelError):
            shelf.go_back("it was asked for")
        shelf.switch(ref, "it was asked for")
        assert shelf.state().active == ref

    return try_


def _forked(arguments: list[str]) -> int | None:
    """What ``trial.child`` does, without starting Python anew for each of thousands."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            trial.main(*arguments)
        os._exit(0)
    deadline = time.monotonic() + 0.9 * LIMIT_S
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _classify(path: Path) -> None:
    classifier = TFLiteClassifier(find(str(path)))
    decide([classifier.predict(Frame(PATTERN, 0.0))], classifier.thresholds)


def stores(folder: Path) -> Target:
    """A damaged store under all that a bin does with it, and under ``trashbin events``."""

    def try_(spoilt: Spoilt) -> None:
        path = spoil(folder, spoilt)
        for event in History(path).read():
            event.to_json()

    def use(spoilt: Spoilt) -> None:
        with suppress(StoreError):
            try_(spoilt)
        with closing(Outbox(folder / "store" / NAME, max_bytes=2**18)) as box:
            recorder = Recorder(CONFIG, FakeClock(), box, Told(), None)
            recorder.info(), recorder.health(None, {}), recorder.state(Status.IDLE, None, {})
            box.span(0, 500)
            losses = Losses(recorder)
            losses.commit_damage(), losses.commit_overflow()
            committed = recorder.commit(an_event())
            waiting = box.unacknowledged(0, MAX_SEQ, 500)
            assert committed in waiting
            box.acknowledge([event.event_id for event in waiting])
            recorder.prune()
            recorder.set_thresholds({"gap": 0.5})

    return use


def broken(folder: Path) -> Target:
    """Not a target: shows that the worker finds what it is for."""

    def thread() -> None:
        dying = threading.Thread(target=lambda: 1 // 0)
        dying.start()
        dying.join()

    ways = {
        "die": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "hang": signal.pause,
        "thread": thread,
    }

    def try_(way: str) -> None:
        ways[way]()

    return try_


PATTERN = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
CONFIG = Config.model_validate(
    {
        "version": 1,
        "device": {"id": "demo"},
        "bins": {"all": {"labels": ["paper"]}},
        "camera": {"kind": "simulated"},
        "triggers": [{"kind": "mqtt"}],
        "actuators": [{"kind": "none"}],
        "publisher": {"kind": "mqtt"},
        "store": {"path": "/"},
    }
)
TARGETS: dict[str, Callable[[Path], Target]] = {
    "configurations": configurations,
    "requests": requests,
    "streams": streams,
    "pictures": photographs,
    "manifests": manifests,
    "networks": networks,
    "packages": packages,
    "states": states,
    "stores": stores,
    "broken": broken,
}
