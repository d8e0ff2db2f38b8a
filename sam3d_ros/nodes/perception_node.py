"""What the nodes that work on frames share: settings, lifecycle, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from sam3d_ros.nodes.common_settings import CommonSettings
from sam3d_ros.nodes.commons import Commons
from sam3d_ros.nodes.frame_threads import FrameThreads, TrackingFrame
from sam3d_ros.nodes.lifecycle import AutostartNode
from sam3d_ros.nodes.self_report import SelfReport, named_faults
from sam3d_ros.nodes.setting_groups import current_values, declare_groups, names_of, with_changes
from sam3d_ros.nodes.sinks.scene_service import SceneService, default_scene_folder
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.nodes.sources.frame_reader import FrameReader
from sam3d_ros.reconstruction.reconstructors import Weights
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.parameters import names

S = TypeVar("S")


#: How often sinks look who has begun to listen, seconds.
REFRESH_PERIOD = 0.2


class PerceptionNode(AutostartNode, Generic[S]):
    """Builds a way from a frame source through a pipeline's threads to sinks, and runs its lifecycle.

    /diagnostics tells rates and ages of the inputs, what was not used and why, the latency of each stage, and every
    fault by its name, also while the node could not be configured.

    Subclasses create in `configure` what is None or empty before, with a callback in `_held` for what `cleanup` has to
    free.

    Args:
        name: of the node.
        live: the groups of its settings that hold at once; those of `CommonSettings` do, too.
        defaults: of its settings, among them those of `CommonSettings`.
        commons: what the nodes of a process share; None = its own.
    """

    def __init__(self, name: str, defaults: S, live: Collection[str], commons: Commons | None) -> None:
        super().__init__(name)
        self._live = frozenset((*names(CommonSettings()), *names_of(defaults, live)))
        self._commons = commons or Commons()
        self._settings = declare_groups(self, defaults)
        self.boundary.limit = self.get_parameter("max_failures").value
        self.add_on_set_parameters_callback(self._change_settings)
        self._report = SelfReport(self, self.summary)
        self._tracked_in = TrackingFrame()
        self._weights: Weights | None = None
        self._reader: FrameReader | None = None
        self._threads: FrameThreads[Any, Any] | None = None
        self._sinks: Sequence[Sink[Any]] = ()
        self._held = ExitStack()
        self.create_timer(REFRESH_PERIOD, self._refresh, clock=self.steady_clock)

    def configure(self) -> None:
        self._held.callback(SceneService(self, self._commons.board, self._scene_folder).close)
        for sink in self._sinks:
            self._held.callback(sink.close)

    def activate(self) -> None:
        assert self._reader is not None and self._threads is not None
        self._load_weights()
        self._report.inputs = self._reader
        self._reader.open()
        self._threads.start()

    def deactivate(self) -> None:
        assert self._reader is not None and self._threads is not None
        self._reader.close()
        self._threads.stop()
        if (emptied := self._threads.emptied()) is not None:
            for sink in self._sinks:
                sink.clear(emptied)
        if self._weights is not None and self.get_parameter("release_on_deactivate").value:
            self._threads.afterwards(self._weights.release)

    def cleanup(self) -> None:
        self._report.inputs = None
        self._held.close()
        if self._weights is not None and self._threads is not None:
            self._threads.afterwards(self._weights.release)
        self._weights = self._threads = self._reader = None
        self._sinks = ()

    def refused(self, error: ValueError | OSError) -> None:
        self._report.refused(error)

    def failed(self, what: str, error: Exception, details: str) -> None:
        super().failed(what, error, details)
        self._report.failed(what, error, details)

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        super().check_parameters(values)
        with_changes(self._settings, values)
        if self.state == "unconfigured":
            return
        known = current_values(self._settings)
        for name, value in values.items():
            if name in known and name not in self._live and value != known[name]:
                raise FaultError(
                    Fault.INVALID_REQUEST,
                    f"parameter {name} cannot change while the node is {self.state}, it is read when the node is "
                    "configured: deactivate and clean it up, set the parameter, then configure and activate it",
                )

    def retune(self, settings: S) -> None:
        """Let changed settings hold at once, as far as they can; the others do when the node is configured."""

    def summary(self) -> tuple[str, dict[str, str]]:
        """What the node does at the moment, in a few words, and as names and values."""
        raise NotImplementedError

    def _scene_folder(self) -> Path:
        folder = self.get_parameter("scene_folder").value
        return Path(folder).expanduser() if folder else default_scene_folder()

    def _refresh(self) -> None:
        if self.state == "active":
            for sink in self._sinks:
                sink.refresh()

    def _load_weights(self) -> None:
        if self._weights is not None:
            with named_faults():
                self._weights.load()

    def _change_settings(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            settings = with_changes(self._settings, {p.name: p.value for p in changed})
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.retune(settings)
        self._settings = settings
        for parameter in changed:
            if parameter.name == "max_failures":
                self.boundary.limit = parameter.value
        return SetParametersResult(successful=True)
