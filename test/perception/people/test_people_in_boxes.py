"""People told by boxes keep their ids, and known keypoints find the person whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from analytic_bodies import FACING, SKELETON, labelled_frame, standing_body
from hypothesis import given
from hypothesis import strategies as st

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.estimates import BodyEstimate
from sam3d_ros.perception.people.pipeline import BodyPipeline, PeopleConfig
from sam3d_ros.perception.people.prompting import matched_prompts
from sam3d_ros.perception.prompts import KeypointPrompt
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.rectification import rectified

SECOND = 1_000_000_000
HEIGHT, WIDTH = 120, 160
Box = tuple[float, float, float, float]

lefts, tops = st.integers(0, 100), st.integers(0, 60)
person_boxes = st.tuples(lefts, tops, st.integers(20, 59), st.integers(40, 59)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


class Standing:
    """Puts a body into the middle of each box, and remembers what it was asked with."""

    name = "standing"
    skeleton = SKELETON

    def __init__(self) -> None:
        self.asked: list[Frame] = []

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[BodyEstimate]:
        self.asked.append(frame)
        places = [np.nanmedian(frame.points[frame.mask(i)], axis=0) for i in instance_ids]
        return [
            standing_body(i, Similarity(FACING.rotation, place))
            for i, place in zip(instance_ids, places, strict=True)
        ]


def frame_of(
    stamp: float,
    boxes: Sequence[Box],
    classes: Sequence[str] | None = None,
    prompts: Sequence[KeypointPrompt] = (),
    depth: float | np.ndarray = 2.0,
) -> Frame:
    """A frame with boxes 1, 2, ... before a wall."""
    names = dict(enumerate(classes or ["person"] * len(boxes), start=1))
    frame = labelled_frame(round(stamp * SECOND), np.zeros((HEIGHT, WIDTH)), names)
    points = frame.camera.rays() * np.broadcast_to(depth, (HEIGHT, WIDTH))[..., None]
    told = {i: np.array(box, np.float32) for i, box in enumerate(boxes, start=1)}
    return replace(frame, point_map=PointMap(points.astype(np.float32)), boxes=told, prompts=tuple(prompts))


def prompt_in(box: Box, instance: int = 0, shares: Sequence[tuple[float, float]] = ()) -> KeypointPrompt:
    """Keypoints at shares of a box's width and height: at head, hips and feet of somebody who fills it."""
    shares = shares or ((0.5, 0.05), (0.1, 0.5), (0.9, 0.5), (0.3, 0.95), (0.7, 0.95))
    x1, y1, x2, y2 = box
    pixels = [(x1 + u * (x2 - x1), y1 + v * (y2 - y1)) for u, v in shares]
    names = tuple(SKELETON.keypoints[: len(pixels)])
    return KeypointPrompt(instance, names, np.array(pixels, np.float32))


def test_people_are_the_boxes_of_the_class_whatever_their_number() -> None:
    boxes = [(0, 0, 30, 60), (40, 0, 70, 60), (80, 0, 110, 60), (120, 0, 150, 60)]
    frame = frame_of(0, boxes, ["cup", "person", "0", "person"])
    assert PeopleConfig().instances_of(frame) == [2, 4]
    # A number is a class id here, not the place in the message.
    assert PeopleConfig(people=("0", "1")).instances_of(frame) == [3]


@given(person_boxes)
def test_the_mask_of_a_box_is_made_of_the_pixels_in_it(box: Box) -> None:
    frame = frame_of(0, [box])
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    inside = (u >= box[0]) & (u <= box[2]) & (v >= box[1]) & (v <= box[3])
    np.testing.assert_array_equal(frame.mask(1), inside)


@pytest.mark.parametrize("box", [(-0.5, -0.5, -0.3, -0.3), (10.2, 10.2, 10.4, 10.4), (159.1, 5, 159.5, 6)])
def test_a_box_between_the_pixels_has_the_nearest_one(box: Box) -> None:
    mask = frame_of(0, [box]).mask(1)
    assert mask.any()
    v, u = np.argwhere(mask).mean(axis=0)
    assert abs(u - np.clip(box[0], 0, WIDTH - 1)) < 1 and abs(v - np.clip(box[1], 0, HEIGHT - 1)) < 1


def test_boxes_beside_labels_are_refused() -> None:
    frame = frame_of(0, [(0, 0, 9, 9), (3, 3, 9, 9)])
    assert frame.instance_ids() == [1, 2]
    with pytest.raises(ValueError, match="tell instances by one of them"):
        replace(frame, labels=np.ones_like(frame.labels))


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (0, 9, 9, 0), (0, 0, np.nan, 5), (1, 2, 3)])
def test_a_box_without_area_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="give x1 < x2 and y1 < y2"):
        frame_of(0, [box])


