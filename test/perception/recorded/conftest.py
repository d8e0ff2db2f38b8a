"""Test modules share what lies here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from foreign_evidence import ESTIMATE, PIECE

from sam3d_ros.perception.recorded.evidence_files import write_evidence


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.evidence.npz"
    write_evidence(path, PIECE, ESTIMATE)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "foreign.evidence.npz"
