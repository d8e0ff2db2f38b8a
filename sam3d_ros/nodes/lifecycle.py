"""What every node of the package shares: a lifecycle that can start itself, and a clean end of the process."""

from __future__ import annotations

import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from sam3d_ros.nodes.boundary import Boundary
from sam3d_ros.nodes.guarded_node import GuardedNode
from sam3d_ros.nodes.shared_memory import keep_apart_from_the_killed
from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.parameters import declare

#: Period of the timer that keeps the executor of an otherwise silent node responsive, seconds.
HEARTBEAT_PERIOD = 0.2
#: How long the executor waits at a time, seconds. Waiting without an end, the one of `rclpy.experimental` keeps the
#: interpreter to itself (rclpy 7.1.6).
SPIN_PERIOD = 0.5
#: How often the main thread looks whether a signal came, seconds.
SIGNAL_PERIOD = 0.2
#: How long a thread may keep the interpreter while others wait, seconds. The tracking and the reconstructing thread
#: make short numpy calls and would wait for each other at every one: with Python's five milliseconds a new object
#: took twice as long.
SWITCH_INTERVAL = 0.0005


@dataclass(frozen=True)
class LifecycleSettings(Settings):
    """Parameters of every node with a lifecycle."""

    autostart: bool = parameter(
        True,
        "Configure and activate the node by itself at start; false leaves both to a manager.",
        read_only=True,
    )


