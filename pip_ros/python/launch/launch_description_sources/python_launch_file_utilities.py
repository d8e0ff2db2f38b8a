"""Loading of launch files written in Python."""

import importlib.util
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import cast

from launch.launch_description import LaunchDescription

_FUNCTION = "generate_launch_description"


class InvalidPythonLaunchFileError(Exception):
    """The file is Python, but no launch file."""


def load_python_launch_file_as_module(python_launch_file_path: str) -> ModuleType:
    """Return the file as a module that is not entered in ``sys.modules``."""
    loader = SourceFileLoader("python_launch_file", python_launch_file_path)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    if spec is None:
        raise InvalidPythonLaunchFileError(f"launch file at '{python_launch_file_path}' cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def get_launch_description_from_python_launch_file(python_launch_file_path: str) -> LaunchDescription:
    """Return what ``generate_launch_description()`` of the file returns.

    Raises:
        InvalidPythonLaunchFileError: the file has no such function.
    """
    module = load_python_launch_file_as_module(python_launch_file_path)
    if not hasattr(module, _FUNCTION):
        raise InvalidPythonLaunchFileError(
            f"launch file at '{python_launch_file_path}' does not contain the required function '{_FUNCTION}()'"
        )
    return cast(LaunchDescription, getattr(module, _FUNCTION)())
