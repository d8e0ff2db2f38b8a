"""Objects and people in one scene: what of both belongs together, in one frame and in one scale.

Objects are followed into every image, people are posed in fewer of them and later. What lies in the frame of a camera
belongs together only at one moment, what lies in a frame fixed in the world at any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import VerdictState
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.alignment import BodyAlignment, alignment_of, firmest, in_scale_of_body
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.perception.scenes.scene_file import write_camera_scene, write_fixed_scene
from sam3d_ros.perception.surfaces.surface import SupportSurface
from sam3d_ros.perception.tracking.tracks import TrackedObject

#: Stamps no further apart than this are one moment: who walks comes ten centimetres far. Nanoseconds.
MOMENT = 100_000_000


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """The objects of an image.

    Attributes:
        stamp: of the image, nanoseconds.
        frame_id: what the objects are tracked in.
        is_fixed: whether that is fixed in the world; otherwise it is the camera.
        camera: frame of the image.
        is_metric: whether the points that were measured on them are in metres.
        objects: as tracked.
        session: the number of the tracking that ids and versions are unique in; 0 = not told.
        revision: 1 for the first time that the image is looked at, one more for each later one.
        surfaces: what they stand on.
    """

    stamp: int
    frame_id: str
    is_fixed: bool
    camera: str
    is_metric: bool
    objects: tuple[TrackedObject, ...]
    session: int = 0
    revision: int = 1
    surfaces: tuple[SupportSurface, ...] = ()

    def chosen(self, *, rejected: bool) -> tuple[TrackedObject, ...]:
        """The objects, with those whose verdict is REJECTED or without."""
        if rejected:
            return self.objects
        return tuple(
            thing for thing in self.objects if thing.estimate.verdict.state is not VerdictState.REJECTED
        )

    def emptied(self) -> SeenObjects:
        """The same image, looked at once more, with nothing in it."""
        return replace(self, objects=(), surfaces=(), revision=self.revision + 1)


@dataclass(frozen=True, eq=False)
class SeenPeople:
    """The people of an image.

    Attributes:
        frame: the image, with the points that were measured on them.
        frame_id: what they are tracked in.
        is_fixed: whether that is fixed in the world; otherwise it is the camera.
        bodies: as tracked.
        alive: ids of all tracks, also of those who are out of sight for a moment.
        session: as of `SeenObjects`.
    """

    frame: Frame
    frame_id: str
    is_fixed: bool
    bodies: tuple[TrackedBody, ...]
    alive: frozenset[int] = frozenset()
    session: int = 0

    def emptied(self) -> SeenPeople:
        """The same image with nobody in it."""
        return replace(self, bodies=(), alive=frozenset())


@dataclass(frozen=True, eq=False)
class Scene:
    """What belongs together.

    Attributes:
        objects: in metres.
        bodies: in the same frame.
        is_fixed: whether that frame is fixed in the world; otherwise it is the camera.
        notes: what is to be known of it: who was left out and why, how well bodies and measured points agree.
    """

    objects: tuple[TrackedObject, ...] = ()
    bodies: tuple[TrackedBody, ...] = ()
    is_fixed: bool = False
    notes: tuple[str, ...] = ()

    @property
    def object_count(self) -> int:
        """Objects that have something to show."""
        return sum(len(thing.estimate.mesh.triangles) > 0 for thing in self.objects)

    def write(self, path: str | Path) -> None:
        """Write a GLB file; see `scene` for its axes.

        Raises:
            ValueError: the name is another one, or nothing has a triangle.
            OSError: the file cannot be written.
        """
        if Path(path).suffix != ".glb":
            raise ValueError(f"path is {str(path)!r}: give the name of a file that ends in .glb")
        if self.is_fixed:
            write_fixed_scene(path, self.objects, self.bodies)
        else:
            objects = [(thing.track_id, thing.estimate) for thing in self.objects]
            write_camera_scene(path, objects, [(body.track_id, body.estimate) for body in self.bodies])


def joined(objects: Sequence[SeenObjects], people: SeenPeople | None) -> Scene:
    """Put together what belongs together.

    People stand with the objects of their own image. Where those are not known any more they stand with the newest
    objects, if both are in one frame fixed in the world; if not, they are left out. Objects that were measured in a
    unit that nobody knows get the scale of the person whose alignment rests on the most points.

    Args:
        objects: what was seen lately, the newest last; may be empty.
        people: those who were posed last; None where nobody looks for people.

    Raises:
        ValueError: the objects have no metric scale, and no person gives them one.
    """
    newest = objects[-1] if objects and objects[-1].objects else None
    posed = people if people is not None and people.bodies else None
    if newest is None:
        return Scene() if posed is None else Scene((), posed.bodies, posed.is_fixed, tuple(_fits(posed)))
    if posed is None:
        return _without_people(newest, "there is nobody")
    if obstacle := _obstacle(objects, posed):
        return _without_people(newest, obstacle, f"people are left out: {obstacle}")
    chosen = _nearest(objects, posed)
    if not _is_one_moment(chosen, posed):
        chosen = newest
    notes = tuple(_differences(chosen, newest, posed))
    if chosen.is_metric:
        notes += (*_guesses(chosen.objects), *_fits(posed))
        return Scene(chosen.objects, posed.bodies, chosen.is_fixed, notes)
    alignments = {body.track_id: alignment_of(body.estimate, posed.frame) for body in posed.bodies}
    best = firmest(alignments.values())
    if best is None:
        return _without_people(chosen, "too few points are measured on everybody")
    giver = next(track_id for track_id, alignment in alignments.items() if alignment is best)
    scale = (
        f"objects have the scale of body_{giver}: {best.scale:.3g} units of depth to a metre, "
        f"residual {_millimetres(best.residual / best.scale)}"
    )
    if gap := abs(chosen.stamp - posed.frame.stamp):
        scale += f", in an image {gap / 1e6:.0f} ms from theirs"
    things = _in_scale_of_body(chosen.objects, best, posed.bodies[0].fixed_from_camera)
    return Scene(things, posed.bodies, chosen.is_fixed, (*notes, *_guesses(things), scale))


def _without_people(seen: SeenObjects, reason: str, *notes: str) -> Scene:
    """The objects alone.

    Raises:
        ValueError: they have no metric scale; nobody gives them one for this reason.
    """
    if not seen.is_metric:
        raise ValueError(
            f"the depth is relative, and nobody gives the objects a scale: {reason}. Let a person into the image, or "
            "set relative_depth to false"
        )
    return Scene(seen.objects, (), seen.is_fixed, (*notes, *_guesses(seen.objects)))


def _obstacle(objects: Sequence[SeenObjects], people: SeenPeople) -> str:
    """Why people and objects do not belong together; empty if they do."""
    newest = objects[-1]
    if newest.frame_id != people.frame_id:
        return f"they are in {people.frame_id}, the objects in {newest.frame_id}, give both nodes one target_frame"
    if not newest.is_metric and newest.camera != people.frame.frame_id:
        return f"they are seen from {people.frame.frame_id}, but relative is the depth of {newest.camera}"
    nearest = _nearest(objects, people)
    if _is_one_moment(nearest, people):
        return ""
    gap = f"their image is {_seconds(people.frame.stamp - nearest.stamp)} from any that shows the objects"
    if not newest.is_metric:
        return f"{gap}, and the unit of relative depth holds for one image"
    if newest.is_fixed and people.is_fixed:
        return ""
    return f"{gap}, set target_frame (to the frame of the camera, where that stands still)"


def _nearest(objects: Sequence[SeenObjects], people: SeenPeople) -> SeenObjects:
    """The objects whose image is the nearest in time; of two answers for one image the later one."""
    return min(reversed(objects), key=lambda seen: abs(seen.stamp - people.frame.stamp))


def _is_one_moment(objects: SeenObjects, people: SeenPeople) -> bool:
    return abs(objects.stamp - people.frame.stamp) <= MOMENT


def _in_scale_of_body(
    objects: Sequence[TrackedObject], alignment: BodyAlignment, fixed_from_camera: Similarity
) -> tuple[TrackedObject, ...]:
    estimates = in_scale_of_body([thing.estimate for thing in objects], alignment)
    return tuple(
        replace(
            thing,
            estimate=estimate,
            fixed_from_object=fixed_from_camera @ estimate.camera_from_object,
        )
        for thing, estimate in zip(objects, estimates, strict=True)
    )


def _differences(chosen: SeenObjects, newest: SeenObjects, people: SeenPeople) -> Iterator[str]:
    """How the scene differs from what there is now."""
    if not _is_one_moment(chosen, people):
        gap = chosen.stamp - people.frame.stamp
        yield f"people are as {_seconds(gap)} {'before' if gap > 0 else 'after'} the objects"
    known = {thing.track_id for thing in chosen.objects}
    if late := [thing.track_id for thing in newest.objects if thing.track_id not in known]:
        yield f"objects {late} are left out: they were not known yet in the image of the people"


def _guesses(objects: Sequence[TrackedObject]) -> Iterator[str]:
    """The objects that cannot be trusted because nothing is measured on them."""
    if unmeasured := [thing.track_id for thing in objects if thing.estimate.verdict.point_count == 0]:
        yield f"size or place of objects {unmeasured} is a guess: nothing is measured on them"


def _fits(people: SeenPeople) -> Iterator[str]:
    """How well each person agrees with the metric points, and who is not in the file."""
    for body in people.bodies:
        name, estimate = f"body_{body.track_id}", body.estimate
        if estimate.mesh is None:
            yield f"{name} is left out: it has no surface"
            continue
        alignment = alignment_of(estimate, people.frame) if people.frame.is_metric else None
        if alignment is None:
            yield f"{name} is as the camera suggests: too few metric points were measured on it"
            continue
        hips = estimate.camera_from_body.translation
        shift = float(np.linalg.norm(alignment.points_from_camera.apply(hips) - hips))
        larger = round(100 * (alignment.scale - 1), 1) + 0.0  # no -0.0
        yield (
            f"{name} is {_millimetres(shift)} and {larger:+.1f} % from the points measured on it, "
            f"residual {_millimetres(alignment.residual)}"
        )


def _seconds(nanoseconds: int) -> str:
    return f"{abs(nanoseconds) / 1e9:.1f} s"


def _millimetres(metres: float) -> str:
    return f"{1e3 * metres:.0f} mm"
