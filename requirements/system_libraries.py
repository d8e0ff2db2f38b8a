"""Install the system libraries that the wheels link to but do not hold, or say how to.

Run by ``make setup``, with the standard library alone. Installs with apt where it may (root, or sudo without a
password); otherwise prints the command and ends with exit code 1.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# Open3D links to all of these; most desktops have them, servers and containers do not.
PACKAGE_OF_LIBRARY = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libgomp.so.1": "libgomp1",
}


def missing_packages() -> list[str]:
    """Return the Debian packages that are needed and not there."""
    packages = [package for library, package in PACKAGE_OF_LIBRARY.items() if not _loads(library)]
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        packages.append(f"python{sys.version_info.major}.{sys.version_info.minor}-dev")
    if shutil.which("c++") is None:
        packages.append("g++")
    return packages


def install_command(packages: list[str]) -> list[str] | None:
    """Return the command that installs the packages without asking, or None where this user may not."""
    if shutil.which("apt-get") is None:
        return None
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if os.geteuid() == 0:
        return command
    sudo_works = (
        shutil.which("sudo") is not None
        and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
    )
    return ["sudo", "-n", *command] if sudo_works else None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def main() -> int:
    packages = missing_packages()
    if not packages:
        return 0
    command = install_command(packages)
    if command is None:
        print(
            f"system packages are missing: {' '.join(packages)}\n"
            f"install them, then run make again: sudo apt-get install {' '.join(packages)}",
            file=sys.stderr,
        )
        return 1
    if subprocess.run(command).returncode != 0:  # a machine that never ran apt-get update knows no packages
        update = [*command[: command.index("apt-get")], "apt-get", "update"]
        subprocess.run(update, check=True)
        subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
