"""A lifecycle node in a process of its own."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import lifecycle_msgs.msg
import lifecycle_msgs.srv
from launch import BaseEventHandler, Event, LaunchContext, SomeSubstitutionsType
from launch.event_handlers import OnShutdown
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.logging import get_logger
from launch_ros.actions.node import Node
from launch_ros.events.lifecycle import ChangeState, StateTransition
from launch_ros.ros_adapters import get_ros_node

_DEPTH = 10  # of the subscription to the transitions
_SERVICE_POLL_PERIOD = 0.05  # seconds
_ANSWER_TIMEOUT = 1.0  # seconds after which a question without effect is asked again


class LifecycleNode(Node):
    """Executes a lifecycle node; it takes ChangeState events and emits StateTransition events.

    Args:
        name: name of the node.
        namespace: namespace of the node.
        kwargs: as of Node.
    """

    def __init__(
        self,
        *,
        name: SomeSubstitutionsType,
        namespace: SomeSubstitutionsType,
        **kwargs: Any,
    ) -> None:
        if "autostart" in kwargs:
            raise TypeError("LifecycleNode of Jazzy has no autostart: emit ChangeState events in its place")
        super().__init__(name=name, namespace=namespace, **kwargs)
        self.__client: Any = None
        self.__subscription: Any = None
        self.__state_client: Any = None

    @property
    def is_lifecycle_node(self) -> bool:
        """Return True."""
        return True

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        """Start the process; listen to its transitions."""
        entities = super().execute(context)
        if context.is_shutdown:
            return entities
        if not self.is_node_name_fully_specified():
            raise RuntimeError(f"a lifecycle node needs name and namespace, got '{self.node_name}'")
        node = get_ros_node(context)
        self.__subscription = node.create_subscription(
            lifecycle_msgs.msg.TransitionEvent,
            f"{self.node_name}/transition_event",
            lambda msg: context.emit_event_sync(StateTransition(action=self, msg=msg)),
            _DEPTH,
        )
        self.__client = node.create_client(lifecycle_msgs.srv.ChangeState, f"{self.node_name}/change_state")
        self.__state_client = node.create_client(lifecycle_msgs.srv.GetState, f"{self.node_name}/get_state")
        context.register_event_handler(_OnChangeState(self))
        return entities

    def change_state(self, context: LaunchContext, transition_id: int) -> None:
        """Have the node make a transition as soon as it is there; a failure is logged.

        A shutdown cancels it, and so does the end of the process.
        """
        change = asyncio.ensure_future(self._change_state(transition_id))
        context.add_completion_future(change)
        process = self.get_asyncio_future()
        if process is not None:
            process.add_done_callback(lambda _: change.cancel())

        def cancel(event: Event, context: LaunchContext) -> None:
            change.cancel()

        context.register_event_handler(OnShutdown(on_shutdown=cancel))

    async def _change_state(self, transition_id: int) -> None:
        while not (self.__state_client.service_is_ready() and self.__client.service_is_ready()):
            await asyncio.sleep(_SERVICE_POLL_PERIOD)
        # DDS drops what is sent to a reader that the sender has not discovered yet. The client of get_state was
        # created last: when its answer comes, the node knows the reader of its transitions and of the answer, too.
        state = lifecycle_msgs.srv.GetState.Request()
        while await _answer(self.__state_client, state, _ANSWER_TIMEOUT) is None:
            pass
        request = lifecycle_msgs.srv.ChangeState.Request()
        request.transition.id = transition_id
        response = await _answer(self.__client, request, None)
        if not response.success:
            label = ChangeState.VALID_TRANSITIONS[transition_id]
            get_logger("launch_ros").error(
                f"Failed to make transition '{label}' for LifecycleNode '{self.node_name}'"
            )


async def _answer(client: Any, request: Any, timeout: float | None) -> Any:
    """Return the answer of a service; None where none comes in time (seconds; None: no limit)."""
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    future = client.call_async(request)
    # The answer comes in the thread that spins the ROS node.
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(answered.set))
    try:
        await asyncio.wait_for(answered.wait(), timeout)
    except asyncio.TimeoutError:
        client.remove_pending_request(future)
        return None
    return future.result()


class _OnChangeState(BaseEventHandler):
    """Makes the transitions that are asked of a node."""

    def __init__(self, action: LifecycleNode) -> None:
        def is_asked(event: Event) -> bool:
            return isinstance(event, ChangeState) and event.lifecycle_node_matcher(action)

        super().__init__(matcher=is_asked)
        self._action = action

    def handle(self, event: Event, context: LaunchContext) -> None:
        """Make the transition."""
        super().handle(event, context)
        self._action.change_state(context, cast(ChangeState, event).transition_id)
