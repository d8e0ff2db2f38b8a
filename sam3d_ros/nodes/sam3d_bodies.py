"""The node `sam3d_bodies`: skeletons and meshes of people from images, instance labels and range sensors."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from sam3d_ros.nodes.body_outputs import BodyOutputs
from sam3d_ros.nodes.body_settings import BodySettings
from sam3d_ros.nodes.body_threads import BodyThreads
from sam3d_ros.nodes.frame_inputs import FrameInputs, PeopleInputs
from sam3d_ros.nodes.lifecycle import AutostartNode, run_nodes
from sam3d_ros.nodes.scene_board import SceneBoard, SceneService
from sam3d_ros.nodes.self_report import SelfReport, named_faults
from sam3d_ros.nodes.setting_groups import declare_groups, with_changes
from sam3d_ros.perception.body_tracking import BodyPipeline, Sighting, TrackedBody
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.joint_scene import SeenPeople
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig
from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.ros.humans_messages import humans_messages

if TYPE_CHECKING:
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor


class Sam3dBodies(AutostartNode):
    """Subscriptions, publishers and lifecycle; the work is done by the threads of `BodyThreads`.

    Topics are those of `FrameInputs` and `BodyOutputs`; /diagnostics is told by `SelfReport`, also while the node could
    not be configured.
    """

    def __init__(self, board: SceneBoard | None = None) -> None:
        super().__init__("sam3d_bodies")
        self._board = board or SceneBoard()
        self._settings = declare_groups(self, BodySettings())
        self.add_on_set_parameters_callback(self._change_settings)
        self._report = SelfReport(self, self._summary)
        self._target_frame = ""
        self._reconstructor: BodyNetworkReconstructor | None = None
        self._pipeline: BodyPipeline | None = None
        self._inputs: FrameInputs | None = None
        self._outputs: BodyOutputs | None = None
        self._threads: BodyThreads | None = None
        self._scene: SceneService | None = None

    def configure(self) -> None:
        settings = self._settings
        self._target_frame = settings.frames.target_frame
        humans = humans_messages(settings.node.humans)
        with named_faults():
            self._reconstructor = _reconstructor(settings.body)
        self._pipeline = BodyPipeline(self._reconstructor, settings.people)
        self._threads = BodyThreads(self._pipeline, self)
        people = PeopleInputs(settings.people_inputs, self._reconstructor.skeleton.keypoints)
        self._inputs = FrameInputs(
            self, settings.inputs, settings.frames, settings.assembler, self._report, people
        )
        self._report.inputs = self._inputs
        self._outputs = BodyOutputs(
            self,
            settings.people.max_people,
            joint_frames=settings.node.joint_frames,
            surface_markers=settings.node.surface_markers,
            humans=humans,
        )
        self._scene = SceneService(self, self._board)
        self.get_logger().info(
            f"people posed on {self._reconstructor.description}, tracked in "
            f"{self._target_frame or 'the frame of the image'}"
        )

    def activate(self) -> None:
        assert self._reconstructor is not None and self._inputs is not None and self._threads is not None
        with named_faults():
            self._reconstructor.load()
        self._board.await_people()
        self._inputs.open()
        self._threads.start()

    def deactivate(self) -> None:
        assert self._inputs is not None and self._threads is not None and self._outputs is not None
        self._inputs.close()
        self._threads.stop()
        self._board.show_people(None)
        if self._threads.newest is not None:
            frame = self._threads.newest[0].frame
            self._outputs.clear(frame.stamp, self._frame_of(frame))
        if self._settings.node.release_on_deactivate and self._reconstructor is not None:
            self._reconstructor.release()

    def cleanup(self) -> None:
        self._report.inputs = None
        if self._inputs is not None:
            self._inputs.destroy()
        if self._outputs is not None:
            self._outputs.close()
        if self._scene is not None:
            self._scene.close()
        if self._reconstructor is not None:
            self._reconstructor.release()
        self._inputs = self._outputs = self._threads = self._pipeline = self._reconstructor = None
        self._scene = None

    def refused(self, error: ValueError | OSError) -> None:
        self._report.refused(error)

    def next_frame(self, timeout: float) -> Frame | None:
        """See `BodyListener`."""
        assert self._inputs is not None
        return self._inputs.next_frame(timeout)

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

    def failed(self, stage: str, error: Exception, details: str) -> None:
        """See `BodyListener`."""
        self._report.failed(stage, error, details)

    def _change_settings(self, changed: list[Parameter]) -> SetParametersResult:
        """Judge changed parameters; those of tracking hold at once, the others when the node is configured."""
        try:
            settings = with_changes(self._settings, {p.name: p.value for p in changed})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        if self._pipeline is not None:
            self._pipeline.config = settings.people
        return SetParametersResult(successful=True)

    def _frame_of(self, frame: Frame) -> str:
        """The frame that people are tracked and published in."""
        return self._target_frame or frame.frame_id

    def _summary(self) -> tuple[str, dict[str, str]]:
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
