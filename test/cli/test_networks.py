"""The verbs around the networks, on a checkpoint of the official layout."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import refused, run, run_process

from sam3d_ros.geometry.mesh_files import read_mesh

torch = pytest.importorskip("torch", reason="requirements/models.txt is not installed")

TINY = ("--size", "tiny", "--any-version")
FEW_STEPS = ("--steps", "2", "--refinement-steps", "2", "--device", "cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two squares before a wall."""
    root = tmp_path_factory.mktemp("frames") / "squares"
    root.mkdir()
    labels = np.zeros((60, 80), np.uint8)
    labels[10:30, 10:30] = 3
    labels[25:50, 45:70] = 8
    cv2.imwrite(str(root / "rgb.png"), np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    cv2.imwrite(str(root / "labels.png"), labels)
    cv2.imwrite(str(root / "depth.png"), np.where(labels > 0, 900, 1000).astype(np.uint16))
    camera = {"width": 80, "height": 60, "fx": 70.0, "fy": 70.0, "cx": 40.0, "cy": 30.0}
    (root / "camera.json").write_text(json.dumps(camera))
    return root


@pytest.fixture
def weights(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A converted copy to spoil."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "weights"))


def test_official_files_are_listed_converted_and_verified(official_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(official_checkpoint, tmp_path / "weights"))
    rows = [line.split() for line in run("checkpoints", "list", folder).stdout.splitlines()]
    assert rows[1] == ["ss_generator.ckpt", "yes", "yes", "no"]
    assert len(rows) == 7
    done = run_process("checkpoints", "convert", folder, *TINY)
    assert done.returncode == 0, done.stderr
    assert "8 networks in bfloat16" in done.stdout
    assert {line.split()[-1] for line in run("checkpoints", "list", folder).stdout.splitlines()[1:]} == {
        "yes"
    }
    done = run("checkpoints", "verify", folder)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == ["sound"] * 8


def test_weights_become_objects(tiny_checkpoint: Path, frame: Path, tmp_path: Path) -> None:
    arguments = ("reconstruct", frame, "--checkpoint", tiny_checkpoint, *FEW_STEPS, "--seed", "3")
    contents = []
    for name, choice, runner in (("first", "sam3d", run_process), ("second", "auto", run)):
        done = runner(*arguments, "--reconstructor", choice, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert "reconstructor sam3d" in done.stderr
        contents.append(json.loads((tmp_path / name / "objects.json").read_text())["objects"])
    assert [thing["id"] for thing in contents[0]] == [3, 8]
    for first, second in zip(*contents, strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}
        mesh = read_mesh(tmp_path / "first" / first["mesh"])
        assert len(mesh.triangles) > 0
        assert np.abs(mesh.vertices).max() <= 0.5
    done = run(*arguments[:-1], "4", "--reconstructor", "sam3d", "--gaussians", "--out", tmp_path / "third")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "third").iterdir()}
    assert {"object_3_splats.ply", "object_8_splats.ply", "object_3.ply"} <= names
    other = json.loads((tmp_path / "third" / "objects.json").read_text())["objects"]
    assert other[0]["rotation"] != contents[0][0]["rotation"]


def test_without_weights_auto_says_what_it_takes_instead(frame: Path, tmp_path: Path) -> None:
    arguments = ("reconstruct", frame, "--checkpoint", tmp_path / "none", "--out", tmp_path / "out")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert "reconstructor geometric (auto: no SAM 3D Objects weights in" in done.stderr
    refused(run(*arguments, "--reconstructor", "sam3d"), "sam3d-ros checkpoints download")
    refused(run(*arguments, "--gaussians"), "--gaussians needs sam3d")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--device", "cuda:77"), "set it to auto or cpu"),
        (("--steps", "0"), "steps is 0: give a whole number from 1 to 1000"),
        (("--hypotheses", "100"), "hypotheses is 100: give a whole number from 1 to 64"),
        (("--dtype", "float8"), "invalid choice"),
    ],
)
def test_options_that_cannot_be_used(
    tiny_checkpoint: Path, frame: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    home = tmp_path / "results"
    home.mkdir()
    network = ("--reconstructor", "sam3d", "--checkpoint", tiny_checkpoint)
    refused(run("reconstruct", frame, *network, *options, "--out", home / "out"), message)
    assert list(home.iterdir()) == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "partial": (lambda f: cut(f / "sam3d_objects_geometry.safetensors"), "bytes instead of"),
    "corrupt": (lambda f: overwrite(f / "sam3d_objects_mesh.safetensors"), "mesh.safetensors"),
    "missing": (lambda f: (f / "sam3d_objects_mesh.safetensors").unlink(), "mesh.safetensors"),
    "manifest": (lambda f: cut(f / "sam3d_objects.json"), "sam3d_objects.json is damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_weights_are_one_line(weights: Path, frame: Path, tmp_path: Path, name: str) -> None:
    spoil, message = DAMAGES[name]
    spoil(weights)
    out = tmp_path / "results" / "out"
    done = run("reconstruct", frame, "--checkpoint", weights, *FEW_STEPS, "--out", out)
    refused(done, message)
    assert "checkpoints convert" in done.stderr
    assert not out.exists()
    refused(run("checkpoints", "verify", weights), message)


def test_official_files_that_cannot_be_converted(official_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(official_checkpoint, tmp_path / "weights"))
    refused(run("checkpoints", "convert", folder, "--size", "tiny"), "is not the released file")
    refused(run("checkpoints", "convert", folder, "--any-version"), "of this size")
    cut(folder / "checkpoints" / "ss_decoder.ckpt")
    refused(run("checkpoints", "convert", folder, *TINY), "ss_decoder.ckpt cannot be read")
    (folder / "checkpoints" / "ss_decoder.ckpt").unlink()
    refused(run("checkpoints", "convert", folder, *TINY), "lacks ss_decoder.ckpt")
    refused(run("checkpoints", "verify", folder), "holds no converted")
    for action in ("convert", "list"):
        refused(run("checkpoints", action, tmp_path / "nowhere"), "is no folder")


def test_a_hub_out_of_reach_ends_the_download_at_once(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens: connections are refused
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = run("checkpoints", "download", tmp_path / "weights", "--endpoint", endpoint)
    refused(done, "the hub cannot be reached")
    assert "checkpoints convert" in done.stderr


def test_the_benchmark_prints_a_table() -> None:
    arguments = ("benchmark", "objects", "--size", "tiny", "--masks", "2", "--voxels", "40", "--repeats", "0")
    done = run(*arguments, *FEW_STEPS, "--no-reuse", "--memory", "high")
    assert done.returncode == 0, done.stderr
    head, columns, *rows = done.stdout.splitlines()
    assert "cpu in float32, tiny size, 2 masks, 2 + 2 steps, memory high, without reuse" in head
    assert columns.split()[:3] == ["stage", "ms", "TFLOP"]
    stages = [row[:22].strip() for row in rows]
    assert stages == [
        "geometry condition",
        "geometry",
        "structure",
        "refinement condition",
        "refinement",
        "decoding",
        "all",
    ]
    assert all(float(row[22:].split()[0]) > 0 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("benchmark",), "required: NETWORKS"),
        (("benchmark", "bodies"), "invalid choice"),
        (("benchmark", "objects", "--masks", "0"), "--masks is 0: give at least 1"),
        (("checkpoints",), "required: ACTION"),
        (("checkpoints", "eat"), "invalid choice"),
        (("checkpoints", "convert", ".", "--dtype", "int4"), "invalid choice"),
    ],
)
def test_bad_arguments_are_one_line(arguments: tuple[str, ...], message: str) -> None:
    refused(run(*arguments), message)
