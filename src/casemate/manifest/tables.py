"""Every key a manifest may hold: the one source of validation, JSON Schema and reference.

Which keys exist, which are required and what their defaults are is taken from the model.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from casemate.manifest.kinds import (
    Choice,
    Flag,
    PathTemplate,
    Pattern,
    RelativePath,
    Text,
    ValueKind,
)
from casemate.manifest.numeric_kinds import Duration, Number, Size, Whole
from casemate.manifest.routes import METHODS
from casemate.model.function import (
    HANDLER_PATTERN,
    KIB,
    MIB,
    NAME_PATTERN,
    SUPPORTED_PYTHONS,
    FunctionSpec,
    HttpTrigger,
    Isolation,
    Limits,
    Project,
    Trust,
)

MAX_FUNCTIONS = 500
MAX_ROUTES = 100

NAME = Pattern(
    NAME_PATTERN,
    "a name of 1 to 63 lower-case letters, digits and hyphens that starts with a letter "
    "and does not end with a hyphen",
    63,
)


@dataclass(frozen=True)
class Table:
    """A table with fixed keys."""

    title: str
    description: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """Return the field called `name`, or None."""
        return next((f for f in self.fields if f.name == name), None)

    def default(self, name: str) -> object:
        """Return the default of the field called `name`; None if there is none."""
        field = self.field(name)
        return None if field is None else field.default

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return "a table"


@dataclass(frozen=True)
class NamedTables:
    """Tables of one kind under names that the author chooses; at least one."""

    table: Table
    names: Pattern
    max_count: int

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return f"1 to {self.max_count} tables, each with a name of its own"


@dataclass(frozen=True)
class TableArray:
    """An array of tables."""

    table: Table
    max_count: int

    @property
    def expected(self) -> str:
        """Say what a value must be, to follow "expected"."""
        return f"an array of at most {self.max_count} tables, each under [[...]] with two brackets"


@dataclass(frozen=True)
class Field:
    """One key. `default` is as the manifest would write it; None means that there is none."""

    name: str
    kind: ValueKind | Table | NamedTables | TableArray
    description: str
    required: bool
    default: object = None


def _value(model: type[msgspec.Struct], name: str, kind: ValueKind, description: str) -> Field:
    field = next(f for f in msgspec.structs.fields(model) if f.name == name)
    required = field.default is msgspec.NODEFAULT
    unset = required or field.default is None
    default = None if unset else kind.render(field.default)
    return Field(name, kind, description, required, default)


def _limit(name: str, kind: ValueKind, description: str) -> Field:
    return _value(Limits, name, kind, description)


LIMITS = Table(
    "Limits",
    "What bounds one function. Every limit is enforced; none can be switched off.",
    (
        _limit(
            "memory",
            Size(16 * MIB, 64 * 1024 * MIB, 256 * MIB),
            "Memory of one instance and all it starts.",
        ),
        _limit("cpu", Number(0.05, 64), "Cores one instance may use."),
        _limit("processes", Whole(1, 1024), "Processes and threads of one instance."),
        _limit("open_files", Whole(16, 65536), "Open files of each process."),
        _limit(
            "timeout",
            Duration(0.01, 900.0, 10.0),
            "Time from the start of the handler to its answer.",
        ),
        _limit("tmp", Size(64 * KIB, 16 * 1024 * MIB, 64 * MIB), "Space in the instance's /tmp."),
        _limit("request", Size(KIB, 100 * MIB, 6 * MIB), "Largest request body."),
        _limit("response", Size(KIB, 100 * MIB, 6 * MIB), "Largest response body."),
        _limit(
            "log",
            Size(KIB, 16 * MIB, 256 * KIB),
            "Output kept of one invocation; the rest is dropped and said to be.",
        ),
        _limit("concurrency", Whole(1, 1000), "Instances at the same time."),
        _limit(
            "queue",
            Whole(0, 10_000),
            "Invocations that may wait for an instance; the next one is refused.",
        ),
        _limit(
            "queue_time",
            Duration(0.01, 300.0, 5.0),
            "Time one invocation may wait for an instance.",
        ),
        _limit(
            "keep",
            Duration(1.0, 86_400.0, 300.0),
            "Time without an invocation until nothing of the function is left in memory.",
        ),
    ),
)

HTTP = Table(
    "HTTP trigger",
    "A route that invokes the function.",
    (
        _value(
            HttpTrigger,
            "method",
            Choice(METHODS),
            'Method of the request; "*" stands for every one.',
        ),
        _value(
            HttpTrigger,
            "path",
            PathTemplate(),
            "Path of the request. {name} takes one segment, {rest...} at the end all that is left.",
        ),
    ),
)

_FUNCTION_FIELDS = (
    _value(
        FunctionSpec,
        "handler",
        Pattern(HANDLER_PATTERN, 'module:function, such as "thumbnail:handler"'),
        "What is called for each event, as module:function; the module is looked for in source.",
    ),
    _value(FunctionSpec, "description", Text(1000), "What the function does, for people."),
    _value(
        FunctionSpec,
        "python",
        Choice(SUPPORTED_PYTHONS),
        "Version of Python, in quotes; without it the newest supported one of the building host.",
    ),
    _value(
        FunctionSpec,
        "source",
        RelativePath("a folder inside the project, relative to the manifest"),
        "Folder of the code, relative to the manifest.",
    ),
    _value(
        FunctionSpec,
        "requirements",
        RelativePath("a file inside the project, relative to the manifest"),
        "Dependencies: a requirements file (.txt, .in), pyproject.toml, uv.lock or pylock.toml; "
        "without it there are none.",
    ),
    _value(
        FunctionSpec,
        "isolation",
        Choice(tuple(choice.value for choice in Isolation)),
        '"request": a fresh process for each invocation. "instance": processes are reused and '
        "globals leak from one invocation to the next.",
    ),
    _value(
        FunctionSpec,
        "trust",
        Choice(tuple(choice.value for choice in Trust)),
        '"normal": the module is imported once and instances are forked from there. "low": it is '
        "imported in each instance, after the last lock-down step.",
    ),
    _value(FunctionSpec, "public", Flag(), "True lets callers without a key invoke it."),
    Field("limits", LIMITS, LIMITS.description, required=False),
    Field("http", TableArray(HTTP, MAX_ROUTES), "Routes that invoke it.", required=False),
)

FUNCTION = Table("Function", "One function.", _FUNCTION_FIELDS)

PROJECT = Table(
    "Project",
    "What is said of the project as a whole.",
    (_value(Project, "name", NAME, "Name of the project, part of every function's address."),),
)

MANIFEST = Table(
    "Casemate manifest",
    "casemate.toml: the functions of a project, their triggers and their limits.",
    (
        Field("project", PROJECT, PROJECT.description, required=True),
        Field(
            "function",
            NamedTables(FUNCTION, NAME, MAX_FUNCTIONS),
            "The functions by name, at least one.",
            required=True,
        ),
    ),
)
