"""The place to try a picture: what the command line names is looked for as the page starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from trashbin.dashboard.tryout import Judge
from trashbin.errors import ConfigError, ModelError


def test_what_is_not_there_is_told_at_the_start_and_not_at_the_first_picture(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: 1 mistake"):
        Judge(config=tmp_path / "none.yaml")
    with pytest.raises(ModelError, match="model 'none': no such folder"):
        Judge(model="none")
