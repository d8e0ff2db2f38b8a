"""The life of tracks: born with a mask, matched from frame to frame, deleted when gone for long."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.evidence import Cut, Overview
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.association import AssociationConfig, Expectation, associate
from sam3d_ros.perception.tracking.instances import InstanceView, view_instances
from sam3d_ros.perception.tracking.tracks import Silhouette, Track, TrackedObject

#: So many instances of a frame are looked at, whatever the number of objects that may be tracked.
_LEAST_VIEWS = 64
_NANOSECONDS = 1e-9

#: Frames that come slowly, but steadily, are no gap: this many of the last interval are waited for.
_INTERVALS = 2.0


@dataclass(frozen=True)
class TrackerConfig(Settings):
    """Parameters of tracking.

    Attributes:
        association: when an instance may be a track.
        max_objects: at most this many instances of a frame are tracked, known ones first, then the largest.
        min_mask_pixels: smaller masks are passed over.
        lost_timeout: seconds without a mask after which a track is deleted, also where no frame came for so long;
            from a source that is slower than that, twice the time between its last frames.
        excluded_labels: class names that are not objects; people have a reconstruction of their own.
        unseen_speed, unseen_turn: metres and radians a second; standard deviations of how fast an object may move while
            no mask shows it: its covariance grows by that.
    """

    association: AssociationConfig = field(default_factory=AssociationConfig)
    max_objects: int = parameter(32, minimum=1, maximum=256)
    min_mask_pixels: int = parameter(16, minimum=1, maximum=1_000_000)
    lost_timeout: float = parameter(3.0, minimum=0.0, maximum=3600.0)
    excluded_labels: frozenset[str] = frozenset({"person"})
    unseen_speed: float = parameter(0.01, minimum=0.0, maximum=100.0)
    unseen_turn: float = parameter(0.05, minimum=0.0, maximum=100.0)


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
        #: Seconds between the last two frames.
        self._interval = 0.0
        self._reference: str | None = None

    @property
    def tracks(self) -> tuple[Track, ...]:
        """All living tracks, in the order of their ids."""
        return tuple(self._tracks.values())

    def get(self, track_id: int) -> Track | None:
        """A living track."""
        return self._tracks.get(track_id)

    def snapshots(self, overview: Overview) -> tuple[TrackedObject, ...]:
        """The tracks that have a mesh, as the world sees them at the moment of a frame."""
        found = (
            track.snapshot(overview, self._drift(track.seconds_unseen(overview.stamp)))
            for track in self._tracks.values()
        )
        return tuple(snapshot for snapshot in found if snapshot is not None)

    def _drift(self, seconds: float) -> NDArray[np.float64]:
        """(6,) standard deviations of how far an object may have gone that was not seen for some time."""
        speeds = (self.config.unseen_speed, self.config.unseen_turn)
        return np.repeat(speeds, 3) * max(seconds, 0.0)

    def clear(self) -> tuple[int, ...]:
        """Forget all tracks; returns their ids. Ids are not used again."""
        forgotten = tuple(self._tracks)
        self._tracks.clear()
        self._stamp = None
        self._interval = 0.0
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
        gap = _INTERVALS * self._interval
        if self._stamp is not None and overview.stamp > self._stamp:
            self._interval = (overview.stamp - self._stamp) * _NANOSECONDS
        self._stamp, self._reference = overview.stamp, reference

        config = self.config
        instances = view_instances(
            cut,
            min_pixels=config.min_mask_pixels,
            # Known objects may be among the smaller ones.
            limit=max(_LEAST_VIEWS, 4 * config.max_objects),
            excluded_labels=config.excluded_labels,
        )
        # What is where an object was an hour ago is another one.
        deleted = (*deleted, *self._expire(overview.stamp, gap))
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
        seen = tuple(track for track in self.tracks if track.is_seen)
        for track, pixel in zip(seen, _pixels(overview, seen), strict=True):
            track.view_pixel = pixel
        deleted = (*deleted, *self._expire(overview.stamp, math.inf))
        return TrackUpdate(
            seen=seen,
            created=created,
            deleted=tuple(sorted(deleted)),
            cleared=cleared,
            tiny=instances.tiny,
            too_many=instances.too_many + len(unmatched[room:]),
            without_points=instances.without_points,
        )

    def _expire(self, stamp: int, gap: float) -> tuple[int, ...]:
        """Delete the tracks that are lost at a stamp (nanoseconds); returns their ids.

        Those that the last frame showed are lost only after a gap of so many seconds.
        """
        timeout = self.config.lost_timeout
        gone = tuple(
            track.track_id
            for track in self.tracks
            if track.seconds_unseen(stamp) > (max(timeout, gap) if track.is_seen else timeout)
        )
        for track_id in gone:
            del self._tracks[track_id]
        return gone

    def _create(self, overview: Overview, view: InstanceView) -> int:
        track = Track(self._next_id, view, overview.stamp, overview.grid_shape, np.full(2, np.nan))
        _see(track, overview, view)
        self._tracks[track.track_id] = track
        self._next_id += 1
        return track.track_id

    def _expect(self, overview: Overview, tracks: tuple[Track, ...]) -> list[Expectation]:
        predicted, moved_to = predicted_silhouettes(overview, tracks), _pixels(overview, tracks)
        expectations = []
        for track, cells, pixel in zip(tracks, predicted, moved_to, strict=True):
            silhouettes = [cells] if len(cells) else []
            if track.grid_shape == overview.grid_shape:
                silhouettes.append(_warped_cells(track, pixel, overview.stride))
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
    nearest = np.full(overview.labels.size, np.inf)
    owner = np.full(len(nearest), -1, dtype=np.int64)
    shown = [_silhouette(overview, track) for track in tracks]
    for index, silhouette in enumerate(shown):
        if silhouette is not None:
            cells = silhouette.cells
            nearer = silhouette.depth < nearest[cells]
            nearest[cells[nearer]] = silhouette.depth[nearer]
            owner[cells[nearer]] = index
    return [
        np.zeros(0, np.int64) if silhouette is None else silhouette.cells[owner[silhouette.cells] == index]
        for index, silhouette in enumerate(shown)
    ]


def _silhouette(overview: Overview, track: Track) -> Silhouette | None:
    """What a track's mesh covers, found anew only when it, its pose or the camera has changed; None without a mesh."""
    if track.estimate is None or track.fixed_from_object is None or len(track.estimate.mesh.triangles) == 0:
        return None
    if track.silhouette is not None and track.silhouette.holds(track, overview):
        return track.silhouette
    mesh, stride = track.estimate.mesh, overview.stride
    pose = overview.camera_from_fixed @ track.fixed_from_object
    cells = _cells_around(overview.camera, pose, mesh.bounds, stride, overview.grid_shape)
    rays = overview.camera.rays()[::stride, ::stride].reshape(-1, 3)[cells]
    known = ~np.isnan(rays[:, 0])
    cells, rays = cells[known], rays[known]
    track.silhouette = Silhouette(
        mesh=mesh,
        fixed_from_object=track.fixed_from_object,
        fixed_from_camera=overview.fixed_from_camera,
        camera=overview.camera,
        cells=cells,
        depth=VisibleSurface.of(mesh).cast(pose, rays).depth if len(cells) else np.zeros(0),
    )
    return track.silhouette


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
    track.view = view
    track.last_seen = overview.stamp
    track.is_seen = True
    track.grid_shape = overview.grid_shape
    track.label_votes[view.label] += 1


def _pixels(overview: Overview, tracks: Sequence[Track]) -> NDArray[np.floating]:
    """(T, 2) where the centres of tracks lie in an image; NaN where that is not known."""
    if not tracks:
        return np.zeros((0, 2))
    centers = np.stack([track.view.center for track in tracks])
    return overview.camera.project(overview.camera_from_fixed.apply(centers))


def _warped_cells(track: Track, pixel: NDArray[np.floating], stride: int) -> NDArray[np.int64]:
    """The last mask of a track, shifted as its centre moves in the image with the camera."""
    rows, columns = track.grid_shape
    shift = ((pixel - track.view_pixel) / stride).tolist()
    if any(map(math.isnan, shift)) or not any(map(round, shift)):
        return track.view.cells
    x = track.view.cells % columns + round(shift[0])
    y = track.view.cells // columns + round(shift[1])
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    return np.asarray((y * columns + x)[inside], dtype=np.int64)
