"""Sizes of the whole network."""

from __future__ import annotations

from dataclasses import dataclass

from sam3d_ros.models.body.decoder import DecoderConfig
from sam3d_ros.models.body.dinov3 import DinoV3Config
from sam3d_ros.models.body.rig import RigConfig
from sam3d_ros.models.body.vit import VitConfig


@dataclass(frozen=True)
class BodyConfig:
    """The whole network; it has one of the two encoders.

    Attributes:
        crop_size: side of a crop, pixels.
        rig: that its keypoints refer to.

    Raises:
        ValueError: there is not one encoder, or it does not fit the decoder.
    """

    dinov3: DinoV3Config | None
    vit: VitConfig | None
    decoder: DecoderConfig
    rig: RigConfig
    crop_size: int = 512

    def __post_init__(self) -> None:
        if (self.dinov3 is None) == (self.vit is None):
            raise ValueError("a body network has one encoder: give either dinov3 or vit")
        if self.encoder.width != self.decoder.context_width:
            raise ValueError(
                f"the encoder gives {self.encoder.width} channels and the decoder takes "
                f"{self.decoder.context_width}; they must agree"
            )
        if self.vit is not None and self.vit.rows * self.vit.patch != self.crop_size:
            raise ValueError(f"{self.vit.rows} rows of patches do not make a crop of {self.crop_size} pixels")

    @property
    def encoder(self) -> DinoV3Config | VitConfig:
        """The encoder that there is."""
        encoder = self.dinov3 or self.vit
        assert encoder is not None
        return encoder

    @property
    def columns(self) -> int:
        """Width of the part of a crop that the encoder sees, its middle, pixels."""
        return self.crop_size if self.vit is None else self.vit.columns * self.vit.patch

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the features."""
        patch = self.encoder.patch
        return self.crop_size // patch, self.columns // patch

    @staticmethod
    def released(encoder: str = "dinov3") -> BodyConfig:
        """The sizes of the official checkpoints, `dinov3` or `vith`."""
        encoders = {"dinov3": (DinoV3Config.released(), None), "vith": (None, VitConfig.released())}
        if encoder not in encoders:
            raise ValueError(f"{encoder} is no released encoder: use one of {sorted(encoders)}")
        return BodyConfig(*encoders[encoder], DecoderConfig.released(), RigConfig.released())

    @staticmethod
    def tiny(encoder: str = "dinov3") -> BodyConfig:
        """Sizes for tests."""
        if encoder == "dinov3":
            return BodyConfig(DinoV3Config.tiny(), None, DecoderConfig.tiny(), RigConfig.tiny(), 64)
        return BodyConfig(None, VitConfig.tiny(), DecoderConfig.tiny(), RigConfig.tiny(), 64)
