"""What a node of the package says of itself on /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from sam3d_ros.nodes.lifecycle import AutostartNode
from sam3d_ros.reconstruction.errors import MissingWeightsError
from sam3d_ros.ros.diagnostics import (
    InputHealth,
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
    fault.label: fault
    for fault in (
        Fault.EMPTY_MASK,
        Fault.NO_DEPTH_IN_MASK,
        Fault.TOO_MANY_OBJECTS,
        Fault.UNMATCHED_KEYPOINTS,
    )
}
#: /diagnostics is published at this period (REP-107), and at once when another fault appears; seconds.
DIAGNOSTICS_PERIOD = 1.0
#: How often the node looks whether there is something to tell, seconds.
DIAGNOSTICS_TICK = 0.2
#: A fault is present for so long after its last report, seconds.
FAULT_DURATION = 3.0
#: Another node of the same name is told after so long: one that was killed stays known for a while, by the defaults of
#: Fast DDS 20 s; seconds.
NAMESAKE_PATIENCE = 30.0


class ReportingInputs(Protocol):
    """What is asked of the inputs of an active node."""

    def follow_publishers(self) -> None:
        """Look again which sensors there are."""

    def counts(self) -> dict[str, int]:
        """What was taken in and decoded, whoever read it."""

    def health(self) -> list[InputHealth]:
        """How each input does."""

    def drops(self) -> dict[str, int]:
        """How many messages were not used, by input and reason."""


class SelfReport:
    """Rates and ages of the inputs, what was not used and why, latencies, and every fault by its name.

    Args:
        node: whose report it is; it is given also while the node is not active.
        summary: what the node does at the moment, in a few words, and as names and values.

    Attributes:
        faults: counted faults.
        latencies: milliseconds by stage.
        inputs: told while the node is active, if there are some.
    """

    def __init__(self, node: AutostartNode, summary: Callable[[], tuple[str, dict[str, str]]]) -> None:
        self.faults = FaultLog()
        self.latencies = LatencyMeter()
        self.inputs: ReportingInputs | None = None
        self._node = node
        self._summary = summary
        self._told_at = 0.0
        self._alone_at = time.monotonic()
        self._told_faults: frozenset[Fault] = frozenset()
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", qos_profile("reliable"))
        node.create_timer(DIAGNOSTICS_TICK, self._diagnose, clock=node.steady_clock)

    def refused(self, error: ValueError | OSError) -> None:
        """A transition was refused."""
        if isinstance(error, FaultError):
            self.faults.report_error(error)
        else:
            self.faults.report(Fault.INVALID_PARAMETER, str(error))

    def observed(self, faults: Mapping[str, int], stamp: int) -> None:
        """A frame had faults: name -> number of instances."""
        for name, count in faults.items():
            message = f"{count} instances at {stamp / 1e9:.3f}"
            self.faults.report(OBSERVED_FAULTS[name], message, times=count)

    def spent(self, stage: str, milliseconds: float) -> None:
        """A stage took so long."""
        self.latencies.add(stage, milliseconds)

    def reached(self, what: str, stamp: int) -> None:
        """What is made of a frame of this stamp is out."""
        age = self._node.get_clock().now().nanoseconds - stamp
        self.latencies.add(f"stamp to {what}", age / 1e6)

    def finished(self, count: int, milliseconds: float) -> None:
        """A batch of `count` instances was reconstructed."""
        self.latencies.add("reconstruct", milliseconds)
        self._node.get_logger().info(f"reconstructed {count} objects in {milliseconds:.0f} ms")

    def failed(self, what: str, error: Exception, details: str) -> None:
        """What was done raised an error; the log has its traceback."""
        fault = Fault.INTERNAL_ERROR
        if isinstance(error, FaultError):
            self.faults.report_error(error)
            return
        if isinstance(error, MemoryError):
            fault = Fault.OUT_OF_MEMORY
        elif isinstance(error, MissingWeightsError):
            fault = Fault.MISSING_WEIGHTS
        self.faults.report(fault, f"{what}: {type(error).__name__}: {error}")

    def _diagnose(self) -> None:
        records = self.faults.records()
        active = frozenset(record.fault for record in records if record.age <= FAULT_DURATION)
        now = time.monotonic()
        if now - self._told_at < DIAGNOSTICS_PERIOD and active <= self._told_faults:
            return
        self._told_at, self._told_faults = now, active
        self._look_for_namesakes(now)
        name = self._node.get_fully_qualified_name().lstrip("/")
        statuses = [
            self._state_status(name),
            fault_status(name, records, active_for=FAULT_DURATION),
            latency_status(name, self.latencies.summary()),
        ]
        if self.inputs is not None and self._node.state == "active":
            self.inputs.follow_publishers()
            statuses.append(input_status(name, self.inputs.health()))
            statuses.append(count_status(name, "unused messages", self.inputs.drops()))
            statuses.append(count_status(name, "frame source", self.inputs.counts()))
        stamp = self._node.get_clock().now().nanoseconds
        self._diagnostics.publish(diagnostic_array(header_message(stamp, ""), statuses))

    def _look_for_namesakes(self, now: float) -> None:
        """Name it where another node has the same name: topics, services and TF frames of both are mixed up."""
        node = self._node
        own = (node.get_name(), node.get_namespace())
        count = node.get_node_names_and_namespaces().count(own)
        if count < 2:
            self._alone_at = now
        elif now - self._alone_at >= NAMESAKE_PATIENCE:
            self.faults.report(
                Fault.NAME_CONFLICT,
                f"{count} nodes are called {node.get_fully_qualified_name()}: what they publish, their TF frames too, "
                "is mixed up",
            )

    def _state_status(self, name: str) -> DiagnosticStatus:
        state = self._node.state
        words, values = self._summary()
        return DiagnosticStatus(
            name=f"{name}: state",
            level=DiagnosticStatus.OK,
            message=f"{state}, {words}",
            values=[KeyValue(key=key, value=value) for key, value in {"lifecycle": state, **values}.items()],
        )


@contextmanager
def named_faults() -> Iterator[None]:
    """What keeps a reconstructor from being ready, as faults that the user can mend."""
    try:
        yield
    except MissingWeightsError as error:
        raise FaultError(Fault.MISSING_WEIGHTS, str(error)) from error
    except MemoryError as error:
        raise FaultError(Fault.OUT_OF_MEMORY, str(error)) from error
