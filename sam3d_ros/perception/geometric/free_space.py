"""What views say about space: where an object may be, and how far a point is inside or outside of that."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.geometric.sampling import sampled
from sam3d_ros.perception.geometric.segment import Segment
from sam3d_ros.perception.geometric.symmetry import Motion
from sam3d_ros.perception.measurement import hiding_pixels

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

#: A surface seen at a grazing angle is at most this much nearer than the gap along the ray says: cos 78 degrees.
_LEAST_COSINE = 0.2
#: A surface faces the camera when the cosine of its angle to the ray is at least this.
_FACING = 0.5
#: Half the width of holes in the measured depth that count as seen, pixels.
_HOLE = 3
#: Metres inside where a view says nothing.
_ANYWHERE = np.float32(1e3)
#: A wall that is seen from both sides is that much thicker on each than it is measured, a share of that of shells.
_WALL_SHARE = 0.1
#: Points nearer to the camera than this, metres, are projected as if they were there.
_NEAREST = 1e-3


class FreeSpace:
    """The region that all views of an instance leave to it; all points are given in the object's ground frame.

    Args:
        views: at least one.
    """

    def __init__(self, views: Sequence[ViewSpace]) -> None:
        self.views = tuple(views)

    def depth_inside(
        self, points: NDArray[np.floating], *, moved: Motion | None = None, doubt: bool = False
    ) -> Floats:
        """How deep points are inside the region that every view leaves; see `ViewSpace.depth_inside`."""
        first, *others = self.views
        inside = first.depth_inside(points, moved=moved, doubt=doubt)
        for view in others:
            inside = np.minimum(inside, view.depth_inside(points, moved=moved, doubt=doubt))
        return inside

    def contradiction(
        self,
        points: NDArray[np.floating],
        normals: NDArray[np.floating],
        moved: Motion,
        tolerance: float,
        most: float,
        *,
        strict: bool = False,
    ) -> Floats:
        """How much the images of observed surface points, as something claims them, contradict the views.

        A point in free space contradicts them by its depth there. One that should be what is seen contradicts them, at
        half the weight, by its depth behind the measured surface (half, for a part of the object may hide another),
        but for those that another view measures there.

        Args:
            points: (N, 3) metres.
            normals: (N, 3) unit, outward.
            moved: motions in the ground plane that make the images.
            tolerance: metres that do not count.
            most: metres that a point counts at most.
            strict: images may come no nearer to the border of a silhouette than the observed points themselves.

        Returns:
            (..., N) metres; depth edges have one pixel of doubt.
        """
        shape = (*moved[1].shape[:-1], len(points))
        found = [view.gaps(points, normals, moved, strict=strict) for view in self.views]
        free, behind = found[0]
        for other_free, other_behind in found[1:]:
            free, behind = np.minimum(free, other_free), np.fmin(behind, other_behind)
        # What need not be seen is behind by NaN, and so by nothing.
        hidden = _between(np.fmax(behind - np.float32(2.0 * tolerance), np.float32(0.0)), most)
        in_free_space = _between(-free - np.float32(tolerance), most)
        return np.asarray(in_free_space + np.float32(0.5) * hidden).reshape(shape)

    def shell(self, points: NDArray[np.floating], thickness: float) -> Floats:
        """(...) metres that (..., 3) points are inside a shell of some thickness behind what is seen of the object."""
        shells = [view.shell(points, thickness) for view in self.views]
        if len(shells) == 1:
            return shells[0]
        # A thin wall is no thicker than views of both its sides say, but as far as the grid needs it.
        least = np.float32(_WALL_SHARE * thickness)
        left = [view.depth_inside(points) + least for view in self.views]
        inside = np.full_like(shells[0], -np.inf)
        for index, shell in enumerate(shells):
            inside = np.maximum(inside, np.minimum.reduce([shell, *left[:index], *left[index + 1 :]]))
        return inside

    def sees(self, points: NDArray[np.floating], tolerance: float) -> NDArray[np.bool_]:
        """(N,) whether (N, 3) points lie on the surface that some view measures, within a tolerance in metres."""
        return np.asarray(np.logical_or.reduce([view.sees(points, tolerance) for view in self.views]))


class ViewSpace:
    """The region that a view leaves to an instance: behind its measured surface, and behind what hides it.

    A pixel of the mask leaves the space behind its depth. A pixel that something nearer covers leaves the space
    behind that. Any other pixel leaves nothing: the object would be seen there. All points are given in the
    object's ground frame.

    Args:
        segment: the instance, seen by a camera without distortion.
        camera_from_ground: rigid pose of the ground frame.
        is_alone: whether no other view tells what is beyond the image: what meets its border is continued there then.
            Otherwise this view says nothing of it.
    """

    def __init__(self, segment: Segment, camera_from_ground: Similarity, *, is_alone: bool = True) -> None:
        pose = np.column_stack([camera_from_ground.rotation, camera_from_ground.translation])
        self._pixels_from_ground = segment.camera.matrix() @ pose
        self._camera, self._goes_on = segment.camera, segment.goes_on
        self._is_blind = not is_alone and not all(segment.goes_on)
        self._border = segment.border
        self._maps = _maps(segment)
        self._eye = camera_from_ground.apply_inverse(np.zeros(3)).astype(np.float32)
        # One pixel of doubt at depth edges: the least start among the neighbours.
        self._doubtful = self._maps.copy()
        self._doubtful[..., 0] = cv2.erode(self._maps[..., 0], np.ones((3, 3), np.uint8))

    def depth_inside(
        self, points: NDArray[np.floating], *, moved: Motion | None = None, doubt: bool = False
    ) -> Floats:
        """How deep points are inside the left region.

        Args:
            points: (..., 3) metres.
            moved: first move the points by a motion in the ground plane.
            doubt: give depth edges one pixel of doubt, in favour of the points.

        Returns:
            (...) metres, positive inside and negative in free space: the smaller of the way to the measured
            surface (along its normal) and the way to the border of the silhouette.
        """
        z, (start, cosine, side, _), beyond = self._at(points, self._doubtful if doubt else self._maps, moved)
        across = (side - beyond) * (z / np.float32(self._camera.fx))
        inside = np.minimum((z - start) * cosine, across)
        return np.asarray(np.where(np.isnan(beyond), _ANYWHERE, inside).reshape(points.shape[:-1]))

    def gaps(
        self,
        points: NDArray[np.floating],
        normals: NDArray[np.floating],
        moved: Motion,
        *,
        strict: bool = False,
    ) -> tuple[Floats, Floats]:
        """Where the images of observed surface points, as something claims them, are for the view.

        A point in free space contradicts it. A point that faces the camera before or on nothing but the instance itself
        should be what is seen: it contradicts the view behind the measured surface (less, for a part of the object
        may well hide another).

        Args:
            points: (N, 3) metres.
            normals: (N, 3) unit, outward.
            moved: motions in the ground plane that make the images.
            strict: see `FreeSpace.contradiction`.

        Returns:
            (..., N), flattened: metres inside the left region; and metres behind the measured surface, NaN for points
            that need not be seen. Depth edges have one pixel of doubt.
        """
        z, (start, cosine, side, own), beyond = self._at(points, self._doubtful, moved)
        along = (z - start) * cosine
        left = side - beyond - np.float32(self._border if strict else 0.0)
        free = np.minimum(along, left * (z / np.float32(self._camera.fx)))
        facing = self._towards_camera(points, normals, moved).ravel() > _FACING * z
        # Comparing NaN is false.
        should_be_seen = facing & (own - beyond > 1.0)
        free = np.where(np.isnan(beyond), _ANYWHERE, free)
        return np.asarray(free), np.where(should_be_seen, along, np.float32(np.nan))

    def shell(self, points: NDArray[np.floating], thickness: float) -> Floats:
        """(...) metres that (..., 3) points are inside a shell of some thickness behind what is seen of the object."""
        z, (start, cosine, _, own), beyond = self._at(points, self._maps)
        along = (z - start) * cosine
        across = (own - beyond) * (z / np.float32(self._camera.fx))
        inside = np.minimum(np.minimum(along, np.float32(thickness) - along), across)
        inside = np.where(np.isnan(beyond), -_ANYWHERE, inside)
        return np.asarray(inside.reshape(points.shape[:-1]))

    def sees(self, points: NDArray[np.floating], tolerance: float) -> NDArray[np.bool_]:
        """(N,) whether (N, 3) points lie on the measured surface, within a tolerance in metres."""
        z, (start, cosine, _, own), beyond = self._at(points, self._maps)
        return np.asarray((np.abs((z - start) * cosine) < tolerance) & (own - beyond > 0))

    def _towards_camera(
        self, points: NDArray[np.floating], normals: NDArray[np.floating], moved: Motion
    ) -> Floats:
        """(..., N) metres from moved points to the camera along their moved normals."""
        linear, offset = moved
        # The camera is moved back instead of the points and normals.
        eye = np.empty((*offset.shape[:-1], 3), np.float32)
        eye[..., :2] = np.einsum("...ij,...i->...j", linear, self._eye[:2] - offset)
        eye[..., 2] = self._eye[2]
        return np.asarray(eye @ normals.T - np.einsum("ij,ij->i", points, normals), np.float32)

    def _pixels_from(self, moved: Motion | None) -> Floats:
        """(3, G, 4) maps from the ground frame to pixels times depth, and depth, after each of G motions."""
        if moved is None:
            return self._pixels_from_ground[:, None].astype(np.float32)
        linear, offset = moved
        plane = self._pixels_from_ground[:, :2]
        answer = np.repeat(self._pixels_from_ground[:, None], offset.size // 2, axis=1)
        turned = plane @ linear.reshape(-1, 2, 2).transpose(1, 0, 2).reshape(2, -1)
        answer[..., :2] = turned.reshape(3, -1, 2)
        answer[..., 3] += plane @ offset.reshape(-1, 2).T
        return answer.astype(np.float32)

    def _at(
        self, points: NDArray[np.floating], maps: Floats, moved: Motion | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """(N,) depth of the points, (4, N) maps under them, and how far beyond the window they are; see `_beyond`.

        With several motions at once these hold the points under the first motion, then those under the next.
        """
        # One product for all motions: first the columns of all of them, then the rows, then the depths.
        pixels_from_ground = self._pixels_from(moved)
        flat = points.reshape(-1, 3).astype(np.float32, copy=False)
        seen = pixels_from_ground[..., :3].reshape(-1, 3) @ flat.T
        seen += pixels_from_ground[..., 3].reshape(-1, 1)
        u, v, z = seen.reshape(3, -1)
        before = np.maximum(z, np.float32(_NEAREST))
        u, v = u / before, v / before
        inside_u = _between(u, self._camera.width - 1)
        inside_v = _between(v, self._camera.height - 1)
        return z, sampled(maps, inside_u, inside_v), self._beyond(u - inside_u, v - inside_v)

    def _beyond(self, du: Floats, dv: Floats) -> Floats:
        """(N,) pixels back to the window that count, NaN = not known; (1,) where that is none for all of them."""
        top, bottom, left, right = self._goes_on
        if not (self._is_blind or any(self._goes_on)):
            return np.zeros(1, np.float32)
        if self._is_blind:
            sides = ((dv < 0, top), (dv > 0, bottom), (du < 0, left), (du > 0, right))
            outside = np.logical_or.reduce([beyond for beyond, goes_on in sides if not goes_on])
            du = np.where(outside, np.float32(np.nan), du)
        if not (left and right):
            du *= np.where(du < 0, np.float32(left), np.float32(right))
        if not (top and bottom):
            dv *= np.where(dv < 0, np.float32(top), np.float32(bottom))
        return np.asarray(np.sqrt(du * du + dv * dv))


def _between(values: Floats, most: float) -> Floats:
    """Values kept from 0 to the most: what `np.clip` does, in less time where they are few."""
    return np.asarray(np.minimum(np.maximum(values, np.float32(0.0)), np.float32(most)))


def _maps(segment: Segment) -> Floats:
    """(h, w, 4): where the left space begins in metres, cosine of the surface there, pixels into the left region
    and into what is measured of the mask."""
    mask, goes_on, depth, labels = segment.mask, segment.goes_on, segment.points[..., 2], segment.labels
    hiding = hiding_pixels(mask, labels, np.where(mask, segment.depth, depth))
    # Parts of the instance's own mask that cleaning dropped prove nothing.
    hiding |= (labels == segment.instance_id) & ~mask
    hider = np.where(np.isfinite(depth), depth, 0.0)
    start = np.where(mask, segment.depth, np.where(hiding, hider, np.nanmin(segment.depth)))
    maps = [
        start,
        _cosines(segment),
        _signed_pixels(mask | hiding, goes_on),
        _signed_pixels(_reliable(segment), goes_on),
    ]
    return np.dstack(maps).astype(np.float32)


def _reliable(segment: Segment) -> NDArray[np.bool_]:
    """Pixels of the mask that are measured, next to such, or surrounded by such; all of it where few are measured."""
    if segment.is_sparse:
        return segment.mask
    kernel = np.ones((3, 3), np.uint8)
    measured = cv2.dilate(segment.measured.astype(np.uint8), kernel, iterations=_HOLE + 1)
    return np.asarray(segment.mask & (cv2.erode(measured, kernel, iterations=_HOLE, borderValue=1) > 0))


def _cosines(segment: Segment) -> Floats:
    """Metres along the surface normal for one metre of depth, at each pixel of the mask; 1 beside it."""
    cosine = -np.einsum("ijk,ijk->ij", segment.normals, segment.rays)
    return np.where(segment.mask, np.clip(cosine, _LEAST_COSINE, 1.5), 1.0).astype(np.float32)


def _signed_pixels(possible: NDArray[np.bool_], goes_on: tuple[bool, bool, bool, bool]) -> Floats:
    """Pixels to the border of a region, positive inside; beyond the image (top, bottom, left, right) it continues."""
    pad = [int(not side) for side in goes_on]
    padded = cv2.copyMakeBorder(possible.astype(np.uint8), *pad, cv2.BORDER_REPLICATE)
    if padded.all():
        return np.full(possible.shape, 1e3, np.float32)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5)
    # The border lies half a pixel from the centres of both sides.
    signed = np.where(padded > 0, inside - 0.5, 0.5 - outside)
    height, width = padded.shape
    return np.asarray(signed[pad[0] : height - pad[1], pad[2] : width - pad[3]], np.float32)
