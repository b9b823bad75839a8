"""Where exceptions are noted that the function's own code does not catch itself.

Frameworks catch what a function raised, and make pages and messages of it. To do so they format it,
which goes through one class of `traceback`; a driver's errors are noted as they are made. What is
caught without a name is reached by asking the interpreter for it.
"""

from __future__ import annotations

import functools
import sys
import traceback
from types import ModuleType
from typing import Any

from ..imported import since
from .drivers import PACKAGES, has_marks
from .raised import Raised

_ROOTS = (
    "Error",
    "DatabaseError",
    "SQLAlchemyError",
    "PyMongoError",
    "RedisError",
    "PostgresError",
)
"""Names that drivers give to what all of their exceptions derive from."""
_FORMATTERS = (("django.views.debug", "ExceptionReporter", 3),)
"""What formats exceptions in a way of its own: module, class, and place of the exception."""


def watch_formatting(raised: Raised) -> None:
    """Note each exception that `traceback`, and so `logging` and all frameworks, formats."""
    _after(traceback.TracebackException, raised, 2)


def watch_asking(raised: Raised) -> None:
    """Note the exception that is being handled when code asks for it: `sys.exc_info()`."""
    for name, asking in (("exc_info", _asked_all), ("exception", _asked)):
        original: Any = getattr(sys, name)
        if not getattr(original, "__casemate_noting__", False):
            asked = asking(original, raised)
            asked.__casemate_noting__ = True
            setattr(sys, name, asked)


# One for each, and nothing done where there is none: whatever leaves an exit stack asks.
def _asked(original: Any, raised: Raised) -> Any:
    @functools.wraps(original)
    def asked() -> Any:
        error = original()
        if error is not None:
            raised.note(error)
        return error

    return asked


def _asked_all(original: Any, raised: Raised) -> Any:
    @functools.wraps(original)
    def asked() -> Any:
        found = original()
        if found[1] is not None:
            raised.note(found[1])
        return found

    return asked


def watch_makers(raised: Raised) -> None:
    """Note the errors of the drivers that are imported by now, and what Django makes pages of."""
    for name, module in since():
        if isinstance(module, ModuleType) and _is_driver(name, module):
            for root in _ROOTS:
                kind = vars(module).get(root)
                if isinstance(kind, type) and issubclass(kind, Exception):
                    _after(kind, raised, 0)
    for name, formatter, place in _FORMATTERS:
        kind = getattr(sys.modules.get(name), formatter, None)
        if isinstance(kind, type):
            _after(kind, raised, place)


def _is_driver(name: str, module: ModuleType) -> bool:
    return name.partition(".")[0] in PACKAGES or has_marks(module)


def _after(kind: type, raised: Raised, place: int) -> None:
    """Have the argument at `place` of each new `kind` noted, once it is made."""
    original: Any = kind.__init__  # type: ignore[misc]
    if getattr(original, "__casemate_noting__", False):
        return

    @functools.wraps(original)
    def initialise(*arguments: Any, **named: Any) -> None:
        original(*arguments, **named)
        error = arguments[place] if len(arguments) > place else named.get("exc_value")
        if isinstance(error, BaseException):
            raised.note(error)

    initialise.__casemate_noting__ = True  # type: ignore[attr-defined]
    try:
        kind.__init__ = initialise  # type: ignore[misc]
    except TypeError:
        return  # a type that cannot be changed: noted where its exceptions are caught
