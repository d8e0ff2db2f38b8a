"""The people of a frame for `sam3d-ros reconstruct --bodies`."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3d_ros.cli.errors import InputError
from sam3d_ros.cli.network_options import require_networks
from sam3d_ros.cli.progress import ProgressLine
from sam3d_ros.reconstruction.body_config import BODY_MODES, BodyNetworkConfig, default_body_folder
from sam3d_ros.reconstruction.errors import MissingWeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sam3d_ros.perception.estimates import Verdict
    from sam3d_ros.perception.frame import Frame
    from sam3d_ros.perception.people.alignment import BodyAlignment
    from sam3d_ros.perception.people.estimates import BodyEstimate

BODIES_FILE = "bodies.json"


@dataclass(frozen=True, eq=False)
class BodyAnswer:
    """A person, and how well the surface lies on what was measured of it.

    Attributes:
        estimate: the person.
        alignment: with the points in the mask; None where there are too few, or no surface.
        seconds: that the person took.
    """

    estimate: BodyEstimate
    alignment: BodyAlignment | None
    seconds: float


def add_body_options(parser: argparse.ArgumentParser) -> None:
    """Add --bodies and what goes with it."""
    group = parser.add_argument_group("people")
    group.add_argument("--bodies", action="store_true", help="reconstruct people, too (SAM 3D Body)")
    group.add_argument(
        "--body-checkpoint",
        metavar="DIR",
        type=Path,
        help=f"weights of SAM 3D Body (default: {default_body_folder()})",
    )
    group.add_argument(
        "--body-mode",
        choices=BODY_MODES,
        default=BODY_MODES[0],
        help="full looks at hands from near, body does not (default: %(default)s)",
    )
    group.add_argument(
        "--people",
        metavar="ID",
        type=int,
        nargs="+",
        help="instances that are people (default: those of people.json)",
    )
    group.add_argument(
        "--relative-depth",
        action="store_true",
        help="the depth has no metric scale: the people give theirs to the objects",
    )


def people_of(arguments: argparse.Namespace, frame: Frame) -> list[int]:
    """The instances that are people, whether they are to be reconstructed or left out.

    Raises:
        InputError: one that was named is not in the frame, or an option lacks --bodies.
    """
    from sam3d_ros.perception.recorded.frame_folder import PERSON

    present = frame.instance_ids()
    named = arguments.people
    people = [i for i in present if frame.label(i) == PERSON] if named is None else sorted(set(named))
    if missing := sorted(set(people) - set(present)):
        raise InputError(f"--people names {missing[0]}, which labels.png does not mark: choose of {present}")
    if arguments.relative_depth and not arguments.bodies:
        raise InputError("--relative-depth takes the scale from people: add --bodies")
    if arguments.bodies and not people:
        raise InputError("the frame has no people: name their instances with --people, or leave --bodies out")
    return people


def reconstruct_people(
    arguments: argparse.Namespace, frame: Frame, people: Sequence[int]
) -> list[BodyAnswer]:
    """Pose people, all at once; nobody without --bodies.

    Raises:
        InputError: an option cannot be used.
        MissingWeightsError: there are no weights, or they are damaged.
        FullMemoryError: not even one person fits into memory.
    """
    if not arguments.bodies:
        return []
    folder = arguments.body_checkpoint
    config = BodyNetworkConfig(
        checkpoint="" if folder is None else str(folder),
        device=arguments.device,
        dtype=arguments.dtype,
        mode=arguments.body_mode,
    )
    if obstacle := config.obstacle():
        raise MissingWeightsError(obstacle)
    require_networks()
    from sam3d_ros.perception.people.alignment import alignment_of
    from sam3d_ros.reconstruction.bodies import BodyNetworkReconstructor

    try:
        reconstructor = BodyNetworkReconstructor(config)
    except ValueError as error:
        raise InputError(str(error)) from error
    reconstructor.load()
    print(f"people: weights in {config.folder}, on {reconstructor.description}", file=sys.stderr)
    start = time.perf_counter()
    with ProgressLine(len(people)) as line:
        estimates = reconstructor.reconstruct(
            frame, people, progress=lambda stage, share: line.update(0, share * len(people), stage)
        )
    seconds = (time.perf_counter() - start) / len(people)
    return [BodyAnswer(estimate, alignment_of(estimate, frame), seconds) for estimate in estimates]


def write_bodies(folder: Path, name: str, bodies: Sequence[BodyAnswer]) -> None:
    """Write bodies.json, and the surface of each person in the body frame, metres."""
    from sam3d_ros.geometry.mesh_files import write_ply

    for body in bodies:
        if body.estimate.mesh is not None:
            write_ply(folder / _mesh_name(body.estimate), body.estimate.mesh)
    skeleton = bodies[0].estimate.skeleton
    content = {
        "frame": name,
        "keypoint_links": [[skeleton.keypoints[i] for i in link] for link in skeleton.links],
        "bodies": [_record(body) for body in bodies],
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    (folder / BODIES_FILE).write_text(text + "\n", encoding="utf-8")


def _record(body: BodyAnswer) -> dict[str, Any]:
    estimate, pose, alignment = body.estimate, body.estimate.camera_from_body, body.alignment
    joints = zip(estimate.skeleton.joints, estimate.joints, estimate.joint_rotations, strict=True)
    return {
        "id": estimate.instance_id,
        "label": estimate.label,
        "rotation": pose.rotation.tolist(),
        "translation": pose.translation.tolist(),
        "mesh": None if estimate.mesh is None else _mesh_name(estimate),
        "keypoints": {
            keypoint: _point(point)
            for keypoint, point in zip(estimate.skeleton.keypoints, estimate.keypoints, strict=True)
        },
        "joints": {
            joint: {"position": point.tolist(), "rotation": turn.tolist()} for joint, point, turn in joints
        },
        "rig": {parameter: value.tolist() for parameter, value in vars(estimate.rig).items()},
        "verdict": verdict_record(estimate.verdict),
        "alignment": None
        if alignment is None
        else {
            "scale": alignment.scale,
            "shift": alignment.points_from_camera.translation.tolist(),
            "residual": number(alignment.residual),
            "point_count": alignment.count,
        },
        "seconds": round(body.seconds, 4),
    }


def _point(point: NDArray[np.float32]) -> list[float] | None:
    values: list[float] = point.tolist()
    return values if all(map(math.isfinite, values)) else None


def _mesh_name(estimate: BodyEstimate) -> str:
    return f"body_{estimate.instance_id}.ply"


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON; a figure that could not be measured is null."""
    return {
        "state": verdict.state.name,
        "reasons": list(verdict.reasons),
        "mask_iou": number(verdict.mask_iou),
        "depth_residual": number(verdict.depth_residual),
        "inlier_ratio": number(verdict.inlier_ratio),
        "point_count": verdict.point_count,
        "scale_source": verdict.scale_source.name,
        "seen_share": number(verdict.seen_share),
        "size_sigma": [number(sigma) for sigma in verdict.size_sigma],
    }


def number(value: float) -> float | None:
    """A figure as JSON: null where it is not finite."""
    return float(value) if math.isfinite(value) else None


def body_table(bodies: Sequence[BodyAnswer]) -> str:
    """People and what is told of them, a line each; empty without people."""
    if not bodies:
        return ""
    rows = [("id", "hips x y z (m)", "verdict", "scale from", "IoU", "misalignment", "residual (mm)", "s")]
    for body in bodies:
        verdict, alignment = body.estimate.verdict, body.alignment
        rows.append(
            (
                str(body.estimate.instance_id),
                " ".join(f"{value:.3f}" for value in body.estimate.camera_from_body.translation),
                verdict.state.name,
                verdict.scale_source.name,
                f"{verdict.mask_iou:.2f}",
                "-" if alignment is None else f"{100 * (alignment.scale - 1):+.1f} %",
                "-" if alignment is None else f"{1e3 * alignment.residual:.1f}",
                f"{body.seconds:.2f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
