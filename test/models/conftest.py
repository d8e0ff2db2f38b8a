"""Parity data: inputs, weights and outputs that the official parts produced in float32 on a CPU."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.spatial import cKDTree
from torch import Tensor

_SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        message = f"{folder} is missing: point {variable} to it"
        if os.environ.get("CI") == "true" or variable in os.environ:
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def facts_dir() -> Path:
    """The folder with `keys/*.tsv`, the keys and shapes of the official checkpoints."""
    return _folder("SAM3D_FACTS_DIR", _SHARED / "facts")


@dataclass(frozen=True)
class Golden:
    """One set of parity data."""

    config: dict[str, Any]
    io: dict[str, Tensor]
    weights: dict[str, Tensor]

    def given(self, name: str) -> Tensor:
        """An input."""
        return self.io[f"in.{name}"]

    def check(self, name: str, actual: Tensor, tolerance: float = 1e-4) -> None:
        """Compare with an output: integers must be equal, floats equal to `tolerance` of the largest magnitude."""
        expected = self.io[f"out.{name}"]
        assert actual.shape == expected.shape, (
            f"{name}: {tuple(actual.shape)}, expected {tuple(expected.shape)}"
        )
        if not expected.is_floating_point():
            assert torch.equal(actual.to(expected.dtype), expected), f"{name} differs"
            return
        expected, actual = expected.double(), actual.double()
        assert torch.equal(expected.isfinite(), actual.isfinite()), f"{name}: other values are finite"
        finite = expected.isfinite()
        magnitude = expected[finite].abs().max().item()
        error = (actual - expected)[finite].abs().max().item()
        assert error <= tolerance * magnitude, f"{name}: off by {error:.3g} of {magnitude:.3g}"


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """Loads a set by its name."""
    folder = _folder("SAM3D_GOLDEN_DIR", _SHARED / "golden") / "objects"

    def load(name: str) -> Golden:
        if not (folder / name / "io.safetensors").is_file():
            pytest.fail(f"the parity set {folder / name} is missing")
        weights = folder / name / "weights.safetensors"
        return Golden(
            json.loads((folder / name / "config.json").read_text()),
            load_file(folder / name / "io.safetensors"),
            load_file(weights) if weights.is_file() else {},
        )

    return load


def _canonical(triangles: np.ndarray) -> np.ndarray:
    """Rotate each triangle to begin with its least vertex, and sort the triangles."""
    start = triangles.argmin(axis=1)[:, None]
    turned = np.take_along_axis(triangles, (start + np.arange(3)) % 3, axis=1)
    return turned[np.lexsort(turned.T)]


def _assert_same_surface(
    vertices: Tensor,
    triangles: Tensor,
    attributes: Tensor | None,
    expected_vertices: Tensor,
    expected_triangles: Tensor,
    expected_attributes: Tensor | None,
    tolerance: float = 1e-5,
) -> None:
    """Vertices match one to one within `tolerance`, and the same oriented triangles join them."""
    assert vertices.shape == expected_vertices.shape
    assert triangles.shape == expected_triangles.shape
    distance, match = cKDTree(expected_vertices.numpy()).query(vertices.numpy())
    assert distance.max() <= tolerance
    assert len(np.unique(match)) == len(match), "two vertices match one"
    np.testing.assert_array_equal(
        _canonical(match[triangles.numpy()]), _canonical(expected_triangles.numpy())
    )
    if attributes is not None:
        assert expected_attributes is not None
        np.testing.assert_allclose(attributes.numpy(), expected_attributes.numpy()[match], rtol=0, atol=1e-4)


@pytest.fixture(scope="session")
def assert_same_surface() -> Callable[..., None]:
    """Comparison of meshes whose vertices and triangles may come in another order."""
    return _assert_same_surface
