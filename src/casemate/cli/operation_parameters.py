"""The parameters of a command, made of the fields of an operation: each is declared there alone."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from types import UnionType
from typing import Any, NamedTuple

import msgspec
import typer
from msgspec.structs import FieldInfo

from casemate.cli.errors import UsageError
from casemate.cli.field_types import FieldType, apart
from casemate.cli.names import bindings, resolve
from casemate.cli.options import FUNCTION_HELP
from casemate.cli.resources import project_of_folder, project_or_here, resolve_resource
from casemate.cli.text import seconds
from casemate.cli.times import moment_of, span_of
from casemate.cli.values import require_text, value_of
from casemate.model.function import NAME_PATTERN
from casemate.model.principal import ResourceKind
from casemate.operations.declaration import On, on_chosen
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import whole
from casemate.operations.form import Form
from casemate.operations.given import DURATION
from casemate.operations.samples import NAMED

Reader = Callable[[Any], Any]
"""Returns the value of a field from what was given. Raises UsageError."""
Fields = dict[str, Any]
_EXACT = ("id", "status", "invocation")
_NO_SEGMENT = ("", ".", "..")

_ID_HELP = "Its id, as lists and messages show it."
_PROJECT_HELP = "The project. Default: that of the current folder."


class OtherPlaceError(UsageError):
    """A project is named in the place of a function, or a function in that of a project."""

    def __init__(self, message: str, function: str, project: str) -> None:
        """Say how either is asked for; whoever knows the command's name puts it in front."""
        super().__init__(message)
        self._ways = (function, project)

    def of_command(self, line: str) -> UsageError:
        """Return the error of a command line that begins so."""
        function, project = self._ways
        return UsageError(
            self.message,
            next_step=f"Of a function: `{line} {function}`. Of a whole project: `{line} --project "
            f"{project}`.",
        )


class Parameter(NamedTuple):
    """One parameter of a command, and what of an operation it gives."""

    taken: inspect.Parameter
    give: Callable[[Form, Any, Fields], None]
    """Adds fields for what was given; of which operation, is only known then."""


def taken(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    """Return a parameter as Typer reads it from a function."""
    only = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, only, default=default, annotation=annotation)


def parameters_of(
    form: Form, *, fixed: Mapping[str, Any], read: Mapping[str, Reader]
) -> list[Parameter]:
    """Return a command's parameters for all fields but those that are `fixed` or a body as it is.

    `read` has readers of fields that the command reads in its own way.
    """
    if unknown := (fixed.keys() | read.keys()) - form.fields.keys():
        raise DeclarationError(f"{form.kind.__name__} has no field {', '.join(sorted(unknown))}.")
    elsewhere = {*fixed, form.declared.content, *form.declared.inside}
    found = []
    if (place := _place(form)) is not None:
        if (own := read.get(place.taken.name)) is not None:
            place = place._replace(give=partial(_give_read, place.taken.name, own))
        found.append(place)
        elsewhere |= {"project", place.taken.name}
    if form.declared.on is on_chosen and "project" not in fixed:
        found += [_ALL_OF_PROJECT, _OF_ALL]
    for name, field in form.fields.items():
        if name not in elsewhere:
            found += _of_field(name, field, read.get(name))
    return found


# -- what is acted on ------------------------------------------------------------------------------


def _place(form: Form) -> Parameter | None:
    """Return the parameter that names what is acted on together with its project, if one does."""
    on = form.declared.on
    if isinstance(on, On) and form.in_path[:2] == ("project", on.named):
        metavar, help = "FUNCTION", FUNCTION_HELP
        if on.kind is not ResourceKind.FUNCTION:
            metavar = f"PROJECT/{on.kind.value.upper()}"
            help = (
                f"The {on.kind.value}, such as {NAMED['project']}/{NAMED[on.named]}, or just its "
                "name inside a project's folder."
            )
        info = typer.Argument(..., metavar=metavar, help=help)
        return Parameter(taken(on.named, str, info), _give_named)
    if on is on_chosen:
        help = apart(form.fields["function"].type).help
        info = typer.Argument(None, metavar="FUNCTION", help=help)
        return Parameter(taken("function", str | None, info), _give_chosen)
    if form.in_path == ("project",):
        info = typer.Argument(None, metavar="PROJECT", help=_PROJECT_HELP)
        return Parameter(taken("project", str | None, info), _give_project)
    return None


