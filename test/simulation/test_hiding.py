"""Things that hide each other, against what pictures of them show."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.simulation.hiding import HIDDEN_SHARES, HiddenScene, bar_before, hidden_scene
from sam3d_ros.simulation.rendering import Rendering, render
from sam3d_ros.simulation.scenes import Scene, footprint, overlap, random_scene
from sam3d_ros.simulation.trajectories import view_of_all

CAMERA = Camera.from_field_of_view(640, 480, np.deg2rad(60.0))
#: Silhouettes are sampled: a share of 0.3 may be told a little wrong.
SAMPLED = 0.03


@pytest.fixture(scope="module")
def arranged() -> HiddenScene:
    return hidden_scene(5, CAMERA)


def whole_mask(found: HiddenScene, instance_id: int) -> np.ndarray:
    """(H, W) what a thing would show of itself if nothing else were there."""
    only = tuple(t for t in found.scene.objects if t.instance_id == instance_id)
    picture = render(replace(found.scene, objects=only), CAMERA, found.world_from_camera)
    return picture.labels == instance_id


def test_pictures_show_as_much_as_was_promised(arranged: HiddenScene) -> None:
    picture = render(arranged.scene, CAMERA, arranged.world_from_camera)
    assert set(arranged.hidden) == {1, 2}
    for instance_id, share in arranged.hidden.items():
        whole = whole_mask(arranged, instance_id)
        hidden = 1.0 - np.count_nonzero(picture.labels == instance_id) / np.count_nonzero(whole)
        assert hidden == pytest.approx(share, abs=SAMPLED)
        assert HIDDEN_SHARES[0] - SAMPLED <= hidden <= HIDDEN_SHARES[1] + SAMPLED
        edges = np.concatenate([whole[[0, -1]].ravel(), whole[:, [0, -1]].ravel()])
        assert not edges.any()


def test_each_hidden_thing_has_one_before_it_and_none_intersect(arranged: HiddenScene) -> None:
    objects = arranged.scene.objects
    assert [thing.instance_id for thing in objects] == [1, 2, 3, 4]
    for a, b in combinations(objects, 2):
        assert not overlap(footprint(a), footprint(b))
    for thing in objects:
        assert thing.world_from_object.apply(thing.mesh.vertices)[:, 2].min() == pytest.approx(0.0, abs=1e-6)


def test_the_same_seed_hides_the_same(arranged: HiddenScene) -> None:
    again = hidden_scene(5, CAMERA)
    assert again.hidden == arranged.hidden
    np.testing.assert_array_equal(again.world_from_camera.matrix(), arranged.world_from_camera.matrix())


def test_what_cannot_be_hidden_is_refused() -> None:
    with pytest.raises(ValueError, match="99% to 100%"):
        hidden_scene(0, CAMERA, count=1, hidden=(0.99, 1.0), viewpoints=2)


@pytest.mark.parametrize("is_labelled", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_bar_cuts_the_mask_of_a_thing_in_two(seed: int, is_labelled: bool) -> None:
    scene = random_scene(seed, 1)
    where = view_of_all(scene, CAMERA, np.random.default_rng(seed), least_visible=1.0)
    bar = bar_before(scene.objects[0], where, instance_id=2 if is_labelled else 0)
    crossed = (
        replace(scene, objects=(*scene.objects, bar))
        if is_labelled
        else replace(scene, furniture=(*scene.furniture, bar))
    )
    before, after = seen(scene, where), seen(crossed, where)
    assert np.count_nonzero(after.labels == 1) < np.count_nonzero(before.labels == 1)
    assert parts(after) >= 2
    # What the bar hides is measured before the thing.
    lost = (before.labels == 1) & (after.labels != 1)
    assert (after.depth[lost] < before.depth[lost]).all()


def seen(scene: Scene, where: Similarity) -> Rendering:
    return render(scene, CAMERA, where)


def parts(picture: Rendering) -> int:
    """Connected components of the mask of thing 1 that are no crumbs."""
    _, _, stats, _ = cv2.connectedComponentsWithStats((picture.labels == 1).astype(np.uint8))
    return int((stats[1:, cv2.CC_STAT_AREA] > 100).sum())
