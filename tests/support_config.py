"""A sound configuration, with what may be changed in it, and what is read of it."""

from __future__ import annotations

from pathlib import Path

from trashbin import config
from trashbin.config import Loaded
from trashbin.config_yaml import Mistake

SOUND = """\
version: 1
device:
  id: hall-2
bins:
  paper: {labels: [cardboard, paper], angle: -40, lamp: 16}
  rest: {labels: [glass, metal, plastic, trash], angle: 40, lamp: 20}
camera:
  kind: v4l2
triggers:
  - kind: pir
    pin: 17
actuators:
  - kind: servo
    pin: 18
  - kind: lamps
    uncertain: 19
publisher:
  kind: mqtt
"""


def load(folder: Path, text: str | bytes) -> Loaded:
    path = folder / "trashbin.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return config.load(path)


def edited(*edits: tuple[str, str]) -> str:
    text = SOUND
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def only(loaded: Loaded) -> Mistake:
    assert len(loaded.mistakes) == 1, [str(mistake) for mistake in loaded.mistakes]
    assert loaded.config is None
    return loaded.mistakes[0]
