"""Depth over each transport, from a publisher of its topic to the points of a frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from node_bench import CAMERA, FRAME, Pipeline, SmallCamera
from sensor_msgs.msg import CompressedImage

from sam3d_ros.nodes.sources.input_settings import InputSettings
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message

#: What image_transport makes of 16UC1: the format, and what comes before the PNG.
FORMATS = {
    "compressed": ("16UC1; png compressed ", b""),
    "compressedDepth": ("16UC1; compressedDepth png", bytes(12)),
}


@pytest.mark.parametrize("transport", FORMATS)
def test_compressed_depth_becomes_points(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any, transport: str
) -> None:
    publisher = probe.node.create_publisher(CompressedImage, f"depth/{transport}", qos_profile("sensor_data"))
    image_format, head = FORMATS[transport]
    picture = cv2.imencode(".png", np.full((CAMERA.height, CAMERA.width), 1500, np.uint16))[1].tobytes()
    pipeline = pipelines("reader", settings=InputSettings(depth_transport=transport))
    pipeline.open()

    def with_depth() -> bool:
        stamp = camera.send()
        header = header_message(stamp, FRAME)
        publisher.publish(CompressedImage(header=header, format=image_format, data=head + picture))
        wait_for(lambda: stamp in pipeline.stamps(), 0.5)
        return any(frame.points_source is PointsSource.DEPTH for frame in list(pipeline.frames))

    assert wait_for(with_depth), pipeline.report.faults.records()
    frame = next(f for f in list(pipeline.frames) if f.points_source is PointsSource.DEPTH)
    np.testing.assert_allclose(frame.points[..., 2], 1.5, rtol=1e-6)
    probe.do(lambda: probe.node.destroy_publisher(publisher))
