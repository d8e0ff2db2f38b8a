"""The verbs around SAM 3D Body, on a checkpoint of the official layout."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from body_release import SIZES
from command_line import refused, run, run_process

torch = pytest.importorskip("torch", reason="requirements/models.txt is not installed")

BODY = ("--model", "body-dinov3")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def states(folder: Path) -> list[list[str]]:
    """The rows of `list`: file, needed, there, converted."""
    done = run("checkpoints", "list", *BODY, folder)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()[1:]]


def test_official_files_are_listed_converted_and_verified(
    official_body_checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(official_body_checkpoint, tmp_path / "weights"))
    assert states(folder) == [[n, "yes", "yes", "no"] for n in ("model.ckpt", "assets/mhr_model.pt")]
    rig = folder / "mhr_model.pt"  # as somebody has it who took the release of the rig
    (folder / "assets" / "mhr_model.pt").rename(rig)
    convert = ("checkpoints", "convert", *BODY, folder, "--config", folder / SIZES)
    refused(run(*convert), "is not the released file")
    refused(run(*convert, "--any-version"), "mhr_model.pt is missing")
    done = run_process(*convert, "--any-version", "--rig", rig)
    assert done.returncode == 0, done.stderr
    assert "network and rig" in done.stdout
    assert [row[-1] for row in states(folder)] == ["yes", "yes"]
    done = run("checkpoints", "verify", *BODY, folder)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == ["sound", "sound"]


@pytest.mark.parametrize("name", ["sam3d_body.safetensors", "rig.safetensors", "sam3d_body.json"])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "missing"])
def test_damage_is_found(tiny_body_checkpoint: Path, tmp_path: Path, name: str, damage: str) -> None:
    folder = Path(shutil.copytree(tiny_body_checkpoint, tmp_path / "weights"))
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\xff" * len(content))
    expected = {
        "cut": f"bytes instead of {len(content)}",
        "overwritten": "other contents",
        "missing": "is missing",
    }
    if name.endswith("json"):
        expected = {"missing": "holds no converted"} | dict.fromkeys(("cut", "overwritten"), "is damaged")
    done = run("checkpoints", "verify", *BODY, folder)
    refused(done, expected[damage])
    assert "checkpoints convert" in done.stderr


def test_a_network_of_other_sizes_is_refused(official_body_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(official_body_checkpoint, tmp_path / "weights"))
    convert = ("checkpoints", "convert", folder, "--any-version")
    refused(run(*convert, *BODY, "--size", "tiny"), "do not fit the network")
    sizes = json.loads((folder / SIZES).read_text())
    for name, content in {
        "other": sizes | {"decoder": sizes["decoder"] | {"depth": 4}},
        "stray": sizes | {"decoder": {}},
    }.items():
        (tmp_path / name).write_text(json.dumps(content))
    refused(run(*convert, *BODY, "--config", tmp_path / "other"), "do not fit the network")
    refused(run(*convert, *BODY, "--config", tmp_path / "stray"), "holds no sizes of a body network")
    refused(run(*convert, *BODY, "--dtype", "float32"), "--dtype is for objects")
    refused(run(*convert, "--config", tmp_path / "other"), "--config is for bodies")
    refused(run("checkpoints", "list", *BODY, tmp_path / "nowhere"), "is no folder")
    assert not (folder / "sam3d_body.json").exists()


@pytest.mark.parametrize("model", ["body-dinov3", "body-vith"])
def test_a_hub_out_of_reach_ends_the_download_at_once(model: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens: connections are refused
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = run("checkpoints", "download", "--model", model, tmp_path / "w", "--endpoint", endpoint)
    refused(done, "the hub cannot be reached: bring the files model.ckpt, mhr_model.pt")
    assert f"checkpoints convert --model {model}" in done.stderr


@pytest.mark.parametrize(("mode", "count"), [("body", 3), ("full", 6)])
@pytest.mark.parametrize("encoder", ["dinov3", "vith"])
def test_the_benchmark_prints_a_table(mode: str, count: int, encoder: str) -> None:
    sizes = ("--size", "tiny", "--people", "2", "--encoder", encoder, "--repeats", "0", "--device", "cpu")
    done = run("benchmark", "body", *sizes, "--mode", mode)
    assert done.returncode == 0, done.stderr
    head, columns, *rows = done.stdout.splitlines()
    assert f"cpu in float32, {encoder} encoder, tiny size, 2 people, mode {mode}" in head
    assert columns.split()[:3] == ["stage", "ms", "TFLOP"]
    assert [row[:22].strip() for row in rows][:2] == ["encoder", "decoder"]
    assert len(rows) == count + 1 and rows[-1].startswith("all")
    assert all(float(row[22:].split()[0]) > 0 for row in rows)
    refused(run("benchmark", "body", *sizes, "--people", "0"), "--people is 0: give at least 1")
