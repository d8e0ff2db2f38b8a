"""The node `sam3d_objects`: object meshes with metric poses from images, instance labels and range sensors."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from sam3d_ros.nodes.gaussian_output import GaussianOutput
from sam3d_ros.nodes.lifecycle import AutostartNode, run_nodes
from sam3d_ros.nodes.object_inputs import ObjectInputs
from sam3d_ros.nodes.object_outputs import ObjectOutputs
from sam3d_ros.nodes.object_requests import ObjectRequests
from sam3d_ros.nodes.object_settings import declare_settings
from sam3d_ros.nodes.object_threads import ObjectThreads
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation
from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.reconstruction.reconstructors import Selection
from sam3d_ros.ros.diagnostics import (
    LatencyMeter,
    count_status,
    diagnostic_array,
    fault_status,
    input_status,
    latency_status,
)
from sam3d_ros.ros.faults import Fault, FaultError, FaultLog
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message

#: Faults of an observation, by the name that the pipeline gives them.
OBSERVED_FAULTS = {
    fault.label: fault for fault in (Fault.EMPTY_MASK, Fault.NO_DEPTH_IN_MASK, Fault.TOO_MANY_OBJECTS)
}
#: /diagnostics is published at this period (REP-107), and at once when another fault appears; seconds.
DIAGNOSTICS_PERIOD = 1.0
#: How often the node looks whether there is something to tell, seconds.
DIAGNOSTICS_TICK = 0.2
#: A fault is present for so long after its last report, seconds.
FAULT_DURATION = 3.0


class Sam3dObjects(AutostartNode):
    """Subscriptions, publishers and lifecycle; the work is done by the threads of `ObjectThreads`.

    Topics, action and service are those of `ObjectInputs`, `ObjectOutputs` and `ObjectRequests`. /diagnostics tells
    rates and ages of the inputs, what was not used and why, the latency of each stage, and every fault by its name,
    also while the node could not be configured.
    """

    def __init__(self) -> None:
        super().__init__("sam3d_objects")
        self._settings = declare_settings(self)
        self.add_on_set_parameters_callback(self._change_settings)
        self._faults = FaultLog()
        self._latencies = LatencyMeter()
        self._target_frame = ""
        self._selection: Selection | None = None
        self._pipeline: ObjectPipeline | None = None
        self._inputs: ObjectInputs | None = None
        self._outputs: ObjectOutputs | None = None
        self._gaussians: GaussianOutput | None = None
        self._threads: ObjectThreads | None = None
        self._requests: ObjectRequests | None = None
        self._told_at = 0.0
        self._told_faults: frozenset[Fault] = frozenset()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos_profile("reliable"))
        self.create_timer(DIAGNOSTICS_TICK, self._diagnose, clock=self.steady_clock)

    def configure(self) -> None:
        settings = self._settings
        self._target_frame = settings.frames.target_frame
        with _named_faults():
            self._selection = settings.reconstructor()
            if self._selection.weights is not None:
                self._selection.weights.load()
        self._pipeline = ObjectPipeline(self._selection.reconstructor, settings.pipeline)
        self._threads = ObjectThreads(self._pipeline, self)
        self._inputs = ObjectInputs(self, settings, self._faults, self._latencies)
        self._outputs = ObjectOutputs(self, settings.pipeline.tracker.max_objects)
        if any(output.startswith("gaussians") for output in settings.network.outputs):
            self._gaussians = GaussianOutput(self)
        self._requests = ObjectRequests(self, self._target_frame)
        self.get_logger().info(
            f"reconstructor {self._selection.reconstructor.name} ({self._selection.note}), objects tracked in "
            f"{self._target_frame or 'the frame of the image'}"
        )

    def activate(self) -> None:
        assert self._inputs is not None and self._threads is not None and self._requests is not None
        if self._selection is not None and self._selection.weights is not None:
            with _named_faults():
                self._selection.weights.load()
        self._inputs.open()
        self._threads.start()
        self._requests.serve(self._threads)

    def deactivate(self) -> None:
        assert self._inputs is not None and self._threads is not None and self._requests is not None
        self._requests.serve(None)
        self._inputs.close()
        self._threads.stop()
        self._take_back(self._threads)
        if self._settings.node.release_on_deactivate:
            self._release_weights()

    def cleanup(self) -> None:
        if self._inputs is not None:
            self._inputs.destroy()
        if self._outputs is not None:
            self._outputs.close()
        if self._gaussians is not None:
            self._gaussians.close()
        if self._requests is not None:
            self._requests.close()
        self._release_weights()
        self._inputs = self._outputs = self._threads = self._requests = self._pipeline = None
        self._selection = self._gaussians = None

    def refused(self, error: ValueError | OSError) -> None:
        if isinstance(error, FaultError):
            self._faults.report_error(error)
        else:
            self._faults.report(Fault.INVALID_PARAMETER, str(error))

    def next_frame(self, timeout: float) -> Frame | None:
        """See `Listener`."""
        assert self._inputs is not None
        return self._inputs.next_frame(timeout)

    def observed(self, frame: Frame, observation: Observation) -> None:
        """See `Listener`."""
        assert self._outputs is not None and self._threads is not None
        began = time.perf_counter()
        self._outputs.publish(
            observation.stamp, self._frame_of(frame), observation.objects, self._threads.mesh_stamps
        )
        if self._gaussians is not None:
            self._gaussians.publish(observation.stamp, observation.objects)
        self._latencies.add("publish", 1e3 * (time.perf_counter() - began))
        for stage, milliseconds in observation.milliseconds.items():
            self._latencies.add("track" if stage == "total" else stage, milliseconds)
        age = self.get_clock().now().nanoseconds - observation.stamp
        self._latencies.add("stamp to objects", age / 1e6)
        for name, count in observation.faults.items():
            message = f"{count} instances at {observation.stamp / 1e9:.3f}"
            self._faults.report(OBSERVED_FAULTS[name], message, times=count)

    def reconstructed(self, count: int, milliseconds: float) -> None:
        """See `Listener`."""
        self._latencies.add("reconstruct", milliseconds)
        self.get_logger().info(f"reconstructed {count} objects in {milliseconds:.0f} ms")

    def failed(self, stage: str, error: Exception, details: str) -> None:
        """See `Listener`."""
        fault = Fault.INTERNAL_ERROR
        if isinstance(error, MemoryError):
            fault = Fault.OUT_OF_MEMORY
        elif isinstance(error, MissingWeightsError):
            fault = Fault.MISSING_WEIGHTS
        self._faults.report(fault, f"{stage}: {type(error).__name__}: {error}")
        self.get_logger().error(f"{stage} failed, the frame is passed over:\n{details}")

    def _change_settings(self, changed: list[Parameter]) -> SetParametersResult:
        """Judge changed parameters; those of the pipeline hold at once, the others when the node is configured."""
        try:
            settings = self._settings.with_values({p.name: p.value for p in changed})
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

    def _diagnose(self) -> None:
        records = self._faults.records()
        active = frozenset(record.fault for record in records if record.age <= FAULT_DURATION)
        now = time.monotonic()
        if now - self._told_at < DIAGNOSTICS_PERIOD and active <= self._told_faults:
            return
        self._told_at, self._told_faults = now, active
        name = self.get_fully_qualified_name().lstrip("/")
        statuses = [
            self._state_status(name),
            fault_status(name, records, active_for=FAULT_DURATION),
            latency_status(name, self._latencies.summary()),
        ]
        inputs = self._inputs
        if inputs is not None and self.state == "active":
            inputs.follow_publishers()
            statuses.append(input_status(name, inputs.health()))
            statuses.append(count_status(name, "unused messages", inputs.drops()))
        stamp = self.get_clock().now().nanoseconds
        self._diagnostics.publish(diagnostic_array(header_message(stamp, ""), statuses))

    def _state_status(self, name: str) -> DiagnosticStatus:
        threads = self._threads
        newest = None if threads is None else threads.newest
        count = 0 if newest is None else len(newest[1].objects)
        chosen = self._selection
        values = {
            "lifecycle": self.state,
            "objects": str(count),
            "reconstructor": "" if chosen is None else chosen.reconstructor.name,
            "reconstructor note": "" if chosen is None else chosen.note,
        }
        return DiagnosticStatus(
            name=f"{name}: state",
            level=DiagnosticStatus.OK,
            message=f"{self.state}, {count} objects" + (f" by {chosen.reconstructor.name}" if chosen else ""),
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )


@contextmanager
def _named_faults() -> Iterator[None]:
    """What keeps a reconstructor from being ready, as faults that the user can mend."""
    try:
        yield
    except MissingWeightsError as error:
        raise FaultError(Fault.MISSING_WEIGHTS, str(error)) from error
    except MemoryError as error:
        raise FaultError(Fault.OUT_OF_MEMORY, str(error)) from error


def main() -> int:
    """Entry point of the executable `sam3d_objects`."""
    return run_nodes([Sam3dObjects], sys.argv)
