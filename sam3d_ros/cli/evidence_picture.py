"""The picture of a file of evidence: what was seen, how the mesh lies in it, and the depth in colours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sam3d_ros.cli.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sam3d_ros.perception.recorded.evidence_files import RecordedEvidence

#: Pixels of the longer side of each half of a picture, at least, and the largest enlargement.
_PICTURE_SIDE, _LARGEST_ZOOM = 480, 16
_MASK_COLOR, _UNKNOWN_COLOR, _RIM_COLOR = (255, 255, 255), (56, 56, 56), (16, 16, 16)
#: Share of the depths beyond each end of the colours.
_DEPTH_TAIL = 5.0


def write_picture(path: Path, recorded: RecordedEvidence) -> None:
    """Write the picture as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    import cv2

    encoded = cv2.imencode(".png", cv2.cvtColor(_picture(recorded), cv2.COLOR_RGB2BGR))[1]
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): give another --picture") from error


def _picture(recorded: RecordedEvidence) -> NDArray[np.uint8]:
    """Colours and depth side by side, both with the outline of the mask, the first with that of the mesh."""
    import numpy as np

    from sam3d_ros.perception.scenes.overlay import VERDICT_COLORS, silhouettes

    evidence, estimate = recorded.evidence, recorded.estimate
    zoom = min(max(1, -(-_PICTURE_SIDE // evidence.window.longest)), _LARGEST_ZOOM)
    seen, depth = _enlarged(evidence.rgb, zoom), _enlarged(_depth_colors(evidence.depth), zoom)
    for picture in (seen, depth):
        _draw_outline(picture, evidence.mask, _MASK_COLOR, zoom)
    if estimate is not None:
        (shown,) = silhouettes(evidence.camera, [(estimate.mesh, estimate.camera_from_object)])
        _draw_outline(seen, shown[evidence.window.slices], VERDICT_COLORS[estimate.verdict.state], zoom)
    return np.concatenate([seen, depth], axis=1)


def _depth_colors(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(h, w, 3) near is red, far is blue, unknown is grey."""
    import cv2
    import numpy as np

    known = np.isfinite(depth)
    colors = np.full((*depth.shape, 3), _UNKNOWN_COLOR, np.uint8)
    if known.any():
        measured = depth[known].astype(np.float64)
        near, far = np.percentile(measured, (_DEPTH_TAIL, 100.0 - _DEPTH_TAIL))
        share = (far - measured.clip(near, far)) / max(far - near, 1e-6)
        turbo = cv2.applyColorMap(np.rint(255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)
        colors[known] = turbo[:, 0, ::-1]
    return colors


def _enlarged(image: NDArray[np.uint8], zoom: int) -> NDArray[np.uint8]:
    """Every pixel as a square."""
    return image.repeat(zoom, axis=0).repeat(zoom, axis=1)


def _draw_outline(
    picture: NDArray[np.uint8], mask: NDArray[np.bool_], color: tuple[int, int, int], zoom: int
) -> None:
    """Along the outer edges of the pixels of a mask; a dark rim keeps it visible on any background."""
    import cv2
    import numpy as np

    contours, _ = cv2.findContours(
        _enlarged(mask.astype(np.uint8), zoom), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    for shade, width in ((_RIM_COLOR, 4), (color, 2)):
        cv2.drawContours(picture, contours, -1, shade, width)
