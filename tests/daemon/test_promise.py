"""A bin and its calibration: taken up by itself, told, and withdrawn for all to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import Network, Rig, sure
from trashbin import calibration
from trashbin.calibration import Calibration
from trashbin.daemon import HEALTH_EVERY_S
from trashbin.promised import Promised
from trashbin.settings import Look
from trashbin.types import Thresholds


def calibrated(
    folder: Path, gap: float = 0.7, closely: bool = True, setup: str = Network.setup
) -> None:
    made = Calibration(
        made="2026-11-24T10:00:00.000Z",
        model=Network.model,
        setup=setup,
        thresholds=Thresholds(gap, 0.4),
        closely=closely,
        risk=0.03,
        confidence=0.95,
        items=300,
        acted=240,
        wrong=2,
    )
    calibration.write(folder, made)


def notices(rig: Rig) -> list[str]:
    return [event.detail.message for event in rig.events() if event.detail]


def test_pictures_of_the_whole_tray_promise_nothing_of_close_ups(rig: Rig) -> None:
    calibrated(rig.folder, closely=False)
    rig.go(2 * HEALTH_EVERY_S)
    told = rig.told.topics["info"]["calibration"]
    assert not told["holds"] and "from near by" in told["why"]


def test_a_promise_of_before_the_network_was_shown_pictures_in_another_way_is_withdrawn(
    rig: Rig,
) -> None:
    calibrated(rig.folder, setup="")
    rig.go(2 * HEALTH_EVERY_S)
    told = rig.told.topics["info"]
    assert not told["calibration"]["holds"] and "in another way" in told["calibration"]["why"]
    assert rig.daemon.recorder.thresholds.gap == Network.thresholds.gap


def test_a_running_bin_takes_a_calibration_up_and_tells_of_it(rig: Rig) -> None:
    rig.network.usual = sure("metal", 0.7)  # a gap of 0.64
    rig.drop()
    rig.go()
    calibrated(rig.folder)
    rig.drop()
    rig.go(HEALTH_EVERY_S)
    assert [kind for kind in rig.kinds() if kind != "notice"] == ["sorted", "uncertain"]
    assert len(notices(rig)) == 1 and "at most 3.00% are wrong" in notices(rig)[0]
    assert rig.told.topics["info"]["calibration"]["holds"] is True


def test_a_threshold_set_by_hand_withdraws_the_promise_once_and_clearing_it_brings_it_back(
    rig: Rig,
) -> None:
    calibrated(rig.folder)
    rig.daemon.tell()
    rig.request("threshold", gap=0.2)
    rig.go(2 * HEALTH_EVERY_S)
    promise = rig.told.topics["info"]["calibration"]
    assert promise["holds"] is False and "gap is 0.2" in promise["why"]
    assert "withdrawn" in notices(rig)[-1] and len(notices(rig)) == 2
    rig.outbox.close()
    rig.start()
    rig.go(2 * HEALTH_EVERY_S)
    assert len(notices(rig)) == 2  # it was told before the restart
    rig.request("threshold", gap=None)
    rig.go()
    assert rig.told.topics["info"]["calibration"]["holds"] is True
    assert "promised" in notices(rig)[-1]


def test_a_new_calibration_ends_what_a_request_had_set(rig: Rig) -> None:
    rig.request("threshold", gap=0.2)
    rig.go()
    calibrated(rig.folder, 0.6)
    rig.go(HEALTH_EVERY_S)
    assert rig.told.topics["state"]["thresholds"]["gap"] == 0.6
    assert rig.told.topics["info"]["calibration"]["holds"] is True


def test_what_cannot_be_read_promises_nothing_and_stops_nothing(rig: Rig) -> None:
    calibrated(rig.folder)
    rig.daemon.tell()
    (rig.folder / calibration.NAME).write_text("{")
    rig.drop()
    rig.go(2 * HEALTH_EVERY_S)
    assert "sorted" in rig.kinds()
    assert rig.told.topics["info"]["calibration"] is None
    assert "withdrawn" in notices(rig)[-1]


def test_a_bin_whose_network_cannot_be_opened_says_that_nothing_is_promised(tmp_path: Path) -> None:
    calibrated(tmp_path)
    promised = Promised(tmp_path, Look())
    assert promised.thresholds(None) == Thresholds()
    told = promised.told(None, Thresholds())
    assert told is not None and not told["holds"] and "another network" in told["why"]


def test_a_calibration_that_is_taken_away_takes_its_thresholds_along(rig: Rig) -> None:
    calibrated(rig.folder)
    rig.go(2 * HEALTH_EVERY_S)
    (rig.folder / calibration.NAME).unlink()
    rig.go(2 * HEALTH_EVERY_S)
    assert rig.told.topics["info"]["calibration"] is None
    assert rig.told.topics["state"]["thresholds"]["gap"] == Network.thresholds.gap
    assert "its file was taken away" in notices(rig)[-1] and len(notices(rig)) == 2


@pytest.mark.parametrize("altered", ["{", '{"gap": 7}', '{"gqp": 0.2}', "null"])
def test_thresholds_that_the_card_altered_set_none(rig: Rig, altered: str) -> None:
    rig.outbox.set("thresholds", altered)
    rig.drop()
    rig.go()
    assert rig.kinds() == ["sorted"]
    assert rig.daemon.recorder.thresholds == Network.thresholds
