"""What the package declares in several places is the same in all of them, and covers what the code uses."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"

# Modules of the code that another package than the one of their name provides: (rosdep key, pip name).
PROVIDERS = {
    "PIL": ("python3-pil", "pillow"),
    "cv2": ("python3-opencv", "opencv-python-headless"),
    "numpy": ("python3-numpy", "numpy"),
    "scipy": ("python3-scipy", "scipy"),
    "skimage": ("python3-skimage", "scikit-image"),
    "trimesh": ("python3-trimesh-pip", "trimesh"),
    "yaml": ("python3-yaml", "PyYAML"),
    "open3d": ("python3-open3d-pip", "open3d-cpu"),
    "fast_simplification": (None, "fast-simplification"),  # no rosdep key: installed by pip beside ROS
    "torch": (None, "torch"),
    "safetensors": (None, "safetensors"),
}
# Modules of the code and the tests that a ROS package of another name provides.
ROS_PACKAGES = {"tf2_ros": "tf2_ros_py"}
IN_EVERY_ROS = {"ament_index_python", "builtin_interfaces"}  # pulled in by rclpy and std_msgs
PYTHON_ONLY = {"hypothesis", "packaging", "pytest"}  # whose rosdep keys begin with python3-
STARTED = {"rosidl_default_runtime", "ros2launch"}  # needed, and imported by nobody


def toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def pins(name: str) -> list[Requirement]:
    lines = (REQUIREMENTS / name).read_text(encoding="utf-8").splitlines()
    stripped = (line.split("#")[0].strip() for line in lines)
    return [Requirement(line) for line in stripped if line]


def manifest_names(*tags: str) -> set[str]:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    return {str(element.text) for tag in tags for element in manifest.findall(tag)}


def outside_modules(folder: Path) -> set[str]:
    """Return the top-level names that the files of a folder import from outside the standard library."""
    found: set[str] = set()
    for source in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"sam3d_ros"}


def test_one_version() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    source = (ROOT / "sam3d_ros/__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert match is not None
    assert manifest.findtext("version") == match[1]
    assert toml(ROOT / "pip_ros/pyproject.toml")["project"]["version"] == match[1]


def test_cmake_generates_every_interface() -> None:
    listed = set(re.findall(r'"((?:msg|srv|action)/\w+\.\w+)"', (ROOT / "CMakeLists.txt").read_text("utf-8")))
    assert listed == {
        f"{kind}/{path.name}" for kind in ("msg", "srv", "action") for path in (ROOT / kind).iterdir()
    }


@pytest.mark.parametrize("package", ["tf2_msgs", "vision_msgs"])
def test_cmake_of_the_stand_ins_generates_every_interface(package: str) -> None:
    folder = ROOT / "pip_ros/interfaces" / package
    text = (folder / "CMakeLists.txt").read_text("utf-8")
    on_disk = {
        f"{kind}/{path.name}"
        for kind in ("msg", "srv", "action")
        if (folder / kind).is_dir()
        for path in (folder / kind).iterdir()
    }
    assert set(re.findall(r'"((?:msg|srv|action)/\w+\.\w+)"', text)) == on_disk


def test_cmake_installs_every_script_and_all_are_executable() -> None:
    scripts = list((ROOT / "scripts").iterdir())
    listed = set(re.findall(r"scripts/([\w-]+)", (ROOT / "CMakeLists.txt").read_text("utf-8")))
    assert listed == {path.name for path in scripts}
    for path in scripts:
        assert path.stat().st_mode & 0o111, path
        assert path.read_text("utf-8").startswith("#!/usr/bin/env python3\n"), path


def rosdep_keys(modules: set[str]) -> set[str]:
    """The keys of the packages that provide modules, without those that have none."""
    keys = {PROVIDERS[m][0] if m in PROVIDERS else ROS_PACKAGES.get(m, m) for m in modules}
    return {key for key in keys if key is not None} - IN_EVERY_ROS


def test_the_manifest_declares_what_the_code_imports_and_nothing_else() -> None:
    needed = rosdep_keys(outside_modules(ROOT / "sam3d_ros") | outside_modules(ROOT / "launch"))
    assert needed <= manifest_names("depend", "exec_depend")
    assert manifest_names("exec_depend") <= needed | STARTED


def test_the_manifest_declares_what_the_tests_import_and_nothing_else() -> None:
    own = {path.stem for path in [*(ROOT / "test").rglob("*.py"), *(ROOT / "pip_ros/cmake").glob("*.py")]}
    modules = outside_modules(ROOT / "test") - own - {"tomli"}
    keys = {f"python3-{key}" if key in PYTHON_ONLY else key for key in rosdep_keys(modules)}
    code = manifest_names("depend", "exec_depend")
    assert keys - code == manifest_names("test_depend") - {"python3-pytest-timeout"}


def test_pip_installs_what_the_offline_code_imports() -> None:
    project = toml(ROOT / "pyproject.toml")["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["models"]]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    modules = outside_modules(ROOT / "sam3d_ros") & set(PROVIDERS)
    assert {canonicalize_name(PROVIDERS[module][1]) for module in modules} - declared == set()


@pytest.mark.parametrize("project_file", ["pyproject.toml", "pip_ros/pyproject.toml"])
def test_an_isolated_build_uses_the_pinned_generators(project_file: str) -> None:
    required = set(toml(ROOT / project_file)["build-system"]["requires"])
    assert {str(pin) for pin in pins("build.txt")} <= {str(Requirement(line)) for line in required}


@pytest.mark.parametrize("project_file", ["pyproject.toml", "pip_ros/pyproject.toml"])
def test_the_pins_satisfy_the_declared_ranges(project_file: str) -> None:
    pinned: dict[str, set[str]] = {}
    for pin in [*pins("ros.txt"), *pins("perception.txt"), *pins("models.txt")]:
        (specifier,) = pin.specifier
        pinned.setdefault(canonicalize_name(pin.name), set()).add(specifier.version)
    project = toml(ROOT / project_file)["project"]
    for line in [*project["dependencies"], *project.get("optional-dependencies", {}).get("models", [])]:
        declared = Requirement(line)
        if declared.marker is not None and not declared.marker.evaluate():
            continue
        versions = pinned[canonicalize_name(declared.name)]
        assert all(declared.specifier.contains(version) for version in versions), line
