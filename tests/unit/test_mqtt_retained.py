"""What the broker keeps of a bin, read back: how far its numbers had come."""

from __future__ import annotations

import json

import pytest

from trashbin.devices.mqtt_retained import newest_seq


@pytest.mark.parametrize(
    ("told", "newest"),
    [
        ({"store_id": "ours", "last_seq": 7}, 7),
        ({"store_id": "another's", "last_seq": 7}, 0),
        ({"last_seq": 7}, 0),
        ({"last": {"store_id": "ours", "seq": 9}}, 9),
        ({"last": {"store_id": "another's", "seq": 9}}, 0),
        ({"store_id": "ours", "last_seq": 7, "last": {"store_id": "ours", "seq": 9}}, 9),
        ({"store_id": "ours", "last_seq": 9, "last": {"store_id": "another's", "seq": 11}}, 9),
        ({"store_id": "ours", "last_seq": "7", "last": None}, 0),
        ({"store_id": "ours"}, 0),
        (["store_id", "ours"], 0),
    ],
)
def test_this_store_alone_says_how_far_its_numbers_had_come(told: object, newest: int) -> None:
    assert newest_seq(json.dumps(told).encode(), "ours") == newest


def test_what_is_no_json_says_nothing_of_numbers() -> None:
    assert newest_seq(b"", "ours") == newest_seq(b"\xff{", "ours") == 0
