"""`sam3d-ros evidence FILE [FILE ...]`: what a view told of an object, and how what was made of it was judged."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3d_ros.cli.bodies import number, verdict_record
from sam3d_ros.cli.errors import InputError
from sam3d_ros.cli.evidence_picture import write_picture

if TYPE_CHECKING:
    from sam3d_ros.perception.estimates import ObjectEstimate, Verdict
    from sam3d_ros.perception.evidence import Evidence
    from sam3d_ros.perception.judging.verdict import VerdictThresholds
    from sam3d_ros.perception.recorded.evidence_files import RecordedEvidence

_DESCRIPTION = """\
Show what files of evidence hold: what one view told of one instance and, where an estimate is inside, how it was
judged, each figure beside the bounds that it is held to, and whether it is judged the same today.
`sam3d-ros reconstruct ... --evidence` writes such files.
"""

#: Figures of one judgement on two machines differ by rounding at most.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _Figure:
    """A figure of a verdict and the bounds that it is held to.

    Attributes:
        name: of the figure.
        value: as it was judged, NaN where it could not be measured.
        accept: no worse than this is ACCEPTED; None where anything is.
        reject: worse than this is REJECTED; None where nothing is.
        high_is_good: whether the bounds are the least values, or the largest.
        unit: `share`, `length` (metres, or the unit of the points) or `count`.
    """

    name: str
    value: float
    accept: float | None
    reject: float | None
    high_is_good: bool = True
    unit: str = "share"


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "evidence",
        help="what a view told of an object, and why it was judged as it was",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="a file NAME.evidence.npz")
    parser.add_argument(
        "--picture",
        metavar="FILE.png",
        type=Path,
        help="draw the mask, the mesh in the colour of its verdict, and the depth; for one FILE",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list, for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Read, judge anew, print, draw.

    Raises:
        InputError: a file cannot be used (a line for each; the others are shown), or the picture cannot be written.
    """
    picture = arguments.picture
    if picture is not None and len(arguments.files) > 1:
        raise InputError(f"--picture draws one FILE, but there are {len(arguments.files)}: name one")
    if picture is not None and picture.suffix != ".png":
        raise InputError(f"--picture is {picture}: give a name that ends in .png")
    from sam3d_ros.perception.recorded.evidence_files import EvidenceFileError, read_evidence

    records, faults = [], []
    for path in arguments.files:
        try:
            recorded = read_evidence(path)
        except EvidenceFileError as error:
            faults.append(str(error))
            continue
        record = {"file": str(path), **_record(recorded)}
        if arguments.json:
            records.append(record)
        else:
            print(_text(record))
        if picture is not None:
            write_picture(picture, recorded)
    if arguments.json:
        print(json.dumps(records, indent=2, allow_nan=False))
    if faults:
        raise InputError("\n".join(faults))


