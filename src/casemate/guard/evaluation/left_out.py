"""Values that a class keeps for all of its objects, which code that offers others leaves out.

`OFFERED = ["name", "owner.city"]` says what may be asked for. Beside such fields a class has values
of its own, as `vault_code = "7731"`: by `getattr` they look the same.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from types import FunctionType

from ..class_values import annotated, is_value
from ..core import Guard
from ..origin import Span
from ..plain_names import is_hidden
from ..verdict import Verdict
from .hidden_names import FIX_ATTRIBUTE, is_of_code

_MIN_OFFERED = 2
"""Fields of a class in a list of the code's, from which on it is a list of its fields."""
_MAX_CLASSES = 500


def judge(guard: Guard, owner: object, name: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the name of an attribute of an object, or of a class."""
    span = next((s for s in spans if s.exact and s.start == 0), None)
    if span is None or not is_of_code(guard, owner) or _is_known(span, name):
        return None
    kind = owner if isinstance(owner, type) else type(owner)
    if kind is not owner and name in getattr(owner, "__dict__", ()) and not is_hidden(name):
        return None
    return _verdict(span) if is_left_out(guard, kind, name) else None


def judge_path(guard: Guard, path: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the names of attributes that `attrgetter` follows, of nobody knows which object."""
    span = next((s for s in spans if s.exact), None)
    if span is None or not guard.constants.lists:
        return None
    kinds = list(itertools.islice(_classes(guard), _MAX_CLASSES))
    for name in path.split("."):
        if _is_known(span, name):
            continue
        keeping = [kind for kind in kinds if _keeps(kind, name) or _hides(guard, kind, name)]
        given = any(name in _fields(kind) for kind in kinds if kind not in keeping)
        if not given and any(is_left_out(guard, kind, name) for kind in keeping):
            return _verdict(span)
    return None


def is_left_out(guard: Guard, kind: type, name: str) -> bool:
    """Tell whether a name is of a value of a class of which the code offers others by name.

    Of its objects' fields those are left out that speak of rights and the like: others may be
    shown as well.
    """
    if not guard.constants.lists:
        return False
    keeps = _keeps(kind, name) and not guard.constants.tells_of(name)
    if not keeps and not _hides(guard, kind, name):
        return False
    fields = _fields(kind)
    steps = [frozenset(s for path in one for s in path.split(".")) for one in guard.constants.lists]
    of_class = [one for one in steps if len(one & fields) >= _MIN_OFFERED]
    return bool(of_class) and not any(name in one for one in of_class)


def _is_known(span: Span, name: str) -> bool:
    """Tell whether the code has checked a name, or has it for itself and it hides nothing."""
    return span.vouched or bool(span.checked and not is_hidden(name))


def _verdict(span: Span) -> Verdict:
    return Verdict(span.origin, "chooses a value of a class that is not offered", FIX_ATTRIBUTE)


def _keeps(kind: type, name: str) -> bool:
    """Tell whether a class has a plain value of this name that is no field of its objects."""
    having = next((each for each in kind.__mro__[:-1] if name in vars(each)), None)
    return having is not None and is_value(having, name)


def _hides(guard: Guard, kind: type, name: str) -> bool:
    """Tell whether objects of a class have a field that speaks of what is hidden, and no text."""
    return is_hidden(name) and name not in guard.constants.literals and name in _fields(kind)


def _fields(kind: type) -> frozenset[str]:
    """Return the names of what objects of a class have, as far as its code says."""
    found: set[str] = set()
    for each in kind.__mro__[:-1]:
        for name, value in vars(each).items():
            found.add(name)
            if isinstance(value, FunctionType):
                found.update(value.__code__.co_names)  # of what its methods set as well
        found.update(annotated(each))
    return frozenset(found)


def _classes(guard: Guard) -> Iterator[type]:
    for module in list(sys.modules.values()):
        if str(getattr(module, "__file__", None)).startswith(guard.root):
            for value in list(vars(module).values()):
                if isinstance(value, type) and value.__module__ == module.__name__:
                    yield value
