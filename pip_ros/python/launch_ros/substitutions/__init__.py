"""Substitutions that know packages."""

from launch.unsupported import absent_names
from launch_ros.substitutions.executable_in_package import ExecutableInPackage
from launch_ros.substitutions.find_package import FindPackage, FindPackagePrefix, FindPackageShare

__all__ = ["ExecutableInPackage", "FindPackage", "FindPackagePrefix", "FindPackageShare"]

__getattr__ = absent_names(__name__, {"Parameter"})
