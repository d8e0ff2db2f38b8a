"""The node `sam3d_objects`: object meshes with metric poses from images, instance labels and range sensors."""

from __future__ import annotations

import sys

from sam3d_ros.nodes.commons import Commons
from sam3d_ros.nodes.frame_threads import TrackingFrame
from sam3d_ros.nodes.lifecycle import run_nodes
from sam3d_ros.nodes.object_requests import ObjectRequests
from sam3d_ros.nodes.object_settings import Settings
from sam3d_ros.nodes.object_threads import ObjectThreads
from sam3d_ros.nodes.perception_node import PerceptionNode
from sam3d_ros.nodes.self_report import named_faults
from sam3d_ros.nodes.sinks.gaussians import ObjectGaussians
from sam3d_ros.nodes.sinks.objects import object_topics
from sam3d_ros.nodes.sinks.scene_board import BoardedObjects
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.nodes.sources.frame_reader import FrameReader
from sam3d_ros.perception.pipeline import ObjectPipeline
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.reconstruction.reconstructors import Selection


class Sam3dObjects(PerceptionNode[Settings]):
    """Topics, action and service are those of `FrameSource`, `object_topics`, `ObjectRequests` and `SceneService`."""

    _threads: ObjectThreads | None

    def __init__(self, commons: Commons | None = None) -> None:
        super().__init__("sam3d_objects", Settings(), ("pipeline",), commons)
        self._selection: Selection | None = None
        self._pipeline: ObjectPipeline | None = None
        self._requests: ObjectRequests | None = None

    def configure(self) -> None:
        settings = self._settings
        self._tracked_in = TrackingFrame(settings.frames.tracking_frame)
        with named_faults():
            self._selection = settings.reconstructor()
        self._weights = self._selection.weights
        self._load_weights()
        source = self._commons.sources.source(self, settings.inputs, settings.frames)
        self._reader = FrameReader(self, source, settings.assembler, self._report)
        self._held.callback(self._reader.destroy)
        self._pipeline = ObjectPipeline(self._selection.reconstructor, settings.pipeline)
        self._sinks = self._made_sinks(settings)
        self._threads = ObjectThreads(
            self._pipeline, self._reader, self._sinks, self._report, self._tracked_in, self.boundary
        )
        self._requests = ObjectRequests(self)
        self._held.callback(self._requests.close)
        super().configure()
        self.get_logger().info(
            f"reconstructor {self._selection.reconstructor.name} ({self._selection.note}), objects tracked in "
            f"{self._tracked_in.name or 'the frame of the image'}"
        )

    def activate(self) -> None:
        assert self._requests is not None
        super().activate()
        self._requests.serve(self._threads)

    def deactivate(self) -> None:
        assert self._requests is not None
        self._requests.serve(None)
        super().deactivate()

    def cleanup(self) -> None:
        super().cleanup()
        self._selection = self._pipeline = self._requests = None

    def retune(self, settings: Settings) -> None:
        if self._pipeline is not None:
            self._pipeline.reconfigure(settings.pipeline)

    def summary(self) -> tuple[str, dict[str, str]]:
        newest = None if self._threads is None else self._threads.newest
        count = 0 if newest is None else len(newest[1].objects)
        chosen = self._selection
        values = {
            "objects": str(count),
            "reconstructor": "" if chosen is None else chosen.reconstructor.name,
            "reconstructor note": "" if chosen is None else chosen.note,
        }
        return f"{count} objects" + (f" by {chosen.reconstructor.name}" if chosen else ""), values

    def _made_sinks(self, settings: Settings) -> list[Sink[SeenObjects]]:
        sinks: list[Sink[SeenObjects]] = [BoardedObjects(self._commons.board)]
        prefix, rejected = settings.node.prefix_in(self.get_namespace()), settings.node.publish_rejected
        sinks += object_topics(
            self,
            settings.pipeline.tracker.max_objects,
            prefix=prefix,
            rejected=rejected,
            surface_frames=settings.node.surface_frames,
        )
        if any(output.startswith("gaussians") for output in settings.network.outputs):
            sinks.append(ObjectGaussians(self, prefix=prefix, rejected=rejected))
        return sinks


def main() -> int:
    """Entry point of the executable `sam3d_objects`."""
    return run_nodes([Sam3dObjects], sys.argv)
