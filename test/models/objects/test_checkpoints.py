"""Checkpoints in the official layout, at a tiny size, from conversion to a prediction."""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from sam3d_ros.models.objects.checkpoints import MANIFEST, CheckpointError, CheckpointSource, Manifest, verify
from sam3d_ros.models.objects.conversion import REQUIRED, convert, states
from sam3d_ros.models.objects.hub import download
from sam3d_ros.models.objects.part_store import RandomSource
from sam3d_ros.models.objects.parts import OFFICIAL_FILES, ObjectsConfig, Part
from sam3d_ros.models.objects.predictor import SAM3DObjects
from sam3d_ros.models.objects.sampling import Schedule
from sam3d_ros.models.records import from_record, to_record

CPU = torch.device("cpu")
TINY = ObjectsConfig.tiny()


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as the release has them: names, nesting, prefixes, a stray copy of a decoder and training state."""
    folder = tmp_path_factory.mktemp("official")
    (folder / "checkpoints").mkdir()
    source = RandomSource(TINY, seed=4)
    for file in OFFICIAL_FILES:
        state = {}
        for prefix, part in file.parts.items():
            module = source.load(part, CPU, torch.float32)
            state.update({prefix + key: value for key, value in module.state_dict().items()})
        content: dict = state
        if file.nested:
            state["_base_models.ss_decoder.input_layer.weight"] = torch.zeros(2, 2)
            state["_base_models.tokenizer.mean"] = torch.zeros(3)
            content = {"state_dict": state, "epoch": 7, "global_step": 1000, "hyper_parameters": {"lr": 1e-4}}
        torch.save(content, folder / "checkpoints" / file.name)
    return folder


@pytest.fixture
def folder(official: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(official, tmp_path / "weights"))


def convert_tiny(folder: Path, **options) -> Manifest:
    return convert(folder, config=TINY, any_version=True, **options)


def prediction_of(predictor: SAM3DObjects):
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    masks = np.zeros((1, 40, 50), bool)
    masks[0, 10:30, 12:40] = True
    options = {"geometry": Schedule.geometry_shortcut(2), "refinement": Schedule.refinement(2)}
    return predictor(image, masks, seed=0, outputs=("mesh", "gaussians"), **options)[0]


def test_config_survives_json():
    for config in (TINY, ObjectsConfig.released()):
        assert from_record(ObjectsConfig, json.loads(json.dumps(to_record(config)))) == config
    with pytest.raises(ValueError, match="should have the fields"):
        from_record(ObjectsConfig, {"geometry": {}})
    broken = to_record(TINY)
    broken["geometry"]["width"] = "wide"
    with pytest.raises(ValueError, match=r"geometry\.width should be of type int"):
        from_record(ObjectsConfig, broken)


def test_official_files_become_a_predictor(folder):
    seen: list[tuple[str, float]] = []
    assert [state.converted for state in states(folder)] == [False] * 6
    manifest = convert_tiny(folder, dtype="float32", progress=lambda name, share: seen.append((name, share)))
    assert set(manifest.entries) == set(Part)
    assert seen[-1][1] == pytest.approx(1.0)
    assert all(finding.fault == "" for finding in verify(folder))
    assert all(state.converted and state.present for state in states(folder))

    converted = prediction_of(SAM3DObjects.from_checkpoint(folder))
    source = CheckpointSource(folder)
    expected = RandomSource(TINY, seed=4)
    for part in Part:
        wanted = expected.load(part, CPU, torch.float32).state_dict()
        for key, value in source.load(part, CPU, torch.float32).state_dict().items():
            assert torch.equal(value, wanted[key]), f"{part} {key}"
    assert converted.mesh is not None and len(converted.splats["gaussians"]) > 0


def test_bfloat16_halves_the_files_of_encoders_and_flows(folder):
    full = convert_tiny(folder, dtype="float32")
    half = convert_tiny(folder)
    assert half.dtype == "bfloat16"
    for part, entry in half.entries.items():
        # Decoders are small, and stay as they are.
        share = entry.size / full.entries[part].size
        assert share == 1 if part.is_decoder else share < 0.7
    assert prediction_of(SAM3DObjects.from_checkpoint(folder, dtype=torch.bfloat16)).mesh is not None


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_each_tensor_keeps_the_precision_that_it_needs(folder, dtype):
    """Decoders lose nothing, first and last layers nothing, and everything else runs in the dtype that is asked for."""
    convert_tiny(folder, dtype=dtype)
    source, exact = CheckpointSource(folder), RandomSource(TINY, seed=4)
    for part in Part:
        wanted = exact.load(part, CPU, torch.float32).state_dict()
        for key, value in source.load(part, CPU, torch.float32).state_dict().items():
            if part.is_decoder or "out_layer" in key or "t_embedder" in key or "pos_emb." in key:
                assert torch.equal(value, wanted[key]), f"{part} {key}"
        half = source.load(part, CPU, torch.bfloat16).state_dict()
        assert {value.dtype for value in half.values()} <= {torch.bfloat16, torch.float32}
        assert all(value.dtype == torch.float32 for key, value in half.items() if "out_layer" in key)
        assert any(value.dtype == torch.bfloat16 for value in half.values())
    gpu = torch.device("cuda")
    assert Part.MESH.torso_dtype(torch.bfloat16, gpu) == torch.float16
    assert Part.GEOMETRY.torso_dtype(torch.bfloat16, gpu) == torch.bfloat16
    assert Part.MESH.torso_dtype(torch.float32, gpu) == torch.float32


def test_other_errors_than_damage_keep_their_names(folder, monkeypatch):
    """A GPU that fails while weights are loaded says nothing about the file."""
    convert_tiny(folder)
    source = CheckpointSource(folder)

    def failing(path: Path, device: torch.device) -> dict:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr("sam3d_ros.models.objects.checkpoints.read_tensors", failing)
    with pytest.raises(RuntimeError, match="illegal memory access") as caught:
        source.load(Part.MESH, CPU, torch.float32)
    assert not isinstance(caught.value, CheckpointError)


def test_a_file_of_another_network_is_damaged(folder):
    manifest = convert_tiny(folder)
    mesh, splats = (folder / manifest.entries[part].file for part in (Part.MESH, Part.GAUSSIANS))
    source = CheckpointSource(folder)
    mesh.write_bytes(splats.read_bytes())
    with pytest.raises(CheckpointError, match=r"is damaged \(.*keys are missing"):
        source.load(Part.MESH, CPU, torch.float32)


def test_conversion_is_done_once(folder):
    first = convert_tiny(folder)
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    assert convert_tiny(folder) == first
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")} == times
    spoiled = folder / first.entries[Part.MESH].file
    spoiled.write_bytes(spoiled.read_bytes()[:-1] + b"x")
    convert_tiny(folder)
    assert all(finding.fault == "" for finding in verify(folder))
    assert not list(folder.glob("*.part"))


def test_gaussian_decoders_are_optional(folder):
    for name in ("slat_decoder_gs.ckpt", "slat_decoder_gs_4.ckpt"):
        (folder / "checkpoints" / name).unlink()
    convert_tiny(folder)
    with pytest.raises(CheckpointError, match="lacks the gaussians network"):
        prediction_of(SAM3DObjects.from_checkpoint(folder))


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_official_files_are_named(folder, name):
    (folder / "checkpoints" / name).unlink()
    with pytest.raises(CheckpointError, match=rf"lacks {name}.*download"):
        convert_tiny(folder)


@pytest.mark.parametrize("keep", [0, 10, 4000, -100])
def test_partial_official_files_are_refused(folder, keep):
    path = folder / "checkpoints" / "ss_decoder.ckpt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"ss_decoder\.ckpt.*download it again"):
        convert_tiny(folder)


def test_files_of_another_model_are_refused(folder):
    swapped = folder / "checkpoints" / "slat_decoder_mesh.ckpt"
    shutil.copy(folder / "checkpoints" / "slat_decoder_gs.ckpt", swapped)
    with pytest.raises(
        CheckpointError, match=r"slat_decoder_mesh\.ckpt is no .* keys are missing \(first upsample"
    ):
        convert_tiny(folder)


def test_files_of_another_size_are_refused(folder):
    with pytest.raises(CheckpointError, match=r"ss_generator\.ckpt is no .* of this size"):
        convert(folder, any_version=True)


def test_files_of_another_version_are_refused(folder):
    with pytest.raises(CheckpointError, match=r"not the released file.*--any-version"):
        convert(folder, config=TINY)


def test_code_in_a_file_is_not_run(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"input_layer.weight": Trap()}, folder / "checkpoints" / "ss_decoder.ckpt")
    with pytest.raises(CheckpointError, match=r"ss_decoder\.ckpt cannot be read"):
        convert_tiny(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": 3}, {"weight": "none"}])
def test_files_without_tensors_are_refused(folder, content):
    torch.save(content, folder / "checkpoints" / "ss_generator.ckpt")
    with pytest.raises(CheckpointError, match="holds no table of tensors"):
        convert_tiny(folder)


def test_converted_files_are_checked(folder):
    manifest = convert_tiny(folder)
    with pytest.raises(CheckpointError, match=r"checkpoints convert"):
        SAM3DObjects.from_checkpoint(folder / "checkpoints")

    part, entry = next(iter(manifest.entries.items()))
    path = folder / entry.file
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert [f.fault for f in verify(folder) if f.fault] == [
        f"has {entry.size - 9} bytes instead of {entry.size}"
    ]
    with pytest.raises(CheckpointError, match=f"{entry.file} has {entry.size - 9} bytes"):
        SAM3DObjects.from_checkpoint(folder)

    path.write_bytes(b"\xff" * 64 + whole[64:])
    assert [f.part for f in verify(folder) if "sha256" in f.fault] == [part]
    with pytest.raises(CheckpointError, match=f"{entry.file} is damaged"):
        CheckpointSource(folder).load(part, CPU, torch.float32)

    path.unlink()
    assert [f.fault for f in verify(folder) if f.fault] == ["is missing"]
    (folder / MANIFEST).write_text("{")
    with pytest.raises(CheckpointError, match="is damaged"):
        verify(folder)
    convert_tiny(folder)
    assert all(finding.fault == "" for finding in verify(folder))


class _Hub(http.server.BaseHTTPRequestHandler):
    """Answers as the hub does: with the files of a folder, or, without one, that access was not granted."""

    folder: Path | None = None

    def _answer(self) -> bytes:
        path = self.folder / self.path.split("/resolve/main/")[-1] if self.folder else None
        content = path.read_bytes() if path and path.is_file() else b""
        self.send_response(200 if content or self.path == "/" else 403)
        if content:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
        else:
            self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[type[_Hub], str]]:
    """A hub on this machine, and its address."""
    pytest.importorskip("huggingface_hub")
    handler = type("Handler", (_Hub,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_download_and_convert(hub, official, tmp_path):
    handler, address = hub
    handler.folder = official
    download(tmp_path, token="none", endpoint=address)
    assert all(state.present for state in states(tmp_path))
    convert_tiny(tmp_path)
    assert all(finding.fault == "" for finding in verify(tmp_path))


def test_download_says_how_to_get_access(hub, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"access to facebook/sam-3d-objects was not granted.*HF_TOKEN"
    ) as caught:
        download(tmp_path, token="none", endpoint=hub[1])
    assert "\n" not in str(caught.value)


def test_download_without_a_network_says_how_to_go_on(tmp_path):
    pytest.importorskip("huggingface_hub")
    with pytest.raises(CheckpointError, match=r"cannot be reached.*checkpoints convert"):
        download(tmp_path, token="none", endpoint="http://127.0.0.1:9")
