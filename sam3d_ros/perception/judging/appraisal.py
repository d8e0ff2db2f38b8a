"""A fresh reconstruction, put in its place in the views that it was made of, with all that is to be known of it."""

from __future__ import annotations

from dataclasses import replace

from sam3d_ros.perception.estimates import ObjectEstimate, Verdict
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.fitting.covariance import with_shape_covariance
from sam3d_ros.perception.fitting.coverage import with_coverage
from sam3d_ros.perception.fitting.refinement import RefinementConfig, refine
from sam3d_ros.perception.fitting.symmetry import SymmetryConfig, symmetry_group
from sam3d_ros.perception.judging.determination import with_determination
from sam3d_ros.perception.judging.verdict import VerdictThresholds, judge

#: Reasons of a verdict that say that the mesh is not what is seen; the others say that little is seen.
MISFITS = frozenset({"low_mask_iou", "high_depth_residual", "low_inlier_ratio", "free_space_violation"})


def appraised(
    evidence: Evidence,
    estimate: ObjectEstimate,
    *,
    metric: bool,
    refinement: RefinementConfig | None = None,
    thresholds: VerdictThresholds | None = None,
    symmetry: SymmetryConfig | None = None,
) -> ObjectEstimate:
    """The symmetry of a mesh, its pose, what was seen of it, how sure all that is, and the verdict.

    Args:
        evidence: the view that it was made of, and others.
        estimate: mesh and pose as a reconstructor answers them.
        metric: whether its scale is measured already; otherwise it is refined, too.
        refinement, thresholds, symmetry: parameters.
    """
    refinement, thresholds = refinement or RefinementConfig(), thresholds or VerdictThresholds()
    group = symmetry_group(estimate.mesh, estimate.camera_from_object.scale, symmetry)
    estimate = refine(evidence, replace(estimate, symmetry=group), refinement, metric=metric)
    # First where it is, then what was seen of it, then how sure that makes where it is.
    estimate = with_determination(with_coverage(evidence, estimate), thresholds.determination)
    estimate = with_shape_covariance(estimate, refinement.covariance)
    return replace(estimate, verdict=judged(evidence, estimate, thresholds))


def judged(evidence: Evidence, estimate: ObjectEstimate, thresholds: VerdictThresholds) -> Verdict:
    """The verdict of a view on a posed mesh, and of others of the same thing as far as they speak against the mesh.

    That another view shows little, or a part that is cut off, is nothing against it. Figures are those of the first.

    Args:
        evidence: the view, and the others.
        estimate: mesh, and pose in the view.
        thresholds: parameters.
    """
    verdict = judge(evidence, estimate, thresholds)
    for view in evidence.others:
        there = replace(estimate, camera_from_object=view.pose_of(estimate.camera_from_object))
        seen = judge(view.evidence, there, thresholds)
        against = tuple(name for name in seen.reasons if name in MISFITS and name not in verdict.reasons)
        if not MISFITS.isdisjoint(seen.reasons):
            state = max(verdict.state, seen.state, key=lambda state: state.value)
            verdict = replace(verdict, state=state, reasons=(*verdict.reasons, *against))
    return verdict
