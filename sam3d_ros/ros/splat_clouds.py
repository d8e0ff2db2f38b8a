"""Gaussian splats as point clouds, which every viewer shows at least as coloured points."""

from __future__ import annotations

import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from sam3d_ros.geometry.splats import Splats

#: Fields of a splat: metres in the frame of the object; `rgb` is packed as RViz reads it, opacity is 0 to 1.
SPLAT_FIELDS = (
    *("x", "y", "z", "rgb", "opacity"),
    *("sigma_x", "sigma_y", "sigma_z"),
    *("rot_w", "rot_x", "rot_y", "rot_z"),
)


def splat_cloud(splats: Splats, scale: float, header: Header) -> PointCloud2:
    """Splats as a cloud with the fields `SPLAT_FIELDS`, all FLOAT32.

    Args:
        splats: canonical.
        scale: metres for one canonical unit.
        header: names the frame of the object.
    """
    rgb = np.rint(255.0 * splats.rgb).astype(np.uint32)
    packed = (rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]).astype("<u4").view("<f4")
    columns = (
        scale * splats.position,
        packed[:, None],
        splats.opacity,
        scale * splats.sigma,
        splats.unit_rotation,
    )
    table = np.ascontiguousarray(np.concatenate(columns, axis=1, dtype="<f4"))
    step = 4 * len(SPLAT_FIELDS)
    message = PointCloud2(
        header=header,
        height=1,
        width=len(table),
        fields=[
            PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
            for index, name in enumerate(SPLAT_FIELDS)
        ],
        point_step=step,
        row_step=step * len(table),
        is_dense=True,
    )
    message.data = array.array("B")
    message.data.frombytes(table.tobytes())
    return message
