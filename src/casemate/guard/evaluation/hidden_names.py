"""Names by which code keeps things to itself: private ones, and those that speak of secrets."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from types import FunctionType, ModuleType

from ..core import Guard
from ..origin import Span
from ..plain_names import is_hidden, is_secret
from ..taint import Taint
from ..verdict import Verdict

FIX_ATTRIBUTE = (
    "choose functions from a dictionary in the code (`ACTIONS[name](...)`), or check the name "
    "against a collection first"
)
_MAX_VARIABLES = 200
"""Variables of a formula that are looked at."""
_MAX_TEXTS = 2000
_MAX_OF_NAME = 20
"""Values of one name in an event that are no guesses."""


def is_chosen(guard: Guard, name: str, span: Span) -> bool:
    """Tell whether a name that code looks up is the event's.

    By where it is from; a private one also if the event has it, and no text of the code: a library
    such as `csv` makes texts of its own of what it reads.
    """
    if span.exact:
        return True
    whole = span.start == 0 and span.end == len(name)
    return whole and name.startswith("_") and not guard.constants.tells_of(name)


def judge(guard: Guard, owner: object, name: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a name of what an object keeps to itself: by `_`, or a secret that no text tells of."""
    span = next((s for s in spans if s.start == 0 and is_chosen(guard, name, s)), None)
    if span is None or span.checked == "member":
        return None
    # What else a module keeps to itself is asked of all modules.
    private = name.startswith("_") and name != "_id" and not isinstance(owner, ModuleType)
    secret = is_secret(name) and is_of_code(guard, owner) and _may_be_secret(owner, name)
    if not (private or secret) or ((secret or span.vouched) and guard.constants.tells_of(name)):
        return None
    if private:
        return Verdict(span.origin, "chooses a private attribute", FIX_ATTRIBUTE)
    if secret:
        return Verdict(span.origin, "chooses an attribute that is a secret", FIX_ATTRIBUTE)
    return None


def _may_be_secret(owner: object, name: str) -> bool:
    """Tell whether an attribute may be one: of a module's, a text, and no function such as
    `check_password`."""
    return not isinstance(owner, ModuleType) or isinstance(vars(owner).get(name), (str, bytes))


def is_of_code(guard: Guard, owner: object) -> bool:
    """Tell whether an object is a module of the code's own, a class of it, or of one."""
    kind = owner if isinstance(owner, type) else type(owner)
    home = owner if isinstance(owner, ModuleType) else sys.modules.get(kind.__module__)
    return str(getattr(home, "__file__", None)).startswith(guard.root)


def sent(guard: Guard, variables: Sequence[object]) -> frozenset[str]:
    """Return the names that speak of secrets, of numbers that the event has sent by these names.

    It knows them then, unless it has sent many to find out which of them it is.
    """
    found: set[str] = set()
    for held in variables:
        if type(held) is not dict or guard.taint is None:
            continue
        for name, value in itertools.islice(held.items(), _MAX_VARIABLES):
            if type(name) is str and type(value) in (int, float) and is_hidden(name):
                forms = (str(value), str(value).removesuffix(".0"))
                if not _of_event(guard.taint, name).isdisjoint(forms):
                    found.add(name)
    return frozenset(found)


def _of_event(taint: Taint, name: str) -> frozenset[str]:
    """Return the event's values of a name; none if there are many, or if all cannot be seen."""
    texts = list(taint.texts(_MAX_TEXTS))
    named = [t for t, o in texts if o.source == "event" and o.steps[-1:] == (name,)]
    few = len(named) <= _MAX_OF_NAME and len(texts) < _MAX_TEXTS
    return frozenset(named if few else ())


def judge_listed(guard: Guard, owner: object, name: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge a method that is none of those which a list of the code's has of the same object.

    Or of the same module, whose functions are called so.

    `DASHBOARD = ["count", "mean"]` says what may be asked for, though nothing looks it up there.
    """
    span = next((s for s in spans if s.exact and s.start == 0), None)
    if span is None or span.vouched or not guard.constants.lists or not is_of_code(guard, owner):
        return None
    # Functions of a module are listed in the same way: `REPORTS = {"sites": "List of sites"}`.
    kinds = (owner,) if isinstance(owner, ModuleType) else type(owner).__mro__[:-1]
    methods = {n for kind in kinds for n, value in vars(kind).items() if _is_method(value)}
    of_owner = [listed for listed in guard.constants.lists if listed <= methods]
    if name not in methods or not of_owner or any(name in listed for listed in of_owner):
        return None
    return Verdict(span.origin, "chooses what a list of the code's leaves out", FIX_ATTRIBUTE)


def _is_method(value: object) -> bool:
    return isinstance(value, (FunctionType, staticmethod, classmethod))
