"""The predictor over plain arrays, from a checkpoint folder on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.raycasting import RayScene
from sam3d_ros.models.body.checkpoints import (
    BodyCheckpointError,
    convert,
    read_checkpoint,
    read_official,
)
from sam3d_ros.models.body.keypoints import JOINT_OF_KEYPOINT, NAMES
from sam3d_ros.models.body.network import official_key
from sam3d_ros.models.body.pipeline import Mode, Pipeline
from sam3d_ros.models.body.predictor import SAM3DBody
from sam3d_ros.models.body.quirks import Quirks
from sam3d_ros.models.body.release import verify
from sam3d_ros.models.body.rig_files import RigError, write_rig
from sam3d_ros.models.devices import is_out_of_memory

STAGES = {
    Mode.FULL: ["encoder", "decoder", "hand encoder", "hand decoder", "second decoder", "surface"],
    Mode.BODY: ["encoder", "decoder", "surface"],
    Mode.HAND: ["hand encoder", "hand decoder", "surface"],
}


@pytest.fixture(scope="module")
def official_folder(tiny_body, save_official_rig, tmp_path_factory) -> Path:
    """A checkpoint folder in the official layout, of the small network."""
    folder = tmp_path_factory.mktemp("official")
    network, _, rig = tiny_body("e2e_tiny")
    state = {official_key(key): value for key, value in network.state_dict().items()}
    unused = [key for key in state if key.endswith(("mask_token", "hand_pose_comps_ori"))]
    for key in unused:
        del state[key]
    torch.save({"state_dict": state}, folder / "model.ckpt")
    (folder / "assets").mkdir()
    save_official_rig(rig, folder / "assets" / "mhr_model.pt")
    return folder


@pytest.fixture(scope="module")
def folder(official_folder, tiny_body, tmp_path_factory) -> Path:
    """The same, converted."""
    target = tmp_path_factory.mktemp("converted") / "body"
    convert(official_folder, target, tiny_body("e2e_tiny")[0].config)
    return target


@pytest.fixture(scope="module")
def given(body_set) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in body_set("e2e_tiny").load("inputs").items()}


@pytest.fixture(scope="module")
def camera(given) -> Camera:
    height, width = given["image"].shape[:2]
    K = given["K"][0]
    return Camera(width, height, *(float(K[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2))))


@pytest.fixture(scope="module")
def masks(given) -> np.ndarray:
    return np.stack([given["mask1"], given["mask2"]]).astype(bool)


@pytest.fixture(scope="module")
def predictor(folder) -> SAM3DBody:
    return SAM3DBody.from_checkpoint(folder)


def test_official_results_from_a_checkpoint_folder(body_set, folder, given, camera):
    e2e = body_set("e2e_tiny")
    for name in ("full2_thr4", "full2_thr1_left_rejected"):
        expected, turn = e2e.load(name), e2e.config["thresholds"][name]
        body = SAM3DBody.from_checkpoint(folder, quirks=Quirks.official(), wrist_turn=turn)
        people = body(given["image"], given["boxes2"], camera=camera)
        assert len(people) == 2
        for index, person in enumerate(people):
            official = {
                key.split(".", 1)[1]: value.numpy()
                for key, value in expected.items()
                if key.startswith(f"p{index}")
            }
            place = official["pred_cam_t"]
            np.testing.assert_allclose(person.camera_from_body.translation, place, atol=1e-4)
            np.testing.assert_allclose(person.keypoints, official["pred_keypoints_3d"] + place, atol=2e-4)
            np.testing.assert_allclose(person.joints, official["pred_joint_coords"] + place, atol=2e-4)
            seen = person.camera_from_body.apply(person.vertices)
            np.testing.assert_allclose(seen, official["pred_vertices"] + place, atol=2e-4)
            np.testing.assert_allclose(person.rig.model, official["mhr_model_params"], atol=1e-4)
            np.testing.assert_allclose(person.hand_boxes[0], official["lhand_bbox"], atol=5e-3)


@pytest.mark.parametrize("mode", list(Mode))
def test_everything_of_a_person_agrees(predictor, given, camera, masks, mode):
    people = predictor(given["image"], masks=masks, camera=camera, mode=mode)
    assert len(people) == 2
    for person in people:
        assert person.mesh is not None and person.metric is None
        assert list(person.seconds) == STAGES[mode]
        for name, joint in (("left_knee", 3), ("right_wrist", 41)):
            if mode is not Mode.HAND or name == "right_wrist":
                keypoint = person.keypoints[NAMES.index(name)]
                np.testing.assert_allclose(keypoint, person.joints[joint], atol=1e-5)
        expected = camera.project(person.keypoints.astype(np.float64))
        np.testing.assert_allclose(person.pixels, expected, atol=1e-2)
        turns = person.joint_rotations
        np.testing.assert_allclose(
            turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (127, 1, 1)), atol=1e-5
        )
        assert (np.linalg.det(turns) < 0).sum() == 0


def test_one_at_a_time_is_the_same(folder, predictor, given, camera, masks):
    together = predictor(given["image"], given["boxes2"], masks, camera)
    told: list[tuple[str, float]] = []
    single = SAM3DBody.from_checkpoint(folder, max_batch=1)(
        given["image"], given["boxes2"], masks, camera, progress=lambda *news: told.append(news)
    )
    assert [stage for stage, _ in told] == 2 * STAGES[Mode.FULL]
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] == 0 and 0.9 < shares[-1] < 1
    for a, b in zip(together, single, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-5)
        np.testing.assert_allclose(a.vertices, b.vertices, atol=1e-5)


class _SmallMemory(Pipeline):
    """Holds one person, like a GPU that is nearly full."""

    calls = 0

    def __call__(self, scene, *arguments):
        self.calls += 1
        if len(scene.boxes) > 1:
            raise torch.cuda.OutOfMemoryError("more than one person")
        return super().__call__(scene, *arguments)


def test_fewer_are_posed_together_where_memory_is_short(predictor, given, camera, masks):
    expected = predictor(given["image"], given["boxes2"], masks, camera, mode="body")
    small = SAM3DBody(predictor.pipeline.network, predictor.rig)
    small.pipeline = _SmallMemory(predictor.pipeline.network, predictor.rig)
    people = small(given["image"], given["boxes2"], masks, camera, mode="body")
    assert small.pipeline.calls == 3
    for a, b in zip(people, expected, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-5)


def test_without_its_surface_a_person_is_the_same(predictor, given, camera):
    whole = predictor(given["image"], given["boxes1"], camera=camera)[0]
    bare = predictor(given["image"], given["boxes1"], camera=camera, surface=False)[0]
    assert bare.mesh is None and bare.vertices is None
    np.testing.assert_array_equal(bare.keypoints, whole.keypoints)
    np.testing.assert_array_equal(bare.joint_rotations, whole.joint_rotations)


def test_a_rig_of_joints_alone_names_what_it_lacks(predictor, given, camera):
    network = predictor.pipeline.network
    bare = SAM3DBody(network, predictor.rig.joints_only())
    person = bare(given["image"], given["boxes1"], camera=camera)[0]
    known = {NAMES[i] for i in np.flatnonzero(np.isfinite(person.keypoints).all(axis=1))}
    assert known == set(JOINT_OF_KEYPOINT)
    assert person.mesh is None and np.isfinite(person.joints).all()


def test_measured_points_place_the_body(predictor, given, camera):
    plain = predictor(given["image"], given["boxes1"], camera=camera, mode="body")[0]
    hits = RayScene([(plain.mesh, plain.camera_from_body)]).cast(camera.rays())
    points = 1.17 * camera.rays() * np.where(hits.hit, hits.distance, np.nan)[..., None]
    for surface in (True, False):
        person = predictor(
            given["image"], given["boxes1"], None, camera, points, mode="body", surface=surface
        )[0]
        assert person.metric is not None and person.metric.scale == pytest.approx(1.17, rel=1e-3)
        scale = person.metric.scale
        np.testing.assert_allclose(person.keypoints, scale * plain.keypoints, rtol=1e-5)
        np.testing.assert_allclose(person.joints, scale * plain.joints, rtol=1e-5)
        np.testing.assert_allclose(person.pixels, plain.pixels)
        corner = person.camera_from_body.apply(plain.vertices)
        np.testing.assert_allclose(corner, scale * plain.camera_from_body.apply(plain.vertices), rtol=1e-5)
        assert (person.mesh is not None) == surface
    unknown = predictor(
        given["image"], given["boxes1"], None, camera, np.full_like(points, np.nan), mode="body"
    )[0]
    assert unknown.metric is None
    np.testing.assert_array_equal(unknown.keypoints, plain.keypoints)


def test_known_keypoints_are_heard(predictor, given, camera):
    plain = predictor(given["image"], given["boxes1"], camera=camera)[0]
    prompt = [[[150.0, 120.0, 5.0], [0.0, 0.0, -1.0]]]
    told = predictor(given["image"], given["boxes1"], camera=camera, keypoints=prompt)[0]
    assert np.abs(told.keypoints - plain.keypoints).max() > 1e-4


def test_nobody_is_an_empty_list(predictor, given):
    assert predictor(given["image"], np.zeros((0, 4))) == []


def test_what_cannot_be_used_is_named(predictor, given, camera, masks):
    image = given["image"]
    bad = {
        "neither boxes nor masks": {},
        "give x1 < x2": {"boxes": [[10, 10, 5, 20]]},
        "finite": {"boxes": [[10, 10, np.nan, 20]]},
        "mask 0 is empty": {"masks": np.zeros_like(masks)},
        "masks are": {"masks": masks[:, 1:]},
        "one of each": {"boxes": given["boxes1"], "masks": masks},
        "points are": {"boxes": given["boxes1"], "points": np.zeros((3, 3, 3))},
        "keypoints are": {"boxes": given["boxes1"], "keypoints": np.zeros((2, 1, 3))},
        "index beyond": {"boxes": given["boxes1"], "keypoints": np.full((1, 1, 3), 70.0)},
        "tell about bodies": {
            "boxes": given["boxes1"],
            "keypoints": np.zeros((1, 1, 3)),
            "mode": "hand",
        },
        "is not a valid Mode": {"boxes": given["boxes1"], "mode": "feet"},
        "distortion": {
            "boxes": given["boxes1"],
            "camera": Camera(320, 240, 300.0, 300.0, 160.0, 120.0, "plumb_bob", (0.1, 0, 0, 0, 0)),
        },
        "equidistant": {
            "boxes": given["boxes1"],
            "camera": Camera(320, 240, 300.0, 300.0, 160.0, 120.0, "equidistant", (0.0, 0, 0, 0)),
        },
        "one size": {"boxes": given["boxes1"], "camera": Camera(32, 24, 300.0, 300.0, 16.0, 12.0)},
    }
    for message, arguments in bad.items():
        with pytest.raises(ValueError, match=message):
            predictor(image, **arguments)
    with pytest.raises(ValueError, match="uint8 RGB"):
        predictor(image.astype(np.float32), given["boxes1"])


def test_missing_and_damaged_weights_are_named(tmp_path, official_folder, folder, tiny_body):
    network, _, rig = tiny_body("e2e_tiny")
    config = network.config
    deeper = replace(config.decoder, depth=config.decoder.depth + 1)
    with pytest.raises(BodyCheckpointError, match="holds neither"):
        SAM3DBody.from_checkpoint(tmp_path)
    with pytest.raises(BodyCheckpointError, match=r"model\.ckpt is missing"):
        convert(tmp_path, tmp_path / "out", config)
    (tmp_path / "model.ckpt").write_bytes(b"nothing")
    with pytest.raises(BodyCheckpointError, match="damaged"):
        read_official(tmp_path / "model.ckpt")
    torch.save([1, 2], tmp_path / "model.ckpt")
    with pytest.raises(BodyCheckpointError, match="no table of tensors"):
        read_official(tmp_path / "model.ckpt")
    (tmp_path / "model.ckpt").write_bytes((official_folder / "model.ckpt").read_bytes())
    with pytest.raises(RigError, match=r"mhr_model\.pt is missing"):
        convert(tmp_path, tmp_path / "out", config)
    with pytest.raises(BodyCheckpointError, match="do not fit"):
        convert(official_folder, tmp_path / "out", replace(config, decoder=deeper))
    with pytest.raises(BodyCheckpointError, match="do not fit"):
        convert(official_folder, tmp_path / "out")
    bones = tmp_path / "bones.safetensors"
    write_rig(bones, rig.joints_only())
    with pytest.raises(BodyCheckpointError, match=r"bones\.safetensors is not the rig"):
        convert(official_folder, tmp_path / "out", config, rig_file=bones)
    for name in ("sam3d_body.json", "rig.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(BodyCheckpointError, match=r"sam3d_body\.safetensors is missing"):
        SAM3DBody.from_checkpoint(tmp_path)
    record = json.loads((folder / "sam3d_body.json").read_text())
    record["config"]["crop_size"] = "large"
    (tmp_path / "sam3d_body.json").write_text(json.dumps(record))
    with pytest.raises(BodyCheckpointError, match="crop_size"):
        SAM3DBody.from_checkpoint(tmp_path)


def test_verification_finds_what_is_damaged(tmp_path, folder):
    files = ("sam3d_body.json", "sam3d_body.safetensors", "rig.safetensors")
    for name in files:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert not any(finding.fault for finding in verify(tmp_path))
    weights = bytearray((tmp_path / files[1]).read_bytes())
    weights[-1] ^= 1
    (tmp_path / files[1]).write_bytes(weights)
    (tmp_path / files[2]).unlink()
    faults = {finding.file: finding.fault for finding in verify(tmp_path)}
    assert "sha256" in faults[files[1]] and faults[files[2]] == "is missing"
    (tmp_path / files[0]).unlink()
    with pytest.raises(BodyCheckpointError, match="holds no converted"):
        verify(tmp_path)


def test_bfloat16_reaches_the_encoder_alone(folder):
    network = SAM3DBody.from_checkpoint(folder, dtype=torch.bfloat16).pipeline.network
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            expected = torch.bfloat16 if key.startswith("backbone.") else torch.float32
            assert value.dtype is expected, key


@pytest.mark.parametrize("reader", ["torch.load", "torch.jit.load"])
def test_full_memory_is_not_called_damage(monkeypatch, official_folder, tiny_body, reader):
    def full(*_args, **_options):
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] not enough memory: you tried to allocate 4 bytes"
        )

    monkeypatch.setattr(reader, full)
    config = tiny_body("e2e_tiny")[0].config
    with pytest.raises(RuntimeError, match="not enough memory") as caught:
        read_checkpoint(official_folder, torch.device("cpu"), torch.float32, config)
    assert is_out_of_memory(caught.value)


def test_weights_read_in_inference_mode_can_be_trained(folder):
    with torch.inference_mode():
        predictor = SAM3DBody.from_checkpoint(folder)
    tensors = [*predictor.pipeline.network.parameters(), *predictor.pipeline.network.buffers()]
    assert not any(tensor.is_inference() for tensor in [*tensors, *predictor.rig.buffers()])
