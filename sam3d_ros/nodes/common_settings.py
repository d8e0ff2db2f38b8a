"""The parameters that every node that works on frames has of itself."""

from __future__ import annotations

from dataclasses import dataclass

from sam3d_ros.nodes.boundary import MAX_FAILURES
from sam3d_ros.perception.settings import Settings, parameter


@dataclass(frozen=True)
class CommonSettings(Settings):
    """Parameters of a node itself."""

    release_on_deactivate: bool = parameter(
        False, "Give the memory of the weights back while the node is inactive; activation reads them again."
    )
    max_failures: int = parameter(
        MAX_FAILURES,
        "So many unexpected failures of one kind in a row (of frames, reconstructions, messages of a topic or calls of "
        "a timer) end the process, so that whoever started it may start it anew; fewer are reported and passed over.",
        minimum=1,
        maximum=1_000_000,
    )
    scene_folder: str = parameter(
        "",
        "Folder that save_scene writes below, and nowhere else; empty = sam3d_ros/scenes in $XDG_DATA_HOME, or in "
        "~/.local/share.",
    )
