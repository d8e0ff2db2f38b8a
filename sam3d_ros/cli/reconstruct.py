"""`sam3d-ros reconstruct FRAME_DIR --out DIR`: the objects of a recorded frame, as files."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sam3d_ros.cli.bodies import (
    BODIES_FILE,
    BodyAnswer,
    add_body_options,
    body_table,
    people_of,
    reconstruct_people,
    verdict_record,
    write_bodies,
)
from sam3d_ros.cli.errors import InputError
from sam3d_ros.cli.network_options import add_network_options, network_config
from sam3d_ros.cli.output_folder import output_folder
from sam3d_ros.cli.progress import ProgressLine
from sam3d_ros.reconstruction.errors import FullMemoryError, MissingWeightsError
from sam3d_ros.reconstruction.network_config import RECONSTRUCTORS, default_folder

if TYPE_CHECKING:
    from sam3d_ros.perception.estimates import ObjectEstimate
    from sam3d_ros.perception.evidence import Evidence
    from sam3d_ros.perception.frame import Frame
    from sam3d_ros.perception.pipeline import ObjectPipeline
    from sam3d_ros.perception.reconstructor import Reconstructor
    from sam3d_ros.perception.recorded.frame_folder import FrameFolder

OBJECTS_FILE, SCENE_FILE, OVERLAY_FILE = "objects.json", "scene.glb", "overlay.png"
_NUMBERED_FILE = re.compile(r"object_\d+(_splats)?\.ply|object_\d+\.evidence\.npz|body_\d+\.ply")

_DESCRIPTION = """\
Reconstruct the objects of one frame and write, all in canonical coordinates or metres:
  objects.json     pose, scale and verdict of each object: p_camera = R (s * p) + t
  object_<id>.ply  its mesh in canonical coordinates
  object_<id>_splats.ply  the same as Gaussian splats, with --gaussians
  object_<id>.evidence.npz  with --evidence: what it was made of and judged by, for sam3d-ros evidence
  scene.glb        all objects and people as the camera sees them (y up)
  overlay.png      the image with outlines, axes and ids, and skeletons
  bodies.json, body_<id>.ply  with --bodies: skeleton, pose and verdict of each person, and the surface
FRAME_DIR holds rgb.png or rgb.jpg, camera.json, labels.png (instance ids), and depth.png or lidar.npz.
"""


@dataclass(frozen=True, eq=False)
class _Answer:
    """An object, how long it took, and what it rests on.

    Attributes:
        estimate: the object, in metres where they are known.
        seconds: for the object alone.
        evidence: what the frame tells of it.
        judged: the estimate in the unit of the evidence, as it was judged.
    """

    estimate: ObjectEstimate
    seconds: float
    evidence: Evidence
    judged: ObjectEstimate


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """Add the verb to the command line."""
    parser = verbs.add_parser(
        "reconstruct",
        help="meshes, poses and a picture from a recorded frame",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("frame_dir", metavar="FRAME_DIR", type=Path, help="folder of the frame")
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder to make; an earlier result in it is replaced",
    )
    parser.add_argument(
        "--reconstructor",
        choices=RECONSTRUCTORS,
        default=RECONSTRUCTORS[0],
        help="how meshes are made; auto = sam3d where its weights are, else geometric (default: %(default)s)",
    )
    parser.add_argument(
        "--checkpoint", metavar="DIR", type=Path, help=f"weights of sam3d (default: {default_folder()})"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the noise that sam3d begins with (default: 0)"
    )
    parser.add_argument("--gaussians", action="store_true", help="write Gaussian splats, too (sam3d alone)")
    parser.add_argument(
        "--evidence",
        action="store_true",
        help="write what each object was made of and judged by, too, with the full images",
    )
    add_network_options(parser)
    add_body_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Read, reconstruct, write.

    Raises:
        InputError: the frame or the output folder cannot be used.
    """
    # Imported when the verb runs: Open3D alone takes seconds, which --help and a wrong path need not wait for.
    from sam3d_ros.perception.recorded.frame_folder import FrameFolderError, read_frame_folder

    try:
        folder = read_frame_folder(arguments.frame_dir)
    except FrameFolderError as error:
        raise InputError(str(error)) from error
    frame = replace(folder.frame(), is_metric=not arguments.relative_depth)
    people = people_of(arguments, frame)
    ids = _object_ids(folder, frame, people, required=not arguments.bodies)
    with output_folder(arguments.out, is_own=_is_own) as work:
        from sam3d_ros.perception.pipeline import ObjectPipeline

        try:
            bodies = reconstruct_people(arguments, frame, people)
            answers = []
            if ids:
                answers = _reconstruct(ObjectPipeline(_reconstructor(arguments)), frame, ids)
        except (MissingWeightsError, FullMemoryError) as error:
            raise InputError(str(error)) from error
        if arguments.relative_depth:
            answers = _in_metres(answers, bodies)
        _write(work, folder, frame, answers, bodies)
        if arguments.evidence:
            _write_evidence(work, answers)
    for table in (_table(answers) if answers else "", body_table(bodies)):
        print(table, end="\n" if table else "")
    print(f"wrote {arguments.out}")