def _give_named(form: Form, text: str, fields: Fields) -> None:
    on = typing.cast("On", form.declared.on)
    if on.kind is ResourceKind.FUNCTION:
        _give_function(form, text, fields)
    else:
        fields["project"], fields[on.named] = resolve_resource(on.kind.value, text)


def _give_function(_form: Form, text: str | None, fields: Fields) -> None:
    if text is not None:
        fields["project"], fields["function"], _ = resolve(text)


def _give_chosen(form: Form, text: str | None, fields: Fields) -> None:
    """Give a function; who names a project in its place is told how that is asked for."""
    try:
        _give_function(form, text, fields)
    except UsageError as error:
        if text is None or re.fullmatch(NAME_PATTERN, text) is None:
            raise
        raise OtherPlaceError(error.message, f"PROJECT/{text}", text) from error


def _give_project(_form: Form, text: str | None, fields: Fields) -> None:
    fields["project"] = project_or_here(text)


def _give_read(name: str, read: Reader, _form: Form, value: Any, fields: Fields) -> None:
    fields[name] = read(value)


def _give_all_of_project(_form: Form, text: str | None, fields: Fields) -> None:
    if text is None:
        return
    if "project" in fields:
        raise UsageError(
            "Both a function and a project are given, expected one of them.",
            next_step="Leave out the project: the function is enough.",
        )
    project, slash, name = text.partition("/")
    if slash and all(re.fullmatch(NAME_PATTERN, each) for each in (project, name)):
        raise OtherPlaceError(f"{text!r} is a function, expected a project.", text, project)
    fields["project"] = require_text("The project", text)


_ALL_OF_PROJECT = Parameter(
    taken(
        "project",
        str | None,
        typer.Option(
            None,
            "--project",
            metavar="PROJECT",
            help="Only those of this project. Default: that of the current folder, if it has one.",
        ),
    ),
    _give_all_of_project,
)


def _give_of_all(_form: Form, wanted: bool, fields: Fields) -> None:
    """Refuse all projects beside one; which project is meant without either is said later."""
    if wanted and "project" in fields:
        raise UsageError(
            "--all is given, and a function or a project, expected one of them.",
            next_step="Leave out --all.",
        )


_OF_ALL = Parameter(
    taken("all", bool, typer.Option(False, "--all", help="Those of all projects.")), _give_of_all
)


def narrowed(given: Mapping[str, Any], fields: Fields) -> bool:
    """Add the project whose folder this is to `fields`, where nothing says which; tell if it was.

    What has an id is looked for everywhere.
    """
    if "project" in fields or given.get("all", True) or any(given.get(name) for name in _EXACT):
        return False
    here = project_of_folder()
    if here is not None:
        fields["project"] = here
    return here is not None


# -- a field -------------------------------------------------------------------------------------


def _of_field(name: str, field: FieldInfo, read: Reader | None) -> Iterator[Parameter]:
    found = apart(field.type)
    if isinstance(found.kind, type) and issubclass(found.kind, msgspec.Struct):
        for inner in msgspec.structs.fields(found.kind):
            for parameter in _of_field(inner.name, inner, None):
                within = partial(_give_within, name, found.kind, parameter.give)
                yield Parameter(parameter.taken, within)
        return
    if name == "id" and not found.help:
        found = found._replace(help=_ID_HELP)
    given = found.given
    flags = given.flags.split() or [f"--{name.replace('_', '-')}"]
    read = read or _reader(name, found, flags[0])
    argument = given.argument or (field.required and not given.flags)

    def give(form: Form, value: Any, fields: Fields) -> None:
        absent = value is None or value is False or (found.many and not value)
        if field.required or not absent:
            fields[name] = read(value)
            if not argument or name not in form.in_path:
                # What a path names, the node knows or does not.
                _require_matching(found, name.upper() if argument else flags[0], fields[name])
            elif found.pattern == whole(NAME_PATTERN) and name in form.in_path:
                _require_one_segment(form, name, fields[name])

    if found.kind is bool or given.means is not None:
        yield Parameter(taken(name, bool, typer.Option(False, *flags, help=found.help)), give)
        return
    kind, default = _shown(found), _default(field, found)
    if default is None and field.required and (argument or not found.many):
        default = ...
    make = typer.Argument if argument else partial(_option, flags)
    info = make(
        default,
        help=found.help,
        metavar=given.metavar or (name.upper() if argument else None),
        min=found.least,
        max=found.most,
    )
    yield Parameter(taken(name, kind | None if default is None else kind, info), give)


