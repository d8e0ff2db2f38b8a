"""The setuptools command that puts ament_cmake packages into a wheel, or into a development installation.

A wheel made with it lands like the official ROS 2 wheels: the Python modules in site-packages, the rest in
<prefix>/lib, <prefix>/share and <prefix>/include.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ament_build import build_package
from setuptools import Command, Distribution
from setuptools.command.build import build

GENERATED = ("Unspecified",)  # cmake's name for everything that a CMakeLists.txt gives no component


@dataclass(frozen=True, kw_only=True)
class AmentPackage:
    """One ament_cmake package and what a development installation links to in its source folder.

    Attributes:
        name: name of the package and of its Python module.
        source: folder with the CMakeLists.txt and package.xml.
        links: path in the installation (relative to its prefix) -> path in ``source``.
        module_init: ``__init__.py`` in ``source`` that stands in for the empty generated one, if there is one.
    """

    name: str
    source: Path
    links: Mapping[str, str] = field(default_factory=dict)
    module_init: str | None = None


class PlatformDistribution(Distribution):
    """A distribution whose wheel holds compiled code though setuptools compiles none of it."""

    def has_ext_modules(self) -> bool:
        return True


def ament_commands(
    packages: Sequence[AmentPackage], *, startup_files: Sequence[Path] = ()
) -> dict[str, type[Command]]:
    """Return the commands (``cmdclass`` of ``setup()``) of a distribution that holds ament_cmake packages.

    Args:
        packages: built in this order.
        startup_files: ``.pth`` files for the top of site-packages.
    """

    class BuildWithAment(build):
        sub_commands = [*build.sub_commands, ("build_ament", None)]  # noqa: RUF012 - setuptools' own attribute

    class BuildThesePackages(BuildAment):
        ament_packages = tuple(packages)
        pth_files = tuple(startup_files)

    return {"build": BuildWithAment, "build_ament": BuildThesePackages}


class BuildAment(Command):
    """Build ament_cmake packages with cmake and hand the result to the wheel or to the environment.

    It is a command of its own, not a subclass of build_py: setuptools ignores errors of the latter in editable mode.
    """

    description = "build ament_cmake packages against the ROS 2 wheels"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    ament_packages: ClassVar[tuple[AmentPackage, ...]] = ()
    pth_files: ClassVar[tuple[Path, ...]] = ()

    def initialize_options(self) -> None:
        self.editable_mode = False
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        # One folder for each interpreter: generated code and objects depend on it.
        work = Path("build", f"ament-{sys.implementation.cache_tag}").resolve()
        for package in self.ament_packages:
            stage = work / f"{package.name}-stage"
            shutil.rmtree(stage, ignore_errors=True)
            build_package(
                package.source,
                build=work / package.name,
                prefix=Path(sys.prefix),
                install_prefix=stage,
                components=GENERATED if self.editable_mode else (),
            )
            modules = _take_modules(stage)
            if self.editable_mode:
                _install_for_development(package, modules=modules, stage=stage)
            else:
                self._add_to_wheel(modules=modules, stage=stage)
        for file in self.pth_files:
            target = Path(sysconfig.get_path("purelib") if self.editable_mode else str(self.build_lib))
            shutil.copy(file, target)

    def _add_to_wheel(self, *, modules: Path, stage: Path) -> None:
        shutil.copytree(modules, str(self.build_lib), dirs_exist_ok=True)
        shutil.rmtree(modules)
        data_files = list(self.distribution.data_files or [])
        for folder in sorted(path for path in stage.rglob("*") if path.is_dir()):
            files = [str(path) for path in sorted(folder.iterdir()) if path.is_file()]
            if files:
                data_files.append((str(folder.relative_to(stage)), files))
        self.distribution.data_files = data_files

    def get_source_files(self) -> list[str]:
        return []  # MANIFEST.in lists them

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


def _take_modules(stage: Path) -> Path:
    """Return the folder of staged Python modules, less what pip makes itself (metadata and commands)."""
    (modules,) = stage.glob("lib/python*/site-packages")
    for metadata in modules.glob("*.egg-info"):
        shutil.rmtree(metadata)
    shutil.rmtree(stage / "bin", ignore_errors=True)
    return modules


def _install_for_development(package: AmentPackage, *, modules: Path, stage: Path) -> None:
    """Put the generated files of a package into the environment, and links to its sources beside them."""
    site_packages = Path(sysconfig.get_path("platlib"))
    prefix = Path(sys.prefix)
    shutil.rmtree(site_packages / package.name, ignore_errors=True)
    shutil.copytree(modules, site_packages, dirs_exist_ok=True)
    shutil.rmtree(modules)
    for installed in package.links:
        _remove_link(prefix / installed)
    shutil.copytree(stage, prefix, dirs_exist_ok=True)
    for installed, source in package.links.items():
        _link(prefix / installed, package.source / source)
    if package.module_init is not None:
        _link(site_packages / package.name / "__init__.py", package.source / package.module_init)


def _link(link: Path, target: Path) -> None:
    _remove_link(link)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def _remove_link(link: Path) -> None:
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    else:
        link.unlink(missing_ok=True)