def _record(recorded: RecordedEvidence) -> dict[str, Any]:
    """All that is shown of a file; lengths in metres, or in the unit of the points where that is unknown."""
    from sam3d_ros.perception.judging.verdict import VerdictThresholds

    evidence, estimate = recorded.evidence, recorded.estimate
    overview, camera, thresholds = evidence.overview, evidence.camera, VerdictThresholds()
    measurement = evidence.measured(thresholds.max_points)
    depths = sorted(measurement.points[:, 2].tolist())
    pose = overview.fixed_from_camera
    return {
        "instance_id": evidence.instance_id,
        "label": evidence.label,
        "stamp": evidence.stamp,
        "frame_id": overview.frame_id,
        "camera": {
            **{key: getattr(camera, key) for key in ("width", "height", "fx", "fy", "cx", "cy")},
            "distortion_model": camera.distortion_model,
            "distortion": list(camera.distortion),
        },
        "fixed_from_camera": None if pose is None else pose.matrix().tolist(),
        "window": vars(evidence.window),
        "box": vars(evidence.box),
        "pixels": evidence.pixels,
        "measured": _share_measured(evidence),
        "sensor": overview.points_source.name,
        "is_metric": overview.is_metric,
        "distance": depths[len(depths) // 2] if depths else None,
        "noise": number(measurement.noise),
        "outline_hidden": _share_hidden(evidence),
        "touches_border": evidence.touches_border,
        "full_view": overview.frame is not None,
        "estimate": None if estimate is None else _estimate_record(evidence, estimate, thresholds),
    }


def _share_measured(evidence: Evidence) -> float:
    """Of the pixels of the instance."""
    import numpy as np

    return float(np.mean(np.isfinite(evidence.depth[evidence.mask])))


def _share_hidden(evidence: Evidence) -> float | None:
    """Of the pixels around the instance, those where something may stand before it; None without such pixels."""
    import cv2
    import numpy as np

    from sam3d_ros.perception.measurement import hiding_pixels

    mask = evidence.mask
    around = (cv2.dilate(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~mask
    hiding = hiding_pixels(mask, evidence.things, evidence.depth)
    return float(np.mean(hiding[around])) if around.any() else None


def _estimate_record(
    evidence: Evidence, estimate: ObjectEstimate, thresholds: VerdictThresholds
) -> dict[str, Any]:
    from sam3d_ros.perception.judging.verdict import judge

    pose, mesh, now = estimate.camera_from_object, estimate.mesh, judge(evidence, estimate, thresholds)
    return {
        "label": estimate.label,
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.triangles),
        "splats": None if estimate.splats is None else len(estimate.splats),
        "rotation": pose.rotation.tolist(),
        "translation": pose.translation.tolist(),
        "scale": pose.scale.tolist(),
        "size": estimate.size.tolist() if len(mesh.vertices) else None,
        "verdict": verdict_record(estimate.verdict),
        "meanings": {reason: _meaning(reason, thresholds) for reason in estimate.verdict.reasons},
        "figures": [
            {key: number(value) if isinstance(value, float) else value for key, value in vars(figure).items()}
            for figure in _figures(evidence, estimate, thresholds)
        ],
        "judged_now": verdict_record(now),
        "differences": _differences(estimate.verdict, now),
    }


def _figures(evidence: Evidence, estimate: ObjectEstimate, thresholds: VerdictThresholds) -> list[_Figure]:
    """The figures of a verdict as they were, beside the bounds of today.

    `size_sigma` is that of the extent that is known worst, as a share of it.
    """
    import numpy as np

    verdict, noise = estimate.verdict, evidence.measured(thresholds.max_points).noise
    size = estimate.size if len(estimate.mesh.vertices) else np.full(3, np.nan)
    diameter = float(np.linalg.norm(size))
    # As `judge` has it: a share of the diameter, and what the sensor adds.
    allowed = thresholds.residual_noise * noise
    return [
        _Figure("mask_iou", verdict.mask_iou, thresholds.accept_mask_iou, thresholds.reject_mask_iou),
        _Figure(
            "depth_residual",
            verdict.depth_residual,
            thresholds.accept_residual * diameter + allowed,
            thresholds.reject_residual * diameter + allowed,
            high_is_good=False,
            unit="length",
        ),
        _Figure(
            "inlier_ratio",
            verdict.inlier_ratio,
            thresholds.accept_inlier_ratio,
            thresholds.reject_inlier_ratio,
        ),
        _Figure("point_count", verdict.point_count, thresholds.min_points, None, unit="count"),
        _Figure("seen_share", verdict.seen_share, thresholds.determination.accept_seen_share, None),
        _Figure(
            "size_sigma",
            float(np.max(np.array(verdict.size_sigma) / size)),
            thresholds.determination.accept_size_sigma,
            None,
            high_is_good=False,
        ),
    ]


def _meaning(reason: str, thresholds: VerdictThresholds) -> str:
    """A reason in words, with its bound where it is no figure of the verdict."""
    meanings = {
        "no_mesh": "the mesh has no triangle",
        "following_failed": "an error was raised when it was followed, and it stays where it was",
        "no_points": "nothing is measured on the instance",
        "not_measured": "nothing is measured on the instance, as it was before",
        "too_few_points": "point_count is too low",
        "low_mask_iou": "mask_iou is too low",
        "high_depth_residual": "depth_residual is too high",
        "low_inlier_ratio": "inlier_ratio is too low",
        "free_space_violation": f"the sensor sees past more than {thresholds.accept_free_space:.2f} of the silhouette",
        "touches_border": "the instance meets the border of the image",
        "occluded": f"more than {thresholds.accept_hidden:.2f} of the silhouette may be hidden",
        "disjoint_mask": "the mask lies on several things, and the sensor sees past what is between them",
        "hidden_side_unknown": "the view does not tell where it ends: size_sigma is high, or seen_share low",
    }
    return meanings.get(reason, "found before it was judged")


def _differences(then: Verdict, now: Verdict) -> list[str]:
    """What the two do not agree in; figures may differ by rounding."""
    names = []
    for name, before in vars(then).items():
        after = getattr(now, name)
        if not _is_same(before, after):
            names.append(name)
    return names


def _is_same(before: Any, after: Any) -> bool:
    """Whether a figure, or each of several, is as it was; NaN is NaN."""
    if isinstance(before, tuple):
        return len(before) == len(after) and all(map(_is_same, before, after))
    if not isinstance(before, float):
        return bool(before == after)
    is_near = math.isclose(before, after, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    return is_near or (math.isnan(before) and math.isnan(after))


def _text(record: dict[str, Any]) -> str:
    """The record for people."""
    camera, window, box, noise = record["camera"], record["window"], record["box"], record["noise"]
    lens = "no distortion" if camera["distortion_model"] == "none" else camera["distortion_model"]
    seconds, rest = divmod(record["stamp"], 10**9)
    when = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    pose = record["fixed_from_camera"]
    sensor = record["sensor"]
    if noise is not None:
        is_metric = record["is_metric"]
        sensor += f", {_length(noise, is_metric)} of noise at {record['distance']:.3f} {'m' if is_metric else 'units'}"
    hidden = record["outline_hidden"]
    rows = {
        "when": f"{seconds}.{rest:09d} s, {when:%Y-%m-%d %H:%M:%S} UTC",
        "camera": f"{_plain(record['frame_id'])}, {camera['width']}x{camera['height']}, "
        f"f {camera['fx']:.2f} {camera['fy']:.2f}, c {camera['cx']:.2f} {camera['cy']:.2f}, {lens}",
        "fixed frame": "that of the camera"
        if pose is None
        else "camera at " + " ".join(f"{row[3]:.3f}" for row in pose[:3]),
        "window": f"{_extent(window)}, box {_extent(box)}",
        "pixels": f"{record['pixels']}, {100 * record['measured']:.0f} % of them measured",
        "sensor": sensor,
        "outline": f"{'all of the image' if hidden is None else f'{100 * hidden:.0f} % may be hidden'}, "
        f"{'meets' if record['touches_border'] else 'clear of'} the border of the image",
        "full images": "inside" if record["full_view"] else "left out",
    }
    name = f"instance {record['instance_id']} {_plain(record['label'])}".rstrip()
    lines = [f"{_plain(record['file'])}: {name}", *(f"  {key:<12} {value}" for key, value in rows.items())]
    if record["estimate"] is not None:
        lines += _estimate_lines(record["estimate"], is_metric=record["is_metric"])
    return "\n".join(lines)


def _estimate_lines(record: dict[str, Any], *, is_metric: bool) -> list[str]:
    verdict, now, differences = record["verdict"], record["judged_now"], record["differences"]
    size = "no size" if record["size"] is None else " x ".join(f"{side:.3f}" for side in record["size"])
    splats = "" if record["splats"] is None else f", {record['splats']} splats"
    judged = f"{verdict['state']}, scale from {verdict['scale_source']}"
    lines = [
        f"  {'estimate':<12} {size} at " + " ".join(f"{value:.3f}" for value in record["translation"]),
        f"  {'mesh':<12} {record['vertices']} vertices, {record['triangles']} triangles{splats}",
        f"  {'verdict':<12} {judged}",
    ]
    lines += [f"  {'':<12} {_plain(reason)}: {meaning}" for reason, meaning in record["meanings"].items()]
    lines.append(f"  {'':<12} {'figure':<15} {'value':>14} {'accepted':>17} {'rejected':>16}")
    for figure in record["figures"]:
        cells = [_cell(figure[key], figure["unit"], is_metric) for key in ("value", "accept", "reject")]
        good, bad = (">=", "<") if figure["high_is_good"] else ("<=", ">")
        accept, reject = (
            f"{sign} {cell}" if cell != "-" else "-"
            for sign, cell in zip((good, bad), cells[1:], strict=True)
        )
        lines.append(f"  {'':<12} {figure['name']:<15} {cells[0]:>14} {accept:>17} {reject:>16}")
    answer = "the same"
    if differences:
        answer = f"{now['state']}, which differs in " + ", ".join(
            f"{name} ({_plain(str(verdict[name]))}, now {_plain(str(now[name]))})" for name in differences
        )
    return [*lines, f"  {'judged now':<12} {answer}"]


def _cell(value: float | None, unit: str, is_metric: bool) -> str:
    if value is None:
        return "-"
    if unit == "length":
        return _length(value, is_metric)
    return f"{value:.2f}" if unit == "share" else f"{value:.0f}"


def _length(value: float, is_metric: bool) -> str:
    return f"{1e3 * value:.1f} mm" if is_metric else f"{value:.4g} units"


def _extent(window: dict[str, int]) -> str:
    width, height = window["right"] - window["left"], window["bottom"] - window["top"]
    return f"{width}x{height} at ({window['left']}, {window['top']})"


def _plain(text: str) -> str:
    """A text from outside without what would move the cursor of a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
