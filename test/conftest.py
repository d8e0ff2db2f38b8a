"""Real frames with ground truth, where this machine has them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from body_release import SIZES, write_release
from command_line import run_process
from hri_package import provide_hri_msgs


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


@pytest.fixture(scope="session", autouse=True)
def _no_weights_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`auto` must not find the weights that somebody keeps where the package looks for them."""
    for variable in ("SAM3D_CHECKPOINT_DIR", "SAM3D_BODY_CHECKPOINT_DIR"):
        os.environ[variable] = str(tmp_path_factory.mktemp("no_weights"))


@pytest.fixture(scope="session")
def official_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the release has it, in all but size: names, nesting, prefixes, stray keys and training state."""
    torch = pytest.importorskip("torch", reason="requirements/models.txt is not installed")
    from sam3d_ros.models.objects.part_store import RandomSource
    from sam3d_ros.models.objects.parts import OFFICIAL_FILES, ObjectsConfig

    folder = tmp_path_factory.mktemp("official")
    (folder / "checkpoints").mkdir()
    source = RandomSource(ObjectsConfig.tiny(), seed=4)
    for file in OFFICIAL_FILES:
        state = {}
        for prefix, part in file.parts.items():
            module = source.load(part, torch.device("cpu"), torch.float32)
            state.update({prefix + key: value for key, value in module.state_dict().items()})
        content: dict[str, Any] = state
        if file.nested:
            state["_base_models.ss_decoder.input_layer.weight"] = torch.zeros(2, 2)
            state["_base_models.tokenizer.mean"] = torch.zeros(3)
            content = {"state_dict": state, "epoch": 7, "hyper_parameters": {"lr": 1e-4}}
        torch.save(content, folder / "checkpoints" / file.name)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(official_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, converted by the command line as a user would."""
    folder = tmp_path_factory.mktemp("tiny") / "weights"
    shutil.copytree(official_checkpoint, folder)
    options = ("--size", "tiny", "--any-version", "--dtype", "float32")
    done = run_process("checkpoints", "convert", folder, *options)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def official_body_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SAM 3D Body as the release has it, in all but size, and `sizes.json` beside."""
    folder = tmp_path_factory.mktemp("official_body")
    write_release(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_body_checkpoint(official_body_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, converted by the command line as a user would, and found sound by it."""
    folder = tmp_path_factory.mktemp("tiny_body") / "weights"
    shutil.copytree(official_body_checkpoint, folder)
    body = ("--model", "body-dinov3", folder)
    done = run_process("checkpoints", "convert", *body, "--config", folder / SIZES, "--any-version")
    assert done.returncode == 0, done.stderr
    done = run_process("checkpoints", "verify", *body)
    assert done.returncode == 0, done.stderr
    for official in ("model.ckpt", "assets/mhr_model.pt"):
        (folder / official).unlink()  # as those do who need the space
    return folder


@pytest.fixture(scope="session")
def hri_msgs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """See `provide_hri_msgs`."""
    return provide_hri_msgs(tmp_path_factory.mktemp("hri_msgs"))
