"""The node `sam3d_objects`: object meshes with metric poses from images, instance labels and range sensors."""

from __future__ import annotations

import sys
import time

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from sam3d_ros.nodes.frame_inputs import FrameInputs
from sam3d_ros.nodes.gaussian_output import GaussianOutput
from sam3d_ros.nodes.lifecycle import AutostartNode, run_nodes
from sam3d_ros.nodes.object_outputs import ObjectOutputs
from sam3d_ros.nodes.object_requests import ObjectRequests
from sam3d_ros.nodes.object_settings import Settings
from sam3d_ros.nodes.object_threads import ObjectThreads
from sam3d_ros.nodes.scene_board import SceneBoard, SceneService
from sam3d_ros.nodes.self_report import SelfReport, named_faults
from sam3d_ros.nodes.setting_groups import declare_groups, with_changes
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.joint_scene import SeenObjects
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.reconstruction.reconstructors import Selection


class Sam3dObjects(AutostartNode):
    """Subscriptions, publishers and lifecycle; the work is done by the threads of `ObjectThreads`.

    Topics, action and service are those of `FrameInputs`, `ObjectOutputs`, `ObjectRequests` and `SceneService`.
    /diagnostics tells rates and ages of the inputs, what was not used and why, the latency of each stage, and every
    fault by its name, also while the node could not be configured.
    """

    def __init__(self, board: SceneBoard | None = None) -> None:
        super().__init__("sam3d_objects")
        self._board = board or SceneBoard()
        self._settings = declare_groups(self, Settings())
        self.add_on_set_parameters_callback(self._change_settings)
        self._report = SelfReport(self, self._summary)
        self._target_frame = ""
        self._selection: Selection | None = None
        self._pipeline: ObjectPipeline | None = None
        self._inputs: FrameInputs | None = None
        self._outputs: ObjectOutputs | None = None
        self._gaussians: GaussianOutput | None = None
        self._threads: ObjectThreads | None = None
        self._requests: ObjectRequests | None = None
        self._scene: SceneService | None = None

    def configure(self) -> None:
        settings = self._settings
        self._target_frame = settings.frames.target_frame
        with named_faults():
            self._selection = settings.reconstructor()
            if self._selection.weights is not None:
                self._selection.weights.load()
        self._pipeline = ObjectPipeline(self._selection.reconstructor, settings.pipeline)
        self._threads = ObjectThreads(self._pipeline, self)
        self._inputs = FrameInputs(self, settings.inputs, settings.frames, settings.assembler, self._report)
        self._report.inputs = self._inputs
        self._outputs = ObjectOutputs(self, settings.pipeline.tracker.max_objects)
        if any(output.startswith("gaussians") for output in settings.network.outputs):
            self._gaussians = GaussianOutput(self)
        self._requests = ObjectRequests(self, self._target_frame)
        self._scene = SceneService(self, self._board)
        self.get_logger().info(
            f"reconstructor {self._selection.reconstructor.name} ({self._selection.note}), objects tracked in "
            f"{self._target_frame or 'the frame of the image'}"
        )

    def activate(self) -> None:
        assert self._inputs is not None and self._threads is not None and self._requests is not None
        if self._selection is not None and self._selection.weights is not None:
            with named_faults():
                self._selection.weights.load()
        self._inputs.open()
        self._threads.start()
        self._requests.serve(self._threads)

    def deactivate(self) -> None:
        assert self._inputs is not None and self._threads is not None and self._requests is not None
        self._requests.serve(None)
        self._inputs.close()
        self._threads.stop()
        self._board.show_objects(None)
        self._take_back(self._threads)
        if self._settings.node.release_on_deactivate:
            self._release_weights()

    def cleanup(self) -> None:
        self._report.inputs = None
        if self._inputs is not None:
            self._inputs.destroy()
        if self._outputs is not None:
            self._outputs.close()
        if self._gaussians is not None:
            self._gaussians.close()
        if self._requests is not None:
            self._requests.close()
        if self._scene is not None:
            self._scene.close()
        self._release_weights()
        self._inputs = self._outputs = self._threads = self._requests = self._pipeline = None
        self._selection = self._gaussians = self._scene = None

    def refused(self, error: ValueError | OSError) -> None:
        self._report.refused(error)

    def next_frame(self, timeout: float) -> Frame | None:
        """See `ObjectListener`."""
        assert self._inputs is not None
        return self._inputs.next_frame(timeout)

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
        self._outputs.publish(observation.stamp, frame_id, observation.objects, self._threads.mesh_stamps)
        if self._gaussians is not None:
            self._gaussians.publish(observation.stamp, observation.objects)
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

    def failed(self, stage: str, error: Exception, details: str) -> None:
        """See `ObjectListener`."""
        self._report.failed(stage, error, details)

    def _change_settings(self, changed: list[Parameter]) -> SetParametersResult:
        """Judge changed parameters; those of the pipeline hold at once, the others when the node is configured."""
        try:
            settings = with_changes(self._settings, {p.name: p.value for p in changed})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        if self._pipeline is not None:
            self._pipeline.reconfigure(settings.pipeline)
        return SetParametersResult(successful=True)

    def _frame_of(self, frame: Frame) -> str:
        """The frame that objects are tracked and published in."""
        return self._target_frame or frame.frame_id

    def _take_back(self, threads: ObjectThreads) -> None:
        if threads.newest is not None and self._outputs is not None:
            frame, observation = threads.newest
            self._outputs.clear(observation.stamp, self._frame_of(frame))
        if self._gaussians is not None:
            self._gaussians.clear()

    def _release_weights(self) -> None:
        if self._selection is not None and self._selection.weights is not None:
            self._selection.weights.release()

    def _summary(self) -> tuple[str, dict[str, str]]:
        newest = None if self._threads is None else self._threads.newest
        count = 0 if newest is None else len(newest[1].objects)
        chosen = self._selection
        values = {
            "objects": str(count),
            "reconstructor": "" if chosen is None else chosen.reconstructor.name,
            "reconstructor note": "" if chosen is None else chosen.note,
        }
        return f"{count} objects" + (f" by {chosen.reconstructor.name}" if chosen else ""), values


def main() -> int:
    """Entry point of the executable `sam3d_objects`."""
    return run_nodes([Sam3dObjects], sys.argv)
