"""Crops, full views and normalised point maps, and the pose decoded from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sam3d_ros.geometry.frames import OPTICAL_FROM_PYTORCH3D
from sam3d_ros.models.objects.point_maps import SceneScale, scene_scale
from sam3d_ros.models.objects.pose import (
    ROTATION_MEAN,
    ROTATION_STD,
    RotationStatistics,
    decode_pose,
    standardised_rotation,
)
from sam3d_ros.models.objects.views import box_around, cropped, full_view, image_views, point_views, squared


def test_point_map_normalisation_parity(golden):
    data = golden("pointmap_ssi")
    points, mask = data.given("pointmap"), data.given("mask")
    for name, whole_scene in (("scene", True), ("objmedian", False)):
        scale = scene_scale(points, mask, whole_scene=whole_scene)
        data.check(f"{name}.scale", scale.scale)
        data.check(f"{name}.shift", scale.shift)
        data.check(f"{name}.pointmap", scale.normalise(points))
        data.check(f"{name}.denorm", scale.denormalise(scale.normalise(points)))
    nothing = scene_scale(points, data.given("empty_mask"))
    data.check("all_nan_in_mask.scale", nothing.scale)
    data.check("all_nan_in_mask.shift", nothing.shift)


@pytest.mark.parametrize("case", ["a", "b"])
def test_views_parity(golden, case):
    data = golden("preprocess")
    rgba = data.given(f"{case}.rgba").permute(2, 0, 1).double().div(255).float()
    rgb, mask, points = rgba[:3], rgba[3:], data.given(f"{case}.pointmap")
    size, factor = data.config["size"], data.config["box_size_factor"]
    assert data.config["padding_factor"] == 0 and data.config["use_scene_scale"]
    box = box_around(mask, factor)
    data.check(f"{case}.bbox_xyxy", torch.tensor([box.left, box.top, box.right, box.bottom]))
    views = {**image_views(rgb, mask, size, box), **full_view(rgb, size)}
    point_maps, scale = point_views(points, mask, size, box)
    for name, view in views.items():
        data.check(f"{case}.ss.{name}", view)
        data.check(f"{case}.slat.{name}", view)
    for name, view in point_maps.items():
        data.check(f"{case}.ss.{name}", view)
        data.check(f"{case}.ss.{name}_scale", scale.scale)
        data.check(f"{case}.ss.{name}_shift", scale.shift)


def test_pose_parity(golden):
    data = golden("pose_decoder")
    points = data.given("points").double().numpy()
    data.check("rot6d_mean", torch.tensor(ROTATION_MEAN))
    data.check("rot6d_std", torch.tensor(ROTATION_STD))
    for index in range(data.config["cases"]):
        case = f"case{index}"
        tokens = {n: data.given(f"{case}.{n}") for n in ("6drotation_normalized", "translation", "scale")}
        scene = SceneScale(data.given(f"{case}.scene_scale")[0], data.given(f"{case}.scene_shift")[0])
        pose = decode_pose(tokens, scene, data.config["downsample_factor"])
        w, x, y, z = pose.quaternion_wxyz
        expected = data.io[f"out.{case}.rotation"][0].double()
        actual = torch.from_numpy(pose.quaternion_wxyz) * torch.sign(
            expected @ torch.from_numpy(pose.quaternion_wxyz)
        )
        data.check(f"{case}.rotation", actual[None])
        data.check(f"{case}.translation", torch.from_numpy(pose.translation)[None])
        data.check(f"{case}.scale", torch.from_numpy(pose.scale)[None])
        data.check(f"{case}.R_matrix", torch.from_numpy(Rotation.from_quat([x, y, z, w]).as_matrix())[None])
        optical = pose.camera_from_object.apply(points)
        data.check(f"{case}.points_cam", torch.from_numpy(optical @ OPTICAL_FROM_PYTORCH3D))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_pose_tokens_round_trip(seed):
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_quat(rng.normal(size=4)).as_matrix()
    translation, scale = rng.normal(size=3), rng.uniform(0.05, 3.0)
    scene = SceneScale(torch.full((3,), 0.7), torch.tensor([0.1, -0.2, 1.5]))
    tokens = {
        "6drotation_normalized": standardised_rotation(rotation),
        "translation": torch.from_numpy((translation - scene.shift.numpy()) / 0.7),
        "scale": torch.full((3,), np.log(scale / 0.7), dtype=torch.float64),
    }
    pose = decode_pose(tokens, scene).camera_from_object
    point = rng.normal(size=3)
    row_form = scale * point @ rotation + translation
    np.testing.assert_allclose(pose.apply(point), row_form * [-1, -1, 1], atol=1e-5)


def test_a_model_brings_its_own_statistics():
    own = RotationStatistics((0.1, 0.0, 0.0, 0.0, 0.2, 0.0), (1.0, 2.0, 1.0, 1.0, 0.5, 1.0))
    rotation = Rotation.from_rotvec([0.3, -1.0, 0.4]).as_matrix()
    tokens = {
        "6drotation_normalized": standardised_rotation(rotation, own),
        "translation": torch.zeros(3),
        "scale": torch.zeros(3),
    }
    right = decode_pose(tokens, SceneScale.unit(), statistics=own)
    w, x, y, z = right.quaternion_wxyz
    np.testing.assert_allclose(Rotation.from_quat([x, y, z, w]).as_matrix(), rotation, atol=1e-6)
    other = decode_pose(tokens, SceneScale.unit())
    assert not np.allclose(other.quaternion_wxyz, right.quaternion_wxyz, atol=1e-2)


def test_a_thinned_object_is_as_large_as_before():
    tokens = {
        "6drotation_normalized": standardised_rotation(np.eye(3)),
        "translation": torch.tensor([0.1, 0.2, 1.0]),
        "scale": torch.log(torch.full((3,), 0.25)),
    }
    whole, half = (decode_pose(tokens, SceneScale.unit(), factor) for factor in (1, 2))
    np.testing.assert_allclose(whole.scale, 0.25, rtol=1e-6)
    np.testing.assert_allclose(half.scale, 0.5, rtol=1e-6)
    np.testing.assert_array_equal(half.translation, whole.translation)


def test_crop_extends_beyond_the_image_with_zeros():
    mask = torch.zeros(1, 10, 12)
    mask[0, 0:8, 0:4] = 1
    image = torch.ones(3, 10, 12)
    view = cropped(image, box_around(mask))
    assert view.min() == 0 and view.max() == 1
    assert squared(torch.ones(1, 3, 6)).shape == (1, 6, 6)


@pytest.mark.parametrize(("factor", "half"), [(1.0, 10), (1.2, 12), (2.0, 20)])
def test_a_box_is_larger_than_its_mask_by_the_factor(factor, half):
    mask = torch.zeros(1, 100, 100)
    mask[0, 40:61, 40:56] = 1
    box = box_around(mask, factor)
    assert (box.top, box.bottom) == (50 - half, 50 + half)
    assert box.right - box.left == 2 * half


@pytest.mark.parametrize("pixels", [[], [(3, 3)], [(3, 3), (3, 9)], [(3, 3), (4, 9)]])
def test_masks_too_small_are_refused(pixels):
    mask = torch.zeros(1, 12, 12)
    for row, column in pixels:
        mask[0, row, column] = 1
    with pytest.raises(ValueError, match="mask"):
        box_around(mask)
