"""The parameters of the node `sam3d_objects`."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam3d_ros.nodes.common_settings import NamingSettings
from sam3d_ros.nodes.sources.input_settings import InputSettings
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.pipeline import PipelineConfig
from sam3d_ros.perception.settings import parameter
from sam3d_ros.reconstruction.network_config import RECONSTRUCTORS, NetworkConfig
from sam3d_ros.reconstruction.reconstructors import Selection, select
from sam3d_ros.ros.frame_assembler import AssemblerConfig
from sam3d_ros.ros.frame_builder import FrameBuilderConfig


@dataclass(frozen=True)
class NodeSettings(NamingSettings):
    """Parameters of the node itself."""

    reconstructor: str = parameter(
        "auto",
        "What turns a mask into a mesh: geometric (no weights, runs anywhere), sam3d (the networks), or auto: sam3d "
        "where its weights are, geometric elsewhere.",
        choices=RECONSTRUCTORS,
    )
    publish_rejected: bool = parameter(
        True,
        "Objects whose verdict is REJECTED are frames, detections (of score 0) and markers, too; false leaves them to "
        "~/objects and ~/meshes.",
    )
    surface_frames: bool = parameter(
        True,
        "The surfaces that objects stand on are frames on /tf, too; ~/surfaces and ~/markers have them anyhow.",
    )


@dataclass(frozen=True)
class Settings:
    """All parameters; the groups without a prefix of their own stand side by side.

    Attributes:
        node: the node itself.
        inputs: what it subscribes to.
        frames: from messages to frames.
        assembler: which messages belong together; `assembler.*`.
        pipeline: tracking, versions of meshes, refinement and verdict; `tracker.*`, `versions.*` and so on.
        geometric: the reconstructor of that name; `geometric.*`.
        network: the reconstructor `sam3d`.
    """

    node: NodeSettings = field(default_factory=NodeSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    frames: FrameBuilderConfig = field(default_factory=FrameBuilderConfig)
    assembler: AssemblerConfig = field(default_factory=AssemblerConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    geometric: GeometricConfig = field(default_factory=GeometricConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)

    def reconstructor(self) -> Selection:
        """A new reconstructor of the kind that is asked for; raises as `select` does."""
        return select(self.node.reconstructor, geometric=self.geometric, network=self.network)
