"""The node `sam3d_bodies`: skeletons and meshes of people from images, instance labels and range sensors."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from sam3d_ros.nodes.body_outputs import BodyOutputs
from sam3d_ros.nodes.body_settings import BodySettings
from sam3d_ros.nodes.body_threads import BodyThreads
from sam3d_ros.nodes.frame_inputs import FrameInputs, PeopleInputs
from sam3d_ros.nodes.lifecycle import run_nodes
from sam3d_ros.nodes.perception_node import PerceptionNode
from sam3d_ros.nodes.scene_board import SceneBoard
from sam3d_ros.nodes.self_report import named_faults
from sam3d_ros.perception.people.pipeline import BodyPipeline, Sighting, TrackedBody
from sam3d_ros.perception.scenes.joint_scene import SeenPeople
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig
from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.ros.humans_messages import humans_messages

if TYPE_CHECKING:
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor


class Sam3dBodies(PerceptionNode[BodySettings]):
    """Topics and service are those of `FrameInputs`, `BodyOutputs` and `SceneService`."""

    _threads: BodyThreads | None

    def __init__(self, board: SceneBoard | None = None) -> None:
        super().__init__("sam3d_bodies", BodySettings(), board)
        self._reconstructor: BodyNetworkReconstructor | None = None
        self._pipeline: BodyPipeline | None = None
        self._outputs: BodyOutputs | None = None

    def configure(self) -> None:
        settings = self._settings
        self._target_frame = settings.frames.target_frame
        humans = humans_messages(settings.node.humans)
        with named_faults():
            self._weights = self._reconstructor = _reconstructor(settings.body)
        self._pipeline = BodyPipeline(self._reconstructor, settings.people)
        self._threads = BodyThreads(self._pipeline, self)
        people = PeopleInputs(settings.people_inputs, self._reconstructor.skeleton.keypoints)
        self._inputs = FrameInputs(
            self, settings.inputs, settings.frames, settings.assembler, self._report, people
        )
        self._held.callback(self._inputs.destroy)
        self._outputs = BodyOutputs(
            self,
            settings.people.max_people,
            joint_frames=settings.node.joint_frames,
            surface_markers=settings.node.surface_markers,
            humans=humans,
        )
        self._held.callback(self._outputs.close)
        super().configure()
        self.get_logger().info(
            f"people posed on {self._reconstructor.description}, tracked in "
            f"{self._target_frame or 'the frame of the image'}"
        )

    def activate(self) -> None:
        super().activate()
        self._board.await_people()

    def deactivate(self) -> None:
        super().deactivate()
        self._board.show_people(None)
        if self._threads is not None and self._threads.newest is not None and self._outputs is not None:
            frame = self._threads.newest[0].frame
            self._outputs.clear(frame.stamp, self._frame_of(frame))

    def cleanup(self) -> None:
        super().cleanup()
        self._pipeline = self._reconstructor = self._outputs = None

    def retune(self, settings: BodySettings) -> None:
        if self._pipeline is not None:
            self._pipeline.config = settings.people

    def summary(self) -> tuple[str, dict[str, str]]:
        newest = None if self._threads is None else self._threads.newest
        count = 0 if newest is None else len(newest[1])
        chosen = self._reconstructor
        values = {
            "bodies": str(count),
            "reconstructor": "" if chosen is None else chosen.name,
            "reconstructor note": "" if chosen is None else chosen.description,
        }
        return f"{count} bodies", values

    def sighted(self, sighting: Sighting, milliseconds: float) -> None:
        """See `BodyListener`."""
        self._report.latencies.add("track", milliseconds)
        self._report.observed(sighting.faults, sighting.frame.stamp)

    def posed(self, sighting: Sighting, bodies: tuple[TrackedBody, ...], milliseconds: float) -> None:
        """See `BodyListener`."""
        assert self._outputs is not None
        latencies, frame = self._report.latencies, sighting.frame
        if bodies:
            latencies.add("reconstruct", milliseconds)
        self._board.show_people(SeenPeople(frame, self._frame_of(frame), bool(self._target_frame), bodies))
        began = time.perf_counter()
        self._outputs.publish(sighting, self._frame_of(frame), bodies)
        latencies.add("publish", 1e3 * (time.perf_counter() - began))
        latencies.add("stamp to bodies", (self.get_clock().now().nanoseconds - frame.stamp) / 1e6)


def _reconstructor(config: BodyNetworkConfig) -> BodyNetworkReconstructor:
    """The networks, imported only where there is something for them to run.

    Raises:
        MissingWeightsError: there are no weights, or no PyTorch.
    """
    if obstacle := config.obstacle():
        raise MissingWeightsError(obstacle)
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor

    return BodyNetworkReconstructor(config)


def main() -> int:
    """Entry point of the executable `sam3d_bodies`."""
    return run_nodes([Sam3dBodies], sys.argv)
