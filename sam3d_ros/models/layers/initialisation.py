"""How layers start where they are to be trained; checkpoints overwrite all of it."""

from __future__ import annotations

from torch import nn

#: Standard deviation of what is drawn from a normal distribution: embeddings of time, positions and single tokens.
NARROW = 0.02


def start_linears(module: nn.Module) -> None:
    """All linear layers within: weights by Glorot and Bengio (2010), no bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def start_silent(layer: nn.Module) -> None:
    """A last layer that answers zero, so that what it belongs to does nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
