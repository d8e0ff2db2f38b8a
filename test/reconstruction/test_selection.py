"""Which reconstructor is picked, what is said about it, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.reconstruction.network_config import (
    DTYPES,
    MANIFEST,
    MEMORY,
    OUTPUTS,
    POSE,
    SHORTCUT_STEPS,
    NetworkConfig,
    default_folder,
)
from sam3d_ros.reconstruction.reconstructors import RECONSTRUCTORS, make_reconstructor, select

#: Makes imports of PyTorch fail, as on a machine without it, and reconstructs a frame.
WITHOUT_TORCH = """
import sys


class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


if "without" in sys.argv:
    sys.meta_path.insert(0, Nowhere())
import numpy as np
from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.reconstruction.reconstructors import select

labels = np.zeros((60, 80), np.uint16)
labels[20:40, 30:50] = 7
v, u = np.mgrid[:60, :80]
depth = np.where(labels > 0, 0.9, 1.0)
points = np.stack([(u - 40) / 70 * depth, (v - 30) / 70 * depth, depth], axis=-1).astype(np.float32)
rgb = np.full((60, 80, 3), 90, np.uint8)
camera = Camera(80, 60, 70.0, 70.0, 40.0, 30.0)
frame = Frame(1, "camera", rgb, labels, PointMap(points), PointsSource.DEPTH, camera)
selection = select(sys.argv[1])
(estimate,) = ObjectPipeline(selection.reconstructor).reconstruct(cut(frame))
assert estimate.verdict.point_count > 0 and len(estimate.mesh.triangles) > 0
print(selection.reconstructor.name, "torch" in sys.modules)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize(("name", "torch"), [("geometric", "with"), ("auto", "without")])
def test_the_geometric_way_needs_no_torch(name: str, torch: str) -> None:
    done = run(name, torch)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["geometric", "False"]


@pytest.mark.parametrize("module", ["sam3d_ros.cli.main", "sam3d_ros.nodes.perception"])
def test_programs_start_without_torch(module: str) -> None:
    program = WITHOUT_TORCH.split("import numpy")[0] + f"import {module}"
    done = subprocess.run(
        [sys.executable, "-c", program, "without"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr


def test_without_weights_auto_says_how_to_get_them(tmp_path: Path) -> None:
    selection = select("auto", network=NetworkConfig(checkpoint=str(tmp_path)))
    assert selection.reconstructor.name == "geometric"
    assert selection.weights is None
    assert str(tmp_path) in selection.note
    assert "checkpoints download" in selection.note


def test_sam3d_without_weights_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="sam3d-ros checkpoints download"):
        select("sam3d", network=NetworkConfig(checkpoint=str(tmp_path)))


def test_auto_takes_the_weights_that_are_there(tiny_checkpoint: Path) -> None:
    network = NetworkConfig(checkpoint=str(tiny_checkpoint), device="cpu")
    selection = select("auto", network=network)
    assert selection.reconstructor.name == "sam3d"
    assert selection.weights is not None
    assert str(tiny_checkpoint) in selection.note
    assert "cpu in float32" in selection.note
    assert select("geometric", network=network).reconstructor.name == "geometric"


def test_damaged_weights_are_no_reason_to_fall_back(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / MANIFEST).write_text("{")
    for name in ("auto", "sam3d"):
        with pytest.raises(MissingWeightsError, match="is damaged"):
            select(name, network=NetworkConfig(checkpoint=str(tmp_path)))


def test_a_device_that_is_not_there_is_refused(tiny_checkpoint: Path) -> None:
    for device in ("cuda:77", "toaster"):
        with pytest.raises(ValueError, match=f"device is '{device}'.*set it to auto or cpu"):
            select("sam3d", network=NetworkConfig(checkpoint=str(tiny_checkpoint), device=device))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, geometric, sam3d"):
        make_reconstructor("sam4d")
    assert RECONSTRUCTORS[0] == "auto"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dtype", "float8"),
        ("memory", "huge"),
        ("outputs", ("soup",)),
        ("steps", 0),
        ("refinement_steps", 0),
        ("hypotheses", 65),
        ("max_triangles", 3),
        ("seed", -1),
    ],
)
def test_values_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        NetworkConfig(**{field: value})


def test_the_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM3D_CHECKPOINT_DIR", str(tmp_path / "named"))
    assert default_folder() == NetworkConfig().folder == tmp_path / "named"
    monkeypatch.delenv("SAM3D_CHECKPOINT_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "sam3d_ros" / "objects"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_folder() == Path.home() / ".local" / "share" / "sam3d_ros" / "objects"
    assert NetworkConfig(checkpoint="~/weights").folder == Path.home() / "weights"


def test_the_names_are_those_of_the_networks() -> None:
    """They are written down twice, because the parameters must be known where PyTorch is not."""
    pytest.importorskip("torch")
    from sam3d_ros.models.objects import checkpoints, predictor
    from sam3d_ros.models.objects.part_store import Memory
    from sam3d_ros.reconstruction.schedules import geometry_schedule

    assert MANIFEST == checkpoints.MANIFEST
    assert set(DTYPES) == {"auto", *checkpoints.DTYPES}
    assert set(MEMORY) == {memory.value for memory in Memory}
    assert set(OUTPUTS) - {POSE} == set(predictor.OUTPUTS)
    assert geometry_schedule(NetworkConfig(steps=SHORTCUT_STEPS)).shortcut
    assert not geometry_schedule(NetworkConfig(steps=SHORTCUT_STEPS + 1)).shortcut
