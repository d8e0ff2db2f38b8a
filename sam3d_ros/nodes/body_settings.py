"""The parameters of the node `sam3d_bodies`."""

from __future__ import annotations

from dataclasses import dataclass, field

from sam3d_ros.nodes.common_settings import NamingSettings
from sam3d_ros.nodes.sources.input_settings import InputSettings, PeopleInputSettings
from sam3d_ros.perception.people.pipeline import PeopleConfig
from sam3d_ros.perception.settings import parameter
from sam3d_ros.reconstruction.body_config import BodyNetworkConfig
from sam3d_ros.ros.frame_assembler import AssemblerConfig
from sam3d_ros.ros.frame_builder import FrameBuilderConfig
from sam3d_ros.ros.humans_messages import CHOICES


@dataclass(frozen=True)
class BodyNodeSettings(NamingSettings):
    """Parameters of the node itself."""

    joint_frames: bool = parameter(
        True, "Publish the joints of the rig as frames <joint>_<id>; otherwise body_<id> alone."
    )
    surface_markers: bool = parameter(
        True, "Show the surfaces among the markers; each takes megabytes for every image."
    )
    humans: str = parameter(
        "auto",
        "Publish humans/bodies of REP-155: auto = where the package hri_msgs is installed.",
        choices=CHOICES,
    )


@dataclass(frozen=True)
class BodySettings:
    """All parameters; the groups without a prefix of their own stand side by side.

    Attributes:
        node: the node itself.
        inputs: what it subscribes to.
        people_inputs: what tells where people are, and of their keypoints.
        frames: from messages to frames.
        assembler: which messages belong together; `assembler.*`.
        people: who is a person, and tracking.
        body: the networks; `body.*`.
    """

    node: BodyNodeSettings = field(default_factory=BodyNodeSettings)
    inputs: InputSettings = field(default_factory=InputSettings)
    people_inputs: PeopleInputSettings = field(default_factory=PeopleInputSettings)
    frames: FrameBuilderConfig = field(default_factory=FrameBuilderConfig)
    assembler: AssemblerConfig = field(default_factory=AssemblerConfig)
    people: PeopleConfig = field(default_factory=PeopleConfig)
    body: BodyNetworkConfig = field(default_factory=BodyNetworkConfig)
