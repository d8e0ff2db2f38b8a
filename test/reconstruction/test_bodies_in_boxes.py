"""People told by boxes, and known keypoints, through the networks."""

from __future__ import annotations

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
from sam3d_ros.models.body.keypoints import NAMES  # noqa: E402
from sam3d_ros.models.body.predictor import SAM3DBody  # noqa: E402
from sam3d_ros.perception.estimates import ScaleSource, VerdictState  # noqa: E402
from sam3d_ros.perception.frame import Frame, PointsSource  # noqa: E402
from sam3d_ros.perception.prompts import KeypointPrompt  # noqa: E402
from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor  # noqa: E402
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig  # noqa: E402

CAMERA = Camera(320, 240, 310.0, 310.0, 164.0, 118.0)
BOXES = {4: (30.0, 20.0, 120.0, 225.0), 2: (170.0, 25.0, 290.0, 235.0)}
NOSE = KeypointPrompt(2, ("nose", "left_wrist"), np.array([(230.0, 60.0), (200.0, 150.0)], np.float32))


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def predictor(tiny_body_checkpoint: Path) -> SAM3DBody:
    return SAM3DBody.from_checkpoint(tiny_body_checkpoint)


@pytest.fixture(scope="module")
def reconstructor(predictor: SAM3DBody) -> BodyNetworkReconstructor:
    return BodyNetworkReconstructor(BodyNetworkConfig(device="cpu"), predictor)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return load_file(parity_folder() / "e2e_tiny" / "inputs.safetensors")["image"]


def frame_of(image: np.ndarray, depth: float = np.nan, prompts: tuple[KeypointPrompt, ...] = ()) -> Frame:
    points = (CAMERA.rays() * np.float32(depth)).astype(np.float32)
    source = PointsSource.NONE if np.isnan(depth) else PointsSource.DEPTH
    boxes = {i: np.array(box, np.float32) for i, box in BOXES.items()}
    labels, names = np.zeros((240, 320), np.uint16), dict.fromkeys(BOXES, "person")
    return Frame(
        0, "camera", image, labels, PointMap(points), source, CAMERA, names, boxes=boxes, prompts=prompts
    )


@pytest.mark.parametrize("depth", [np.nan, 2.5])
@pytest.mark.parametrize("ids", [[4, 2], [2]])
def test_people_in_boxes_are_what_the_predictor_says_of_the_boxes(
    reconstructor, predictor, image, depth: float, ids: list[int]
) -> None:
    frame = frame_of(image, depth)
    points = None if np.isnan(depth) else frame.points
    expected = predictor(image, [BOXES[i] for i in ids], camera=CAMERA, points=points)
    bodies = reconstructor.reconstruct(frame, ids)
    assert [body.instance_id for body in bodies] == ids
    for body, person in zip(bodies, expected, strict=True):
        np.testing.assert_allclose(body.keypoints, person.keypoints, atol=1e-5)
        assert body.label == "person"
        assert body.verdict.scale_source is (ScaleSource.PRIOR if points is None else ScaleSource.DEPTH)
        assert ("no_points" in body.verdict.reasons) is (points is None)


def test_the_verdict_compares_the_box_of_the_silhouette_with_the_given_one(reconstructor, image) -> None:
    (body,) = reconstructor.reconstruct(frame_of(image), [4])
    pixels = CAMERA.project(body.camera_from_body.apply(body.mesh.vertices))
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    # A box that is drawn around the silhouette itself, clipped as a detector would.
    own = (*low.clip(-0.5), *high.clip(None, (319.5, 239.5)))
    common = np.prod(np.minimum(own[2:], BOXES[4][2:]) - np.maximum(own[:2], BOXES[4][:2]))
    areas = [np.prod(np.subtract(box[2:], box[:2])) for box in (own, BOXES[4])]
    assert body.verdict.mask_iou == pytest.approx(common / (sum(areas) - common), abs=1e-4)
    assert ("low_overlap" in body.verdict.reasons) is (body.verdict.mask_iou < 0.6)
    assert (body.verdict.state is VerdictState.REJECTED) is (body.verdict.mask_iou < 0.3)


