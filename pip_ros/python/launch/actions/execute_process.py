"""A process, as an action."""

from __future__ import annotations

import asyncio
import itertools
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch.action import Action
from launch.child_process import STDERR, STDOUT
from launch.event_handlers.on_action_event_base import OnEvent
from launch.event_handlers.on_process_exit import OnProcessExit
from launch.launch_description_entity import ConditionalEntities, LaunchDescriptionEntity
from launch.logging.output_loggers import OutputConfig
from launch.process_lifetime import ProcessDetails, ProcessLifetime, ProcessSpecification
from launch.process_output import ProcessOutput
from launch.some_substitutions_type import SomeSubstitutionsType
from launch.substitution import Substitution
from launch.substitutions.launch_configuration import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import SomeBool, SomeFloat, TypedValue

if TYPE_CHECKING:
    from launch.launch_context import LaunchContext

Variables = Mapping[SomeSubstitutionsType, SomeSubstitutionsType]

_END_TIMEOUT = "5"  # seconds from SIGINT to SIGTERM, and from there to SIGKILL

_process_numbers = itertools.count(1)


class ExecuteProcess(Action):
    """Executes a process, and ends it when the launch shuts down.

    A shutdown sends SIGINT, after ``sigterm_timeout`` SIGTERM, after ``sigkill_timeout`` SIGKILL.

    Args:
        cmd: the command line, one item an argument; an item may be a list of substitutions.
        prefix: put before the command line, e.g. a debugger; default: launch configuration ``launch-prefix``.
        name: name of the process in the log; default: base name of the executable. A number is added.
        cwd: working directory.
        env: the whole environment; None: that of the launch.
        additional_env: variables added to it.
        shell: let a shell interpret the command line.
        sigterm_timeout: seconds; default: launch configuration of the same name, else 5.
        sigkill_timeout: likewise.
        emulate_tty: give the process a terminal to write to; default: launch configuration of the same name.
        output: ``log``, ``screen``, ``both``, ``own_log``, ``full``, or a mapping from stream to outputs.
        output_format: format of a line of output, with ``{this.process_description.final_name}`` and ``{line}``.
        cached_output: keep the output for ``get_stdout`` and ``get_stderr``.
        log_cmd: log the command line.
        on_exit: entities to visit when the process ends, or a function of event and context.
        respawn: start the process again when it ends by itself.
        respawn_delay: seconds before that.
        respawn_max_retries: how often; -1: always.
    """

    def __init__(
        self,
        *,
        cmd: Iterable[SomeSubstitutionsType],
        prefix: SomeSubstitutionsType | None = None,
        name: SomeSubstitutionsType | None = None,
        cwd: SomeSubstitutionsType | None = None,
        env: Variables | None = None,
        additional_env: Variables | None = None,
        shell: bool = False,
        sigterm_timeout: SomeFloat | None = None,
        sigkill_timeout: SomeFloat | None = None,
        emulate_tty: SomeBool | None = None,
        output: SomeSubstitutionsType | OutputConfig = "log",
        output_format: str = "[{this.process_description.final_name}] {line}",
        cached_output: bool = False,
        log_cmd: bool = False,
        on_exit: OnEvent | None = None,
        respawn: SomeBool = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        **keywords: Any,
    ) -> None:
        super().__init__(**keywords)
        self.__cmd = [normalize_to_list_of_substitutions(part) for part in cmd]
        if prefix is None:
            prefix = LaunchConfiguration("launch-prefix", default="")
        self.__prefix = normalize_to_list_of_substitutions(prefix)
        self.__name = None if name is None else normalize_to_list_of_substitutions(name)
        self.__cwd = None if cwd is None else normalize_to_list_of_substitutions(cwd)
        self.__env = None if env is None else _pairs(env)
        self.__additional_env = _pairs(additional_env or {})
        self.__shell = shell
        self.__sigterm_timeout = _or_configuration(sigterm_timeout, "sigterm_timeout", _END_TIMEOUT)
        self.__sigkill_timeout = _or_configuration(sigkill_timeout, "sigkill_timeout", _END_TIMEOUT)
        self.__emulate_tty = _or_configuration(emulate_tty, "emulate_tty", "false")
        self.__output = output
        self.__output_format = output_format
        self.__cached_output = cached_output
        self.__log_cmd = log_cmd
        self.__on_exit = on_exit
        self.__respawn = TypedValue(respawn)
        self.__respawn_delay = 0.0 if respawn_delay is None else respawn_delay
        self.__respawn_max_retries = respawn_max_retries

        self.__final_name: str | None = None
        self.__written: ProcessOutput | None = None
        self.__lifetime: ProcessLifetime | None = None
        self.__completed: asyncio.Future[None] | None = None

    @property
    def cmd(self) -> list[list[Substitution]]:
        """Return the command line."""
        return self.__cmd

    @property
    def name(self) -> str | None:
        """Return the unique name of the process; None before it is executed."""
        return self.__final_name

    @property
    def shell(self) -> bool:
        """Return whether a shell interprets the command line."""
        return self.__shell

    @property
    def process_details(self) -> ProcessDetails | None:
        """Return what the events tell about the process; None before it has started."""
        return None if self.__lifetime is None else self.__lifetime.details

    @property
    def return_code(self) -> int | None:
        """Return the exit code, negative for a signal; None before the process has ended."""
        return None if self.__lifetime is None else self.__lifetime.return_code

    def get_stdout(self) -> str:
        """Return the standard output so far; RuntimeError without ``cached_output``."""
        return self._text(STDOUT)

    def get_stderr(self) -> str:
        """Return the standard error so far; RuntimeError without ``cached_output``."""
        return self._text(STDERR)

    def get_output(self) -> str:
        """Return standard output and error so far, as they came; RuntimeError without ``cached_output``."""
        return self._text(STDOUT, STDERR)

    def _text(self, *streams: int) -> str:
        if not self.__cached_output:
            raise RuntimeError("cached_output must be True to get the output of a process")
        return "" if self.__written is None else self.__written.text(*streams)

    def get_asyncio_future(self) -> asyncio.Future[None] | None:
        """Return the future that is done when the process has ended for good."""
        return self.__completed

    def describe_conditional_sub_entities(self) -> list[ConditionalEntities]:
        """Return the entities that are visited when the process ends."""
        if isinstance(self.__on_exit, LaunchDescriptionEntity):
            return [("on exit", [self.__on_exit])]
        return [] if self.__on_exit is None or callable(self.__on_exit) else [("on exit", self.__on_exit)]

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Start the process; a launch that is shutting down starts none."""
        if self.__completed is not None and not self.__completed.done():
            raise RuntimeError(f"the action of process '{self.name}' is executed while the process runs")
        if context.is_shutdown:
            return None
        cmd = self._command_line(context)
        if self.__name is not None:
            name = perform_substitutions(context, self.__name)
        else:
            name = Path(cmd[0].split()[0]).name
        prefix = shlex.split(perform_substitutions(context, self.__prefix))
        self.__final_name = f"{name}-{next(_process_numbers)}"
        specification = ProcessSpecification(
            name=self.__final_name,
            cmd=prefix + cmd,
            cwd=None if self.__cwd is None else perform_substitutions(context, self.__cwd),
            env=self._environment(context),
            shell=self.__shell,
            emulate_tty=self.__emulate_tty.perform_bool(context),
            log_cmd=self.__log_cmd,
            sigterm_timeout=self.__sigterm_timeout.perform_float(context),
            sigkill_timeout=self.__sigkill_timeout.perform_float(context),
            respawn=self.__respawn.perform_bool(context),
            respawn_delay=self.__respawn_delay,
            respawn_max_retries=self.__respawn_max_retries,
        )
        output = self.__output
        if not isinstance(output, Mapping):
            output = perform_substitutions(context, normalize_to_list_of_substitutions(output))
        self.__written = ProcessOutput(
            self.__final_name,
            output,
            output_format=self.__output_format,
            cached=self.__cached_output,
            environment=context.environment,
        )
        self.__lifetime = ProcessLifetime(self, specification, self.__written, context)
        if self.__on_exit is not None and self.__completed is None:  # once, however often it is executed
            context.register_event_handler(OnProcessExit(target_action=self, on_exit=self.__on_exit))
        self.__completed = asyncio.ensure_future(self._live(self.__lifetime))
        return None

    async def _live(self, lifetime: ProcessLifetime) -> None:
        try:
            await lifetime.run()
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        """Remove what was made for the process alone; called when it has ended for good."""

    def _command_line(self, context: LaunchContext) -> list[str]:
        """Return the command line without prefix."""
        return [perform_substitutions(context, part) for part in self.__cmd]

    def _environment(self, context: LaunchContext) -> dict[str, str]:
        if self.__env is None:
            environment = dict(context.environment)
        else:
            environment = _perform_pairs(context, self.__env)
        environment.update(_perform_pairs(context, self.__additional_env))
        return environment


_Pairs = list[tuple[list[Substitution], list[Substitution]]]


def _pairs(variables: Variables) -> _Pairs:
    return [
        (normalize_to_list_of_substitutions(name), normalize_to_list_of_substitutions(value))
        for name, value in variables.items()
    ]


def _perform_pairs(context: LaunchContext, pairs: _Pairs) -> dict[str, str]:
    return {
        perform_substitutions(context, name): perform_substitutions(context, value) for name, value in pairs
    }


def _or_configuration(value: SomeBool | SomeFloat | None, name: str, default: str) -> TypedValue:
    return TypedValue(LaunchConfiguration(name, default=default) if value is None else value)
