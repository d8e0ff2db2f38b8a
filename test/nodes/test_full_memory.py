"""A device without room for an object: a fault by name, and a graph that goes on when there is room again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, Image

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.msg import ObjectArray
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message

pytest.importorskip("torch", reason="requirements/models.txt is not installed")

CAMERA = Camera(160, 120, 140.0, 140.0, 80.0, 60.0)
#: The node, on a device that holds no object before a file appears, and one at a time afterwards.
PROGRAM = """
import sys
from pathlib import Path
import torch
from sam3d_ros.nodes.lifecycle import run_nodes
from sam3d_ros.nodes.sam3d_objects import Sam3dObjects


class Crowded:
    def __init__(self, predictor, flag):
        self.predictor, self.parts, self.flag = predictor, predictor.parts, flag

    def __call__(self, image, masks, points, **options):
        if len(masks) > int(self.flag.exists()):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.predictor(image, masks, points, **options)


class Node(Sam3dObjects):
    def configure(self):
        super().configure()
        reconstructor = self._selection.reconstructor
        reconstructor.predictor = Crowded(reconstructor.predictor, Path(sys.argv[1]))


torch.set_num_threads(1)
sys.exit(run_nodes([Node], sys.argv))
"""


@pytest.fixture
def flag(own_domain: None, tiny_checkpoint: Path, tmp_path: Path) -> Iterator[Path]:
    """The file that makes room; the process runs meanwhile."""
    path = tmp_path / "room"
    parameters = {
        "reconstructor": "sam3d",
        "checkpoint": tiny_checkpoint,
        "device": "cpu",
        "steps": 2,
        "refinement_steps": 2,
    }
    arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), "--ros-args", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield path
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_out_of_memory_is_named_and_survived(flag: Path, probe: Any, wait_for: Any) -> None:
    sensor = qos_profile("sensor_data")
    types = {"image": Image, "labels": Image, "depth": Image, "camera_info": CameraInfo}
    publishers = {name: probe.node.create_publisher(kind, name, sensor) for name, kind in types.items()}
    objects = probe.hear(ObjectArray, "/sam3d_objects/objects", qos_profile("reliable"))
    diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)
    labels = np.zeros((120, 160), np.uint16)
    labels[20:60, 20:60] = 3
    labels[50:100, 90:140] = 8
    rgb = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    depth = np.where(labels > 0, 0.9, 1.0).astype(np.float32)

    def send() -> bool:
        header = header_message(probe.node.get_clock().now().nanoseconds, "camera")
        publishers["camera_info"].publish(info_from_camera(CAMERA, header))
        publishers["labels"].publish(image_message(labels, "mono16", header))
        publishers["depth"].publish(image_message(depth, "32FC1", header))
        publishers["image"].publish(image_message(rgb, "rgb8", header))
        return True

    def fault() -> str:
        values = [
            pair.value
            for message in diagnostics
            for status in message.status
            if status.name.endswith(": faults")
            for pair in status.values
            if pair.key == "out_of_memory"
        ]
        return values[-1] if values else ""

    assert wait_for(lambda: send() and fault(), 60.0)
    assert "memory:=low" in fault()
    assert not any(message.objects for message in objects)
    flag.touch()
    assert wait_for(lambda: send() and objects and len(objects[-1].objects) == 2, 60.0)