def test_known_keypoints_of_a_person_are_given_to_the_network(reconstructor, predictor, image) -> None:
    known = [[(230.0, 60.0, NAMES.index("nose")), (200.0, 150.0, NAMES.index("left_wrist"))]]
    (told,) = predictor(image, [BOXES[2]], camera=CAMERA, keypoints=known)
    (untold,) = predictor(image, [BOXES[2]], camera=CAMERA)
    (body,) = reconstructor.reconstruct(frame_of(image, prompts=(NOSE,)), [2])
    np.testing.assert_allclose(body.keypoints, told.keypoints, atol=1e-5)
    assert np.abs(body.keypoints - untold.keypoints).max() > 1e-3
    # Keypoints that nobody was matched with, or somebody else, change nothing.
    for instance in (0, 4):
        (body,) = reconstructor.reconstruct(
            frame_of(image, prompts=(replace(NOSE, instance_id=instance),)), [2]
        )
        np.testing.assert_allclose(body.keypoints, untold.keypoints, atol=1e-5)


def test_keypoints_help_people_with_masks_too(reconstructor, predictor, image) -> None:
    labels = np.zeros((240, 320), np.uint16)
    labels[25:235, 170:290] = 2
    frame = replace(frame_of(image, prompts=(NOSE,)), boxes={}, labels=labels)
    known = [[(230.0, 60.0, NAMES.index("nose")), (200.0, 150.0, NAMES.index("left_wrist"))]]
    (told,) = predictor(image, masks=labels[None] == 2, camera=CAMERA, keypoints=known)
    (body,) = reconstructor.reconstruct(frame, [2])
    np.testing.assert_allclose(body.keypoints, told.keypoints, atol=1e-5)


def test_nobodys_pose_changes_with_what_is_known_of_others(reconstructor, image) -> None:
    """In a batch it would: prompts are filled up to one number, which the network sees."""
    many = tuple(NAMES[:17])
    pixels = np.stack([np.linspace(180, 280, 17), np.linspace(40, 220, 17)], axis=-1).astype(np.float32)
    crowded = reconstructor.reconstruct(frame_of(image, prompts=(KeypointPrompt(2, many, pixels),)), [4, 2])
    alone = reconstructor.reconstruct(frame_of(image), [4])
    assert [body.instance_id for body in crowded] == [4, 2]
    np.testing.assert_allclose(crowded[0].keypoints, alone[0].keypoints, atol=1e-5)


def test_everybody_of_whom_as_much_is_known_is_one_batch(predictor, image) -> None:
    batches: list[int] = []

    class Counting(SAM3DBody):
        def __call__(self, image, boxes=None, *arguments, **options):
            batches.append(len(boxes))
            return super().__call__(image, boxes, *arguments, **options)

    config = BodyNetworkConfig(device="cpu", mode="body")
    counting = BodyNetworkReconstructor(config, Counting(predictor.pipeline.network, predictor.rig))
    other = KeypointPrompt(4, ("neck", "nose"), np.array([(70, 40), (72, 30)], np.float32))
    told: list[float] = []
    for prompts in [(), (NOSE, other), (NOSE,)]:
        told.clear()
        counting.reconstruct(
            frame_of(image, prompts=prompts), [4, 2], progress=lambda stage, share: told.append(share)
        )
        assert told == sorted(told) and 0.5 <= told[-1] <= 1.0
    assert batches == [2, 2, 1, 1]


def test_who_only_the_distortion_of_the_lens_shows_is_left_out(reconstructor, image) -> None:
    """A barrel lens sees farther than a camera without distortion of the same focal length."""
    barrel = replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))
    boxes = {4: np.array(BOXES[4], np.float32), 2: np.array((312, 1, 319, 12), np.float32)}
    bodies = reconstructor.reconstruct(replace(frame_of(image), camera=barrel, boxes=boxes), [2, 4])
    assert [body.instance_id for body in bodies] == [4]


def test_an_instance_without_a_box_is_refused(reconstructor, image) -> None:
    with pytest.raises(ValueError, match="instance 7 is not in this frame"):
        reconstructor.reconstruct(frame_of(image), [4, 7])
