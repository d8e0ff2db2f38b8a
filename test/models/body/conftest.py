"""Parity sets of SAM 3D Body: weights, inputs and outputs that the official parts gave in float32 on a CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sam3d_ros.models.weights import without_prefix


@dataclass(frozen=True)
class BodySet:
    """One set of parity data.

    Attributes:
        folder: where its files lie.
        config: its config.json.
    """

    folder: Path
    config: dict[str, Any]

    def load(self, name: str = "data") -> dict[str, Tensor]:
        """The tensors of a file."""
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            pytest.fail(f"the parity file {path} is missing")
        return load_file(path)

    def weights(self, prefix: str | None = None) -> dict[str, Tensor]:
        """The official weights under a prefix, which config.json names unless given."""
        return without_prefix(self.load("state"), self.config.get("prefix", "") if prefix is None else prefix)


@pytest.fixture(scope="session")
def body_folder(golden_folder: Path) -> Path:
    """The folder of the parity sets."""
    return golden_folder / "body"


@pytest.fixture(scope="session")
def body_set(body_folder: Path) -> Callable[[str], BodySet]:
    """Finds a set by its name; a missing one is a failure."""

    def find(name: str) -> BodySet:
        config = body_folder / name / "config.json"
        if not config.is_file():
            pytest.fail(f"the parity set {config.parent} is missing")
        return BodySet(config.parent, json.loads(config.read_text()))

    return find


def _assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape, f"{tuple(actual.shape)}, expected {tuple(expected.shape)}"
    error = (actual.double() - expected.double()).abs().max().item()
    assert error <= tolerance, f"off by {error:.3g}, tolerance {tolerance:.3g}"


@pytest.fixture(scope="session")
def assert_near() -> Callable[[Tensor, Tensor, float], None]:
    """Absolute comparison of tensors of one shape."""
    return _assert_near


@pytest.fixture(autouse=True)
def _inference() -> Any:
    with torch.inference_mode():
        yield
