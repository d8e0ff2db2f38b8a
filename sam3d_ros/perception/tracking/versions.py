"""Versions of a track's mesh: when to make it anew, and whether to take the new one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sam3d_ros.perception.estimates import Verdict, VerdictState
from sam3d_ros.perception.judging.appraisal import MISFITS
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.perception.tracking.tracks import Track

_NANOSECONDS = 1e-9
#: Retries become no rarer after this many doublings of the interval.
_LARGEST_DOUBLING = 6
#: Of two versions in the same doubt, the new one is taken when its mask overlap is larger by this much.
_BETTER_OVERLAP = 0.02
#: One that saw less of its surface by more than this share is no better, one that saw more by that is.
_LESS_SEEN = 0.1


class ReconstructionReason(Enum):
    """Why a track wants to be reconstructed; the values go to logs."""

    NEW = "new"
    MEASURED = "measured"
    MISFIT = "misfit"
    MORE_VIEWS = "more_views"
    BETTER_VIEW = "better_view"


@dataclass(frozen=True)
class VersionConfig(Settings):
    """Parameters of mesh versions.

    Attributes:
        improvement: a view is clearly better when its quality (visible, measured, whole pixels) exceeds that of
            the view behind the mesh by this factor; a million = never make a mesh anew because of the view.
        min_interval: seconds from one version to the next at least.
        retry_interval: seconds until an object whose mesh does not fit what is seen now is tried again; doubled with
            each failure.
        retry_share: that is done from a view of at least this share of the quality of the one behind the mesh: an
            object that is half hidden now needs no new mesh.
        unseen_share: a mesh is made anew of all remembered views when those that it does not know face this share of
            its surface, by area, that no view measured yet.
    """

    improvement: float = parameter(1.6, minimum=1.05, maximum=1e6)
    min_interval: float = parameter(2.0, minimum=0.0, maximum=86400.0)
    retry_interval: float = parameter(1.0, minimum=0.0, maximum=3600.0)
    retry_share: float = parameter(0.6, minimum=0.0, maximum=1.0)
    unseen_share: float = parameter(0.08, minimum=0.001, maximum=1.0)


def reconstruction_reason(track: Track, stamp: int, config: VersionConfig) -> ReconstructionReason | None:
    """Why a track that is seen at a stamp (nanoseconds) should be reconstructed now; None if it should not."""
    if track.estimate is None:
        return ReconstructionReason.NEW
    if not track.version_measured and track.view.measured > 0.0:
        # The range sensor was discovered after the camera, or saw nothing there until now: no reason to wait.
        return ReconstructionReason.MEASURED
    age = (stamp - track.version_stamp) * _NANOSECONDS
    verdict = track.estimate.verdict
    misfit = verdict.state is VerdictState.REJECTED or not MISFITS.isdisjoint(verdict.reasons)
    as_good = track.view.quality >= config.retry_share * track.version_quality
    patience = config.retry_interval * 2.0 ** min(track.failures, _LARGEST_DOUBLING)
    if misfit and as_good and age >= patience:
        return ReconstructionReason.MISFIT
    if age >= config.min_interval and as_good and track.news >= config.unseen_share:
        return ReconstructionReason.MORE_VIEWS
    if age >= config.min_interval and track.view.quality > config.improvement * track.version_quality:
        return ReconstructionReason.BETTER_VIEW
    return None


def may_replace(new: Verdict, old: Verdict, old_at_best: VerdictState) -> bool:
    """Whether a new version may replace the old one.

    Args:
        new: of the new version.
        old: the present one of the old version, of the same views.
        old_at_best: the best that the old version had: a mesh that once was good gives way to no rejected one, whatever
            hides it now.
    """
    if new.state is VerdictState.REJECTED and old_at_best is not VerdictState.REJECTED:
        return False
    # NaN, a figure that is not known, is no improvement, and nothing against it.
    if new.state is old.state and new.seen_share < old.seen_share - _LESS_SEEN:
        return False
    if new.state is old.state and new.state is not VerdictState.ACCEPTED:
        sees_more = new.seen_share > old.seen_share + _LESS_SEEN
        return bool(sees_more or new.mask_iou > old.mask_iou + _BETTER_OVERLAP)
    return new.state.value <= old.state.value
