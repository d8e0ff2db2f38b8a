"""What may be known of people before they are posed: pixels of their keypoints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class KeypointPrompt:
    """Keypoints of one person that are known in an image.

    Attributes:
        instance_id: of the person in the frame; 0 = nobody told it.
        names: of the keypoints, at least one and none of them twice, in the words of the reconstructor's skeleton.
        pixels: (K, 2) float32 u, v of each.

    Raises:
        ValueError: there are no names or not as many as pixels, or a pixel is not finite.
    """

    instance_id: int
    names: tuple[str, ...]
    pixels: NDArray[np.float32]

    def __post_init__(self) -> None:
        sizes_agree = self.names and self.pixels.shape == (len(self.names), 2)
        if not sizes_agree or not np.isfinite(self.pixels).all():
            raise ValueError(
                f"pixels are {self.pixels.shape} for {len(self.names)} keypoints: give finite u and v of each"
            )
