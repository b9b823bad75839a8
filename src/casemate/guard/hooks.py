"""Puts the sinks' hooks in place: audit events of the interpreter, wrappers in modules."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .act_events import EVENTS
from .acts import PackageDeniedError
from .core import Guard
from .sample import SAMPLE
from .sink import AuditHook, CallHook, Patch, Sink

Before = Callable[[tuple[Any, ...], dict[str, Any]], None]
"""Takes the arguments of a call before it is made; raises to stop it."""
AuditHooks = Mapping[str, Sequence[tuple[str, AuditHook]]]
"""By audit event, with the name of the sink."""
Watch = Callable[[Callable[..., Any], Before], Callable[..., Any]]
"""Makes what is called instead of a function."""


class UnwatchableError(ImportError):
    """The sink guard does not know this version of a module and cannot watch it."""


def audit_hooks(sinks: Sequence[Sink]) -> AuditHooks:
    """Return what is asked of each audit event."""
    watched: dict[str, list[tuple[str, AuditHook]]] = {event: [] for event in EVENTS}
    for sink in sinks:
        for event, hook in sink.audit.items():
            watched.setdefault(event, []).append((sink.name, hook))
    return watched


def watch_audit(guard: Guard, watched: AuditHooks) -> None:
    """Watch the interpreter's audit events (PEP 578), once. Cannot be undone, by anybody.

    Comes after the handler's import: an import raises thousands of events and holds no event. Only
    where a package is denied something it comes before that, since packages act there as well.
    """
    if guard.watched:
        return
    guard.watched = True

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        hooks = watched.get(event)
        if hooks is None or guard.deciding:
            return
        timed = SAMPLE.running and SAMPLE.enter()
        try:
            if guard.active:
                for name, hook in hooks:
                    try:
                        hook(guard, arguments)
                    except Exception as error:  # noqa: BLE001 - fails closed, and is on record
                        guard.fail(name, error)
            act = EVENTS.get(event)
            if act is not None:
                try:
                    act(guard.acts, arguments)
                except PackageDeniedError:
                    raise
                except Exception as error:  # noqa: BLE001 - fails closed, and is on record
                    guard.fail("packages", error)
        finally:
            if timed:
                SAMPLE.leave()

    sys.addaudithook(on_event)


def watch_calls(guard: Guard, sinks: Sequence[Sink]) -> None:
    """Watch calls by name in the function's own code, which is rewritten to announce them."""
    watched: dict[str, list[tuple[str, CallHook]]] = {}
    for sink in sinks:
        for called, hook in sink.calls.items():
            watched.setdefault(called, []).append((sink.name, hook))
    for called, hooks in watched.items():
        guard.provenance.watchers[called] = _caller(guard, hooks)


def _caller(guard: Guard, hooks: Sequence[tuple[str, CallHook]]) -> Before:
    def on_call(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if not guard.active:
            return
        timed = SAMPLE.running and SAMPLE.enter()
        try:
            for sink, hook in hooks:
                try:
                    hook(guard, arguments[0], arguments[1:], named)
                except Exception as error:  # noqa: BLE001 - fails closed, and is on record
                    guard.fail(sink, error)
        finally:
            if timed:
                SAMPLE.leave()

    return on_call


class PatchingFinder:
    """First in `sys.meta_path`: lets the others find a watched module, patches it once it ran."""

    def __init__(self, guard: Guard, sinks: Sequence[Sink]) -> None:
        """Watch the modules that the sinks name."""
        self._guard = guard
        self._patches: dict[str, list[Patch]] = {}
        for sink in sinks:
            for module, patch in sink.patches.items():
                self._patches.setdefault(module, []).append(patch)

    def install(self) -> None:
        """Patch what is imported already, and watch for the rest."""
        sys.meta_path.insert(0, self)
        for name in self._patches:
            module = sys.modules.get(name)
            if module is not None:
                self._patch(module)

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Return the spec that another finder has for a watched module."""
        if name not in self._patches:
            return None
        for finder in sys.meta_path:
            if finder is self:
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    self._wrap_loader(spec.loader)
                return spec
        return None

    def _wrap_loader(self, loader: Any) -> None:
        # One loader can be that of many modules: the interpreter's own are, and those of archives.
        execute = loader.exec_module
        if getattr(execute, "__casemate_watched__", False):
            return

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._patch(module)

        exec_module.__casemate_watched__ = True  # type: ignore[attr-defined]
        # The loader itself stays: packages ask it for their resources.
        loader.exec_module = exec_module

    def _patch(self, module: ModuleType) -> None:
        for patch in self._patches.get(module.__name__, ()):
            try:
                patch(self._guard, module)
            except (AttributeError, TypeError, ValueError, LookupError) as error:
                raise UnwatchableError(
                    f"the sink guard cannot watch {module.__name__} "
                    f"{getattr(module, '__version__', '')} ({error}); use a version that it knows"
                ) from error


def wrap(owner: Any, name: str, before: Before, watch: Watch | None = None) -> None:
    """Have `before` called with the arguments of each call of `owner.name`, then the call made.

    For a method they begin with `self`. Wrapping twice is the same as once. `watch` makes what is
    called instead, if not `watching`.
    """
    is_type = isinstance(owner, type)
    original = inspect.getattr_static(owner, name) if is_type else getattr(owner, name)
    static = isinstance(original, (staticmethod, classmethod))
    function = original.__func__ if static else original
    if getattr(function, "__casemate_watched__", False):
        return
    watched = (watch or watching)(function, before)
    setattr(owner, name, type(original)(watched) if static else watched)


def watching(function: Callable[..., Any], before: Before) -> Callable[..., Any]:
    """Return a function that calls `before`, then `function`."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*arguments: Any, **named: Any) -> Any:
            timed = SAMPLE.running and SAMPLE.enter()
            try:
                before(arguments, named)
            finally:
                if timed:
                    SAMPLE.leave()
            return await function(*arguments, **named)

        watched: Callable[..., Any] = later
    else:

        @functools.wraps(function)
        def now(*arguments: Any, **named: Any) -> Any:
            timed = SAMPLE.running and SAMPLE.enter()
            try:
                before(arguments, named)
            finally:
                if timed:
                    SAMPLE.leave()
            return function(*arguments, **named)

        watched = now
    watched.__casemate_watched__ = True  # type: ignore[attr-defined]
    return watched


def argument(arguments: tuple[Any, ...], named: dict[str, Any], place: int, *names: str) -> Any:
    """Return an argument given by place or by one of its names; None if it is not given."""
    if len(arguments) > place:
        return arguments[place]
    return next((named[name] for name in names if name in named), None)
