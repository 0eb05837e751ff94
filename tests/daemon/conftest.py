"""The bench that most of these tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """One bin on the bench, just begun."""
    return Rig(tmp_path)
