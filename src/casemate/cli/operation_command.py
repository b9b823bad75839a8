"""Commands that are made of operations: what a command takes is what its operation has.

A command keeps what is a person's: its help and examples, columns, questions, progress.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import typer
from typer.models import ArgumentInfo

from casemate.cli import prompts
from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import UsageError
from casemate.cli.operation_parameters import (
    OtherPlaceError,
    Reader,
    narrowed,
    parameters_of,
    taken,
)
from casemate.cli.options import JsonOption, YesOption, command
from casemate.cli.terminal import note, print_json
from casemate.operations.declaration import Operation
from casemate.operations.form import form_of

FunctionT = TypeVar("FunctionT", bound=Callable[..., None])
Kind = type[Operation[Any]]


class Instead(NamedTuple):
    """Another operation with the same fields but for what it is on, which a flag chooses.

    It may have no options of the first: these are refused with the flag.
    """

    kind: Kind
    flag: str
    help: str
    metavar: str = ""
    """Of what either is on; empty: as of the one that is not instead."""
    place: str = ""
    """Help of that."""


class Call(NamedTuple):
    """What the function of a command may want to know beside the answer."""

    operation: Any
    client: NodeClient

    @property
    def url(self) -> str:
        """Address of the node."""
        return self.client.url

    @property
    def kind(self) -> str:
        """What the operation is on: `table`, `function`."""
        return str(self.operation.declared.on.kind)

    @property
    def name(self) -> str:
        """Name of that: `shop/orders`."""
        return name_of(self.operation)


def name_of(operation: Any) -> str:
    """Return the name of what an operation is on, as people write it: `shop/orders`."""
    return f"{operation.project}/{getattr(operation, operation.declared.on.named)}"


def answered(
    app: typer.Typer,
    kind: Kind,
    *,
    examples: str,
    name: str | None = None,
    confirm: str | Callable[[Call], str] = "",
    removed: str = "",
    **how: Any,
) -> Callable[[FunctionT], FunctionT]:
    """Make a command that has a node do an operation; the decorated function tells the answer.

    It gets the answer, as `call` a Call, and its own options by their names. Unless it has an
    option `json` of its own, that is added, and prints the answer as it is; where there is none,
    what was asked for, or that `removed` is removed. `confirm` is a question that `--yes` answers,
    with `{call}` and the operation as `{it}`, as `removed` has, or it makes one of the Call.
    """
    maker = _Maker(kind, **how)

    def add(function: FunctionT) -> FunctionT:
        own = inspect.signature(function).parameters
        first = [
            name for name, parameter in own.items() if parameter.kind is not parameter.KEYWORD_ONLY
        ]
        prints = "json" not in own

        def run(**given: Any) -> None:
            json = prints and given.pop("json")
            yes = bool(confirm) and given.pop("yes")
            operation = maker.made(given)
            with connect() as client:
                call = Call(operation, client)
                if confirm and not yes:
                    text = confirm(call) if callable(confirm) else _filled(confirm, call)
                    prompts.confirm(text, yes=False)
                answer = client.call(operation)
                if json and removed:
                    print_json({"removed": _filled(removed, call)})
                elif json:
                    print_json(operation if form_of(kind).answer is None else answer)
                else:
                    function(*[call if n == "call" else answer for n in first], **given)

        maker.add(app, run, function, examples, name, yes=bool(confirm), json=prints)
        return function

    return add


def _filled(text: str, call: Call) -> str:
    return text.format(call=call, it=call.operation)


def asked(
    app: typer.Typer, kind: Kind, *, examples: str, name: str | None = None, **how: Any
) -> Callable[[FunctionT], FunctionT]:
    """Make a command whose function gets the operation that was asked for, and does the rest."""
    maker = _Maker(kind, **how)

    def add(function: FunctionT) -> FunctionT:
        def run(**given: Any) -> None:
            function(maker.made(given), **given)

        maker.add(app, run, function, examples, name)
        return function

    return add


class _Maker:
    """Makes an operation of what a command was given."""

    def __init__(
        self,
        kind: Kind,
        *,
        instead: Instead | None = None,
        fixed: Mapping[str, Any] | None = None,
        read: Mapping[str, Reader] | None = None,
    ) -> None:
        """`fixed` are fields that the command sets; `read` has readers of fields."""
        self._kind = kind
        self._line = "casemate"
        self._instead = instead
        self._fixed = fixed or {}
        found = parameters_of(form_of(kind), fixed=self._fixed, read=read or {})
        self._parameters = {parameter.taken.name: parameter for parameter in found}
        if instead is not None and instead.metavar:
            place = found[0].taken.default
            place.metavar, place.help = instead.metavar, instead.place

    def made(self, given: dict[str, Any]) -> Operation[Any]:
        """Return the operation; what makes it up is taken out of `given`."""
        kind = self._kind
        if self._instead is not None and given.pop(self._instead.flag):
            kind = self._instead.kind
        form, fields, asked = form_of(kind), dict(self._fixed), dict(given)
        for name, parameter in self._parameters.items():
            try:
                parameter.give(form, given.pop(name), fields)
            except OtherPlaceError as error:
                raise error.of_command(self._line) from error
        if narrowed(asked, fields):
            here = fields["project"]
            note(f"Of the project {here}, whose folder this is; --all: of every project.")
        for name in fields.keys() - form.fields.keys():
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{flag} is given, which there is not with --{self._instead.flag}."
                if self._instead is not None
                else f"{flag} is given, which is not taken here.",
                next_step=f"Leave out {flag}.",
            )
        return form.make(fields)

    def add(
        self,
        app: typer.Typer,
        run: Callable[..., None],
        function: Callable[..., None],
        examples: str,
        name: str | None,
        *,
        yes: bool = False,
        json: bool = False,
    ) -> None:
        """Add a command that runs `run`, with the help and the own options of `function`."""
        module, called = function.__module__.rpartition(".")[2], name or function.__name__
        self._line = " ".join(("casemate", *dict.fromkeys((module, called))))
        own = inspect.signature(function, eval_str=True).parameters.values()
        found = [parameter for parameter in own if parameter.kind is parameter.KEYWORD_ONLY]
        if self._instead is not None:
            flag = typer.Option(False, f"--{self._instead.flag}", help=self._instead.help)
            found.append(taken(self._instead.flag, bool, flag))
        found += [parameter.taken for parameter in self._parameters.values()]
        if yes:
            found.append(taken("yes", YesOption, False))
        if json:
            found.append(taken("json", JsonOption, False))
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature(sorted(found, key=self._rank))  # type: ignore[attr-defined]
        command(app, examples=examples, name=name)(run)

    def _rank(self, parameter: inspect.Parameter) -> int:
        """Arguments come first, and the command's own options before those of the operation."""
        if parameter.name in self._parameters:
            return 0 if isinstance(parameter.default, ArgumentInfo) else 3
        said = getattr(parameter.annotation, "__metadata__", ())
        if any(isinstance(one, ArgumentInfo) for one in said):
            return 1
        return {"yes": 4, "json": 5}.get(parameter.name, 2)
