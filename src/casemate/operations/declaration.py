"""What an operation of a node is: one frozen struct, from which all else about it is derived.

Its fields are what it takes, its docstring is its documentation (the first line the summary), and
`declared` says the rest: where it stands in HTTP, what must be allowed, what it answers with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from casemate.model.principal import NODE, Action, Resource, ResourceKind

AnswerT_co = TypeVar("AnswerT_co", covariant=True)

JSON = "application/json"
NDJSON = "application/x-ndjson"
BINARY = "application/octet-stream"
GZIP = "application/gzip"
TAR = "application/x-tar"

FieldOf = Callable[[str], Any]
"""Returns the value of a field by its name."""
Scope = Callable[[FieldOf], Resource]
"""Returns what an operation acts on, from those of its fields that are not in a body."""


class Effect(StrEnum):
    """What an operation does to what is kept. One action never guards two that differ in kind."""

    READ = "read"
    CHANGE = "change"
    DESTROY = "destroy"
    """Deletes more than one thing that the caller names and could write anew."""


class Decided(StrEnum):
    """Who decides, where it is not one action on one resource before the operation is done."""

    FOR_EACH = "for each thing it shows or does"
    OPEN = "nobody: it needs no credential"
    SELF = "nobody: it is about the caller alone"
    CREDENTIAL = "nobody: it is the same for everybody, and any credential will do"
    INSIDE = "nobody: only the node itself asks for it, for something that was decided"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What is true of an operation beside its fields and its documentation."""

    http: str = ""
    """Method and path below the API's prefix, such as `GET /tables/{project}`; empty: not there.
    Fields that the path names are read from it; the others from the query of a GET, HEAD or
    DELETE and of what carries `content`, else from a JSON body."""
    tag: str = ""
    effect: Effect | None = None
    """None: READ by GET and HEAD, DESTROY by DELETE, else CHANGE."""
    recorded: bool = False
    """That it was done is on record before it is answered, although it only reads."""
    action: Action | None = None
    """What must be allowed before it is done."""
    on: Scope = lambda _field: NODE
    """What the action is on."""
    decided: Decided | None = None
    """Needed where there is no action."""
    anywhere: Action | None = None
    """What must be allowed on one thing at least, whichever, before anything else is looked at."""
    alone: Action | None = None
    """Its fact tells whether nobody but who asked may do this on the node."""
    status: HTTPStatus = HTTPStatus.OK
    """NO_CONTENT where there is no answer."""
    other_statuses: tuple[tuple[HTTPStatus, str, Any], ...] = ()
    """Further statuses that are no problems, with their meaning and the type of the answer."""
    problems: tuple[int, ...] = ()
    """Statuses of problems beyond those that every operation can answer with."""
    content: str = ""
    """The field that is the whole body, as it is."""
    content_type: str = BINARY
    raw_content: bool = False
    """The body is read by who does it, piece by piece; it is no field."""
    answer_type: str = JSON
    """Media type of the answer. An answer of NDJSON is a tuple: one of its parts a line."""
    body_optional: bool = False
    max_body: int | None = None
    """Most bytes of a body, where that is not as for others; what a request says is held against
    it even where no body is expected."""
    secret: frozenset[str] = frozenset()
    """Fields that are in no text of it: they never stand in a path or a query, and are left out
    where the operation is shown."""
    capability: str = ""
    """The name by which a function asks for it; empty: no function can."""
    key: str = ""
    """The field that a grant's prefixes are held against."""
    inside: frozenset[str] = frozenset()
    """Fields that only a function's runtime and the node itself fill."""
    example: dict[str, Any] = field(default_factory=dict)
    """Values of fields for an example; those left out are made up by their types."""
    answer: Any = None
    """An answer for the example, made up where it is None."""


class Operation(
    msgspec.Struct,
    Generic[AnswerT_co],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
):
    """Base of all operations; `AnswerT_co` is what one is answered with."""

    declared: ClassVar[Declaration]

    def __repr__(self) -> str:
        """Leave out what is secret: errors and logs may show an operation."""
        shown = (f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the fields that are shown, and their values."""
        shown = (name for name in self.__struct_fields__ if name not in self.declared.secret)
        return [(name, getattr(self, name)) for name in shown]


def on_project(value: FieldOf) -> Resource:
    """Act on the project that the field `project` names."""
    return Resource(kind=ResourceKind.PROJECT, project=value("project"))


@dataclass(frozen=True)
class On:
    """Act on a thing of a project: its kind, and the field that names it."""

    kind: ResourceKind
    named: str

    def __call__(self, value: FieldOf) -> Resource:
        """Return it."""
        return Resource(kind=self.kind, project=value("project"), name=value(self.named))


def on(kind: ResourceKind, named: str = "") -> On:
    """Act on a thing of a project: the fields `project` and `named` (else as the kind is)."""
    return On(kind, named or kind.value)


on_function = on(ResourceKind.FUNCTION)


def on_project_or_node(value: FieldOf) -> Resource:
    """Act on the project that `project` chooses, without on the node."""
    return NODE if value("project") is None else on_project(value)


def on_chosen(value: FieldOf) -> Resource:
    """Act on the function or project that `project` and `function` choose, without on the node."""
    project, function = value("project"), value("function")
    if project is None:
        return NODE
    if function is None:
        return Resource(kind=ResourceKind.PROJECT, project=project)
    return Resource(kind=ResourceKind.FUNCTION, project=project, name=function)
