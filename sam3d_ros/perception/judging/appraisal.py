"""A fresh reconstruction, put in its place in the view that it was made of, with all that is to be known of it."""

from __future__ import annotations

from dataclasses import replace

from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.fitting.covariance import with_shape_covariance
from sam3d_ros.perception.fitting.coverage import with_coverage
from sam3d_ros.perception.fitting.refinement import RefinementConfig, refine
from sam3d_ros.perception.fitting.symmetry import SymmetryConfig, symmetry_group
from sam3d_ros.perception.judging.determination import with_determination
from sam3d_ros.perception.judging.verdict import VerdictThresholds, judge


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
        evidence: the view that it was made of.
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
    return replace(estimate, verdict=judge(evidence, estimate, thresholds))
