"""Pictures of items: whose are kept, and that none leaves the bin unless its owner says so."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.rig import Rig, sure
from tests.support_cli import call
from trashbin import aging, pictures


def sorts_and_holds(folder: Path, **keys: Any) -> Rig:
    rig = Rig(folder, **({"pictures": keys} if keys else {}))
    rig.drop()
    rig.go(20)
    rig.network.usual = sure("metal", 0.3)
    rig.drop()
    rig.go(5)
    assert rig.kinds() == ["sorted", "uncertain"]
    return rig


def ask(rig: Rig, image_id: str | None) -> Mapping[str, Any]:
    rig.request("image", image_id=image_id)
    rig.go(1)
    return rig.told.answers[-1][1]


def test_by_default_uncertain_pictures_are_kept_and_none_leaves(tmp_path: Path) -> None:
    rig = sorts_and_holds(tmp_path)
    sorted_, held = rig.events()
    assert (sorted_.image_id, held.image_id) == (None, held.event_id)
    assert rig.told.topics["state"]["waiting"]["image_id"] == held.event_id
    assert rig.told.picture == b"", "what an earlier run published is cleared"
    told = ask(rig, held.image_id)
    assert told["status"] == "refused" and "publish is false" in told["error"]
    rig.daemon.tell()
    assert rig.told.topics["health"]["pictures"]["files"] == 1
    assert rig.told.topics["info"]["pictures"]["publish"] is False


def test_none_keeps_none(tmp_path: Path) -> None:
    rig = sorts_and_holds(tmp_path, keep="none")
    assert [event.image_id for event in rig.events()] == [None, None]
    assert not (tmp_path / "pictures").exists()


def test_where_the_owner_says_so_the_last_one_is_published_and_any_can_be_asked_for(
    tmp_path: Path,
) -> None:
    rig = sorts_and_holds(tmp_path, keep="all", publish=True)
    for event in rig.events():
        told = ask(rig, event.image_id)
        jpeg = base64.b64decode(told["data"]["jpeg"])
        assert pictures.decode(jpeg).shape == (48, 64, 3), "what the network saw, and no more"
    assert rig.told.picture == jpeg
    for wrong in ("0" * 36, "../../events.sqlite"):
        told = ask(rig, wrong)
        assert told["status"] == "refused" and "there is no picture" in told["error"]


def test_pictures_are_deleted_with_their_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aging, "is_synchronized", lambda: True)
    rig = sorts_and_holds(tmp_path, keep="all")
    assert rig.daemon.recorder.album.used()[0] == 2
    rig.clock.advance(31 * 86400)
    rig.go(4000)
    assert rig.daemon.recorder.album.used() == (0, 0)


def test_a_clock_that_is_far_ahead_until_a_time_server_sets_it_ends_no_picture_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a dead battery, while the network is down."""
    synchronized = [False]
    monkeypatch.setattr(aging, "is_synchronized", lambda: synchronized[0])
    rig = sorts_and_holds(tmp_path, keep="all")
    began = rig.clock.start
    for _ in range(2):
        rig.clock.start = began + timedelta(days=3650)
        prune(rig, 20)
        assert rig.daemon.recorder.album.used()[0] == 2
        rig.clock.start, synchronized[0] = began, True
        prune(rig, 2)
        assert rig.daemon.recorder.album.used()[0] == 2
        synchronized[0] = False


def test_pictures_are_deleted_also_where_no_time_server_is_ever_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aging, "is_synchronized", lambda: False)
    rig = sorts_and_holds(tmp_path, keep="all")
    rig.outbox.set(aging.SETTING, "damaged")
    for _ in range(2):
        prune(rig, 15)  # and it is switched off each night
        rig.start()
    rig.clock.advance(31 * 86400)
    prune(rig, 1)
    assert rig.daemon.recorder.album.used() == (0, 0)


def prune(rig: Rig, hours: int) -> None:
    for _ in range(hours):
        rig.daemon.condition.prune()


def test_a_bin_that_can_keep_no_picture_sorts_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file stands where the folder should")
    rig = sorts_and_holds(tmp_path, keep="all")
    assert rig.servo.visited == ["rest"]
    assert "pictures cannot be kept" in rig.told.topics["state"]["problems"]["pictures"]


def test_an_item_lies_in_the_folder_of_its_last_answer_however_often_it_is_exported(
    tmp_path: Path,
) -> None:
    rig = sorts_and_holds(tmp_path / "store")
    held, out = rig.events()[1].event_id, tmp_path / "out"
    for label in ("glass", "metal", "paper"):
        if label == "paper":  # by now the bin keeps it no more
            rig.daemon.recorder.album.prune(list)
        rig.request("resolve", event_id=held, label=label)
        rig.go(2)
        done = call("export-labels", "--store", rig.folder, out)
        assert done.exit_code == 0, done.output
        assert list(out.rglob("*.jpg")) == [out / label / f"{held}.jpg"]
        assert f",{label}/{held}.jpg" in (out / "labels.csv").read_text()
