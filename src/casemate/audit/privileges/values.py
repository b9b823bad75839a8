"""What an expression may stand for, as far as it matters for rights. All are immutable.

A set of these is what a name may hold, whatever the order of statements: too many rather than too
few, since a call that is overlooked would make a right look needless.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

HOLE = "\x01"
"""In a text: a part that is not known."""


class Text(NamedTuple):
    """A text, or plain data: `HOLE` alone is data that holds nothing that has rights."""

    text: str
    kind: str = "text"


class External(NamedTuple):
    """A name of a library: `os.environ`."""

    name: str
    kind: str = "external"


class Module(NamedTuple):
    """A module of the function's own files."""

    file: str
    kind: str = "module"


class Func(NamedTuple):
    """A function of these files, by its number."""

    number: int
    kind: str = "function"


class Bound(NamedTuple):
    """A method with the object it was got from."""

    function: int
    receiver: Value
    kind: str = "bound"


class Class(NamedTuple):
    """A class of these files."""

    number: int
    kind: str = "class"


class Instance(NamedTuple):
    """An object of a class of these files; all of one class are one."""

    owner: int
    kind: str = "instance"


class Super(NamedTuple):
    """What `super()` is in a class."""

    owner: int
    kind: str = "super"


class Box(NamedTuple):
    """A container, by the place where it is made."""

    number: int
    kind: str = "box"


class Session(NamedTuple):
    """Of an SDK for AWS. `own` is False if it has credentials of its own."""

    own: bool = True
    kind: str = "session"


class Client(NamedTuple):
    """A client of a service of AWS."""

    service: str
    own: bool = True
    kind: str = "client"


class Thing(NamedTuple):
    """A resource of boto3: a table, a bucket; `type` is empty for that of the service."""

    service: str
    type: str
    name: str
    own: bool = True
    kind: str = "thing"


class Collection(NamedTuple):
    """What a resource has many of: `bucket.objects`."""

    service: str
    owner: str
    """The type whose collection it is."""
    collection: str
    name: str
    own: bool = True
    kind: str = "collection"


class Operation(NamedTuple):
    """What calls one operation later: a paginator or a waiter."""

    service: str
    operation: str
    own: bool = True
    kind: str = "operation"


class Meta(NamedTuple):
    """`meta` of a client or a resource."""

    service: str
    own: bool = True
    kind: str = "meta"


class Credentials(NamedTuple):
    """The keys of the function's role themselves, or what signs with them."""

    own: bool = True
    kind: str = "credentials"


class Context(NamedTuple):
    """What handlers of this platform are given."""

    kind: str = "context"


class Capability(NamedTuple):
    """A bucket, table, queue or topic of this platform."""

    of: str
    name: str
    kind: str = "capability"


class Prepared(NamedTuple):
    """An object of a library that uses rights when its methods are called: see `libraries`."""

    name: str
    resource: str
    own: bool = True
    kind: str = "prepared"


class Web(NamedTuple):
    """A client of HTTP, with the start of all its addresses. It has no rights: it is data."""

    base: str
    kind: str = "web"


class Method(NamedTuple):
    """A method of one of those that have rights, or of a container."""

    receiver: Value
    name: str
    kind: str = "method"


class Unknown(NamedTuple):
    """Anything, what has rights among it."""

    kind: str = "unknown"


Value: TypeAlias = (
    Text
    | External
    | Module
    | Func
    | Bound
    | Class
    | Instance
    | Super
    | Box
    | Session
    | Client
    | Thing
    | Collection
    | Operation
    | Meta
    | Credentials
    | Context
    | Capability
    | Prepared
    | Web
    | Method
    | Unknown
)
Values: TypeAlias = frozenset[Value]

NONE: Values = frozenset()
"""Nothing is known yet: what has not been read."""
UNKNOWN_TEXT = Text(HOLE)
DATA: Values = frozenset((UNKNOWN_TEXT,))
ANYTHING: Values = frozenset((Unknown(),))
CLOUD = ("session", "client", "thing", "collection", "operation", "meta", "prepared", "credentials")
"""Kinds that act with the function's role."""
FULL = Text(HOLE * 2)
"""Among values: there were more texts than are kept."""
MAX_TEXTS = 24
MAX_VALUES = 80


def bounded(values: Values) -> Values:
    """Return as many values as are kept: beyond, texts are data and the rest is anything.

    What has been too much once stays so, or the reading would not come to an end.
    """
    if len(values) <= 1:
        return values
    if not ANYTHING.isdisjoint(values):
        return ANYTHING
    if len(values) <= MAX_TEXTS and FULL not in values:
        return values
    others = frozenset(v for v in values if not isinstance(v, Text))
    if FULL in values or len(values) - len(others) > MAX_TEXTS:
        values = others | DATA | {FULL}
    return values if len(values) <= MAX_VALUES else ANYTHING


def texts(values: Values) -> list[str]:
    """Return the texts among values; something else counts as one that is not known."""
    found = {v.text if isinstance(v, Text) else HOLE for v in values}
    return sorted(found)


def known_texts(values: Values) -> list[str] | None:
    """Return the texts that values are, or None if one of them is not known."""
    found = texts(values)
    return None if not found or any(HOLE in each for each in found) else found
