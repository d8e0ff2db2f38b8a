"""The Momentum Human Rig: parameters to joints by forward kinematics, joints to a skin by linear blending.

Rig frame: x to the left of the body, y up, z out of its chest; centimetres and radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sam3d_ros.models.body.rotations import matrix_from_quaternion, matrix_from_xyz

JOINTS = 127
PARAMETERS = 204
IDENTITY = 45
EXPRESSION = 72

#: Parameters of one joint: translation (3), angles (3), logarithm of its scale to base 2.
_JOINT_PARAMETERS = 7
# The world and the root do not deform the skin.
_FIRST_DEFORMING_JOINT = 2


@dataclass(frozen=True)
class RigConfig:
    """Sizes of a rig.

    Attributes:
        vertices: of the skin; 0 for a rig of joints alone.
        triangles: of the skin.
        corrective_width: hidden units of the pose correctives; 0 for a rig without.
    """

    vertices: int
    triangles: int
    corrective_width: int

    @staticmethod
    def released() -> RigConfig:
        """The level of detail that SAM 3D Body uses."""
        return RigConfig(vertices=18439, triangles=36874, corrective_width=3000)

    @staticmethod
    def tiny() -> RigConfig:
        """A size for tests."""
        return RigConfig(vertices=24, triangles=44, corrective_width=5)


@dataclass(frozen=True, eq=False)
class JointStates:
    """Where the joints of a batch of bodies are, in the rig frame.

    Attributes:
        rotations: (B, J, 3, 3) rig_from_joint.
        positions: (B, J, 3) centimetres.
        scales: (B, J).
        angles: (B, J, 3) that the parameters turned each joint by, about the fixed x, then y, then z.
    """

    rotations: Tensor
    positions: Tensor
    scales: Tensor
    angles: Tensor

    @property
    def rig_from_joint(self) -> Tensor:
        """(B, J, 3, 4)."""
        linear = self.scales[..., None, None] * self.rotations
        return torch.cat([linear, self.positions[..., None]], dim=-1)


class Skeleton(nn.Module):
    """Forward kinematics."""

    parents: Tensor
    offsets: Tensor
    prerotations: Tensor
    parameter_transform: Tensor

    def __init__(self, joints: int = JOINTS) -> None:
        super().__init__()
        self.register_buffer("parents", torch.zeros(joints, dtype=torch.int64))
        self.register_buffer("offsets", torch.zeros(joints, 3))
        self.register_buffer("prerotations", torch.zeros(joints, 4))
        self.register_buffer("parameter_transform", torch.zeros(joints * _JOINT_PARAMETERS, PARAMETERS))
        self._levels: list[Tensor] = []

    @property
    def levels(self) -> list[Tensor]:
        """Joints by their distance from the root of the tree: those of one level depend on the level above alone."""
        device = self.parents.device
        if not self._levels or self._levels[0].device != device:
            depth: list[int] = []
            for parent in self.parents.tolist():
                depth.append(0 if parent < 0 else depth[parent] + 1)
            depths = torch.tensor(depth, device=device)
            self._levels = [(depths == level).nonzero()[:, 0] for level in range(max(depth) + 1)]
        return self._levels

    @property
    def turns(self) -> Tensor:
        """(J, 3) bool: the angles of each joint that some parameter moves; all others are always zero."""
        rows = self.parameter_transform.unflatten(0, (-1, _JOINT_PARAMETERS))
        return rows[:, 3:6].ne(0).any(dim=-1)

    def joint_parameters(self, parameters: Tensor) -> Tensor:
        """(B, 204) parameters of the rig -> (B, J, 7) parameters of the joints."""
        return (parameters @ self.parameter_transform.T).unflatten(-1, (-1, _JOINT_PARAMETERS))

    def forward(self, parameters: Tensor) -> JointStates:
        """Pose.

        Args:
            parameters: (B, 204): translation of the root in decimetres, its angles, 130 angles and lengths of
                the pose, 68 scales and offsets of the skeleton.
        """
        own = self.joint_parameters(parameters)
        moved, angles, scales = own[..., :3] + self.offsets, own[..., 3:6], torch.exp2(own[..., 6])
        turned = matrix_from_quaternion(self.prerotations) @ matrix_from_xyz(angles)
        rotations, positions = torch.empty_like(turned), torch.empty_like(moved)
        sizes = torch.empty_like(scales)
        for level, joints in enumerate(self.levels):
            if level == 0:
                rotations[:, joints], positions[:, joints] = turned[:, joints], moved[:, joints]
                sizes[:, joints] = scales[:, joints]
                continue
            above = self.parents[joints]
            step = (rotations[:, above] @ moved[:, joints, :, None])[..., 0]
            rotations[:, joints] = rotations[:, above] @ turned[:, joints]
            positions[:, joints] = positions[:, above] + sizes[:, above, None] * step
            sizes[:, joints] = sizes[:, above] * scales[:, joints]
        return JointStates(rotations, positions, sizes, angles)


class PoseCorrectives(nn.Module):
    """How the skin bulges and folds where joints bend: two linear layers without bias on the joint rotations."""

    def __init__(self, width: int, vertices: int, joints: int = JOINTS) -> None:
        super().__init__()
        self.hidden = nn.Linear(6 * (joints - _FIRST_DEFORMING_JOINT), width, bias=False)
        self.offsets = nn.Linear(width, 3 * vertices, bias=False)

    @staticmethod
    def features(angles: Tensor) -> Tensor:
        """(B, J, 3) -> (B, 6 (J - 2)) first two columns of each rotation, less those of no rotation."""
        columns = matrix_from_xyz(angles[:, _FIRST_DEFORMING_JOINT:])[..., :2]
        rest = torch.eye(3, 2, dtype=angles.dtype, device=angles.device)
        return (columns - rest).transpose(-1, -2).flatten(1)

    def forward(self, angles: Tensor) -> Tensor:
        """(B, J, 3) angles of the joints -> (B, V, 3) offsets of the vertices, centimetres."""
        return self.offsets(torch.relu(self.hidden(self.features(angles)))).unflatten(-1, (-1, 3))


class Skin(nn.Module):
    """Shape, correctives and linear blend skinning of some vertices."""

    base: Tensor
    identity: Tensor
    expression: Tensor
    weights: Tensor
    joint_from_rest: Tensor

    def __init__(self, vertices: int, corrective_width: int, joints: int = JOINTS) -> None:
        super().__init__()
        self.register_buffer("base", torch.zeros(vertices, 3))
        self.register_buffer("identity", torch.zeros(IDENTITY, vertices, 3))
        self.register_buffer("expression", torch.zeros(EXPRESSION, vertices, 3))
        self.register_buffer("weights", torch.zeros(vertices, joints))
        self.register_buffer("joint_from_rest", torch.zeros(joints, 3, 4))
        self.correctives = PoseCorrectives(corrective_width, vertices, joints) if corrective_width else None

    def rest(self, identity: Tensor, expression: Tensor | None = None) -> Tensor:
        """(B, 45) and (B, 72) coefficients -> (B, V, 3) the skin in the rest pose, centimetres."""
        shape = self.base + torch.einsum("bi,ivc->bvc", identity, self.identity)
        if expression is not None:
            shape = shape + torch.einsum("bi,ivc->bvc", expression, self.expression)
        return shape

    def forward(self, states: JointStates, identity: Tensor, expression: Tensor | None = None) -> Tensor:
        """Deform.

        Args:
            states: of the joints.
            identity: (B, 45) coefficients of the body shape.
            expression: (B, 72) coefficients of the face; none is neutral.

        Returns:
            (B, V, 3) vertices in the rig frame, centimetres.
        """
        shape = self.rest(identity, expression)
        if self.correctives is not None:
            shape = shape + self.correctives(states.angles)
        onto_rest = torch.cat([self.joint_from_rest, self.joint_from_rest.new_zeros(JOINTS, 1, 4)], dim=1)
        onto_rest[:, 3, 3] = 1.0
        rig_from_rest = states.rig_from_joint @ onto_rest
        blended = (self.weights @ rig_from_rest.flatten(-2)).unflatten(-1, (3, 4))
        return (blended[..., :3] @ shape[..., None])[..., 0] + blended[..., 3]

    def only(self, vertices: Tensor) -> Skin:
        """The same skin of some of its vertices, (N,) indices: their positions cost no more than their share."""
        width = self.correctives.hidden.out_features if self.correctives is not None else 0
        with torch.device("meta"):
            part = Skin(len(vertices), width, self.weights.shape[1])
        state = {
            "base": self.base[vertices],
            "identity": self.identity[:, vertices],
            "expression": self.expression[:, vertices],
            "weights": self.weights[vertices],
            "joint_from_rest": self.joint_from_rest,
        }
        if self.correctives is not None:
            rows = self.correctives.offsets.weight.unflatten(0, (-1, 3))[vertices].flatten(0, 1)
            state |= {
                "correctives.hidden.weight": self.correctives.hidden.weight,
                "correctives.offsets.weight": rows,
            }
        part.load_state_dict(state, assign=True)
        return part.requires_grad_(False)


class Rig(nn.Module):
    """Skeleton, skin and the triangles between its vertices; a rig of joints alone has no skin."""

    triangles: Tensor

    def __init__(self, config: RigConfig) -> None:
        super().__init__()
        self.config = config
        self.skeleton = Skeleton()
        self.skin = Skin(config.vertices, config.corrective_width) if config.vertices else None
        self.register_buffer("triangles", torch.zeros(config.triangles, 3, dtype=torch.int64))

    def joints_only(self) -> Rig:
        """This rig without its skin."""
        bare = Rig(RigConfig(vertices=0, triangles=0, corrective_width=0))
        bare.skeleton = self.skeleton
        return bare.to(self.triangles.device)
