"""What the official pipeline does that is a plain mistake."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirks:
    """Mistakes of the official pipeline, one switch each; True repeats it. None changes what the network was
    trained for, so that all are off unless results are compared with official ones.

    Attributes:
        unmirrored_camera: the image is mirrored for the left hand, but not the principal point of its camera.
        crossed_wrist_distance: the distance between two places of a wrist is measured in crops of the other hand.
        prompts_of_one_dropped: invalid prompts are padded where there are several people, and dropped where
            there is one, so that a person's pose depends on who else is in the image.
        centred_projection: with hands refined, keypoints are projected as if the middle of the image were the
            principal point.
        stale_rotations: rotations of joints are those before hands and wrists were refined.
    """

    unmirrored_camera: bool = False
    crossed_wrist_distance: bool = False
    prompts_of_one_dropped: bool = False
    centred_projection: bool = False
    stale_rotations: bool = False

    @staticmethod
    def official() -> Quirks:
        """All mistakes, for parity."""
        return Quirks(True, True, True, True, True)
