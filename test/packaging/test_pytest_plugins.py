"""The tests run beside the pytest plugins that a ROS installation brings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Imports a module while it is collected to see what it is, as the plugins of launch_testing do: what a module skips
#: then ends the collection.
PLUGIN = """
import importlib.util

import pytest


def pytest_pycollect_makemodule(module_path, parent):
    spec = importlib.util.spec_from_file_location("asked", module_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
"""
SKIPPED = 'import pytest\n\npytest.importorskip("no_such_module_anywhere")\n'
SOUND = "def test_it() -> None:\n    pass\n"


def installed(folder: Path) -> Path:
    """A folder for PYTHONPATH with both plugins, under the names that ROS gives them."""
    for name in ("launch_testing", "launch_ros"):
        (folder / f"importing_{name}.py").write_text(PLUGIN)
        metadata = folder / f"{name}_like-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}_like\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[pytest11]\n{name} = importing_{name}\n")
    return folder


def passed(tests: Path, plugins: Path, *options: str) -> str:
    """The last line of pytest over a folder of tests, where the plugins are installed."""
    path = os.pathsep.join([str(plugins), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(tests)]
    answer = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, cwd=tests, capture_output=True, text=True, check=False
    )
    return (answer.stdout + answer.stderr).splitlines()[-1]


def test_a_module_that_skips_itself_skips_no_other_under_the_plugins_of_ros(tmp_path: Path) -> None:
    plugins, tests = tmp_path / "plugins", tmp_path / "tests"
    plugins.mkdir()
    tests.mkdir()
    installed(plugins)
    (tests / "test_a_skipped.py").write_text(SKIPPED)
    (tests / "test_b_sound.py").write_text(SOUND)
    assert "1 passed" not in passed(tests, plugins)  # as it is without the settings of this package
    assert "1 passed, 1 skipped" in passed(tests, plugins, "-c", str(ROOT / "pyproject.toml"))
