"""Where the output of the processes goes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from launch.logging.launch_config import RAW_FILE_FORMAT, RAW_SCREEN_FORMAT, launch_config

# Stream ('stdout', 'stderr' or 'both') -> where it goes ('screen', 'log' or 'own_log').
OutputConfig = Mapping[str, str | Iterable[str]]

_PRESETS: dict[str, dict[str, set[str]]] = {
    "screen": {"both": {"screen"}},
    "log": {"both": {"log"}, "stderr": {"screen"}},
    "both": {"both": {"log", "screen"}},
    "own_log": {"both": {"log", "own_log"}},
    "full": {"both": {"screen", "log", "own_log"}},
}
_STREAMS = ("stdout", "stderr")
_SINKS = {"screen", "log", "own_log"}


def _sinks(output_config: str | OutputConfig) -> dict[str, set[str]]:
    if isinstance(output_config, str):
        if output_config not in _PRESETS:
            raise ValueError(f"'{output_config}' is not a valid output, expected one of {sorted(_PRESETS)}")
        output_config = _PRESETS[output_config]
    chosen: dict[str, set[str]] = {stream: set() for stream in _STREAMS}
    for stream, given in output_config.items():
        if stream not in (*_STREAMS, "both"):
            raise ValueError(f"'{stream}' is not a valid output source, expected stdout, stderr or both")
        sinks = {given} if isinstance(given, str) else set(given)
        if not sinks <= _SINKS:
            raise ValueError(f"{sorted(sinks - _SINKS)} are not valid outputs, expected {sorted(_SINKS)}")
        for each in _STREAMS if stream == "both" else (stream,):
            chosen[each] |= sinks
    return chosen


def get_output_loggers(
    process_name: str, output_config: str | OutputConfig
) -> tuple[logging.Logger, logging.Logger]:
    """Return the loggers for the standard output and the standard error of a process.

    Args:
        process_name: unique name of the process.
        output_config: ``screen``, ``log`` (all to the file, errors to the screen too), ``both``, ``own_log``,
            ``full``, or a mapping from stream to outputs.
    """
    loggers = []
    for stream, sinks in _sinks(output_config).items():
        logger = launch_config.get_logger(f"{process_name}-{stream}")
        logger.propagate = False
        logger.handlers.clear()
        if "screen" in sinks:
            logger.addHandler(launch_config.get_screen_handler(RAW_SCREEN_FORMAT))
        if "log" in sinks:
            logger.addHandler(launch_config.get_log_file_handler("launch.log", RAW_FILE_FORMAT))
        if "own_log" in sinks:
            logger.addHandler(launch_config.get_log_file_handler(f"{process_name}-{stream}.log", "{message}"))
        loggers.append(logger)
    return loggers[0], loggers[1]
