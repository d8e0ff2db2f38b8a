"""People of a frame through the networks: what comes back, where it lies, and what is said when it cannot be."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from body_release import parity_folder

torch = pytest.importorskip("torch", reason="requirements/models.txt is not installed")
pytest.importorskip("safetensors", reason="requirements/models.txt is not installed")

from safetensors.numpy import load_file  # noqa: E402

from sam3d_ros.geometry.cameras import Camera  # noqa: E402
from sam3d_ros.geometry.point_map import PointMap  # noqa: E402
from sam3d_ros.models.body.predictor import SAM3DBody  # noqa: E402
from sam3d_ros.perception.estimates import ScaleSource, VerdictState  # noqa: E402
from sam3d_ros.perception.frame import Frame, PointsSource  # noqa: E402
from sam3d_ros.perception.people.estimates import BodyEstimate  # noqa: E402
from sam3d_ros.reconstruction.bodies import SKELETON, BodyNetworkReconstructor  # noqa: E402
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig, default_body_folder  # noqa: E402
from sam3d_ros.reconstruction.errors import FullMemoryError, MissingWeightsError  # noqa: E402

CAMERA = Camera(320, 240, 310.0, 310.0, 164.0, 118.0)
IDS = [9, 5]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def given() -> dict[str, np.ndarray]:
    return load_file(parity_folder() / "e2e_tiny" / "inputs.safetensors")


def frame_of(given: dict[str, np.ndarray], depth: np.ndarray | float, source=PointsSource.DEPTH) -> Frame:
    labels = np.zeros((240, 320), np.uint16)
    labels[given["mask1"] > 0], labels[given["mask2"] > 0] = 5, 9
    points = CAMERA.rays() * np.broadcast_to(depth, labels.shape)[..., None]
    names = {5: "person", 9: "person"}
    return Frame(
        0, "camera", given["image"], labels, PointMap(points.astype(np.float32)), source, CAMERA, names
    )


@pytest.fixture(scope="module")
def reconstructor(tiny_body_checkpoint: Path) -> BodyNetworkReconstructor:
    return BodyNetworkReconstructor(BodyNetworkConfig(checkpoint=str(tiny_body_checkpoint), device="cpu"))


@pytest.fixture(scope="module")
def unmeasured(reconstructor: BodyNetworkReconstructor, given) -> list[BodyEstimate]:
    return reconstructor.reconstruct(frame_of(given, np.nan, PointsSource.NONE), IDS)


def test_the_frame_of_a_body_is_between_its_hips(unmeasured: list[BodyEstimate]) -> None:
    assert [body.instance_id for body in unmeasured] == IDS
    for body in unmeasured:
        assert body.label == "person" and body.skeleton is SKELETON and body.mesh is not None
        pose = body.camera_from_body
        np.testing.assert_allclose(pose.scale, 1.0)
        inside = pose.apply_inverse(body.keypoints)
        at = {name: inside[SKELETON.keypoints.index(name)] for name in ("left_hip", "right_hip", "nose")}
        np.testing.assert_allclose(at["left_hip"] + at["right_hip"], 0, atol=1e-5)
        assert at["left_hip"][1] > 0.02 and abs(at["left_hip"][0]) < 1e-5
        assert at["nose"][2] > 0.3
        # The body fills its mask from about the camera's side: the surface lies around the joints.
        low, high = body.mesh.bounds
        joints = pose.apply_inverse(body.joints[2:])
        assert (joints.min(axis=0) > low - 0.1).all() and (joints.max(axis=0) < high + 0.1).all()


def test_it_says_what_the_predictor_says(tiny_body_checkpoint: Path, given, unmeasured) -> None:
    frame = frame_of(given, np.nan, PointsSource.NONE)
    masks = np.stack([frame.mask(i) for i in IDS])
    people = SAM3DBody.from_checkpoint(tiny_body_checkpoint)(frame.rgb, masks=masks, camera=CAMERA)
    for person, body in zip(people, unmeasured, strict=True):
        np.testing.assert_allclose(body.keypoints, person.keypoints, atol=1e-5)
        np.testing.assert_allclose(body.joint_rotations, person.joint_rotations, atol=1e-5)
        seen = person.camera_from_body.apply(person.vertices)
        np.testing.assert_allclose(body.camera_from_body.apply(body.mesh.vertices), seen, atol=1e-5)
        np.testing.assert_array_equal(body.rig.model, person.rig.model)


@pytest.mark.parametrize(
    ("source", "name"), [(PointsSource.DEPTH, ScaleSource.DEPTH), (PointsSource.LIDAR, ScaleSource.LIDAR)]
)
def test_points_in_the_mask_place_the_body(reconstructor, given, unmeasured, source, name) -> None:
    bodies = reconstructor.reconstruct(frame_of(given, 2.5, source), IDS)
    for body, before in zip(bodies, unmeasured, strict=True):
        verdict = body.verdict
        assert verdict.scale_source is name and not {"no_points", "few_points"} & set(verdict.reasons)
        assert verdict.point_count > 100 and verdict.depth_residual < 0.1
        factor = body.camera_from_body.translation[2] / before.camera_from_body.translation[2]
        assert 2.3 < np.nanmedian(body.keypoints[:, 2]) < 2.7
        np.testing.assert_allclose(body.keypoints, factor * before.keypoints, rtol=1e-4)
        np.testing.assert_allclose(CAMERA.project(body.joints), CAMERA.project(before.joints), atol=1e-2)
        np.testing.assert_allclose(body.camera_from_body.scale, 1.0)


@pytest.mark.parametrize("depth", [np.nan, 2.5])
def test_a_floor_with_a_label_hides_nobody(reconstructor, given, depth: float) -> None:
    """The verdict is the same whether a segmenter labels what is around people or not."""
    frame = frame_of(given, depth, PointsSource.NONE if np.isnan(depth) else PointsSource.DEPTH)
    labelled = replace(frame, labels=np.where(frame.labels == 0, np.uint16(77), frame.labels))
    for body, plain in zip(
        reconstructor.reconstruct(labelled, IDS), reconstructor.reconstruct(frame, IDS), strict=True
    ):
        assert body.verdict.mask_iou == pytest.approx(plain.verdict.mask_iou)
        assert body.verdict.state is plain.verdict.state and body.verdict.reasons == plain.verdict.reasons


def test_without_points_the_camera_model_places_it(reconstructor, given, unmeasured) -> None:
    for body in unmeasured:
        assert body.verdict.scale_source is ScaleSource.PRIOR and "no_points" in body.verdict.reasons
        assert body.verdict.state is not VerdictState.ACCEPTED
        assert 0 < body.verdict.mask_iou < 1 and np.isnan(body.verdict.depth_residual)
    few = np.full((240, 320), np.nan)
    rows, columns = np.nonzero(given["mask1"])
    few[rows[:2], columns[:2]] = 2.5
    (body,) = reconstructor.reconstruct(frame_of(given, few), [5])
    assert body.verdict.scale_source is ScaleSource.PRIOR and "few_points" in body.verdict.reasons


def test_where_memory_is_short_fewer_are_posed_at_a_time(tiny_body_checkpoint, given, unmeasured) -> None:
    class Narrow(SAM3DBody):
        """The predictor, on a device that has room for so many people."""

        room = 1

        def __call__(self, image, boxes=None, masks=None, *arguments, **options):
            if len(masks) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate more.")
            return super().__call__(image, boxes, masks, *arguments, **options)

    whole = SAM3DBody.from_checkpoint(tiny_body_checkpoint)
    narrow = Narrow(whole.pipeline.network, whole.rig)
    reconstructor = BodyNetworkReconstructor(BodyNetworkConfig(device="cpu"), narrow)
    frame = frame_of(given, np.nan, PointsSource.NONE)
    told: list[tuple[str, float]] = []
    bodies = reconstructor.reconstruct(frame, IDS, progress=lambda *news: told.append(news))
    assert [share for stage, share in told if stage == "encoder"] == [0.0, 0.5]
    assert told == sorted(told, key=lambda news: news[1]) and told[-1][1] <= 1.0
    for body, expected in zip(bodies, unmeasured, strict=True):
        np.testing.assert_allclose(body.keypoints, expected.keypoints, atol=1e-4)
    narrow.room = 0
    with pytest.raises(FullMemoryError, match="another device"):
        reconstructor.reconstruct(frame, IDS)


def test_what_is_missing_is_named(tiny_body_checkpoint: Path, reconstructor, given, tmp_path: Path) -> None:
    assert default_body_folder() == Path(os.environ["SAM3D_BODY_CHECKPOINT_DIR"])
    with pytest.raises(MissingWeightsError, match="checkpoints download --model body-dinov3"):
        BodyNetworkReconstructor(BodyNetworkConfig(checkpoint=str(tmp_path)))
    with pytest.raises(ValueError, match="mode is 'hand': give one of full, body"):
        BodyNetworkConfig(mode="hand")
    with pytest.raises(ValueError, match="max_batch is 0"):
        BodyNetworkConfig(max_batch=0)
    frame = frame_of(given, np.nan, PointsSource.NONE)
    with pytest.raises(ValueError, match="instance 7 is not in this frame"):
        reconstructor.reconstruct(frame, [5, 7])
    assert reconstructor.reconstruct(frame, []) == []
    for name in ("sam3d_body.safetensors", "rig.safetensors"):
        folder = Path(shutil.copytree(tiny_body_checkpoint, tmp_path / name))
        (folder / name).write_bytes((folder / name).read_bytes()[:-100])
        damaged = BodyNetworkReconstructor(BodyNetworkConfig(checkpoint=str(folder), device="cpu"))
        with pytest.raises(MissingWeightsError, match=name):
            damaged.load()
