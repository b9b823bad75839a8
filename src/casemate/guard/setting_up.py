"""The moments at which a process puts the guard in place: before and after the import."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from . import imported, rehearsal
from .core import Guard
from .handed_over import HANDED_OVER
from .hooks import PatchingFinder, audit_hooks, watch_audit, watch_calls
from .leaks.hooks import watch_asking, watch_formatting, watch_makers
from .loading import load_rewritten, own_modules
from .sinks import SINKS
from .sql import shape, tokens
from .sql.drivers import watch_drivers
from .threads import THREADS
from .written import apart, streams

_AUDITED = audit_hooks(SINKS)
"""Made in the base zygote, so that no other makes it."""


def warm() -> None:
    """Have what sinks need ready in the base zygote, shared by all that is forked from it."""
    rehearsal.rehearse()
    tokens.warm()
    shape.warm()


def before_import(guard: Guard) -> None:
    """Have the function's modules loaded rewritten, and others patched as they are imported."""
    load_rewritten(guard)
    watch_calls(guard, SINKS)
    PatchingFinder(guard, (*SINKS, THREADS, HANDED_OVER)).install()
    watch_formatting(guard.raised)
    watch_asking(guard.raised)


def before_functions(guard: Guard) -> None:
    """Look through what the base zygote has imported, so that nobody does so again."""
    _watch_imported(guard)
    imported.begin()


def before_handler(guard: Guard, denied: Mapping[str, Iterable[str]]) -> None:
    """Learn whose the files of packages are, and deny them what they are denied from now on."""
    guard.acts.learn()
    guard.acts.deny(denied)
    if guard.acts.denies:
        watch_audit(guard, _AUDITED)


def after_import(guard: Guard) -> None:
    """Learn the code's texts, watch drivers that nobody named, and the audit events.

    The handler's import is over: it held no event, and the thousands of audit events of an import
    would cost a large one a tenth of its time.
    """
    for name in own_modules(guard):
        guard.constants.add_module(sys.modules[name])
    streams.look_for_descriptors(guard)
    apart.look_for_signs(guard)
    _watch_imported(guard)
    guard.raised.settle()
    watch_audit(guard, _AUDITED)


def _watch_imported(guard: Guard) -> None:
    """Watch what was imported and calls for it, by what it is."""
    watch_drivers(guard)
    watch_makers(guard.raised)
