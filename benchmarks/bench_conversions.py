"""Time of each conversion between messages and arrays at 1280x720, and of a whole frame.

`python benchmarks/bench_conversions.py [--repeat 30]`. Prints the median and the 95th percentile.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import tf2_ros
from sensor_msgs.msg import CompressedImage, Image

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.compressed_depth import depth_from_compressed
from sam3d_ros.ros.faults import FaultLog
from sam3d_ros.ros.frame_assembler import InputSet
from sam3d_ros.ros.frame_builder import FrameBuilder
from sam3d_ros.ros.images import (
    depth_from_image,
    image_message,
    labels_from_image,
    rgb_from_compressed,
    rgb_from_image,
)
from sam3d_ros.ros.markers import MarkerBoard, axes_marker, serialized_mesh_marker, text_marker
from sam3d_ros.ros.object_messages import mesh_from_message, object_array, object_mesh
from sam3d_ros.ros.pointclouds import cloud_from_points, points_from_cloud
from sam3d_ros.ros.stamps import header_message
from sam3d_ros.ros.transforms import BufferLookup, transform_message

WIDTH, HEIGHT = 1280, 720
CLOUD_POINTS = 130_000
MESH_VERTICES = 5_000
HEADER = header_message(10**9, "camera")
CAMERA = Camera(WIDTH, HEIGHT, 900.0, 900.0, 639.5, 359.5)


def median_of(repeat: int, work: Callable[[], object]) -> tuple[float, float]:
    """Median and 95th percentile of the time that `work` takes, milliseconds."""
    times = []
    for _ in range(repeat + 1):
        began = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - began))
    median, most = np.percentile(times[1:], [50, 95])
    return float(median), float(most)


def color_message(encoding: str, samples: int, dtype: type, padding: int = 0) -> Image:
    """A picture of noise in an encoding, with or without row padding."""
    rng = np.random.default_rng(0)
    row = WIDTH * samples * np.dtype(dtype).itemsize
    message = image_message(rng.integers(0, 256, (HEIGHT, row + padding)).astype(np.uint8), "mono8", HEADER)
    message.width, message.encoding = WIDTH, encoding
    return message


def tracked_object() -> TrackedObject:
    """An object with a mesh of the usual size."""
    side = round(MESH_VERTICES**0.5)
    v, u = np.divmod(np.arange(side * side), side)
    vertices = np.stack([u / side - 0.5, v / side - 0.5, 0.2 * np.sin(u / 5.0)], axis=-1)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + side], -1),
            np.stack([corner + 1, corner + side + 1, corner + side], -1),
        ]
    )
    mesh = Mesh(vertices, triangles, np.full((side * side, 3), 128))
    pose = Similarity(translation=np.array([0.0, 0.0, 1.0]), scale=np.full(3, 0.1))
    verdict = Verdict(VerdictState.ACCEPTED, (), 0.9, 0.002, 0.95, 2000, ScaleSource.DEPTH)
    return TrackedObject(1, 1, ObjectEstimate(1, "mug", mesh, pose, np.eye(6), verdict), pose, 0, 0)


def whole_frame() -> Callable[[], object]:
    """From a set of messages to a frame with registered depth."""
    depth = np.random.default_rng(0).uniform(0.5, 3.0, (HEIGHT, WIDTH)).astype(np.float32)
    inputs = InputSet(
        stamp=10**9,
        image=color_message("bgr8", 3, np.uint8),
        labels=image_message(np.ones((HEIGHT, WIDTH), np.uint8), "mono8", HEADER),
        camera_info=info_from_camera(CAMERA, HEADER),
        depth=image_message(depth, "32FC1", HEADER),
        depth_info=None,
        points=None,
        arrival=0.0,
        epoch=0,
    )
    builder = FrameBuilder(BufferLookup(tf2_ros.Buffer()), FaultLog())
    return lambda: builder.build(inputs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=30)
    repeat = parser.parse_args().repeat

    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (15, 15), 5)
    jpeg = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", picture)[1].tobytes())
    millimetres = (
        (1000 + 300 * np.sin(np.arange(HEIGHT * WIDTH) / 999)).astype(np.uint16).reshape(HEIGHT, WIDTH)
    )
    png = CompressedImage(
        format="16UC1; compressedDepth png", data=bytes(12) + cv2.imencode(".png", millimetres)[1].tobytes()
    )
    cloud = cloud_from_points(rng.normal(size=(CLOUD_POINTS, 3)), HEADER)
    tracked = tracked_object()
    mesh = object_mesh(tracked, HEADER, session=1)
    board = MarkerBoard()
    buffer = chain_of_frames(20)
    lookup = BufferLookup(buffer)
    colors = {
        "rgb8": color_message("rgb8", 3, np.uint8),
        "rgb8, padded rows": color_message("rgb8", 3, np.uint8, 64),
        "bgr8": color_message("bgr8", 3, np.uint8),
        "bgra8": color_message("bgra8", 4, np.uint8),
        "yuv422": color_message("yuv422", 2, np.uint8),
        "bayer_rggb8": color_message("bayer_rggb8", 1, np.uint8),
        "mono16": color_message("mono16", 1, np.uint16),
    }
    labels = {
        f"labels {encoding}": image_message(np.ones((HEIGHT, WIDTH), dtype), encoding, HEADER)
        for encoding, dtype in (("mono8", np.uint8), ("16UC1", np.uint16), ("32SC1", np.int32))
    }
    depths = {
        "depth 16UC1": image_message(millimetres, "16UC1", HEADER),
        "depth 32FC1": image_message((millimetres / 1000).astype(np.float32), "32FC1", HEADER),
    }
    work: dict[str, Callable[[], object]] = {
        **{name: partial(rgb_from_image, message) for name, message in colors.items()},
        "JPEG": lambda: rgb_from_compressed(jpeg),
        **{name: partial(labels_from_image, message) for name, message in labels.items()},
        **{name: partial(depth_from_image, message) for name, message in depths.items()},
        "compressedDepth png": lambda: depth_from_compressed(png),
        "cloud of 130k points": lambda: points_from_cloud(cloud),
        "whole frame with depth": whole_frame(),
        "look-up through 20 frames": lambda: lookup("f0", "f20", 10**9),
        "ObjectArray of 5": lambda: object_array([tracked] * 5, HEADER, session=1),
        "ObjectMesh, 5k vertices": lambda: object_mesh(tracked, HEADER, session=1),
        "ObjectMesh back": lambda: mesh_from_message(mesh),
        "markers of a frame": lambda: board.update([tracked], HEADER),
        "marker of a mesh": lambda: serialized_mesh_marker(tracked),
        "axes and text": lambda: (axes_marker(tracked, HEADER), text_marker(tracked, HEADER)),
    }
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {WIDTH}x{HEIGHT}"
    )
    print(f"{'conversion':28} {'median ms':>10} {'95 % ms':>9}")
    for name, do in work.items():
        median, most = median_of(repeat, do)
        print(f"{name:28} {median:10.2f} {most:9.2f}")


def chain_of_frames(length: int) -> tf2_ros.Buffer:
    """A buffer with a chain of moving frames f0, f1, ..."""
    buffer = tf2_ros.Buffer()
    for i in range(length):
        for stamp in (0, 2 * 10**9):
            pose = Similarity(translation=np.array([stamp / 1e9, 0.0, 0.0]))
            buffer.set_transform(
                transform_message(header_message(stamp, f"f{i}"), f"f{i + 1}", pose), "bench"
            )
    return buffer


if __name__ == "__main__":
    main()
