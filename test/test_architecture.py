"""The rules of the house that no single test can see: who imports whom, how long a file is, what a file may name."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "sam3d_ros"
ROOMS_WITH_ROS = {"ros", "nodes"}
LONGEST_FILE = 420  # lines: one subject fits in 400, and nobody should fight over twenty
TEXT_SUFFIXES = {
    *(".action", ".cfg", ".cmake", ".in", ".json", ".md", ".msg", ".pth", ".py", ".rviz"),
    *(".sh", ".srv", ".toml", ".txt", ".xml", ".yaml", ".yml", ""),
}


def tracked_files() -> list[Path]:
    """Return the files under version control, or every file of an unpacked archive."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def imported_modules(source: Path) -> set[str]:
    """Return the full names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"), source.name)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_rooms_keep_their_contracts() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    result = subprocess.run([*command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_every_room_is_under_a_contract() -> None:
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rooms = {folder.parent.name for folder in PACKAGE.glob("*/__init__.py")}
    unnamed = {room for room in rooms if f'"sam3d_ros.{room}"' not in contracts}
    assert rooms
    assert not unnamed


@pytest.mark.parametrize("interface", ["msg", "srv", "action"])
def test_only_ros_and_nodes_import_the_messages(interface: str) -> None:
    prefix = f"sam3d_ros.{interface}"
    offenders = [
        str(source.relative_to(ROOT))
        for source in PACKAGE.rglob("*.py")
        if source.relative_to(PACKAGE).parts[0] not in ROOMS_WITH_ROS
        and any(name == prefix or name.startswith(prefix + ".") for name in imported_modules(source))
    ]
    assert not offenders


def test_no_file_outgrows_its_subject() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in tracked_files()
        if path.suffix == ".py"
    }
    assert lengths
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_file_says_nothing_by_its_name() -> None:
    nothing = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "manager.py"}
    assert [path for path in tracked_files() if path.name in nothing] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    # Assembled here so that this file does not contain what it looks for.
    folders = "|".join(["wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers"])
    machine_path = re.compile(rf"(?<![\w./~<$}}*-])/(?:{folders})/")
    named = []
    for path in tracked_files():
        if path.suffix in TEXT_SUFFIXES and path.name != "LICENSE":
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if machine_path.search(line):
                    named.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not named
