"""How sure a sink can be that a text is the event's, and wrappers that look at results."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import os
import sys
from collections.abc import Callable
from posixpath import normpath  # as they are before the guard follows what they make
from types import FrameType, ModuleType
from typing import Any

from .core import Guard
from .hooks import Before, wrap
from .notes import DERIVED, FORMAT, JOINED, PERCENT, REPLACED, SUBSTITUTED, Made
from .pieces import as_text
from .provenance import Provenance
from .quick import giver
from .sample import SAMPLE

_MAX_FRAMES = 200
_MAX_CHANGES = 4
"""Of a text after it was put together: `text.strip().encode()` are two."""
MAX_BACK = 100_000
"""Notes that texts of one invocation are looked for in, which may have been put together."""
_BACK_COST = 1_000
"""What each of these texts costs beside the notes, in notes."""
MIN_KEPT, MAX_KEPT = 8, 16 * 1024
"""Characters of one."""
_BACK, _LOOKED = ("standing", "back"), ("standing", "looked")
_PUT_TOGETHER = frozenset((FORMAT, JOINED, PERCENT, REPLACED, SUBSTITUTED))
_OWN = os.path.dirname(__file__) + "/"
_OF_PYTHON = os.path.dirname(os.__file__) + "/"
"""The folder of the standard library."""
_CALLS_OF_CODE = giver.__code__.co_filename
"""The module by which rewritten code makes its calls, and nobody else does."""

After = Callable[[tuple[Any, ...], dict[str, Any], Any], None]
"""Takes the arguments of a call and its result."""


def is_direct(guard: Guard, *through: str) -> bool:
    """Tell whether the function's own code called here, through these packages at most.

    What another package calls by itself is no choice of the event, though its text can be the same.
    """
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        file = frame.f_code.co_filename
        if file.startswith(guard.root):
            return True
        if not file.startswith(_OWN):
            package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if package not in through:
                return False
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def is_own(guard: Guard, function: Callable[..., Any]) -> bool:
    """Tell whether a function or a method is of the function's own code, by its file."""
    code = getattr(function, "__code__", None)  # a method has that of its function
    return code is not None and bool(code.co_filename.startswith(guard.root))


def is_import() -> bool:
    """Tell whether an audit event is of the import system: called by a sink's hook.

    A module that is imported late raises several events, and holds nothing of the event.
    """
    caller = sys._getframe(3)
    return str(caller.f_globals.get("__name__", "")).startswith("importlib._bootstrap")


def is_importing(guard: Guard) -> bool:
    """Tell whether a module of others is being imported, whose body has nothing of the event.

    What the function's own code calls in there counts as its own.
    """
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame.f_code.co_filename.startswith(guard.root) or frame.f_back is None:
            return False
        if str(frame.f_globals.get("__name__", "")).startswith("importlib._bootstrap"):
            return True
        frame = frame.f_back
    return False


def is_of_caller(guard: Guard, text: str) -> bool:
    """Tell whether a text that is the same as the event's is a library's own, or this process's.

    `mimetypes` opens `/etc/mime.types`, whatever an event says; so does whoever lists the working
    directory. What the function's own code passes on was seen being made.
    """
    with contextlib.suppress(OSError):  # it was removed
        if text == os.getcwd():
            return True
    frame = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        file = frame.f_code.co_filename
        if file.startswith(guard.root) or frame.f_back is None:
            return False
        if not file.startswith(_OWN) and (
            text in frame.f_code.co_consts
            or any(type(held) in (list, tuple) and text in held for held in _globals(frame))
            or _is_of_package(frame, text)
        ):
            return True
        frame = frame.f_back
    return False


def _is_of_package(frame: FrameType, text: str) -> bool:
    """Tell whether a path is within the package of a library, and begins at the very file there.

    `os.path.join(os.path.dirname(__file__), "..", "data.json")` has a text that an event can have.
    """
    if not text.startswith(os.path.dirname(frame.f_code.co_filename) + "/"):
        return False
    package = sys.modules.get(str(frame.f_globals.get("__name__", "")).partition(".")[0])
    folders = list(getattr(package, "__path__", ()))
    return any(normpath(text).startswith(folder.rstrip("/") + "/") for folder in folders)


def _globals(frame: FrameType) -> list[Any]:
    return list(frame.f_globals.values())


def is_known(guard: Guard, value: object) -> bool:
    """Tell whether a value is the event's own object, or was seen being made.

    Another object with the same text can be a dependency's own: a common word, `/tmp`.
    """
    if guard.taint is None:
        return False
    return guard.taint.is_of(value) is not None or guard.provenance.of(value) is not None


def is_put_together(guard: Guard, value: str | bytes) -> bool:
    """Tell whether the code was seen putting a text together, or what was trimmed or encoded.

    Or one that is equal, and came back from where the code had it kept: a database, a token.
    """
    if guard.provenance.has_none(value):  # as in by far most calls
        return False
    made = _put_together(guard, value)
    if made is not None and (made.value is value or as_text(value) in as_text(made.value)):
        return True
    if _came_back(guard, value):
        return _put_together(guard, value) is not None
    return made is not None


