"""Crops, and the camera of the network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam3d_ros.models.body.crops import BODY_PADDING, HAND_PADDING, crops_of_boxes, cut
from sam3d_ros.models.body.projection import (
    crop_condition,
    default_intrinsics,
    project,
    rays,
    translation,
)


def test_crop_parity(body_set, assert_near):
    crop_set = body_set("crop_affine")
    data, config = crop_set.load(), crop_set.config
    assert config["prior_aspect"] == 0.75
    for name, padding in (("1_25", BODY_PADDING), ("0_9", HAND_PADDING)):
        crops = crops_of_boxes(data["boxes"], padding, config["input_size_table"][0])
        assert_near(crops.centres, data[f"center_{name}"], 1e-4)
        assert_near(crops.sides[:, None].expand(-1, 2), data[f"scale_{name}"], 1e-4)
        assert_near(crops.crop_from_image, data[f"affine_{name}"], 1e-4)
    for index in range(3):
        padding, size = data[f"pad{index}"].item(), config["input_size_images"][0]
        crops = crops_of_boxes(data[f"box{index}"][None], padding, size)
        assert_near(crops.crop_from_image[0], data[f"affine{index}"], 1e-9)
        expected = data[f"crop{index}"]
        scale = 255.0 if expected.max() <= 1 else 1.0
        image = cut(data["image"], crops)[0].permute(2, 0, 1)
        assert torch.equal(image.int(), (expected * scale).round().int())
        assert torch.equal(cut(data["mask"], crops)[0, ..., 0], data[f"mask{index}"])


def test_batch_geometry_parity(body_set, assert_near):
    batch = body_set("batch_geometry")
    data, size = batch.load(), batch.config["img_shape"][-1]
    height, width = body_set("crop_affine").load()["image"].shape[:2]
    crops = crops_of_boxes(data["boxes"], BODY_PADDING, size)
    assert_near(crops.centres[None], data["bbox_center"], 1e-5)
    assert_near(crops.sides[None, :, None].expand(1, -1, 2), data["bbox_scale"], 1e-5)
    assert_near(crops.crop_from_image.float()[None], data["affine_trans"], 1e-5)
    assert_near(default_intrinsics(width, height)[None], data["cam_int_default"], 1e-5)
    image_centre = torch.tensor([[width / 2, height / 2]])
    for kind in ("default", "given"):
        K = data[f"cam_int_{kind}"]
        field = rays(crops.grid(size), K.expand(3, -1, -1))
        assert_near(field[None, ..., ::8, ::8], data[f"ray_{kind}_stride8"], 1e-5)
        for intrinsic, principal in ((0, image_centre), (1, K[:, :2, 2])):
            focal = K[:, 0, 0].expand(3)
            condition = crop_condition(crops.centres, crops.sides, focal, principal.expand(3, -1))
            assert_near(condition, data[f"cliff_{kind}_intr{intrinsic}"], 1e-5)
    assert_near(crops.to_crop(data["kp_full"]), data["kp_crop"], 1e-5)


def test_projection_parity(body_set, assert_near):
    data = body_set("heads_small").load()
    K, image_centre = data["K"], data["img_size"] / 2
    for intrinsic, principal in ((0, image_centre), (1, K[:, :2, 2])):
        for factor in (1, 10):
            name = f"intr{intrinsic}_sf{factor}"
            focal = K[:, 0, 0]
            assert_near(focal, data[f"focal_length_{name}"], 1e-5)
            place = translation(
                data["pred_cam"], data["bbox_center"], data["bbox_size"], focal, principal, factor
            )
            torch.testing.assert_close(place, data[f"pred_cam_t_{name}"], atol=1e-5, rtol=1e-5)
            pixels, depth = project(data["points_3d"] + place[:, None], K)
            expected = data[f"pred_keypoints_2d_{name}"]
            torch.testing.assert_close(pixels, expected, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(depth, data[f"pred_keypoints_2d_depth_{name}"], atol=1e-5, rtol=1e-5)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_places_go_to_the_crop_and_back(seed):
    generator = torch.Generator().manual_seed(seed)
    corner = 100 * torch.rand(4, 2, generator=generator)
    boxes = torch.cat([corner, corner + 5 + 50 * torch.rand(4, 2, generator=generator)], dim=1)
    crops = crops_of_boxes(boxes, BODY_PADDING, 64)
    pixels = 100 * torch.rand(4, 7, 2, generator=generator)
    torch.testing.assert_close(crops.in_image(crops.to_crop(pixels) + 0.5), pixels, atol=1e-3, rtol=0)
    # The padded box lies within the square, and the square goes onto the crop.
    squares = crops.boxes.unflatten(1, (2, 2))
    ends = crops.to_crop(squares)
    torch.testing.assert_close(ends, torch.tensor([-0.5, 0.5])[:, None].expand(4, 2, 2), atol=1e-5, rtol=0)
    inside = crops.to_crop(boxes.unflatten(1, (2, 2))).abs().amax()
    assert inside <= 0.5 / BODY_PADDING + 1e-5
    torch.testing.assert_close(crops.grid(64)[:, 32, 32], crops.centres, atol=1e-3, rtol=0)


def test_crops_of_other_images_do_not_mix():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 20, 30, 3), dtype=torch.uint8, generator=generator)
    crops = crops_of_boxes(torch.tensor([[2.0, 3, 12, 18], [-5.0, 2, 22, 30]]), BODY_PADDING, 16)
    both = cut(images, crops)
    for index in range(2):
        assert torch.equal(both[index], cut(images[index], crops[index : index + 1])[0])


def test_a_crop_of_its_own_size_copies_the_pixels():
    image = torch.arange(16 * 16, dtype=torch.uint8).reshape(16, 16, 1)
    crops = crops_of_boxes(torch.tensor([[2.0, 0.0, 14.0, 16.0]]), 1.0, 16)
    assert torch.equal(cut(image, crops)[0], image)


@pytest.mark.parametrize("width", [384, 512])
def test_rays_of_the_middle_columns(width):
    crops = crops_of_boxes(torch.tensor([[10.0, 20.0, 110.0, 220.0]]), BODY_PADDING, 512)
    margin = (512 - width) // 2
    assert torch.equal(crops.grid(width), crops.grid(512)[:, :, margin : margin + width])
