"""Pickles that make values alone: what JSON has, and Python's own dates, numbers and collections.

Each operation is followed on a stack of what it would make. None of it is made here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .plain import is_plain_pickle

MAX_PICKLE = 1 << 20
_MAX_TEXT = 100
_DECIMAL = re.compile(r"[-+]?[0-9.]{1,64}(?:E[-+]?[0-9]{1,2})?")
"""One with an exponent of more digits takes any time to be made whole."""


class _Type(NamedTuple):
    """A class, or a function that stands for one."""

    name: str


class _Mark(NamedTuple):
    """Where items begin that are taken together."""


class _Made(NamedTuple):
    """A value that may be put in two places, as a text or a date; or a collection, which may not:
    that would be a bomb for who writes it out.
    """

    lasts: bool
    takes: bool = False
    """Whether others may be put into it."""


_VALUE, _LIST, _HELD = _Made(True), _Made(False, True), _Made(False)
_UUID = _Made(True, True)
"""The only one that is told what it is after it was made."""
_Item = Any
"""Of the stack: one of these, a text or a tuple."""
_DATES = ("date", "datetime", "time", "timedelta", "timezone")
_VALUES = frozenset((*(f"datetime.{name}" for name in _DATES), "builtins.complex", "uuid.UUID"))
_COLLECTIONS = frozenset(
    [
        *("collections.OrderedDict", "collections.defaultdict", "collections.deque"),
        *("collections.Counter", "builtins.set", "builtins.frozenset"),
    ]
)
_FACTORIES = frozenset(f"builtins.{name}" for name in ("dict", "float", "int", "list", "str"))
"""What a defaultdict is given, and nothing calls here."""
_OTHERS = frozenset(("decimal.Decimal", "_codecs.encode"))
_KNOWN = _VALUES | _COLLECTIONS | _FACTORIES | _OTHERS
_MODULES = {"__builtin__": "builtins"}
"""By the names that old protocols have."""
_CONSTANTS = frozenset(
    [
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"),
        *("LONG4", "FLOAT", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    ]
)
_TEXTS = frozenset(
    [
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    ]
)
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY = frozenset(("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"))
_TO_MARK = frozenset(("LIST", "DICT", "FROZENSET"))
_ADDS = {"APPEND": 1, "SETITEM": 2}
_ADD_ALL = frozenset(("APPENDS", "SETITEMS", "ADDITEMS"))
_OF_LINES = frozenset((b"F", b"I", b"L", b"S", b"V", b"g", b"p"))
"""Operations of values whose argument goes up to a line's end: without one no reader goes on."""
_NOTHING = frozenset(("PROTO", "FRAME", "STOP"))


_NEEDS = frozenset(
    (*_ADDS, *_ADD_ALL, *_TO_MARK, "TUPLE", "TUPLE1", "REDUCE", "NEWOBJ", "BUILD", "STACK_GLOBAL")
)
"""Operations that work on what there is; where there is nothing yet, whatever reads ends there."""


class _Ended(Exception):  # noqa: N818 - no error: nothing was made
    """Nothing was made, and no more will be."""


class _Other(Exception):  # noqa: N818 - no error: the pickle is of another kind
    """It does what is not followed here."""


def is_of_values(data: bytes) -> bool:
    """Tell whether a pickle makes nothing but texts, numbers, dates and collections of these.

    What it names is called with what it holds, and can do no more than make such a value. One that
    breaks off after such operations at what is none makes less.
    """
    if is_plain_pickle(data):
        return True
    if len(data) > MAX_PICKLE:
        return False
    import pickletools  # nosec B403 - it reads operations, and does none

    machine, stream, last = _Machine(), io.BytesIO(data), 0
    operations = pickletools.genops(stream)
    codes = {operation.code for operation in pickletools.opcodes}

    def is_operation(place: int) -> bool:
        return data[place : place + 1].decode("latin-1") in codes

    try:
        # Whatever reads it ends at what is no operation, and has made no more than what is here.
        while is_operation(last := stream.tell()):
            operation, argument, place = next(operations)
            machine.take(operation.name, argument)
            if operation.name == "STOP":
                return (place or 0) + 1 == len(data)
    except _Ended:
        return True
    except Exception:  # noqa: BLE001 - whatever makes it unreadable, or is not followed
        return data[last : last + 1] in _OF_LINES and b"\n" not in data[last:]
    return stream.tell() < len(data)


