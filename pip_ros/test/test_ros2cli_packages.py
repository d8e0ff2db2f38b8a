"""Packages as the command line finds them, against the index and the files that are there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from ros2cli.cli import main


def test_a_package_is_where_the_index_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "prefix", "sam3d_ros"]) == 0
    assert capsys.readouterr().out.strip() == get_package_prefix("sam3d_ros")
    assert main(["pkg", "prefix", "--share", "sam3d_ros"]) == 0
    share = capsys.readouterr().out.strip()
    assert share == get_package_share_directory("sam3d_ros")
    # What the documentation has the user export.
    assert (Path(share) / "config" / "fastdds.xml").is_file()


def test_packages_are_listed_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "list"]) == 0
    names = capsys.readouterr().out.split()
    assert names == sorted(set(names)) and {"sam3d_ros", "std_msgs", "vision_msgs"} <= set(names)


def test_executables_are_those_that_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "executables", "sam3d_ros"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "sam3d_ros perception" in lines and "sam3d_ros frame_player" in lines
    assert main(["pkg", "executables", "--full-path", "sam3d_ros"]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [f"sam3d_ros {path.name}" for path in paths] == lines
    assert all(os.access(path, os.X_OK) for path in paths)
    assert main(["pkg", "executables", "std_msgs"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verb", [["prefix"], ["prefix", "--share"], ["executables"]])
@pytest.mark.parametrize("name", ["no_such_package", "../x"])
def test_a_package_that_is_none_is_an_error(
    capsys: pytest.CaptureFixture[str], verb: list[str], name: str
) -> None:
    assert main(["pkg", *verb, name]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "not found" in told.err


def test_the_command_of_the_documentation_works_in_a_shell() -> None:
    command = "echo $(ros2 pkg prefix --share sam3d_ros)/config/fastdds.xml"
    said = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert Path(said.strip()).is_file()
