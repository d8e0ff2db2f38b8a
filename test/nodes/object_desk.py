"""A desk for the threads of objects: what they are given, and what they show and report."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from thread_bench import FrameQueue, NotingReport, NotingSink

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.nodes.object_threads import ObjectThreads, Order
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.trajectories import viewpoint

OBJECTS = 3
SECOND = 1_000_000_000


class Reconstructor(GeometricReconstructor):
    """The geometric one, which can be told to wait or to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.tells_progress = True
        self.failures: list[Exception] = []
        self.batches: list[tuple[int, ...]] = []

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        self.batches.append(tuple(piece.instance_id for piece in evidence))
        while not self.gate.wait(0.01):
            if progress is not None and self.tells_progress:
                progress("waiting", 0.0)
        if self.failures:
            raise self.failures.pop()
        return super().reconstruct(evidence, progress=progress)


class Desk:
    """Hands frames to the threads and keeps what they show and report."""

    def __init__(self) -> None:
        self.source, self.report = FrameQueue(), NotingReport()
        self.sink, self.second_sink = NotingSink[SeenObjects](), NotingSink[SeenObjects]()
        self.reconstructor = Reconstructor()
        self.threads = ObjectThreads(
            ObjectPipeline(self.reconstructor), self.source, [self.sink, self.second_sink], self.report
        )

    def put(self, frame: Frame) -> None:
        """Let the source give a frame."""
        self.source.frames.put(frame)

    def known(self) -> int:
        """Objects in the newest moment."""
        return len(self.sink.moments[-1].objects) if self.sink.moments else 0

    def order(self, *instance_ids: int, progress: Progress = lambda stage, share: None) -> queue.Queue[Order]:
        """Hand over an order; the queue that it comes back in."""
        answers: queue.Queue[Order] = queue.Queue()
        assert self.threads.order(Order(instance_ids, progress, answers.put))
        return answers


def small_table() -> Frame:
    """A table with three things."""
    scene = random_scene(3, OBJECTS)
    camera = Camera.from_field_of_view(192, 144, np.deg2rad(60.0))
    seen = render(scene, camera, viewpoint(0.85, 0.0, np.deg2rad(35.0)))
    return replace(frame_from_depth(scene, seen, seen.depth), fixed_from_camera=None, stamp=SECOND // 2)
