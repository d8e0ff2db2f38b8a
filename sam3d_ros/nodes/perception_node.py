"""What the nodes that work on frames share: settings, lifecycle, and what they say of themselves."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from sam3d_ros.nodes.frame_inputs import FrameInputs
from sam3d_ros.nodes.frame_threads import FrameThreads
from sam3d_ros.nodes.lifecycle import AutostartNode
from sam3d_ros.nodes.scene_board import SceneBoard, SceneService
from sam3d_ros.nodes.self_report import SelfReport, named_faults
from sam3d_ros.nodes.setting_groups import declare_groups, with_changes
from sam3d_ros.perception.frame import Frame
from sam3d_ros.reconstruction.reconstructors import Weights

S = TypeVar("S")


class PerceptionNode(AutostartNode, Generic[S]):
    """Inputs and threads through the lifecycle; the threads do the work and report to the node, which publishes.

    /diagnostics tells rates and ages of the inputs, what was not used and why, the latency of each stage, and every
    fault by its name, also while the node could not be configured.

    Subclasses create in `configure` what is None before, with a callback in `_held` for what `cleanup` has to free, and
    add the rest of what their threads report to.

    Args:
        name: of the node.
        defaults: of its settings; one is `release_on_deactivate`.
        board: what the nodes of a process see; None = a board of its own.
    """

    def __init__(self, name: str, defaults: S, board: SceneBoard | None) -> None:
        super().__init__(name)
        self._board = board or SceneBoard()
        self._settings = declare_groups(self, defaults)
        self.add_on_set_parameters_callback(self._change_settings)
        self._report = SelfReport(self, self.summary)
        self._target_frame = ""
        self._weights: Weights | None = None
        self._threads: FrameThreads[Any] | None = None
        self._inputs: FrameInputs | None = None
        self._held = ExitStack()

    def configure(self) -> None:
        self._held.callback(SceneService(self, self._board).close)

    def activate(self) -> None:
        assert self._inputs is not None and self._threads is not None
        self._load_weights()
        self._report.inputs = self._inputs
        self._inputs.open()
        self._threads.start()

    def deactivate(self) -> None:
        assert self._inputs is not None and self._threads is not None
        self._inputs.close()
        self._threads.stop()
        if self._weights is not None and self.get_parameter("release_on_deactivate").value:
            self._weights.release()

    def cleanup(self) -> None:
        self._report.inputs = None
        self._held.close()
        if self._weights is not None:
            self._weights.release()
        self._weights = self._threads = self._inputs = None

    def refused(self, error: ValueError | OSError) -> None:
        self._report.refused(error)

    def retune(self, settings: S) -> None:
        """Let changed settings hold at once, as far as they can; the others do when the node is configured."""

    def summary(self) -> tuple[str, dict[str, str]]:
        """What the node does at the moment, in a few words, and as names and values."""
        raise NotImplementedError

    def next_frame(self, timeout: float) -> Frame | None:
        """See `Listener`."""
        assert self._inputs is not None
        return self._inputs.next_frame(timeout)

    def failed(self, stage: str, error: Exception, details: str) -> None:
        """See `Listener`."""
        self._report.failed(stage, error, details)

    def _load_weights(self) -> None:
        if self._weights is not None:
            with named_faults():
                self._weights.load()

    def _frame_of(self, frame: Frame) -> str:
        """The frame that everything is tracked and published in."""
        return self._target_frame or frame.frame_id

    def _change_settings(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            settings = with_changes(self._settings, {p.name: p.value for p in changed})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = settings
        self.retune(settings)
        return SetParametersResult(successful=True)