class _Machine:
    """What a pickle has made so far."""

    def __init__(self) -> None:
        self._stack: list[_Item] = []
        self._memo: dict[int, _Item] = {}

    def take(self, name: str, argument: Any) -> None:
        """Do an operation. Raises _Other for one that does more than make a value."""
        stack = self._stack
        if not stack and name in _NEEDS:
            raise _Ended
        if name in _CONSTANTS:
            stack.append(_VALUE)
        elif name in _TEXTS:
            stack.append(argument if len(argument) <= _MAX_TEXT else _VALUE)
        elif name == "MARK":
            stack.append(_Mark())
        elif name in _PUTS:
            number = len(self._memo) if name == "MEMOIZE" else int(argument)
            self._memo[number] = stack[-1]
        elif name in _GETS:
            stack.append(_lasting(self._memo[int(argument)]))
        elif name not in _NOTHING:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _EMPTY:
            stack.append(_LIST)
        elif name in _TUPLES:
            stack.append(self._taken(_TUPLES[name]))
        elif name == "TUPLE":
            stack.append(self._to_mark())
        elif name in _TO_MARK:
            self._to_mark()
            stack.append(_HELD if name == "FROZENSET" else _LIST)
        elif name in _ADDS or name in _ADD_ALL:
            _ = self._taken(_ADDS[name]) if name in _ADDS else self._to_mark()
            if stack[-1] != _LIST:
                raise _Other(name)
        elif name == "GLOBAL":
            module, _, named = str(argument).partition(" ")
            stack.append(_named(module, named))
        elif name == "STACK_GLOBAL":
            stack.append(_named(*self._taken(2)))
        elif name in ("REDUCE", "NEWOBJ"):
            kind, given = self._taken(2)
            stack.append(_called(kind, given))
        elif name == "BUILD":
            self._taken(1)
            if stack[-1] != _UUID:
                raise _Other(name)
        else:
            raise _Other(name)

    def _taken(self, number: int) -> tuple[_Item, ...]:
        """Take so many items from the top."""
        start = len(self._stack) - number
        items = tuple(self._stack[start:])
        if start < 0 or any(type(item) is _Mark for item in items):
            raise _Other("a mark")
        del self._stack[start:]
        return items

    def _to_mark(self) -> tuple[_Item, ...]:
        items: list[_Item] = []
        while type(item := self._stack.pop()) is not _Mark:
            items.append(item)
        return tuple(reversed(items))


def _lasting(item: _Item) -> _Item:
    """Return an item that is put in another place as well, if it may be."""
    if isinstance(item, str) or type(item) is _Type or item in (_VALUE, _UUID):
        return item
    raise _Other("a collection in two places")


def _named(module: _Item, name: _Item) -> _Type:
    """Return the class that a pickle names, if it is one of those that make values."""
    if type(module) is not str or type(name) is not str:
        raise _Other("a name that is made")
    full = f"{_MODULES.get(module, module)}.{name}"
    if full not in _KNOWN:
        raise _Other(full)
    return _Type(full)


_Accepts = Callable[[tuple[_Item, ...]], bool]
_TAKEN: dict[str, _Accepts] = {
    "decimal.Decimal": lambda given: all(
        type(one) is str and _DECIMAL.fullmatch(one) is not None for one in given
    ),
    "_codecs.encode": lambda given: len(given) == 2 and given[1] == "latin1",
}
"""Of those that could take any time, what they are given."""


def _called(kind: _Item, given: _Item) -> _Made:
    if type(kind) is not _Type or type(given) is not tuple or kind.name in _FACTORIES:
        raise _Other("a call")
    accepts = _TAKEN.get(kind.name)
    if accepts is not None and not accepts(given):
        raise _Other(kind.name)
    if kind.name == "uuid.UUID":
        return _UUID
    return _LIST if kind.name in _COLLECTIONS else _VALUE