def test_ids_stay_when_the_detector_tells_people_in_another_order() -> None:
    pipeline = BodyPipeline(Standing())
    left, right = (10, 10, 45, 110), (80, 20, 130, 110)
    first = pipeline.observe(frame_of(0, [left, right]))
    second = pipeline.observe(frame_of(0.1, [(82, 20, 132, 110), (13, 10, 48, 110)]))
    assert first.instances == {1: 2, 2: 1}  # the larger one is looked at first
    assert second.instances == {1: 1, 2: 2}
    bodies = pipeline.reconstruct(second)
    assert [body.track_id for body in bodies] == [1, 2]


def test_people_whose_boxes_overlap_keep_their_ids() -> None:
    """Two people walk past each other, the one on the right half behind the other."""
    pipeline, seen = BodyPipeline(Standing()), []
    depth = np.full((HEIGHT, WIDTH), 6.0)
    for step in range(12):
        near, far = (20 + 3 * step, 10, 60 + 3 * step, 118), (70 - step, 15, 104 - step, 100)
        depth[:] = 6.0
        depth[30:90, far[0] + 8 : far[2] - 8], depth[20:110, near[0] + 8 : near[2] - 8] = 4.0, 2.0
        sighting = pipeline.observe(frame_of(0.1 * step, [near, far], depth=depth))
        seen.append({instance: track for track, instance in sighting.instances.items()})
    assert all(ids == seen[0] for ids in seen), seen


def test_the_distance_of_a_track_is_that_of_the_person_and_not_of_the_wall() -> None:
    """Two people change places between two images: their boxes do not tell it, their distances do.

    They fill two fifths of their boxes, and their middles.
    """
    pipeline, seen = BodyPipeline(Standing()), []
    for step, (near, far) in enumerate([(30, 70), (70, 30)]):
        depth = np.full((HEIGHT, WIDTH), 8.0)
        depth[20:100, near + 12 : near + 38], depth[20:100, far + 12 : far + 38] = 2.0, 4.0
        boxes = [(left, 10, left + 50, 110) for left in (near, far)]
        seen.append(pipeline.observe(frame_of(0.5 * step, boxes, depth=depth)).instances)
    assert seen[0] == seen[1]


def test_nobody_detected_is_nobody_seen_and_the_id_is_kept_for_a_while() -> None:
    pipeline = BodyPipeline(Standing(), PeopleConfig(lost_timeout=1.0))
    box = (40, 10, 90, 110)
    assert pipeline.observe(frame_of(0, [box])).instances == {1: 1}
    hidden = pipeline.observe(frame_of(0.5, []))
    assert (dict(hidden.instances), hidden.alive) == ({}, {1})
    assert pipeline.observe(frame_of(0.9, [box])).instances == {1: 1}


def test_boxes_too_small_and_too_many_are_counted() -> None:
    pipeline = BodyPipeline(Standing(), PeopleConfig(max_people=1))
    boxes = [(10, 10, 50, 110), (60, 10, 110, 110), (130, 10, 134, 14)]
    sighting = pipeline.observe(frame_of(0, boxes))
    assert set(sighting.instances.values()) == {2}
    assert sighting.faults == {"empty_mask": 1, "too_many_objects": 1}


