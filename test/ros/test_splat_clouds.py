"""Splats as clouds, read back by the offsets that the message itself names."""

from __future__ import annotations

import numpy as np

from sam3d_ros.geometry.splats import Splats
from sam3d_ros.ros.splat_clouds import SPLAT_FIELDS, splat_cloud
from sam3d_ros.ros.stamps import header_message


def test_a_cloud_holds_metres_colours_and_unit_quaternions() -> None:
    random = np.random.default_rng(0)
    splats = Splats(
        position=random.uniform(-0.5, 0.5, (5, 3)).astype(np.float32),
        color=random.normal(size=(5, 3)).astype(np.float32),
        sigma=random.uniform(0.01, 0.1, (5, 3)).astype(np.float32),
        rotation=random.normal(size=(5, 4)).astype(np.float32),
        opacity_logit=random.normal(size=(5, 1)).astype(np.float32),
    )
    message = splat_cloud(splats, 0.2, header_message(7, "object_3"))
    assert message.header.frame_id == "object_3"
    assert [field.name for field in message.fields] == list(SPLAT_FIELDS)
    assert (message.width, message.height) == (5, 1)
    assert len(message.data) == message.row_step == 5 * message.point_step
    dtype = np.dtype(
        {
            "names": [field.name for field in message.fields],
            "formats": ["<f4"] * len(message.fields),
            "offsets": [field.offset for field in message.fields],
            "itemsize": message.point_step,
        }
    )
    table = np.frombuffer(message.data, dtype)

    def columns(*names: str) -> np.ndarray:
        return np.stack([table[name] for name in names], axis=1)

    np.testing.assert_allclose(columns("x", "y", "z"), 0.2 * splats.position, rtol=1e-6)
    np.testing.assert_allclose(columns("sigma_x", "sigma_y", "sigma_z"), 0.2 * splats.sigma, rtol=1e-6)
    quaternions = columns("rot_w", "rot_x", "rot_y", "rot_z")
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1.0, rtol=1e-5)
    assert (np.einsum("ij,ij->i", quaternions, splats.rotation) > 0).all()
    np.testing.assert_allclose(table["opacity"], 1 / (1 + np.exp(-splats.opacity_logit[:, 0])), rtol=1e-5)
    packed = table["rgb"].copy().view("<u4")
    channels = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    np.testing.assert_allclose(channels, 255 * splats.rgb, atol=0.5001)