def is_argument(field: FieldInfo) -> bool:
    """Tell whether a field that need not be given is an argument all the same."""
    return apart(field.type).given.argument


def _require_matching(found: FieldType, where: str, value: Any) -> None:
    """Raise UsageError in words of the command: the node would answer with an expression."""
    if found.pattern is None:
        return
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and re.fullmatch(found.pattern, text) is None:
            raise UsageError(
                f"{text[:80]!r} is not what {where} takes: {found.help or found.pattern}",
                next_step="Fix it; nothing was changed.",
            )


def _require_one_segment(form: Form, name: str, value: Any) -> None:
    """Raise UsageError for what no path has in one place: the node would know of no such path."""
    if not isinstance(value, str) or (value not in _NO_SEGMENT and "/" not in value):
        return
    if name != "project":
        raise UsageError(
            f"{value!r} is no {name.replace('_', ' ')}: expected a text without `/`.",
            next_step="Fix it; nothing was changed.",
        )
    project, _, function = value.partition("/")
    if project and function and "function" in form.fields:
        raise UsageError(
            f"{value!r} is a function, expected a project.",
            next_step=f"Name the project, and the function by its option: {project} ... "
            f"--function {function}",
        )
    project_or_here(value)


def _option(flags: list[str], default: Any, **how: Any) -> Any:
    return typer.Option(default, *flags, **how)


def _give_within(
    name: str,
    kind: type[msgspec.Struct],
    give: Callable[[Form, Any, Fields], None],
    form: Form,
    value: Any,
    fields: Fields,
) -> None:
    """Give a field of a struct that is itself a field."""
    inner: Fields = {}
    give(form, value, inner)
    if inner:
        fields[name] = msgspec.structs.replace(fields.get(name) or kind(), **inner)


def _shown(found: FieldType) -> Any:
    """Return the type that Typer reads and shows."""
    if found.given.metavar == DURATION:
        return str
    if isinstance(found.kind, type) and issubclass(found.kind, int | Enum):
        return found.kind
    return list[str] if found.many else str


def _default(field: FieldInfo, found: FieldType) -> Any:
    """Return the default that people see; None where that says only that nothing was given."""
    default = field.default if found.given.default is None else found.given.default
    if isinstance(default, int) and found.given.metavar == DURATION:
        return seconds(default)
    if isinstance(default, int):
        return default if default >= (found.least or 0) else None
    return default if isinstance(default, str) and default else None


_TIMES: dict[str, Callable[..., Any]] = {"TIME": moment_of, DURATION: span_of}


def _reader(name: str, found: FieldType, flag: str) -> Reader:
    kind, given = found.kind, found.given
    if given.means is not None:
        return lambda on: given.means if on else given.default
    if found.many:
        read = bindings if given.metavar == "BINDING" else tuple
        return lambda texts: read(texts or ())
    if given.metavar in _TIMES:
        return partial(_TIMES[given.metavar], option=flag)
    if typing.get_origin(kind) in (typing.Union, UnionType):
        return value_of
    if kind is str:
        return partial(require_text, f"The {name}")
    if isinstance(kind, type) and issubclass(kind, int | Enum):
        return lambda value: value
    raise DeclarationError(f"The field {name} cannot be given on a command line: {kind}.")
