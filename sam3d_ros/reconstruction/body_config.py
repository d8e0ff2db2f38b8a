"""How bodies are reconstructed, and where the weights for it are; free of PyTorch, which may not be there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.reconstruction.network_config import DTYPES, default_folder, missing_libraries

#: Values of the field `mode`: bodies and then their hands from near, or bodies alone, which takes a third of the time.
BODY_MODES = ("full", "body")
#: Files that tell a folder of weights: converted, or as officially released.
BODY_MANIFESTS = ("sam3d_body.json", "model.ckpt")
#: Names the folder of the weights where nobody says otherwise.
BODY_FOLDER_VARIABLE = "SAM3D_BODY_CHECKPOINT_DIR"


@dataclass(frozen=True)
class BodyNetworkConfig(Settings):
    """Parameters of the reconstruction of people.

    Attributes:
        checkpoint: folder of the weights; empty = $SAM3D_BODY_CHECKPOINT_DIR, or ~/.local/share/sam3d_ros/body.
        device: where the networks run: auto (a GPU if there is one), cpu, cuda or cuda:1.
        dtype: of the image encoder; auto = bfloat16 on a GPU, float32 elsewhere. The rest is float32.
        mode: full looks at hands from near, body does not.
        max_batch: people that are posed together.

    Raises:
        ValueError: a value is not allowed.
    """

    checkpoint: str = ""
    device: str = "auto"
    dtype: str = parameter("auto", choices=DTYPES)
    mode: str = parameter("full", choices=BODY_MODES)
    max_batch: int = parameter(8, minimum=1, maximum=64)

    @property
    def folder(self) -> Path:
        """The folder of the weights."""
        return Path(self.checkpoint).expanduser() if self.checkpoint else default_body_folder()

    def obstacle(self) -> str:
        """What keeps the networks from running here, with the remedy; empty where nothing is seen to.

        Looks only: nothing is read or imported.
        """
        if not any((self.folder / name).is_file() for name in BODY_MANIFESTS):
            verb = "`sam3d-ros checkpoints {} --model body-dinov3 " + f"{self.folder}`"
            return (
                f"no SAM 3D Body weights in {self.folder}: get them with {verb.format('download')} and "
                f"{verb.format('convert')}, or name their folder as checkpoint"
            )
        return missing_libraries()


def default_body_folder() -> Path:
    """Where weights are looked for when nobody names a folder."""
    return default_folder("body", BODY_FOLDER_VARIABLE)