def _reconstructor(arguments: argparse.Namespace) -> Reconstructor:
    from sam3d_ros.reconstruction.reconstructors import select

    network = network_config(arguments, checkpoint=arguments.checkpoint, seed=arguments.seed)
    if arguments.gaussians:
        network = replace(network, outputs=("mesh", "gaussians"))
    try:
        selection = select(arguments.reconstructor, network=network)
        if arguments.gaussians and selection.reconstructor.name != "sam3d":
            raise InputError(f"--gaussians needs sam3d, but it would be geometric ({selection.note})")
        if selection.weights is not None:
            selection.weights.load()
    except (ValueError, FullMemoryError) as error:
        raise InputError(str(error)) from error
    print(f"reconstructor {selection.reconstructor.name} ({selection.note})", file=sys.stderr)
    return selection.reconstructor


def _object_ids(folder: FrameFolder, frame: Frame, people: Collection[int], *, required: bool) -> list[int]:
    present = frame.instance_ids()
    objects = [i for i in present if i not in people]
    if not present:
        raise InputError(
            f"{folder.path / 'labels.png'} marks no instance: write the ids of the objects into it"
        )
    if not objects and required:
        raise InputError(
            f"{folder.path / 'labels.png'} marks only people: add objects, or reconstruct people with --bodies"
        )
    return objects


def _reconstruct(pipeline: ObjectPipeline, frame: Frame, ids: Sequence[int]) -> list[_Answer]:
    """Objects one by one, or, where they share work, all at once."""
    from sam3d_ros.perception.evidence import cut

    if pipeline.reconstructor.name == "geometric":
        batches = [[instance_id] for instance_id in ids]
    else:
        batches = [list(ids)]
    answers: list[_Answer] = []
    with ProgressLine(len(ids)) as line:
        for batch in batches:
            subject = _named(frame, batch[0]) if len(batch) == 1 else f"{len(batch)} objects"

            def show(stage: str, share: float, count: int = len(batch), subject: str = subject) -> None:
                done, rest = divmod(share * count, 1.0)
                line.update(len(answers) + int(done), rest, f"{subject}: {stage}")

            start = time.perf_counter()
            pieces = cut(frame, batch)
            estimates = pipeline.reconstruct(pieces, progress=show)
            seconds = (time.perf_counter() - start) / len(batch)
            for piece, estimate in zip(pieces, estimates, strict=True):
                answers.append(_Answer(estimate, seconds, piece, estimate))
                verdict = estimate.verdict
                reasons = f" ({', '.join(verdict.reasons)})" if verdict.reasons else ""
                text = (
                    f"{_named(frame, estimate.instance_id)}: {verdict.state.name}{reasons}, {seconds:.2f} s"
                )
                line.finish(len(answers), text)
    return answers


def _named(frame: Frame, instance_id: int) -> str:
    return f"object {instance_id} {frame.label(instance_id)}".rstrip()


