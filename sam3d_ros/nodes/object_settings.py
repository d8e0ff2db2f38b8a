"""The parameters of the node `sam3d_objects`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rclpy.node import Node

from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.pipeline import PipelineConfig
from sam3d_ros.reconstruction.network_config import NetworkConfig
from sam3d_ros.reconstruction.reconstructors import Selection, select
from sam3d_ros.ros.frame_assembler import AssemblerConfig
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.parameters import declare, parameter, with_values
from sam3d_ros.ros.qos import PROFILE_NAMES


@dataclass(frozen=True)
class NodeSettings:
    """Parameters of the node itself."""

    reconstructor: str = parameter(
        "auto",
        "What turns a mask into a mesh: geometric (no weights, runs anywhere), sam3d (the networks), or auto: sam3d "
        "where its weights are, geometric elsewhere.",
    )
    release_on_deactivate: bool = parameter(
        False, "Give the memory of the weights back while the node is inactive; activation reads them again."
    )
    image_transport: str = parameter(
        "raw", "Read the topic image, or its sibling image/compressed.", choices=("raw", "compressed")
    )
    depth_transport: str = parameter(
        "raw",
        "Read the topic depth, or its sibling depth/compressedDepth.",
        choices=("raw", "compressedDepth"),
    )
    input_qos: str = parameter(
        "sensor_data",
        "Quality of service of the inputs, except label_info, which is latched.",
        choices=PROFILE_NAMES,
    )
    tf_timeout: float = parameter(
        0.1, "Longest wait for a transform at the stamp of an image, seconds.", minimum=0.0, maximum=5.0
    )
    auto_range_sensor: bool = parameter(
        True,
        "Wait for depth or points exactly while their topic has a publisher; false = as assembler.expect_depth and "
        "assembler.expect_points say.",
    )


@dataclass(frozen=True)
class Settings:
    """All parameters; the groups without a prefix of their own stand side by side.

    Attributes:
        node: the node itself.
        frames: from messages to frames.
        assembler: which messages belong together; `assembler.*`.
        pipeline: tracking, versions of meshes, refinement and verdict; `tracker.*`, `versions.*` and so on.
        geometric: the reconstructor of that name; `geometric.*`.
        network: the reconstructor `sam3d`.
    """

    node: NodeSettings = field(default_factory=NodeSettings)
    frames: FrameBuilderConfig = field(default_factory=FrameBuilderConfig)
    assembler: AssemblerConfig = field(default_factory=AssemblerConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    geometric: GeometricConfig = field(default_factory=GeometricConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def with_values(self, values: Mapping[str, Any]) -> Settings:
        """A copy with some parameters changed, by their full names; names of no parameter are passed over.

        Raises:
            ValueError: a value is refused.
        """
        groups = {f.name: with_values(getattr(self, f.name), values, _prefix(f.name)) for f in fields(self)}
        return Settings(**groups)

    def groups(self) -> list[tuple[Any, str]]:
        """The dataclasses with the prefix of their parameters."""
        return [(getattr(self, f.name), _prefix(f.name)) for f in fields(self)]

    def reconstructor(self) -> Selection:
        """A new reconstructor of the kind that is asked for; raises as `select` does."""
        return select(self.node.reconstructor, geometric=self.geometric, network=self.network)


def declare_settings(node: Node) -> Settings:
    """Declare every parameter on a node; the values that it was started with.

    Raises:
        ValueError, rclpy.exceptions.ParameterException: a value is refused.
    """
    defaults = Settings()
    groups = {f.name: declare(node, getattr(defaults, f.name), _prefix(f.name)) for f in fields(Settings)}
    return Settings(**groups)


def _prefix(group: str) -> str:
    return f"{group}." if group in ("assembler", "geometric") else ""
