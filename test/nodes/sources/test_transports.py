"""Depth and labels over each transport, from a publisher of its topic to a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from node_bench import CAMERA, FRAME, Pipeline, SmallCamera
from sensor_msgs.msg import CompressedImage

from sam3d_ros.nodes.sources.input_settings import InputSettings
from sam3d_ros.perception.frame import PointsSource
from sam3d_ros.ros.faults import Fault
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message

LENS = replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.2, 0.05, 0.0, 0.0, 0.0))
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


def test_the_name_of_a_sibling_is_its_own(pipelines: Callable[..., Pipeline]) -> None:
    settings = InputSettings(image_transport="compressed", depth_transport="compressedDepth")
    names = ["image:=/cam/rgb/compressed", "depth:=/cam/depth", "labels:=/cam/labels/compressed"]
    arguments = [text for name in names for text in ("-r", name)]
    pipeline = pipelines("reader", settings=settings, cli_args=["--ros-args", *arguments])
    found = {
        kind: pipeline.source.topic(kind, pipeline.node) for kind in (Input.IMAGE, Input.DEPTH, Input.LABELS)
    }
    assert found == {
        Input.IMAGE: "/cam/rgb/compressed",
        Input.DEPTH: "/cam/depth/compressedDepth",
        Input.LABELS: "/cam/labels/compressed",
    }


def test_compressed_labels_become_ids(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    topic, qos = "labels/compressed", qos_profile("reliable")
    publisher = probe.node.create_publisher(CompressedImage, topic, qos)
    ids = np.zeros((CAMERA.height, CAMERA.width), np.uint16)
    ids[5:20, 7:30] = 700
    pipeline = pipelines("reader", settings=InputSettings(labels_transport="compressed"))
    pipeline.open()

    def sent(extension: str, image_format: str) -> int:
        stamp = camera.send()
        content = (ids / 4).astype(np.uint8) if extension == ".jpg" else ids
        data = cv2.imencode(extension, content)[1].tobytes()
        publisher.publish(
            CompressedImage(header=header_message(stamp, FRAME), format=image_format, data=data)
        )
        return stamp

    def with_labels() -> bool:
        stamp = sent(".png", "16UC1; png compressed ")
        return bool(wait_for(lambda: stamp in pipeline.stamps(), 0.5))

    assert wait_for(with_labels), pipeline.report.faults.records()
    np.testing.assert_array_equal(pipeline.frames[-1].labels, ids)
    # The labels of the same stamps that come raw, all 1, are not read.
    assert all(frame.instance_ids() == [700] for frame in list(pipeline.frames))

    def lossy() -> bool:
        sent(".jpg", "mono8; jpeg compressed ")
        return pipeline.report.faults.count(Fault.UNKNOWN_ENCODING) > 0

    assert wait_for(lossy)
    assert wait_for(with_labels), pipeline.report.faults.records()
    probe.do(lambda: probe.node.destroy_publisher(publisher))


@pytest.mark.parametrize(
    ("topic", "is_named"),
    [
        ("/front/image_rect", True),
        ("/front/image_rect_color", True),
        ("/zed/rgb/color/rect/image", True),
        ("/front/rectified/image", True),
        ("/front/image_raw", False),
        ("/direct/image", False),
    ],
)
def test_an_image_that_is_called_rectified_and_has_a_lens_is_named(
    pipelines: Callable[..., Pipeline],
    camera: SmallCamera,
    wait_for: Any,
    monkeypatch: pytest.MonkeyPatch,
    topic: str,
    is_named: bool,
) -> None:
    """What image_proc rectifies comes with the camera_info of the raw image."""
    camera.rename("image", topic)
    pipeline = pipelines("reader", cli_args=["--ros-args", "-r", f"image:={topic}"])
    pipeline.open()

    def read() -> bool:
        stamp = camera.send()
        return bool(wait_for(lambda: stamp in pipeline.stamps(), 0.5))

    assert wait_for(read)
    assert (
        pipeline.report.faults.count(Fault.RECTIFIED_IMAGE) == 0
    )  # without a lens there is nothing to take out
    monkeypatch.setattr("node_bench.CAMERA", LENS)
    count = len(pipeline.frames)
    assert wait_for(read) and wait_for(read) and len(pipeline.frames) > count
    assert (pipeline.report.faults.count(Fault.RECTIFIED_IMAGE) > 0) is is_named


def test_a_rectified_image_that_is_read_as_one_is_sound(
    pipelines: Callable[..., Pipeline], camera: SmallCamera, wait_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_bench.CAMERA", LENS)
    camera.rename("image", "/front/image_rect")
    pipeline = pipelines(
        "reader",
        frames=FrameBuilderConfig(rectified=True),
        cli_args=["--ros-args", "-r", "image:=/front/image_rect"],
    )
    pipeline.open()

    def read() -> bool:
        stamp = camera.send()
        return bool(wait_for(lambda: stamp in pipeline.stamps(), 0.5))

    assert wait_for(read)
    assert pipeline.report.faults.count(Fault.RECTIFIED_IMAGE) == 0
