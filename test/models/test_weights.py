"""Modules that are built without storage leave nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from sam3d_ros.models.objects.geometry_model import GeometryConfig, GeometryModel
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.weights import on_meta, shapes_of

_FIRST_OF_A_PROCESS = """
import gc, weakref
from sam3d_ros.models.objects.parts import ObjectsConfig, Part
from sam3d_ros.models.weights import on_meta

gc.disable()
for part in Part:
    module = on_meta(lambda: part.build(ObjectsConfig.tiny()))
    alive = weakref.ref(module)
    del module
    assert alive() is None, part
"""


def test_the_first_modules_of_a_process_are_freed_at_once():
    """Without the help of the cyclic collector: a module holds gigabytes of a GPU once it is filled."""
    subprocess.run([sys.executable, "-c", _FIRST_OF_A_PROCESS], check=True)


@pytest.mark.parametrize("part", Part)
def test_a_module_on_meta_has_the_shapes_of_a_real_one(part):
    config = ObjectsConfig.tiny()
    without, real = on_meta(lambda: part.build(config)), part.build(config)
    assert shapes_of(without.state_dict()) == shapes_of(real.state_dict())
    assert all(value.is_meta for value in without.state_dict().values())
    assert not any(parameter.requires_grad for parameter in without.parameters())


def test_initialisers_run_again_outside():
    on_meta(lambda: nn.Linear(3, 3))
    assert torch.unique(nn.Linear(3, 3).weight).numel() > 1
    positions = GeometryModel(GeometryConfig.tiny()).latent_mapping["shape"].pos_emb
    assert positions.abs().sum() > 0
