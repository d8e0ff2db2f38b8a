"""The demo, as `make demo` runs it: it ends by itself, with files, and its exit code is that of the report."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sam3d_ros.nodes.demo_table import Box, Judgement, match, rows, text

ROS2 = shutil.which("ros2") or str(Path(sys.executable).parent / "ros2")


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo to its end."""
    command = [ROS2, "launch", "sam3d_ros", "demo.launch.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.usefixtures("own_domain")
def test_the_demo_finds_everything_and_writes_table_and_pictures(tmp_path: Path) -> None:
    answer = demo("object_count:=3", "seed:=3", f"output:={tmp_path}", "timeout:=80.0")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["complete"] is True
    assert len(report["objects"]) == 3
    for row in report["objects"]:
        assert row["position_error"] < 0.05
        assert row["mesh_seconds"] > 0
        assert row["verdict"] in ("ACCEPTED", "UNCERTAIN", "REJECTED")
        assert row["label"] in answer.stdout
    for name in ("overlay.png", "view.png"):
        picture = cv2.imread(str(tmp_path / name))
        assert picture.shape == (480, 640, 3)
        assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 100


@pytest.mark.usefixtures("own_domain")
def test_the_demo_fails_when_objects_are_missing(tmp_path: Path) -> None:
    # Without labels there is nothing to find, however quick the graph is.
    answer = demo(
        "object_count:=3", f"output:={tmp_path}", "timeout:=4.0", "sam3d_labels_topic:=/nobody_publishes"
    )
    assert answer.returncode != 0
    assert "FAILED" in answer.stdout + answer.stderr
    assert json.loads((tmp_path / "report.json").read_text())["complete"] is False


def box(object_id: int, x: float, size: float = 0.1) -> Box:
    """A cube on the x axis, half a metre away."""
    return Box(object_id, f"thing {object_id}", np.array((x, 0.0, 0.5)), np.full(3, size))


def test_found_and_true_boxes_are_matched_by_least_distance_within_half_a_diagonal() -> None:
    found, truth = [box(1, 0.02), box(2, 0.31), box(3, 5.0)], [box(8, 0.3), box(9, 0.0), box(10, -4.0)]
    assert match(found, truth) == {0: 1, 1: 0}
    assert match([], truth) == match(found, []) == {}


def test_the_table_tells_errors_and_what_was_not_found() -> None:
    good = Judgement("ACCEPTED", (), 0.2)
    doubtful = Judgement("UNCERTAIN", ("few_points",), 0.3)
    table = rows([(box(2, 0.31, 0.12), doubtful), (box(1, 0.0), good)], [box(8, 0.3), box(10, -4.0)])
    assert [row.object_id for row in table] == [1, 2, None]
    assert math.isnan(table[0].position_error)
    assert table[1].position_error == pytest.approx(0.01)
    assert table[1].size_error == pytest.approx(0.02)
    printed = text(table)
    assert "NOT FOUND" in printed
    assert "few_points" in printed
    assert "10.0" in printed.splitlines()[3]
