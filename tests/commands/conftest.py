"""What a command is given."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from trashbin.model import golden, manifest


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A sound picture, with a name that a careless printer would take for markup."""
    file = tmp_path / "a [bold]picture[red].png"
    shipped = manifest.find().manifest  # a picture that it is sure of
    seed, side = shipped.variants["int8"].golden[0].seed, shipped.input.width
    file.write_bytes(cv2.imencode(".png", golden.pattern(seed, side, side))[1].tobytes())
    return file
