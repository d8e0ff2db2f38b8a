"""The life of tracks: born with a mask, matched from frame to frame, deleted when gone for long."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.bounded_fields import bounded, check_bounds
from sam3d_ros.perception.evidence import Cut, Overview
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.tracking.association import AssociationConfig, Expectation, associate
from sam3d_ros.perception.tracking.instances import InstanceView, view_instances
from sam3d_ros.perception.tracking.tracks import Track

#: So many instances of a frame are looked at, whatever the number of objects that may be tracked.
_LEAST_VIEWS = 64


@dataclass(frozen=True)
class TrackerConfig:
    """Parameters of tracking.

    Attributes:
        association: when an instance may be a track.
        max_objects: at most this many instances of a frame are tracked, known ones first, then the largest.
        min_mask_pixels: smaller masks are passed over.
        lost_timeout: seconds without a mask after which a track is deleted.
        excluded_labels: class names that are not objects; people have a reconstruction of their own.
    """

    association: AssociationConfig = field(default_factory=AssociationConfig)
    max_objects: int = bounded(32, 1, 256)
    min_mask_pixels: int = bounded(16, 1)
    lost_timeout: float = bounded(3.0, 0.0)
    excluded_labels: frozenset[str] = frozenset({"person"})

    def __post_init__(self) -> None:
        check_bounds(self)


@dataclass(frozen=True, eq=False)
class TrackUpdate:
    """What a frame did to the tracks.

    Attributes:
        seen: tracks with a mask in the frame, in the order of their ids.
        created, deleted: ids of tracks that began or ended, in ascending order.
        cleared: whether all tracks were deleted because the clock jumped back or the reference frame changed.
        tiny: masks passed over because they are too small.
        too_many: masks passed over because there are more than `max_objects`.
        without_points: masks without a measured point although there is a sensor.
    """

    seen: tuple[Track, ...]
    created: tuple[int, ...]
    deleted: tuple[int, ...]
    cleared: bool
    tiny: int
    too_many: int
    without_points: int


class Tracker:
    """Gives instances of successive frames stable ids. Not thread-safe: one thread at a time.

    Args:
        config: parameters.
    """

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._tracks: dict[int, Track] = {}
        self._next_id = 1
        self._stamp: int | None = None
        self._reference: str | None = None

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All living tracks, in the order of their ids."""
        return tuple(self._tracks.values())

    def get(self, track_id: int) -> Track | None:
        """A living track."""
        return self._tracks.get(track_id)

    def clear(self) -> tuple[int, ...]:
        """Forget all tracks; returns their ids. Ids are not used again."""
        forgotten = tuple(self._tracks)
        self._tracks.clear()
        self._stamp = None
        return forgotten

    def update(self, cut: Cut) -> TrackUpdate:
        """Match the instances of a frame to the tracks, create and delete tracks.

        A stamp before that of the last frame means that time started anew (a bag in a loop), and a change of
        the frame that poses are kept in makes them meaningless: either clears all tracks. The same stamp may
        come again.
        """
        overview, deleted = cut.overview, tuple[int, ...]()
        # Without a fixed frame, poses are kept in the camera's own.
        reference = overview.frame_id if overview.fixed_from_camera is None else ""
        started_anew = self._stamp is not None and overview.stamp < self._stamp
        cleared = started_anew or (self._reference is not None and self._reference != reference)
        if cleared:
            deleted = self.clear()
        self._stamp, self._reference = overview.stamp, reference

        config = self.config
        instances = view_instances(
            cut,
            min_pixels=config.min_mask_pixels,
            # Known objects may be among the smaller ones.
            limit=max(_LEAST_VIEWS, 4 * config.max_objects),
            excluded_labels=config.excluded_labels,
        )
        known = self.tracks
        expectations = self._expect(overview, known)
        pairs = associate(expectations, instances.views, instances.grid_shape, config.association)
        # Views are sorted by size: when more return than there is room for, the largest ones stay.
        pairs = sorted(pairs, key=lambda pair: pair[1])[: config.max_objects]
        for track in known:
            track.is_seen = False
        for row, column in pairs:
            _see(known[row], overview, instances.views[column])
        matched = {column for _, column in pairs}
        unmatched = [view for index, view in enumerate(instances.views) if index not in matched]
        room = max(0, config.max_objects - len(pairs))
        created = tuple(self._create(overview, view) for view in unmatched[:room])
        gone = [
            track.track_id
            for track in self.tracks
            if not track.is_seen and track.seconds_unseen(overview.stamp) > config.lost_timeout
        ]
        for track_id in gone:
            del self._tracks[track_id]
        return TrackUpdate(
            seen=tuple(track for track in self.tracks if track.is_seen),
            created=created,
            deleted=tuple(sorted({*deleted, *gone})),
            cleared=cleared,
            tiny=instances.tiny,
            too_many=instances.too_many + len(unmatched[room:]),
            without_points=instances.without_points,
        )

    def _create(self, overview: Overview, view: InstanceView) -> int:
        track = Track(self._next_id, view, overview.stamp, overview.grid_shape, np.full(2, np.nan))
        _see(track, overview, view)
        self._tracks[track.track_id] = track
        self._next_id += 1
        return track.track_id

    def _expect(self, overview: Overview, tracks: tuple[Track, ...]) -> list[Expectation]:
        predicted = predicted_silhouettes(overview, tracks)
        expectations = []
        for track, cells in zip(tracks, predicted, strict=True):
            silhouettes = [cells] if len(cells) else []
            if track.grid_shape == overview.grid_shape:
                silhouettes.append(_warped_cells(overview, track))
            expectations.append(
                Expectation(
                    label=track.label,
                    silhouettes=tuple(silhouettes),
                    center=track.view.center,
                    extent=track.extent,
                    elapsed=track.seconds_unseen(overview.stamp),
                )
            )
        return expectations


