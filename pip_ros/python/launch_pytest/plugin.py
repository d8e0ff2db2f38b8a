"""The plugin of pytest: the mark ``launch``, and the fixtures of the launch that a test uses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from launch import LaunchContext, LaunchService
from launch_pytest.fixture import RUNNING_LAUNCHES, FixtureOptions, options_of
from launch_pytest.running_launch import RunningLaunch

# What is left of a generator after the test of its first part.
_REST: pytest.StashKey[Any] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark."""
    config.addinivalue_line(
        "markers",
        "launch(fixture, shutdown=False): use the launch of a @launch_pytest.fixture; "
        "with shutdown=True the test runs after the launch",
    )


@pytest.fixture
def launch_service(request: pytest.FixtureRequest) -> LaunchService:
    """Return the launch service of the launch that the test uses."""
    mark = request.node.get_closest_marker("launch")
    if mark is None:
        pytest.fail("launch_service and launch_context need a test marked with pytest.mark.launch")
    options = _options(mark)
    request.getfixturevalue(options.name)
    return _running_launch(request.config, options).service


@pytest.fixture
def launch_context(launch_service: LaunchService) -> LaunchContext:
    """Return the context of the launch that the test uses."""
    return launch_service.context


def _options(mark: pytest.Mark) -> FixtureOptions:
    if "fixture" not in mark.kwargs:
        pytest.fail("pytest.mark.launch needs fixture=<a function decorated with @launch_pytest.fixture>")
    return options_of(mark.kwargs["fixture"])


def _running_launch(config: pytest.Config, options: FixtureOptions) -> RunningLaunch:
    return config.stash[RUNNING_LAUNCHES][options.name]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: Any
) -> list[pytest.Item | pytest.Collector] | None:
    """Collect the tests with the mark, which may be generators and asynchronous."""
    if not inspect.isfunction(obj) or not collector.istestfunction(obj, name):
        return None
    own = [mark for mark in getattr(obj, "pytestmark", []) if mark.name == "launch"]
    mark = own[-1] if own else collector.get_closest_marker("launch")
    if mark is None:
        return None
    options = _options(mark)
    items: list[pytest.Item | pytest.Collector] = []
    for item in collector._genfunctions(name, pytest.mark.usefixtures(options.name)(obj)):
        items.append(item)
        if options.scope != "function" and _is_generator(obj):
            items.append(_item_after_shutdown(item, mark))
    return items


def _is_generator(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _item_after_shutdown(item: pytest.Function, mark: pytest.Mark) -> pytest.Function:
    """Return the test of what follows the yield: other tests use the launch before it is shut down."""
    options = _options(mark)

    def after_shutdown() -> None:
        if _REST not in item.stash:
            pytest.skip("the part before the shutdown did not pass")
        _run_to_end(item.stash[_REST], _running_launch(item.config, options))

    after_shutdown.pytestmark = [  # type: ignore[attr-defined]
        pytest.mark.launch(fixture=mark.kwargs["fixture"], shutdown=True).mark,
        pytest.mark.usefixtures(options.name).mark,
    ]
    return pytest.Function.from_parent(
        item.parent, name=f"{item.name}[shutdown_test]", callobj=after_shutdown
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test with the mark: coroutines in the loop of the launch, generators across its shutdown."""
    mark = pyfuncitem.get_closest_marker("launch")
    if mark is None:
        return None
    options = _options(mark)
    running = _running_launch(pyfuncitem.config, options)
    if mark.kwargs.get("shutdown", False):
        running.shutdown()
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    result = pyfuncitem.obj(**arguments)
    if inspect.iscoroutine(result):
        running.call(result)
    elif inspect.isgenerator(result) or inspect.isasyncgen(result):
        _run_to_yield(result, running)
        if options.scope == "function":
            running.shutdown()
            _run_to_end(result, running)
        else:
            pyfuncitem.stash[_REST] = result
    return True


def _run_to_yield(generator: Any, running: RunningLaunch) -> None:
    if inspect.isasyncgen(generator):
        running.call(anext(generator))
    else:
        next(generator)


def _run_to_end(generator: Any, running: RunningLaunch) -> None:
    end = object()
    if inspect.isasyncgen(generator):
        rest = running.call(anext(generator, end))
    else:
        rest = next(generator, end)
    if rest is not end:
        pytest.fail("a launch test must yield at most once: at the yield the launch is shut down")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests that shut a launch down come after all others that use it."""
    last_use: dict[object, int] = {}
    for index, item in enumerate(items):
        key = _launch_key(item)
        if key is not None:
            last_use[key] = index

    def order(indexed: tuple[int, pytest.Item]) -> tuple[int, int, int]:
        index, item = indexed
        mark = item.get_closest_marker("launch")
        key = _launch_key(item)
        if key is not None and mark is not None and mark.kwargs.get("shutdown", False):
            return (last_use[key], 1, index)
        return (index, 0, index)

    items[:] = [item for _, item in sorted(enumerate(items), key=order)]


def _launch_key(item: pytest.Item) -> object | None:
    """Return what identifies the running launch that a test shares with others; None: it shares none."""
    mark = item.get_closest_marker("launch")
    if mark is None:
        return None
    options = _options(mark)
    scopes: dict[str, Any] = {
        "class": pytest.Class,
        "module": pytest.Module,
        "package": pytest.Package,
        "session": pytest.Session,
    }
    if options.scope not in scopes:
        return None
    return (options.name, item.getparent(scopes[options.scope]))
