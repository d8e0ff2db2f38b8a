"""The Momentum Human Rig: parameters to joints by forward kinematics, joints to a skin by linear blending.

Rig frame: x to the left of the body, y up, z out of its chest; centimetres and radians.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam3d_ros.models.body.rotations import matrix_from_quaternion, matrix_from_xyz
from sam3d_ros.models.layers.derived import Derived
from sam3d_ros.models.weights import loaded

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
        turns: (B, J, 3, 3) the same as matrices.
    """

    rotations: Tensor
    positions: Tensor
    scales: Tensor
    angles: Tensor
    turns: Tensor

    @property
    def rig_from_joint(self) -> Tensor:
        """(B, J, 3, 4)."""
        linear = self.scales[..., None, None] * self.rotations
        return torch.cat([linear, self.positions[..., None]], dim=-1)


class Skeleton(Derived):
    """Forward kinematics, in as many steps as it takes to reach the root by steps of 1, 2, 4, ... joints.

    Derived are, of J joints and an end J above all of them that never moves:
        rest_turns: (J + 1, 3, 3) of each joint before its angles.
        ancestors: (S, J + 1) the joint that is 1, 2, 4, ... above.
        lineage: (2, J, J) 1 where the column is the row or above it, and 1 where it is above.
    """

    parents: Tensor
    offsets: Tensor
    prerotations: Tensor
    parameter_transform: Tensor
    rest_turns: Tensor
    ancestors: Tensor
    lineage: Tensor

    def __init__(self, joints: int = JOINTS) -> None:
        super().__init__()
        self.register_buffer("parents", torch.zeros(joints, dtype=torch.int64))
        self.register_buffer("offsets", torch.zeros(joints, 3))
        self.register_buffer("prerotations", torch.zeros(joints, 4))
        self.register_buffer("parameter_transform", torch.zeros(joints * _JOINT_PARAMETERS, PARAMETERS))

    def derive(self) -> dict[str, Tensor]:
        """What follows from the tree of joints.

        Raises:
            ValueError: a joint comes before its parent.
        """
        device, end = self.parents.device, len(self.parents)
        lineage = torch.eye(end)
        steps = [end] * (end + 1)
        for joint, parent in enumerate(self.parents.tolist()):
            if parent >= joint:
                raise ValueError(f"joint {joint} comes before its parent {parent}: parents come first")
            if parent >= 0:
                lineage[joint] += lineage[parent]
                steps[joint] = parent
        ancestors = [torch.tensor(steps)]
        while (farther := ancestors[-1][ancestors[-1]]).lt(end).any():
            ancestors.append(farther)
        nowhere = torch.tensor([[0.0, 0.0, 0.0, 1.0]], device=device)
        return {
            "rest_turns": matrix_from_quaternion(torch.cat([self.prerotations, nowhere])),
            "ancestors": torch.stack(ancestors).to(device),
            "lineage": torch.stack([lineage, lineage - torch.eye(end)]).to(device),
        }

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
        moved, angles, doublings = own[..., :3] + self.offsets, own[..., 3:6], own[..., 6]
        turns = matrix_from_xyz(F.pad(angles, (0, 0, 0, 1)))
        chained = self.rest_turns @ turns
        for above in self.ancestors.unbind():
            chained = chained.index_select(1, above) @ chained
        rotations = chained[:, :-1]
        parents = chained.index_select(1, self.ancestors[0])[:, :-1]
        sizes, sizes_above = torch.exp2(doublings @ self.lineage.flatten(0, 1).T).chunk(2, dim=-1)
        steps = sizes_above[..., None] * (parents @ moved[..., None])[..., 0]
        return JointStates(rotations, self.lineage[0] @ steps, sizes, angles, turns[:, :-1])


class PoseCorrectives(nn.Module):
    """How the skin bulges and folds where joints bend: two linear layers without bias on the joint rotations."""

    def __init__(self, width: int, vertices: int, joints: int = JOINTS) -> None:
        super().__init__()
        self.hidden = nn.Linear(6 * (joints - _FIRST_DEFORMING_JOINT), width, bias=False)
        self.offsets = nn.Linear(width, 3 * vertices, bias=False)

    @staticmethod
    def features(turns: Tensor) -> Tensor:
        """(B, J, 3, 3) -> (B, 6 (J - 2)) first two columns of each rotation, less those of no rotation."""
        columns = turns[:, _FIRST_DEFORMING_JOINT:, :, :2]
        rest = torch.eye(3, 2, dtype=turns.dtype, device=turns.device)
        return (columns - rest).transpose(-1, -2).flatten(1)

    def forward(self, turns: Tensor) -> Tensor:
        """(B, J, 3, 3) how joints are turned -> (B, V, 3) offsets of the vertices, centimetres."""
        return self.offsets(torch.relu(self.hidden(self.features(turns)))).unflatten(-1, (-1, 3))


class Skin(Derived):
    """Shape, correctives and linear blend skinning of some vertices; derived is
    `homogeneous_joint_from_rest` (J, 4, 4)."""

    base: Tensor
    identity: Tensor
    expression: Tensor
    weights: Tensor
    joint_from_rest: Tensor
    homogeneous_joint_from_rest: Tensor

    def __init__(self, vertices: int, corrective_width: int, joints: int = JOINTS) -> None:
        super().__init__()
        self.register_buffer("base", torch.zeros(vertices, 3))
        self.register_buffer("identity", torch.zeros(IDENTITY, vertices, 3))
        self.register_buffer("expression", torch.zeros(EXPRESSION, vertices, 3))
        self.register_buffer("weights", torch.zeros(vertices, joints))
        self.register_buffer("joint_from_rest", torch.zeros(joints, 3, 4))
        self.correctives = PoseCorrectives(corrective_width, vertices, joints) if corrective_width else None

    def derive(self) -> dict[str, Tensor]:
        """The maps onto the rest pose with their last rows."""
        last = torch.eye(4, device=self.joint_from_rest.device)[3:].expand(len(self.joint_from_rest), 1, 4)
        return {"homogeneous_joint_from_rest": torch.cat([self.joint_from_rest, last], dim=1)}

    def rest(self, identity: Tensor, expression: Tensor | None = None) -> Tensor:
        """(B, 45) and (B, 72) coefficients -> (B, V, 3) the skin in the rest pose, centimetres."""
        shape = torch.addmm(self.base.flatten(), identity, self.identity.flatten(1))
        if expression is not None:
            shape = torch.addmm(shape, expression, self.expression.flatten(1))
        return shape.unflatten(-1, (-1, 3))

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
            shape = shape + self.correctives(states.turns)
        rig_from_rest = states.rig_from_joint @ self.homogeneous_joint_from_rest
        blended = (self.weights @ rig_from_rest.flatten(-2)).unflatten(-1, (3, 4))
        return (blended[..., :3] @ shape[..., None])[..., 0] + blended[..., 3]

    def only(self, vertices: Tensor) -> Skin:
        """The same skin of some of its vertices, (N,) indices: their positions cost no more than their share."""
        width = self.correctives.hidden.out_features if self.correctives is not None else 0
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
        return loaded(lambda: Skin(len(vertices), width, self.weights.shape[1]), state)


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