class AutostartNode(GuardedNode, LifecycleNode):
    """A lifecycle node that configures and activates itself, unless the parameter `autostart` is false.

    Subclasses implement `configure`, `activate`, `deactivate` and `cleanup`. A ValueError or OSError raised there is
    the user's to mend: it is logged as one line, `refused` is called with it, and the node stays in the state it
    was in. Anything else is a defect: `failed` is called with its traceback and the node goes through error
    processing.

    Attributes:
        steady_clock: for what must run before /clock does.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._lifecycle = declare(self, LifecycleSettings())
        # Steady clock: with use_sim_time these timers must run before /clock does.
        self._heartbeat = self.create_timer(HEARTBEAT_PERIOD, _do_nothing, clock=self.steady_clock)
        self._startup = self.create_timer(0.0, self._start, clock=self.steady_clock)

    def configure(self) -> None:
        """Read the parameters and create what the node works with."""

    def activate(self) -> None:
        """Begin to take input."""

    def deactivate(self) -> None:
        """Stop taking input and wait for what is under way."""

    def cleanup(self) -> None:
        """Free what `configure` created; called again without harm."""

    def refused(self, error: ValueError | OSError) -> None:
        """A transition was refused because of `error`; subclasses report it further than the log."""

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """See to it that parameters may be set to these values, name -> value; subclasses look at their own.

        Raises:
            FaultError: one may not.
        """

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters as anybody asks for it, if they may be: a refusal says what is allowed, rclpy's does not."""
        try:
            for given in parameter_list:
                # rclpy itself takes a parameter without a name (7.1.6).
                if not self.has_parameter(given.name):
                    raise FaultError(
                        Fault.INVALID_PARAMETER,
                        f"there is no parameter {given.name!r}: ros2 param list {self.get_fully_qualified_name()} "
                        "names all",
                    )
            self.check_parameters({given.name: given.value for given in parameter_list})
        except FaultError as error:
            self.failed("set_parameters", error, "")
            return SetParametersResult(successful=False, reason=f"{error.fault.label}: {error}")
        return super().set_parameters_atomically(parameter_list)

    @property
    def state(self) -> str:
        """Name of the current lifecycle state, such as `active`."""
        return str(self._state_machine.current_state[1])

    def close(self) -> None:
        """Bring the node down from whatever state it is in."""
        if self.state in ("active", "inactive", "unconfigured"):
            self.trigger_shutdown()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._attempt("configure", self.configure)
        if result is not TransitionCallbackReturn.SUCCESS:
            self.cleanup()
            return result
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        # The publishers first: the first message may come the moment the subscriptions exist.
        super().on_activate(state)
        result = self._attempt("activate", self.activate)
        if result is not TransitionCallbackReturn.SUCCESS:
            super().on_deactivate(state)
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._attempt("deactivate", self.deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_cleanup(state)
        return self._attempt("cleanup", self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self.on_deactivate(state)
        return self.on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        if state.label == "active":
            self.on_deactivate(state)
        return self.on_cleanup(state)

    def _start(self) -> None:
        self._startup.cancel()
        wanted = self._lifecycle.autostart and self.state == "unconfigured"
        if wanted and self.trigger_configure() is TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _attempt(self, name: str, work: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            with self._failure_told(name):
                work()
        except (ValueError, OSError) as error:
            self.get_logger().error(f"cannot {name}: {error}")
            self.refused(error)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    @contextmanager
    def _failure_told(self, name: str) -> Iterator[None]:
        """Tell of a defect on its way out: rclpy drops exceptions of transition callbacks unseen."""
        try:
            yield
        except (ValueError, OSError):
            raise
        except Exception as error:
            self.failed(name, error, traceback.format_exc())
            raise


def begin(args: Sequence[str] | None) -> None:
    """Start ROS in this process, without signal handlers of its own.

    Raises:
        FaultError: invalid_parameter: the arguments after --ros-args cannot be read.
    """
    keep_apart_from_the_killed()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except (rclpy_implementation.RCLError, rclpy_implementation.UnknownROSArgsError) as error:
        # Without the lines of rcl that it comes from.
        reason = re.sub(r", at /\S+:\d+.*", "", str(error).partition("\n")[0])
        raise FaultError(
            Fault.INVALID_PARAMETER,
            f"ROS cannot read the arguments: {reason}; give name:=value after -p and -r, and the path of a file of "
            "parameters after --params-file",
        ) from error


def run_nodes(factories: Sequence[Callable[[], Node]], args: Sequence[str] | None = None) -> int:
    """Spin nodes in this process until SIGINT or SIGTERM.

    One thread runs all callbacks, which therefore must be quick: entities may only be destroyed, as transitions do,
    by the thread that waits for them (rclpy builds its wait set without a lock on what is in it).

    The nodes are brought down while the context is still alive, so that their last messages (markers to delete)
    leave. rclpy's own signal handlers would invalidate the context first.

    Returns:
        The exit code: 0 after a signal, 1 when a kind of turn failed too often in a row or an exception ended a
        thread (half a graph that looks alive is worse than none), 2 when a node refused its parameters.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    stop, crashed = threading.Event(), threading.Event()

    def report_crash(crash: threading.ExceptHookArgs) -> None:
        threading.__excepthook__(crash)
        crashed.set()
        stop.set()

    threading.excepthook = report_crash
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _stack: stop.set())
    try:
        begin(args)
        nodes = [factory() for factory in factories]
    except (ValueError, ParameterException) as error:
        return cannot_start(error)
    executor = quickest_executor()
    for node in nodes:
        executor.add_node(node)
    closed = threading.Event()
    bounded = [node for node in nodes if isinstance(node, AutostartNode)]

    def tell(what: str, error: Exception, details: str) -> None:
        for node in bounded:
            node.boundary.tell(what, error, details)

    # What is raised outside of the callbacks of a node.
    boundary = Boundary(tell)

    def spin() -> None:
        while not closed.is_set():
            if boundary.attempt("executor", partial(executor.spin_once, timeout_sec=SPIN_PERIOD)):
                closed.wait(boundary.rest("executor"))

    def close() -> None:
        for node in bounded:
            boundary.attempt("shutdown", node.close)
        closed.set()

    # Signals are for the main thread alone, so another one spins.
    spinner = threading.Thread(target=spin, name="executor", daemon=True)
    spinner.start()
    # The executor that is told of events has a signal action of its own, after which a wait without an end may sleep
    # on: the handler runs when this thread comes back to the interpreter.
    boundaries = [boundary, *(node.boundary for node in bounded)]
    while not stop.wait(SIGNAL_PERIOD):
        if given_up := [made for made in boundaries if made.given_up]:
            kind, limit = given_up[0].given_up, given_up[0].limit
            print(f"the process ends: {kind} failed {limit} times in a row", file=sys.stderr, flush=True)
            crashed.set()
            break
    executor.create_task(close)
    spinner.join()
    if not closed.is_set():
        close()  # nobody waits for the entities any more: the executor's thread has died
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    return 1 if crashed.is_set() else 0


def quickest_executor() -> Executor:
    """The single-threaded executor that spends least on each message.

    The classic one builds a wait set of all entities anew for every message, which on a slow machine takes longer than
    to take in a camera_info. Where rclpy has the one that the middleware tells of each event, a frame of five messages
    costs a third of the time.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # rclpy before 7.1.5
        return SingleThreadedExecutor()
    return EventsExecutor()


def cannot_start(error: Exception) -> int:
    """Say in one line why the process ends before it began; its exit code."""
    name = f"{error.fault.label}: " if isinstance(error, FaultError) else ""
    print(f"cannot start: {name}{error}", file=sys.stderr)
    rclpy.try_shutdown()
    return 2


def _do_nothing() -> None:
    """The heartbeat's work: waking the executor is all that is wanted."""
