"""Calls of AWS: one wrapper of botocore's clients for all sinks that look at these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .core import Guard
from .hooks import argument, wrap

Look = Callable[[Guard, str, str, Mapping[str, Any]], None]
"""Takes the service, the operation and the parameters of a call; raises BlockedError."""
_looks: list[Look] = []


def looking(look: Look) -> Look:
    """Have a function look at each call. Its sink names `patch` among its patches."""
    _looks.append(look)
    return look


def patch(guard: Guard, module: ModuleType) -> None:
    """Watch the calls of clients."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = argument(arguments, named, 2, "api_params")
        if not guard.active or not isinstance(given, Mapping):
            return
        operation = str(argument(arguments, named, 1, "operation_name"))
        service = _service(arguments[0])
        for look in _looks:
            look(guard, service, operation, given)

    wrap(vars(module)["BaseClient"], "_make_api_call", before)


def _service(client: Any) -> str:
    model = getattr(getattr(client, "meta", None), "service_model", None)
    return str(getattr(model, "service_name", ""))
