"""How the `sam3d` reconstructor runs, and where its weights are; free of PyTorch, which may not be there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sam3d_ros.perception.settings import Settings, parameter

#: Values of the parameter `reconstructor`; `auto` is `sam3d` where its weights are, and `geometric` elsewhere.
RECONSTRUCTORS = ("auto", "geometric", "sam3d")
#: Values of the field `dtype`; `auto` is bfloat16 on a GPU and float32 elsewhere.
DTYPES = ("auto", "bfloat16", "float16", "float32")
#: Values of the field `memory`.
MEMORY = ("low", "balanced", "high")
#: What is always made. May stand in the field `outputs` alone: an empty list in a ROS parameter file has no type.
POSE = "pose"
#: Values that the field `outputs` may hold.
OUTPUTS = (POSE, "mesh", "gaussians", "gaussians_4")
#: The file that tells a folder of converted weights.
MANIFEST = "sam3d_objects.json"
#: Names the folder of the weights where nobody says otherwise.
FOLDER_VARIABLE = "SAM3D_CHECKPOINT_DIR"
#: Stage 1 is distilled to so many steps and fewer: they need no guidance.
SHORTCUT_STEPS = 4


@dataclass(frozen=True)
class NetworkConfig(Settings):
    """Parameters of the `sam3d` reconstructor.

    Attributes:
        checkpoint: folder of the converted weights; empty = $SAM3D_CHECKPOINT_DIR, or
            ~/.local/share/sam3d_ros/objects.
        device: where the networks run: auto (a GPU if there is one), cpu, cuda or cuda:1.
        dtype: of weights and activations; auto = bfloat16 on a GPU, float32 elsewhere. float16 is for GPUs alone.
        memory: where networks are while they are not used: low (on disk), balanced (in the memory of the host) or
            high (on the device).
        steps: of the shape and the pose; 25 as in the official pipeline, or 1 to 4 distilled ones, which take a
            tenth of the time.
        refinement_steps: of the details and colours; 25 as in the official pipeline; fewer are faster.
        hypotheses: poses drawn for each object, of which the measured points choose; more cost next to nothing.
        outputs: what is made beside the pose: mesh, and gaussians (32 splats a voxel) or gaussians_4 (4 a voxel).
            Only pose = a coarse mesh of voxels, without stage 2.
        max_triangles: larger meshes are simplified to so many triangles.
        seed: of the noise that objects are drawn from; the same seed and frame give the same objects.

    Raises:
        ValueError: a value is not allowed.
    """

    checkpoint: str = ""
    device: str = "auto"
    dtype: str = parameter("auto", choices=DTYPES)
    memory: str = parameter("balanced", choices=MEMORY)
    steps: int = parameter(25, minimum=1, maximum=1000)
    refinement_steps: int = parameter(25, minimum=1, maximum=1000)
    hypotheses: int = parameter(4, minimum=1, maximum=64)
    outputs: tuple[str, ...] = parameter(("mesh",), choices=OUTPUTS)
    max_triangles: int = parameter(50000, minimum=100, maximum=1_000_000)
    seed: int = parameter(0, minimum=0, maximum=2**31 - 1)

    @property
    def decoded(self) -> tuple[str, ...]:
        """What is made beside the pose."""
        return tuple(output for output in self.outputs if output != POSE)

    @property
    def folder(self) -> Path:
        """The folder of the converted weights."""
        return Path(self.checkpoint).expanduser() if self.checkpoint else default_folder()

    def obstacle(self) -> str:
        """What keeps the networks from running here, with the remedy; empty where nothing is seen to.

        Looks only: nothing is read or imported.
        """
        if not (self.folder / MANIFEST).is_file():
            return (
                f"no SAM 3D Objects weights in {self.folder}: get them with `sam3d-ros checkpoints download "
                f"{self.folder}` and `sam3d-ros checkpoints convert {self.folder}`, or name their folder as "
                "checkpoint"
            )
        return missing_libraries()


def default_folder(name: str = "objects", variable: str = FOLDER_VARIABLE) -> Path:
    """Where weights are looked for when nobody names a folder: as the variable says, or where users keep data."""
    if named := os.environ.get(variable):
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "sam3d_ros" / name


def missing_libraries() -> str:
    """What networks run with and is not installed, with the remedy; empty where nothing is missing."""
    missing = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: pip install {' '.join(missing)}" if missing else ""
