"""What the nodes of one process share."""

from __future__ import annotations

from sam3d_ros.nodes.sinks.scene_board import SceneBoard
from sam3d_ros.nodes.sources.frame_source import FrameSources


class Commons:
    """One of each for a process.

    Attributes:
        sources: where frames come from.
        board: what was seen last, of objects and people.
    """

    def __init__(self) -> None:
        self.sources = FrameSources()
        self.board = SceneBoard()
