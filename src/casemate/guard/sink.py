"""What a sink is: where it is watched, and the verdict it comes to.

To add one, write `sinks/NAME.py` with a `SINK`, and add it to `SINKS` in `sinks/__init__.py`
and its name to `sink_names.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .core import Guard


AuditHook = Callable[["Guard", tuple[Any, ...]], None]
"""Takes the arguments of an audit event (PEP 578)."""

CallHook = Callable[["Guard", Callable[..., Any], tuple[Any, ...], dict[str, Any]], None]
"""Takes what is called, its arguments and its named arguments, before it is called."""

Patch = Callable[["Guard", ModuleType], None]
"""Puts wrappers into a module that was just imported. What it raises fails the import."""


class Sink(NamedTuple):
    """One kind of interpreter that data must not reach as anything but data."""

    name: str
    """As in records and in `[[function.NAME.guard]]`."""
    summary: str
    """One sentence for the documentation."""
    audit: Mapping[str, AuditHook] = {}
    """By audit event. Several sinks may watch one."""
    patches: Mapping[str, Patch] = {}
    """By full module name. Applied once it is imported, or at once if it already is."""
    calls: Mapping[str, CallHook] = {}
    """By the name that the function's own code calls, whatever it belongs to: for methods of C
    types, which cannot be wrapped. The hook looks at what is called first, and does little else."""
