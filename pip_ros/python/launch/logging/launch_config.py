"""Settings of the log, and its loggers."""

from __future__ import annotations

import datetime
import logging
import os
import socket
import sys
from pathlib import Path

_SCREEN_FORMAT = "[{levelname}] [{name}]: {message}"
_FILE_FORMAT = "{created:.7f} [{levelname}] [{name}]: {message}"
RAW_SCREEN_FORMAT = "{message}"
RAW_FILE_FORMAT = "{created:.7f} {message}"


class ScreenHandler(logging.Handler):
    """Prints records on the standard output of the moment, which tests and notebooks exchange."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        sys.stdout.write(self.format(record) + "\n")
        sys.stdout.flush()


class LaunchConfig:
    """Level, directory and handlers of the log of the launches of this process.

    The loggers hang below a root of their own, so the logging of the program around stays as it is.
    """

    def __init__(self) -> None:
        self.__log_dir: str | None = None
        self.__root = logging.RootLogger(logging.INFO)
        self.__manager = logging.Manager(self.__root)
        self.__file_handlers: dict[tuple[str, str], logging.FileHandler] = {}
        self.__screen_handlers: dict[str, ScreenHandler] = {}
        self.__root.addHandler(self.get_screen_handler(_SCREEN_FORMAT))

    @property
    def level(self) -> int:
        """Return the lowest level that is logged."""
        return self.__root.level

    @level.setter
    def level(self, level: int) -> None:
        self.__root.setLevel(level)

    @property
    def log_dir(self) -> str:
        """Return the directory of the log files, created at the first use.

        It lies in $ROS_LOG_DIR, else in $ROS_HOME/log, else in ~/.ros/log.
        """
        if self.__log_dir is None:
            base = _log_base()
            now = datetime.datetime.now().strftime("%Y-%m-%d-%H-%M-%S-%f")
            directory = base / f"{now}-{socket.gethostname()}-{os.getpid()}"
            directory.mkdir(parents=True)
            _point_latest_to(directory)
            self.__log_dir = str(directory)
        return self.__log_dir

    @log_dir.setter
    def log_dir(self, value: str) -> None:
        if self.__log_dir is not None:
            raise RuntimeError(f"the log directory is in use already: {self.__log_dir}")
        Path(value).mkdir(parents=True, exist_ok=True)
        self.__log_dir = value

    def open_log_file(self) -> None:
        """Log into ``launch.log`` as well from now on."""
        handler = self.get_log_file_handler("launch.log", _FILE_FORMAT)
        if handler not in self.__root.handlers:
            self.__root.addHandler(handler)

    def get_screen_handler(self, style: str) -> ScreenHandler:
        """Return the handler that prints in the format."""
        if style not in self.__screen_handlers:
            handler = ScreenHandler()
            handler.setFormatter(logging.Formatter(style, style="{"))
            self.__screen_handlers[style] = handler
        return self.__screen_handlers[style]

    def get_log_file_handler(self, file_name: str, style: str) -> logging.FileHandler:
        """Return the handler that writes into the file of the log directory in the format."""
        key = (file_name, style)
        if key not in self.__file_handlers:
            handler = logging.FileHandler(Path(self.log_dir, file_name), mode="a", encoding="utf-8")
            handler.setFormatter(logging.Formatter(style, style="{"))
            self.__file_handlers[key] = handler
        return self.__file_handlers[key]

    def get_logger(self, name: str | None = None) -> logging.Logger:
        """Return the logger of the name; None: the root of the loggers of the launch."""
        return self.__manager.getLogger(name) if name else self.__root

    def reset(self) -> None:
        """Close the files; the next use takes a new directory."""
        for handler in self.__file_handlers.values():
            self.__root.removeHandler(handler)
            handler.close()
        self.__file_handlers.clear()
        self.__manager = logging.Manager(self.__root)
        self.__log_dir = None


def _log_base() -> Path:
    if os.environ.get("ROS_LOG_DIR"):
        return Path(os.environ["ROS_LOG_DIR"]).expanduser()
    if os.environ.get("ROS_HOME"):
        return Path(os.environ["ROS_HOME"]).expanduser() / "log"
    return Path.home() / ".ros" / "log"


def _point_latest_to(directory: Path) -> None:
    """Let the link ``latest`` beside the directory name it; other launches may do the same at once."""
    link = directory.parent / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(directory.name)
    link.replace(directory.parent / "latest")


launch_config = LaunchConfig()


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the logger of the name; None: the root of the loggers of the launch."""
    return launch_config.get_logger(name)
