"""Forward kinematics of the Momentum Human Rig from named angles: apart from the package's own, in numpy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from body_release import parity_folder
from scipy.spatial.transform import Rotation

#: Of the parameters of a joint: 3 of translation, 3 angles, logarithm of the scale to base 2.
JOINT_PARAMETERS = 7


class NamedAngles:
    """The rig of the parity sets, posed by angles with names such as `l_upleg_rz`.

    Sizes of the bones are no angles: they come from the parameters of the rig.
    """

    def __init__(self, joints: list[str]) -> None:
        from safetensors.numpy import load_file

        rig = load_file(parity_folder() / "mhr_rig_lod6" / "rig.safetensors")
        self.joints = joints
        self.parents = rig["parents"].astype(int)
        self.offsets = rig["offsets_cm"].astype(float)
        self.prerotations = Rotation.from_quat(rig["prerot_quat_xyzw"].astype(float))
        self.transform = rig["param_transform"].astype(float).reshape(len(joints), JOINT_PARAMETERS, -1)

    def degrees_of_freedom(self) -> set[str]:
        """The angles that any parameter moves."""
        moved = np.abs(self.transform[:, 3:6]).sum(axis=2) > 0
        return {f"{self.joints[j]}_r{'xyz'[axis]}" for j, axis in np.argwhere(moved)}

    def pose(self, angles: Mapping[str, float], parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(J, 3) places in metres and (J, 3, 3) rotations of the joints, in the frame of the rig.

        Args:
            angles: radians by name; those without a name are zero.
            parameters: (204,) of the rig.
        """
        own = self.transform @ parameters.astype(float)
        places, scales = np.zeros((len(self.joints), 3)), np.zeros(len(self.joints))
        rotations = np.zeros((len(self.joints), 3, 3))
        for joint, name in enumerate(self.joints):
            turn = Rotation.from_euler("xyz", [angles.get(f"{name}_r{axis}", 0.0) for axis in "xyz"])
            local = (self.prerotations[joint] * turn).as_matrix()
            step, scale, parent = (
                self.offsets[joint] + own[joint, :3],
                2.0 ** own[joint, 6],
                self.parents[joint],
            )
            if parent < 0:
                places[joint], rotations[joint], scales[joint] = step, local, scale
                continue
            places[joint] = places[parent] + scales[parent] * rotations[parent] @ step
            rotations[joint] = rotations[parent] @ local
            scales[joint] = scales[parent] * scale
        return places / 100, rotations
