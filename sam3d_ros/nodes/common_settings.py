"""The parameters that every node that works on frames has of itself."""

from __future__ import annotations

from dataclasses import dataclass

from sam3d_ros.nodes.boundary import MAX_FAILURES
from sam3d_ros.perception.settings import Settings, parameter

#: The `frame_prefix` that stands for none.
NO_PREFIX = "/"


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
        # Whoever may ask for a file must not be able to move the limit.
        read_only=True,
    )


@dataclass(frozen=True)
class NamingSettings(CommonSettings):
    """Parameters of a node itself, with what is read when it is configured: how it names what it makes.

    Raises:
        ValueError: a name of a frame would begin with a slash.
    """

    frame_prefix: str = parameter(
        "",
        "Stands before the name of every TF frame that the node makes, as it is: robot1/ makes robot1/object_7. "
        "Empty = the namespace of the node and a slash, or nothing where it has none; / = nothing in any namespace.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frame_prefix.startswith(NO_PREFIX) and self.frame_prefix != NO_PREFIX:
            raise ValueError(
                f"parameter frame_prefix is {self.frame_prefix!r}: tf2 has no frames that begin with a slash, give "
                f"{self.frame_prefix.lstrip(NO_PREFIX)!r}, or {NO_PREFIX!r} alone for no prefix"
            )

    def prefix_in(self, namespace: str) -> str:
        """What stands before the names of frames, for a node of this namespace, such as / or /robot1."""
        if self.frame_prefix:
            return "" if self.frame_prefix == NO_PREFIX else self.frame_prefix
        return f"{namespace.strip('/')}/".lstrip("/")
