"""The node `sam3d_bodies`: skeletons and meshes of people from images, instance labels and range sensors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sam3d_ros.nodes.body_settings import BodySettings
from sam3d_ros.nodes.body_threads import BodyThreads
from sam3d_ros.nodes.commons import Commons
from sam3d_ros.nodes.frame_threads import TrackingFrame
from sam3d_ros.nodes.lifecycle import run_nodes
from sam3d_ros.nodes.perception_node import PerceptionNode
from sam3d_ros.nodes.self_report import named_faults
from sam3d_ros.nodes.sinks.bodies import body_topics
from sam3d_ros.nodes.sinks.scene_board import BoardedPeople
from sam3d_ros.nodes.sources.frame_reader import FrameReader
from sam3d_ros.nodes.sources.input_settings import PeopleInputs
from sam3d_ros.perception.people.pipeline import BodyPipeline
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig
from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.ros.humans_messages import humans_messages

if TYPE_CHECKING:
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor


class Sam3dBodies(PerceptionNode[BodySettings]):
    """Topics and service are those of `FrameSource`, `body_topics` and `SceneService`."""

    _threads: BodyThreads | None

    def __init__(self, commons: Commons | None = None) -> None:
        super().__init__("sam3d_bodies", BodySettings(), ("people",), commons)
        self._reconstructor: BodyNetworkReconstructor | None = None
        self._pipeline: BodyPipeline | None = None

    def configure(self) -> None:
        settings = self._settings
        self._tracked_in = TrackingFrame(settings.frames.tracking_frame)
        humans = humans_messages(settings.node.humans)
        with named_faults():
            self._weights = self._reconstructor = _reconstructor(settings.body)
        source = self._commons.sources.source(self, settings.inputs, settings.frames)
        people = PeopleInputs(settings.people_inputs, self._reconstructor.skeleton.keypoints)
        self._reader = FrameReader(self, source, settings.assembler, self._report, people)
        self._held.callback(self._reader.destroy)
        self._pipeline = BodyPipeline(self._reconstructor, settings.people)
        topics = body_topics(
            self,
            settings.people.max_people,
            joint_frames=settings.node.joint_frames,
            surface_markers=settings.node.surface_markers,
            humans=humans,
            prefix=settings.node.prefix_in(self.get_namespace()),
        )
        self._sinks = [BoardedPeople(self._commons.board), *topics]
        self._threads = BodyThreads(
            self._pipeline, self._reader, self._sinks, self._report, self._tracked_in, self.boundary
        )
        super().configure()
        self.get_logger().info(
            f"people posed on {self._reconstructor.description}, tracked in "
            f"{self._tracked_in.name or 'the frame of the image'}"
        )

    def activate(self) -> None:
        super().activate()
        self._commons.board.await_people()

    def deactivate(self) -> None:
        super().deactivate()
        self._commons.board.show_people(None)

    def cleanup(self) -> None:
        super().cleanup()
        self._pipeline = self._reconstructor = None

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
