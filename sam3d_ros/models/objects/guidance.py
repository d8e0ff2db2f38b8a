"""The conditional and the unconditional velocity of a flow model, computed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.layers.voxels import VoxelSet
from sam3d_ros.models.objects.geometry_model import GeometryModel, Latents
from sam3d_ros.models.objects.refinement_model import RefinementModel
from sam3d_ros.models.objects.sampling import TIME_SCALE

#: The latent of stage 2.
VOXELS = "voxels"
_MOST_STACKED = 2
#: (latents, t, step, context) -> velocities; t and step are (1,), in thousandths.
Evaluate = Callable[[Latents, Tensor, Tensor, Any], Latents]


def _doubled(latents: Latents) -> Latents:
    return {name: torch.cat([x, x]) for name, x in latents.items()}


def _halves(latents: Latents) -> tuple[Latents, Latents]:
    first = {name: x[: len(x) // 2] for name, x in latents.items()}
    return first, {name: x[len(x) // 2 :] for name, x in latents.items()}


class ConditionedFlow:
    """A flow model with the condition of a batch.

    With reuse, keys and values of the condition are projected once, and the unconditional velocity skips cross
    attention: its condition is zero, so that every layer answers with a constant. Without reuse, each step
    projects the condition, and zeros stand for its absence. Both give the same velocities.

    Args:
        evaluate: the model.
        condition: of the batch.
        project: makes the condition reusable; None for no reuse.
        stacked: compute both velocities in one batch, with reuse. By default where up to two objects run on a GPU:
            more fill it by themselves, and a CPU's caches are only strained by twice the batch.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        condition: Context,
        project: Callable[[Context], Sequence[Any]] | None,
        stacked: bool | None = None,
    ) -> None:
        self._evaluate = evaluate
        self._projected = project(condition) if project else None
        self._nothing = project(condition.nothing()) if project else None
        self._tokens = condition.own if project else condition.joined()
        fills_device = condition.own.device.type == "cpu" or len(condition) > _MOST_STACKED
        self._stacked = not fills_device if stacked is None else stacked

    @staticmethod
    def of_geometry(
        model: GeometryModel,
        condition: Context,
        *,
        reuse: bool = True,
        absorb: bool = True,
        stacked: bool | None = None,
    ) -> ConditionedFlow:
        """Stage 1; for `absorb` see `GeometryModel.context`."""
        project = partial(model.context, absorb=absorb) if reuse else None
        return ConditionedFlow(model, condition, project, stacked)

    @staticmethod
    def of_refinement(
        model: RefinementModel,
        condition: Context,
        voxels: VoxelSet,
        *,
        reuse: bool = True,
        stacked: bool | None = None,
    ) -> ConditionedFlow:
        """Stage 2, whose only latent is named `voxels`."""
        voxels.prepare()

        def evaluate(latents: Latents, t: Tensor, _step: Tensor, context: Any) -> Latents:
            return {VOXELS: model(latents[VOXELS], t, context, voxels)}

        return ConditionedFlow(evaluate, condition, model.context if reuse else None, stacked)

    def _at(self, latents: Latents, t: float, step: float, context: Any) -> Latents:
        device = self._tokens.device
        time, size = (torch.full((1,), value * TIME_SCALE, device=device) for value in (t, step))
        return self._evaluate(latents, time, size, context)

    def conditional(self, latents: Latents, t: float, step: float) -> Latents:
        """Velocities under the condition."""
        return self._at(latents, t, step, self._tokens if self._projected is None else self._projected)

    def both(self, latents: Latents, t: float, step: float) -> tuple[Latents, Latents]:
        """Velocities under the condition, and under a condition of zeros."""
        if self._projected is None:
            nothing = torch.zeros_like(self._tokens)
            return self._at(latents, t, step, self._tokens), self._at(latents, t, step, nothing)
        if self._stacked:
            return _halves(self._at(_doubled(latents), t, step, self._projected))
        return self._at(latents, t, step, self._projected), self._at(latents, t, step, self._nothing)
