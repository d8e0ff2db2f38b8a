"""The node `sam3d_objects`: object meshes with metric poses from images, instance labels and range sensors."""

from __future__ import annotations

import sys
import time

from sam3d_ros.nodes.frame_inputs import FrameInputs
from sam3d_ros.nodes.lifecycle import run_nodes
from sam3d_ros.nodes.object_outputs import ObjectOutputs
from sam3d_ros.nodes.object_requests import ObjectRequests
from sam3d_ros.nodes.object_settings import Settings
from sam3d_ros.nodes.object_threads import ObjectThreads
from sam3d_ros.nodes.perception_node import PerceptionNode
from sam3d_ros.nodes.scene_board import SceneBoard
from sam3d_ros.nodes.self_report import named_faults
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.reconstruction.reconstructors import Selection


class Sam3dObjects(PerceptionNode[Settings]):
    """Topics, action and service are those of `FrameInputs`, `ObjectOutputs`, `ObjectRequests` and `SceneService`."""

    _threads: ObjectThreads | None

    def __init__(self, board: SceneBoard | None = None) -> None:
        super().__init__("sam3d_objects", Settings(), board)
        self._selection: Selection | None = None
        self._pipeline: ObjectPipeline | None = None
        self._outputs: ObjectOutputs | None = None
        self._requests: ObjectRequests | None = None

    def configure(self) -> None:
        settings = self._settings
        self._target_frame = settings.frames.target_frame
        with named_faults():
            self._selection = settings.reconstructor()
        self._weights = self._selection.weights
        self._load_weights()
        self._pipeline = ObjectPipeline(self._selection.reconstructor, settings.pipeline)
        self._threads = ObjectThreads(self._pipeline, self)
        self._inputs = FrameInputs(self, settings.inputs, settings.frames, settings.assembler, self._report)
        self._held.callback(self._inputs.destroy)
        self._outputs = ObjectOutputs(
            self,
            settings.pipeline.tracker.max_objects,
            gaussians=any(output.startswith("gaussians") for output in settings.network.outputs),
        )
        self._held.callback(self._outputs.close)
        self._requests = ObjectRequests(self, self._target_frame)
        self._held.callback(self._requests.close)
        super().configure()
        self.get_logger().info(
            f"reconstructor {self._selection.reconstructor.name} ({self._selection.note}), objects tracked in "
            f"{self._target_frame or 'the frame of the image'}"
        )

    def activate(self) -> None:
        assert self._requests is not None
        super().activate()
        self._requests.serve(self._threads)

    def deactivate(self) -> None:
        assert self._requests is not None
        self._requests.serve(None)
        super().deactivate()
        self._board.show_objects(None)
        if self._threads is not None and self._threads.newest is not None and self._outputs is not None:
            frame, observation = self._threads.newest
            self._outputs.clear(observation.stamp, self._frame_of(frame))

    def cleanup(self) -> None:
        super().cleanup()
        self._selection = self._pipeline = self._outputs = self._requests = None

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

    def observed(self, frame: Frame, observation: Observation) -> None:
        """See `ObjectListener`."""
        assert self._outputs is not None and self._threads is not None
        frame_id, is_fixed = self._frame_of(frame), bool(self._target_frame)
        self._board.show_objects(
            SeenObjects(
                observation.stamp, frame_id, is_fixed, frame.frame_id, frame.is_metric, observation.objects
            )
        )
        began = time.perf_counter()
        self._outputs.publish(observation.stamp, frame_id, observation.objects)
        self._report.latencies.add("publish", 1e3 * (time.perf_counter() - began))
        for stage, milliseconds in observation.milliseconds.items():
            self._report.latencies.add("track" if stage == "total" else stage, milliseconds)
        age = self.get_clock().now().nanoseconds - observation.stamp
        self._report.latencies.add("stamp to objects", age / 1e6)
        self._report.observed(observation.faults, observation.stamp)

    def reconstructed(self, count: int, milliseconds: float) -> None:
        """See `ObjectListener`."""
        self._report.latencies.add("reconstruct", milliseconds)
        self.get_logger().info(f"reconstructed {count} objects in {milliseconds:.0f} ms")


def main() -> int:
    """Entry point of the executable `sam3d_objects`."""
    return run_nodes([Sam3dObjects], sys.argv)