def _in_metres(answers: Sequence[_Answer], bodies: Sequence[BodyAnswer]) -> list[_Answer]:
    """The objects in the scale of the people."""
    from sam3d_ros.perception.people.alignment import firmest, in_scale_of_body

    best = firmest([body.alignment for body in bodies])
    if best is None:
        raise InputError(
            "--relative-depth needs a person with depth in the mask, and there is none: leave it out"
        )
    return [replace(answer, estimate=in_scale_of_body([answer.estimate], best)[0]) for answer in answers]


def _write(
    folder: Path,
    source: FrameFolder,
    frame: Frame,
    answers: Sequence[_Answer],
    bodies: Sequence[BodyAnswer],
) -> None:
    import cv2

    from sam3d_ros.geometry.mesh_files import write_ply
    from sam3d_ros.geometry.splats import write_splats
    from sam3d_ros.perception.scenes.body_overlay import draw_skeletons
    from sam3d_ros.perception.scenes.overlay import draw_overlay
    from sam3d_ros.perception.scenes.scene_file import write_camera_scene

    for answer in answers:
        estimate = answer.estimate
        write_ply(folder / _mesh_name(estimate), estimate.mesh)
        if estimate.splats is not None:
            write_splats(folder / f"object_{estimate.instance_id}_splats.ply", estimate.splats)
    objects = [(answer.estimate.instance_id, answer.estimate) for answer in answers]
    posed = [(body.estimate.instance_id, body.estimate) for body in bodies]
    if objects or any(body.mesh is not None for _, body in posed):
        write_camera_scene(folder / SCENE_FILE, objects, posed)
    picture = draw_overlay(frame.rgb, frame.camera, objects)
    picture = draw_skeletons(picture, frame.camera, posed)
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
    (folder / OVERLAY_FILE).write_bytes(encoded.tobytes())
    if bodies:
        write_bodies(folder, source.name, bodies)
    content = {"frame": source.name, "objects": [_record(answer) for answer in answers]}
    (folder / OBJECTS_FILE).write_text(
        json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8"
    )


def _write_evidence(folder: Path, answers: Sequence[_Answer]) -> None:
    """A file for each object.

    Raises:
        InputError: one would be such that nobody can read it.
    """
    from sam3d_ros.perception.recorded.evidence_files import SUFFIX, EvidenceFileError, write_evidence

    for answer in answers:
        path = folder / f"object_{answer.estimate.instance_id}{SUFFIX}"
        try:
            write_evidence(path, answer.evidence, answer.judged)
        except EvidenceFileError as error:
            raise InputError(f"{error}, or leave --evidence out") from error


def _record(answer: _Answer) -> dict[str, Any]:
    """An entry of objects.json; a figure that could not be measured is null."""
    estimate, pose = answer.estimate, answer.estimate.camera_from_object
    return {
        "id": estimate.instance_id,
        "label": estimate.label,
        "rotation": pose.rotation.tolist(),
        "translation": pose.translation.tolist(),
        "scale": pose.scale.tolist(),
        "mesh": _mesh_name(estimate),
        "verdict": verdict_record(estimate.verdict),
        "seconds": round(answer.seconds, 4),
    }


def _mesh_name(estimate: ObjectEstimate) -> str:
    return f"object_{estimate.instance_id}.ply"


def _is_own(name: str) -> bool:
    fixed = (OBJECTS_FILE, BODIES_FILE, SCENE_FILE, OVERLAY_FILE)
    return name in fixed or _NUMBERED_FILE.fullmatch(name) is not None


def _table(answers: Sequence[_Answer]) -> str:
    head = ("id", "label", "position x y z (m)", "size (m)", "verdict", "IoU", "residual (mm)", "s")
    rows = [head]
    for answer in answers:
        estimate, verdict = answer.estimate, answer.estimate.verdict
        rows.append(
            (
                str(estimate.instance_id),
                estimate.label[:24],
                " ".join(f"{value:.3f}" for value in estimate.center),
                " x ".join(f"{value:.3f}" for value in estimate.size),
                verdict.state.name,
                f"{verdict.mask_iou:.2f}",
                f"{1e3 * verdict.depth_residual:.1f}",
                f"{answer.seconds:.2f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
