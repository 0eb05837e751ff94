"""The place to try a picture: what the command line names is looked for as the page starts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from trashbin import calibration, pictures, resources
from trashbin.calibration import Calibration
from trashbin.dashboard import tryout
from trashbin.dashboard.tryout import Crowded, Judge, Sent, complaint
from trashbin.dashboard.words import PICTURES, Words
from trashbin.errors import ConfigError, ModelError, PictureError
from trashbin.model import tflite
from trashbin.settings import Model


def test_what_is_not_there_is_told_at_the_start_and_not_at_the_first_picture(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: 1 mistake"):
        Judge(config=tmp_path / "none.yaml")
    with pytest.raises(ModelError, match="model 'none': no such folder"):
        Judge(model="none")


def test_a_picture_is_judged_by_the_thresholds_that_the_bin_has_now(tmp_path: Path) -> None:
    file = tmp_path / "trashbin.yaml"
    demo = yaml.safe_load((resources.root() / "config" / "demo.yaml").read_text())
    file.write_text(yaml.safe_dump(demo | {"store": {"path": str(tmp_path)}}))
    _, png = cv2.imencode(".png", np.full((48, 64, 3), 90, np.uint8))
    judge, network = Judge(config=file), tflite.open_model(Model())
    assert judge.judge(png.tobytes())[1] == network.thresholds
    chosen = replace(network.thresholds, gap=0.123)
    made = Calibration(
        made="2026-11-24T10:00:00.000Z",
        model=network.model,
        setup=network.setup,
        thresholds=chosen,
        closely=True,
        risk=0.03, confidence=0.95, items=300, acted=240, wrong=2,
    )  # fmt: skip
    calibration.write(tmp_path, made)
    assert judge.judge(png.tobytes())[1] == chosen


def test_each_broken_file_is_told_in_indonesian_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 5_000_000)
    png = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    huge, none = (png[:16] + size + png[24:] for size in (b"\0\0\x75\x30" * 2, bytes(8)))
    told = {}
    heic = b"\0\0\0\x18ftypheic" + bytes(300)
    for content in (b"", bytes(5_000_001), huge, none, png[:40], b"\xff\xd8\xff", heic, b"text"):
        with pytest.raises(PictureError) as caught:
            pictures.decode(content)
        error = caught.value
        told[error.what] = complaint("a.png", error, Words("id"))
        assert str(error) in complaint("a.png", error, Words())
        assert str(error) not in told[error.what]
    assert len(told) == len(PICTURES) - 2  # all but what OpenCV itself finds
    assert any("terlalu besar: 30000 x 30000 piksel" in text for text in told.values())


def upload(*parts: bytes, then_leaves: bool = False) -> Request:
    """A browser that sends ``parts`` one after another."""
    last = len(parts) - 1
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": then_leaves or at < last}
        for at, part in enumerate(parts)
    ]
    messages += [{"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_pictures_that_are_sent_at_once_take_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tryout, "MAX_HELD", 100)

    async def several() -> None:
        sent = Sent()
        async with sent.content(upload(30 * b"a", 10 * b"b")) as first:
            assert first == 30 * b"a" + 10 * b"b"
            async with AsyncExitStack() as stack:
                assert len(await stack.enter_async_context(sent.content(upload(60 * b"c")))) == 60
                with pytest.raises(Crowded):
                    await stack.enter_async_context(sent.content(upload(b"d")))
            # one that leaves, and one that is turned away when half of it is there
            for request, error in (
                (upload(60 * b"e", then_leaves=True), ClientDisconnect),
                (upload(50 * b"f", 20 * b"g"), Crowded),
            ):
                with pytest.raises(error):
                    async with sent.content(request):
                        pass
            async with sent.content(upload(60 * b"h")) as last:
                assert len(last) == 60

    asyncio.run(several())


def test_no_more_of_a_picture_is_taken_than_tells_that_it_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)

    async def one() -> None:
        async with Sent().content(upload(80 * b"a", 80 * b"b", 80 * b"c")) as content:
            assert len(content) == 160

    asyncio.run(one())
