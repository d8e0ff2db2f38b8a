"""Real frames with ground truth, where this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the real frames: SAM3D_DATA_DIR, by default ../shared/data beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("SAM3D_DATA_DIR", default))
    if not path.is_dir():
        message = f"no real frames at {path}: set SAM3D_DATA_DIR to their folder"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path
