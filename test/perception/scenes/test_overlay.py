"""The overlay draws what is there, where it is."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from tracking_world import CAMERA, THREE_APART, Thing, World, mesh_of

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.scenes.overlay import VERDICT_COLORS, draw_overlay, object_color, silhouettes


def estimate_of(thing: Thing, state: VerdictState = VerdictState.ACCEPTED) -> ObjectEstimate:
    verdict = Verdict(state, (), 0.9, 0.001, 1.0, 100, ScaleSource.DEPTH)
    return ObjectEstimate(
        thing.instance_id, thing.label, thing.mesh, thing.fixed_from_object, np.eye(6), verdict
    )


def test_silhouettes_are_the_masks_of_the_ray_cast_labels() -> None:
    frame = World().frame(0.0, THREE_APART)
    found = silhouettes(CAMERA, [(thing.mesh, thing.fixed_from_object) for thing in THREE_APART])
    for thing, mask in zip(THREE_APART, found, strict=True):
        np.testing.assert_array_equal(mask, frame.mask(thing.instance_id))


def test_the_nearer_object_hides_the_farther() -> None:
    front = THREE_APART[0]
    behind = replace(front.moved(0.02, 0.0, 0.3), instance_id=9)
    near, far = silhouettes(CAMERA, [(thing.mesh, thing.fixed_from_object) for thing in (front, behind)])
    assert near.any()
    assert far.any()
    assert not (near & far).any()
    again = silhouettes(CAMERA, [(front.mesh, front.fixed_from_object)])[0]
    np.testing.assert_array_equal(near, again)


def test_a_sphere_is_a_disc_of_its_closed_form_size() -> None:
    """On the axis, a sphere of radius r at distance d shows under sin(angle) = r / d."""
    camera = Camera.from_field_of_view(201, 201, np.radians(60))
    pose = Similarity(np.eye(3), np.array([0.0, 0.0, 1.0]), np.full(3, 0.4))
    (mask,) = silhouettes(camera, [(mesh_of(trimesh.creation.icosphere(5)), pose)])
    radius = camera.fx * np.tan(np.arcsin(0.2))
    assert np.count_nonzero(mask) == pytest.approx(np.pi * radius**2, rel=0.02)


@pytest.mark.parametrize(
    "camera",
    [
        replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.2, 0.05, 0.001, -0.001, 0.0)),
        replace(CAMERA, distortion_model="equidistant", distortion=(0.01, 0.0, 0.0, 0.0)),
    ],
)
def test_lens_distortion_is_followed(camera: Camera) -> None:
    frame = World(camera).frame(0.0, THREE_APART)
    found = silhouettes(camera, [(thing.mesh, thing.fixed_from_object) for thing in THREE_APART])
    for thing, mask in zip(THREE_APART, found, strict=True):
        assert np.count_nonzero(mask ^ frame.mask(thing.instance_id)) <= 3


def test_objects_are_tinted_and_the_rest_is_left_alone() -> None:
    frame = World().frame(0.0, THREE_APART)
    estimates = [(thing.instance_id, estimate_of(thing)) for thing in THREE_APART]
    picture = draw_overlay(frame.rgb, CAMERA, estimates)
    assert picture.dtype == np.uint8
    assert picture.shape == frame.rgb.shape
    changed = np.any(picture != frame.rgb, axis=-1)
    assert changed[frame.labels > 0].all()
    assert changed.mean() < 0.35
    assert not changed[-20:].any()
    # The image that was given is not drawn on.
    assert (frame.rgb == 90).all()


@pytest.mark.parametrize("state", list(VerdictState))
def test_the_tag_has_the_colour_of_the_verdict(state: VerdictState) -> None:
    frame = World().frame(0.0, THREE_APART[:1])
    picture = draw_overlay(frame.rgb, CAMERA, [(1, estimate_of(THREE_APART[0], state))])
    rows = np.flatnonzero((frame.labels > 0).any(axis=1))
    above = picture[: rows[0]].reshape(-1, 3).astype(int)
    distance = {
        other: np.count_nonzero(np.abs(above - color).max(axis=1) < 40)
        for other, color in VERDICT_COLORS.items()
    }
    assert max(distance, key=lambda other: distance[other]) is state


def test_tags_never_cover_each_other() -> None:
    """Ten objects at one place: all ten tags can be counted by the stripes of their colours."""
    same = [replace(THREE_APART[1], instance_id=number, label="thing") for number in range(1, 11)]
    camera = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
    picture = draw_overlay(
        np.zeros((480, 640, 3), np.uint8), camera, [(thing.instance_id, estimate_of(thing)) for thing in same]
    )
    for number in range(1, 11):
        stripe = np.abs(picture.astype(int) - object_color(number)).max(axis=-1) < 12
        assert np.count_nonzero(stripe) >= 30, number


def test_nothing_behind_the_camera_or_without_triangles_fails() -> None:
    rgb = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    behind = replace(THREE_APART[0], fixed_from_object=Similarity(translation=np.array([0.0, 0.0, -1.0])))
    around = replace(THREE_APART[0], fixed_from_object=Similarity())
    empty = Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.uint32), np.zeros((0, 3), np.uint8))
    nothing = replace(estimate_of(THREE_APART[0]), mesh=empty)
    picture = draw_overlay(rgb, CAMERA, [(1, estimate_of(behind)), (2, nothing), (3, estimate_of(around))])
    assert picture.shape == rgb.shape
    np.testing.assert_array_equal(draw_overlay(rgb, CAMERA, []), rgb)


def test_small_ids_have_colours_of_their_own() -> None:
    colors = np.array([object_color(number) for number in range(1, 25)])
    nearest = min(np.abs(a - b).max() for a, b in itertools.combinations(colors, 2))
    assert nearest > 15
