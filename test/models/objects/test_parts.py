"""The networks at their released size, against the keys and shapes of the official checkpoints."""

from __future__ import annotations

import csv
import dataclasses

import pytest

from sam3d_ros.models.objects.parts import OFFICIAL_FILES, ObjectsConfig, Part
from sam3d_ros.models.weights import on_meta

PARITY_SETS = (
    "dino_embedder",
    "embedder_fuser",
    "flexicubes",
    "mesh_extract",
    "mot_flow",
    "pointmap_ssi",
    "pointpatch_embed",
    "pose_decoder",
    "preprocess",
    "shortcut_generator",
    "slat_decoder_gs32",
    "slat_decoder_gs4",
    "slat_decoder_mesh",
    "slat_flow",
    "slat_generator_loop",
    "sparse_conv_ops",
    "ss_coords",
    "ss_decoder",
    "window_partition",
)


@pytest.mark.parametrize("name", PARITY_SETS)
def test_parity_set_is_there(golden, name):
    assert golden(name).io


@pytest.mark.parametrize("file", OFFICIAL_FILES, ids=lambda file: file.name)
def test_released_keys_and_shapes(facts_dir, file):
    with (facts_dir / "keys" / f"{file.name}.tsv").open() as table:
        expected = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    actual = {}
    for prefix, part in file.parts.items():
        module = on_meta(lambda part=part: part.build(ObjectsConfig.released()))
        for key, value in module.state_dict().items():
            assert value.is_meta
            actual[prefix + key] = "x".join(map(str, value.shape))
    assert actual == expected


def test_every_listed_file_is_covered(facts_dir):
    listed = {path.name.removesuffix(".tsv") for path in (facts_dir / "keys").glob("*.tsv")}
    assert listed == {file.name for file in OFFICIAL_FILES}
    assert {part for file in OFFICIAL_FILES for part in file.parts.values()} == set(Part)


def test_parts_that_do_not_fit_are_refused():
    config = ObjectsConfig.tiny()
    with pytest.raises(ValueError, match="latent cube"):
        dataclasses.replace(config, geometry=dataclasses.replace(config.geometry, resolution=8))