@given(st.lists(person_boxes, min_size=1, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_keypoints_that_fill_a_box_belong_to_it(boxes: list[Box], random) -> None:  # type: ignore[no-untyped-def]
    prompts = [prompt_in(box) for box in boxes]
    random.shuffle(prompts)
    matched = matched_prompts(frame_of(0, boxes, prompts=prompts), range(1, len(boxes) + 1))
    assert [prompt.instance_id for prompt in matched] == list(range(1, len(boxes) + 1))
    # Boxes that are almost the same cannot be told apart: then another assignment may be as good, but no better.
    total = sum(overlap(extent(p), boxes[p.instance_id - 1]) for p in matched)
    assert total >= sum(overlap(extent(prompt_in(box)), box) for box in boxes) - 1e-5


def extent(prompt: KeypointPrompt) -> Box:
    (x1, y1), (x2, y2) = prompt.pixels.min(axis=0).tolist(), prompt.pixels.max(axis=0).tolist()
    return x1, y1, x2, y2


def overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0.0) * max(height, 0.0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_a_child_before_an_adult_gets_its_own_keypoints() -> None:
    adult, child = (20, 5, 100, 115), (40, 60, 70, 110)
    prompts = [prompt_in(child), prompt_in(adult)]
    matched = matched_prompts(frame_of(0, [adult, child], prompts=prompts), [1, 2])
    assert [p.pixels.tolist() for p in matched] == [prompts[1].pixels.tolist(), prompts[0].pixels.tolist()]


def test_keypoints_belong_to_the_mask_that_holds_them() -> None:
    labels = np.zeros((HEIGHT, WIDTH))
    labels[10:110, 10:60], labels[10:110, 70:120] = 5, 9
    frame = labelled_frame(0, labels, {5: "person", 9: "person"})
    beside = prompt_in((125, 10, 150, 60))
    prompts = (prompt_in((70, 10, 119, 109)), prompt_in((12, 12, 55, 100)), beside)
    frame = replace(frame, prompts=prompts)
    assert [p.instance_id for p in matched_prompts(frame, [5, 9])] == [5, 9]
    assert [p.pixels.tolist() for p in matched_prompts(frame, [9])] == [prompts[0].pixels.tolist()]
    sighting = BodyPipeline(Standing()).observe(frame)
    assert [p.instance_id for p in sighting.frame.prompts] == [5, 9]
    assert sighting.faults == {"unmatched_keypoints": 1}


def test_a_named_person_gets_the_keypoints_wherever_they_are() -> None:
    left, right = (10, 10, 50, 110), (80, 10, 120, 110)
    first, second = prompt_in(left, instance=2), prompt_in(left, instance=2)
    free, lost = prompt_in(left), prompt_in(left, instance=7)
    frame = frame_of(0, [left, right], prompts=(first, second, free, lost))
    matched = matched_prompts(frame, [1, 2])
    assert matched[1] is first
    assert matched[0].pixels is free.pixels and matched[0].instance_id == 1
    assert len(matched) == 2


def test_the_reconstructor_is_told_whose_the_keypoints_are() -> None:
    reconstructor = Standing()
    pipeline = BodyPipeline(reconstructor)
    left, right = (10, 10, 50, 110), (80, 10, 120, 110)
    pipeline.reconstruct(pipeline.observe(frame_of(0, [left, right], prompts=[prompt_in(right)])))
    (prompt,) = reconstructor.asked[0].prompts
    assert prompt.instance_id == 2
    assert set(reconstructor.asked[0].boxes) == {1, 2}


@pytest.mark.parametrize("count", [0, 2])
def test_a_prompt_has_as_many_names_as_pixels(count: int) -> None:
    with pytest.raises(ValueError, match="give finite u and v of each"):
        KeypointPrompt(0, ("nose",) * count, np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="give finite"):
        KeypointPrompt(0, ("nose",), np.full((1, 2), np.nan, np.float32))


@given(person_boxes, st.floats(-0.3, 0.3), st.floats(-0.1, 0.1))
def test_boxes_and_keypoints_follow_when_distortion_is_removed(box: Box, k1: float, k2: float) -> None:
    plain = frame_of(0, [box])
    pinhole = plain.camera
    bent = replace(pinhole, distortion_model="plumb_bob", distortion=(k1, k2, 0.0, 0.0, 0.0))
    # Directions within the box, as the distorted camera sees them.
    u, v = np.meshgrid(np.linspace(box[0], box[2], 7), np.linspace(box[1], box[3], 7))
    truth = pinhole.project(bent.rays_at(np.stack([u, v], axis=-1))).reshape(-1, 2)
    prompt = KeypointPrompt(1, ("nose",), np.array([(box[0], box[1])], np.float32))
    seen = rectified(replace(plain, camera=bent, prompts=(prompt,)))
    shown = pinhole.contains(truth)
    if 1 not in seen.boxes:
        assert not shown.any()
        return
    x1, y1, x2, y2 = seen.boxes[1]
    inside = (truth >= (x1 - 0.01, y1 - 0.01)) & (truth <= (x2 + 0.01, y2 + 0.01))
    assert inside[shown].all()
    # It is no larger than what it must hold: the outline touches each side, or the edge of the image does.
    np.testing.assert_allclose((x1, y1), truth.min(axis=0).clip(-0.5), atol=0.3)
    np.testing.assert_allclose((x2, y2), truth.max(axis=0).clip(None, (WIDTH - 0.5, HEIGHT - 0.5)), atol=0.3)
    if shown[0]:
        np.testing.assert_allclose(seen.prompts[0].pixels, truth[:1], atol=1e-2)
    else:
        assert seen.prompts == ()