def _is_cut(guard: Guard, value: str | bytes) -> bool:
    """Tell whether a text was cut out of a longer one: a line of those that the code has kept."""
    made = guard.provenance.of(value)
    if made is None or made.kind != DERIVED or not made.parts:
        return False
    source = made.parts[0]
    if not isinstance(source, (str, bytes)) or len(source) <= len(value):
        return False
    return as_text(value) in as_text(source)


def _put_together(guard: Guard, value: object) -> Made | None:
    """Return how a text was put together that another one is, or was derived from."""
    made = guard.provenance.of(value)
    for _ in range(_MAX_CHANGES):
        if made is None or made.kind != DERIVED or not made.parts:
            break
        made = guard.provenance.of(made.parts[0])
    return made if made is not None and made.kind in _PUT_TOGETHER else None


def _came_back(guard: Guard, value: str | bytes) -> bool:
    """Note of a text that it is made of one that is equal, if one was seen being made."""
    if not guard.active or not MIN_KEPT <= len(value) <= MAX_KEPT:
        return False
    provenance = guard.provenance
    left = provenance.kept.get(_BACK, MAX_BACK)
    if left <= 0 or (type(value) is str and guard.constants.is_literal(value)):
        return False
    # To ask whether it is the event's takes in all of the event, and mostly nothing is equal.
    first = provenance.kept.get(_LOOKED, MAX_BACK)
    if first > 0:
        found, seen = _equal_noted(provenance, value, first)
        if found is None:
            provenance.kept[_LOOKED] = first - seen - _BACK_COST
            if seen < first:
                return False
    # What the event brought has come back from nowhere, also if the code made one that is equal.
    if _is_cut(guard, value) or guard.is_made_of_event(value):
        return False
    found, seen = _equal_noted(provenance, value, left)
    provenance.kept[_BACK] = left - seen - _BACK_COST
    if found is not None:
        provenance.derived(value, (found,))
    return found is not None


def _equal_noted(
    provenance: Provenance, value: str | bytes, most: int
) -> tuple[str | bytes | None, int]:
    """Return a noted text that is equal to another one, and how many notes were looked at."""
    size, kind = len(value), type(value)
    count = 0
    for count, note in enumerate(itertools.islice(provenance.noted(), most), 1):
        text = note[0]
        if type(text) is kind and len(text) == size and text is not value and text == value:
            return text, count
    return None, count


def wrap_after(owner: Any, name: str, after: After) -> None:
    """Have `after` called with the arguments and the result of each call of `owner.name`."""
    is_type = isinstance(owner, type)
    original = inspect.getattr_static(owner, name) if is_type else getattr(owner, name)
    kind = type(original) if isinstance(original, (staticmethod, classmethod)) else None
    function = original.__func__ if kind is not None else original
    if getattr(function, "__casemate_followed__", False):
        return

    @functools.wraps(function)
    def followed(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        after(arguments, named, result)
        return result

    followed.__casemate_followed__ = True  # type: ignore[attr-defined]
    setattr(owner, name, kind(followed) if kind is not None else followed)


def _file_of(guard: Guard, frame: FrameType) -> str:
    """Return the file of who calls: of a module of others, by the names that its code has.

    To ask a frame for these raises no audit event, as to ask for its code does.
    """
    file = frame.f_globals.get("__file__")
    if type(file) is str and file.startswith((guard.acts.deps, _OF_PYTHON)):
        return file
    return frame.f_code.co_filename


def wrap_after_own(guard: Guard, module: ModuleType, name: str, after: After) -> None:
    """Do the same of a module's function for the calls that the function's own code makes itself.

    Who asks is found out first, and in the fewest steps.
    """
    function = getattr(module, name)
    if getattr(function, "__casemate_followed__", False):
        return
    frame_of = sys._getframe

    @functools.wraps(function)
    def followed(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        if _file_of(guard, frame_of(1)).startswith(guard.root):
            after(arguments, named, result)
        return result

    followed.__casemate_followed__ = True  # type: ignore[attr-defined]
    setattr(module, name, followed)


def wrap_direct(guard: Guard, owner: Any, name: str, before: Before, *through: str) -> None:
    """Have `before` called as `hooks.wrap` does, where `is_direct` says yes through these packages.

    Who calls is found out first, mostly by the nearest frame alone: frameworks call as well.
    """
    frame_of = sys._getframe

    def watch(function: Callable[..., Any], before: Before) -> Callable[..., Any]:
        @functools.wraps(function)
        def now(*arguments: Any, **named: Any) -> Any:
            frame = frame_of(1)
            file = _file_of(guard, frame)
            if file != _CALLS_OF_CODE and not file.startswith(guard.root):
                package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
                near = package in through or file.startswith(_OWN)
                if not (near and is_direct(guard, *through)):
                    return function(*arguments, **named)
            timed = SAMPLE.running and SAMPLE.enter()
            try:
                before(arguments, named)
            finally:
                if timed:
                    SAMPLE.leave()
            return function(*arguments, **named)

        now.__casemate_watched__ = True  # type: ignore[attr-defined]
        return now

    wrap(owner, name, before, watch)
