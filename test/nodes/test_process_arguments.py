"""What a process is started with: refused in one line that names it, or read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("executable", "arguments", "reason"),
    [
        ("perception", ["-p", "nodes:=[sam3d_objects, sam3d_objects]"], "name each node once"),
        ("perception", ["-p", "nodes:=[]"], "parameter nodes is empty"),
        ("perception", ["-p", "nodes:=sam3d_objects"], "parameter nodes is 'sam3d_objects': give a list"),
        ("perception", ["-p", "use_sim_time:=maybe"], "'use_sim_time' to 'maybe'"),
        ("perception", ["-p", "bogus"], "rule: '-p bogus'"),
        ("perception", ["-p", "background_ids:=[0, 255.5]"], "Sequence should be of same type"),
        ("perception", ["--params-file", "/nowhere.yaml"], "'--params-file /nowhere.yaml'"),
        ("perception", ["-r", "image:="], "'-r image:='"),
        ("sam3d_objects", ["-r", "__ns:=/robot 1"], "'-r __ns:=/robot 1'"),
        ("sam3d_objects", ["--louder"], "--louder"),
        ("sam3d_objects", ["--log-level", "loud"], "'--log-level loud'"),
        ("sam3d_objects", ["-p", "background_ids:=255"], "parameter background_ids is 255: give a list"),
        ("sam3d_objects", ["-p", "tf_timeout:=.nan"], "parameter tf_timeout is nan"),
        ("sam3d_objects", ["-p", "target_frame:=1"], "parameter target_frame is 1: give a text"),
        ("frame_player", ["-p", "rate:=[1.0]"], "parameter rate is "),
    ],
)
def test_arguments_that_cannot_be_read_are_refused_in_one_line(
    run: Any, wait_for: Any, executable: str, arguments: list[str], reason: str
) -> None:
    process = run(executable, "--ros-args", *arguments)
    assert wait_for(lambda: not process.alive())
    said = process.log.read_text()
    assert process.stop() == 2, said
    (line,) = [line for line in said.splitlines() if line.startswith("cannot start: ")]
    assert reason in line
    assert "Traceback" not in said and "/src/" not in line


def test_a_file_of_parameters_that_is_none_is_named(run: Any, wait_for: Any, tmp_path: Path) -> None:
    for content in ("a: [b", "sam3d_objects:\n  reconstructor: geometric\n"):
        path = tmp_path / "parameters.yaml"
        path.write_text(content)
        process = run("perception", "--ros-args", "--params-file", str(path))
        assert wait_for(lambda process=process: not process.alive())
        said = process.log.read_text()
        assert process.stop() == 2 and f"--params-file {path}" in said and "Traceback" not in said


def test_a_list_of_nothing_is_one(run: Any, wait_for: Any) -> None:
    process = run("sam3d_objects", "--ros-args", "-p", "background_ids:=[]", "-p", "reconstructor:=geometric")
    assert wait_for(lambda: "reconstructor geometric" in process.log.read_text()), process.log.read_text()
    assert process.alive() and process.stop() == 0
