"""Sampling of flow models: Euler steps from noise (time 0) to data (time 1), with guidance and shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sam3d_ros.models.objects.geometry_model import Latents

#: Models take times and step sizes in thousandths.
TIME_SCALE = 1000.0

#: Called after each step with its number, from 1, and the number of steps. May raise to cancel.
OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Schedule:
    """How a sample is drawn.

    Attributes:
        steps: Euler steps.
        rescale: above 1, early steps are shorter: `t = u / (1 + (rescale - 1) (1 - u))` of even u.
        guidance: strength w of `v = (1 + w) v_conditional - w v_unconditional`; 0 needs one evaluation a step.
        guidance_end: guidance is applied up to this time, 0 to 1.
        shortcut: tell the model the size of the steps, for weights distilled to few steps; without guidance.
        guided: names of the latents that guidance applies to; None is all of them, as the official sampler does.

    Raises:
        ValueError: there is no step, or guidance is asked of a shortcut.
    """

    steps: int
    rescale: float = 1.0
    guidance: float = 0.0
    guidance_end: float = 0.5
    shortcut: bool = False
    guided: Collection[str] | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}: at least one is needed")
        if self.shortcut and self.guidance:
            raise ValueError("guidance is distilled into shortcuts: leave it 0 there")

    @staticmethod
    def geometry(steps: int = 25) -> Schedule:
        """The official schedule of stage 1."""
        return Schedule(steps, rescale=3.0, guidance=7.0)

    @staticmethod
    def geometry_shortcut(steps: int = 4) -> Schedule:
        """The distilled schedule of stage 1; 4, 2 and 1 steps are usual."""
        return Schedule(steps, rescale=3.0, shortcut=True)

    @staticmethod
    def refinement(steps: int = 25) -> Schedule:
        """The official schedule of stage 2."""
        return Schedule(steps, guidance=1.0)

    @property
    def times(self) -> NDArray[np.float64]:
        """(steps + 1,) from 0 to 1."""
        u = np.linspace(0.0, 1.0, self.steps + 1)
        return u / (1.0 + (self.rescale - 1.0) * (1.0 - u))

    @property
    def step_size(self) -> float:
        """What the model is told about the size of a step, 0 to 1."""
        return 1.0 / self.steps if self.shortcut else 0.0

    def is_guided(self, t: float) -> bool:
        """Whether guidance applies at a time."""
        return self.guidance != 0.0 and t <= self.guidance_end

    @property
    def evaluations(self) -> int:
        """Network evaluations of one sample, a guided step counting two."""
        return self.steps + sum(self.is_guided(t) for t in self.times[:-1])


class Velocity(Protocol):
    """A flow model together with its condition."""

    def conditional(self, latents: Latents, t: float, step: float) -> Latents:
        """Velocities under the condition, at time t from 0 to 1."""
        ...

    def both(self, latents: Latents, t: float, step: float) -> tuple[Latents, Latents]:
        """Velocities under the condition, and under a condition of zeros."""
        ...


def guide(conditional: Latents, unconditional: Latents, schedule: Schedule) -> Latents:
    """Extrapolate from the unconditional to the conditional velocity (Ho and Salimans 2022)."""
    w = schedule.guidance
    return {
        name: (1.0 + w) * v.float() - w * unconditional[name].float()
        if schedule.guided is None or name in schedule.guided
        else v
        for name, v in conditional.items()
    }


def sample(velocity: Velocity, noise: Latents, schedule: Schedule, on_step: OnStep | None = None) -> Latents:
    """Integrate from noise to data.

    Args:
        velocity: the model.
        noise: name -> float32 normal noise.
        schedule: steps and guidance.
        on_step: progress; what it raises ends the sample.
    """
    x = dict(noise)
    times = schedule.times
    for index, (t, until) in enumerate(pairwise(times)):
        if schedule.is_guided(t):
            v = guide(*velocity.both(x, t, schedule.step_size), schedule)
        else:
            v = velocity.conditional(x, t, schedule.step_size)
        x = {name: x[name] + v[name].float() * float(until - t) for name in x}
        if on_step:
            on_step(index + 1, schedule.steps)
    return x


def draw_noise(
    shapes: Mapping[str, tuple[int, int]], generator: torch.Generator, *, batch: int = 1
) -> Latents:
    """Normal noise (batch, tokens, channels) for each latent, drawn in alphabetical order of the names.

    One seed gives the official sampler's noise, provided the generator lives on the same kind of device.
    """
    return {
        name: torch.randn(batch, *shapes[name], generator=generator, device=generator.device)
        for name in sorted(shapes)
    }


def draw_lattice_noise(coords: Tensor, side: int, channels: int, generator: torch.Generator) -> Tensor:
    """Normal noise for voxels that depends on their places alone.

    Args:
        coords: (N, 3) int64, 0 to side - 1.
        side: of the lattice, all of which is drawn.

    Returns:
        (1, N, channels).
    """
    lattice = torch.randn(side, side, side, channels, generator=generator, device=generator.device)
    return lattice[coords.to(generator.device).unbind(1)][None]