def predicted_silhouettes(overview: Overview, tracks: tuple[Track, ...]) -> list[NDArray[np.int64]]:
    """Cells of the coarse grid that each track's mesh covers if it did not move; nearer ones hide farther ones."""
    stride, grid_shape = overview.stride, overview.grid_shape
    rays = overview.camera.rays()[::stride, ::stride].reshape(-1, 3)
    nearest = np.full(grid_shape[0] * grid_shape[1], np.inf)
    owner = np.full(len(nearest), -1, dtype=np.int64)
    from_fixed = overview.camera_from_fixed
    for index, track in enumerate(tracks):
        if (
            track.estimate is None
            or track.fixed_from_object is None
            or len(track.estimate.mesh.triangles) == 0
        ):
            continue
        pose = from_fixed @ track.fixed_from_object
        cells = _cells_around(overview.camera, pose, track.estimate.mesh.bounds, stride, grid_shape)
        cells = cells[~np.isnan(rays[cells, 0])]
        if len(cells) == 0:
            continue
        depth = VisibleSurface.of(track.estimate.mesh).cast(pose, rays[cells]).depth
        nearer = depth < nearest[cells]
        nearest[cells[nearer]] = depth[nearer]
        owner[cells[nearer]] = index
    return [np.flatnonzero(owner == index) for index in range(len(tracks))]


def _cells_around(
    camera: Camera,
    camera_from_object: Similarity,
    bounds: NDArray[np.float32],
    stride: int,
    grid_shape: tuple[int, int],
) -> NDArray[np.int64]:
    """Flat indices of the cells in the image box of a mesh; all cells if it reaches behind the camera."""
    corners = np.stack(np.meshgrid(*bounds.T), axis=-1).reshape(-1, 3)
    pixels = camera.project(camera_from_object.apply(corners))
    rows, columns = grid_shape
    low, high = np.zeros(2), np.array([columns - 1, rows - 1])
    if not np.isnan(pixels).any():
        # One cell of margin: lens distortion bends the edges between the corners.
        low = np.clip(np.floor(pixels.min(axis=0) / stride) - 1, 0, None)
        high = np.clip(np.ceil(pixels.max(axis=0) / stride) + 1, None, high)
    x = np.arange(int(low[0]), int(high[0]) + 1)
    y = np.arange(int(low[1]), int(high[1]) + 1)
    return np.asarray((y[:, None] * columns + x).ravel(), dtype=np.int64)


def _see(track: Track, overview: Overview, view: InstanceView) -> None:
    center = overview.camera_from_fixed.apply(view.center)
    track.view = view
    track.last_seen = overview.stamp
    track.is_seen = True
    track.grid_shape = overview.grid_shape
    track.view_pixel = overview.camera.project(center)
    track.label_votes[view.label] += 1


def _warped_cells(overview: Overview, track: Track) -> NDArray[np.int64]:
    """The last mask of a track, shifted as its centre moves in the image with the camera."""
    rows, columns = track.grid_shape
    pixel = overview.camera.project(overview.camera_from_fixed.apply(track.view.center))
    shift = (pixel - track.view_pixel) / overview.stride
    if np.isnan(shift).any():
        return track.view.cells
    x = track.view.cells % columns + round(shift[0])
    y = track.view.cells // columns + round(shift[1])
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    return np.asarray((y * columns + x)[inside], dtype=np.int64)
