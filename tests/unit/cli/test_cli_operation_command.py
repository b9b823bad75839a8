"""Commands that are made of operations: what they take, send, ask, and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest
import typer

from casemate.cli import operation_command
from casemate.cli.errors import UsageError
from casemate.cli.operation_command import Call, Instead, answered, asked, name_of
from casemate.cli.options import JsonOption, YesOption, new_app
from casemate.model.errors import CasemateError
from casemate.model.principal import ResourceKind
from casemate.operations.declaration import Decided, Declaration, Operation, on, on_chosen
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import (
    Attribute,
    Limit,
    Moment,
    Name,
    OnlyFunction,
    OnlyProject,
    Roles,
    number,
    text,
)
from casemate.operations.form import form_of
from casemate.operations.given import Given
from casemate.operations.records import ListErrors


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    books: int = 3


class Between(msgspec.Struct, frozen=True, kw_only=True):
    low: Annotated[Attribute, msgspec.Meta(description="Not below.")] | None = None
    high: Annotated[Attribute, msgspec.Meta(description="Below this.")] | None = None


class ShowShelf(Operation[Shelf], frozen=True, kw_only=True):
    """Show a shelf."""

    declared = Declaration(
        http="GET /buckets/{project}/{bucket}/shelf",
        decided=Decided.SELF,
        on=on(ResourceKind.BUCKET),
        inside=frozenset({"labels"}),
    )
    project: Name
    bucket: Name
    title: Annotated[str, text("What it is called.", most=20)]
    limit: Limit = 100
    since: Annotated[Moment, Given(metavar="TIME", help="Not before.")] | None = None
    number: Annotated[int, number("0 is all."), Given("Only this.", least=1)] = 0
    colour: Annotated[Colour, msgspec.Meta(description="Only these.")] | None = None
    between: Between | None = None
    by_letter: Annotated[bool, msgspec.Meta(description="In order.")] = False
    mark: Annotated[str, Given("In groups.", flags="--groups -g", means="/")] | None = None
    ids: Annotated[tuple[str, ...], Given(argument=True, metavar="ID")] = ()
    labels: bytes = b""


class ShowDesk(Operation[Shelf], frozen=True, kw_only=True):
    """Show a desk."""

    declared = Declaration(
        http="GET /tables/{project}/{table}/desk",
        decided=Decided.SELF,
        on=on(ResourceKind.TABLE),
    )
    project: Name
    table: Name


class ShowBench(Operation[Shelf], frozen=True, kw_only=True):
    """Show a bench."""

    declared = Declaration(
        http="GET /queues/{project}/{queue}/bench",
        decided=Decided.SELF,
        on=on(ResourceKind.QUEUE),
    )
    project: Name
    queue: Name


class BurnShelf(Operation[None], frozen=True, kw_only=True):
    """Burn a shelf."""

    declared = Declaration(
        http="DELETE /buckets/{project}/{bucket}/shelf",
        decided=Decided.SELF,
        on=on(ResourceKind.BUCKET),
    )
    project: Name
    bucket: Name


class FakeNode:
    """Answers every operation, and notes what was asked."""

    url = "http://node"

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __enter__(self) -> FakeNode:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, operation: Any) -> Any:
        self.asked.append(operation)
        return None if form_of(type(operation)).answer is None else Shelf()


@pytest.fixture
def node(monkeypatch) -> FakeNode:
    fake = FakeNode()
    monkeypatch.setattr(operation_command, "connect", lambda: fake)
    return fake


Runs = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(home, capsys) -> Runs:
    """Runs a command; returns its exit code, what it printed and what it told."""

    def call(app: typer.Typer, *arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        command = typer.main.get_command(app)
        try:
            code = command.main(list(arguments), prog_name="it", standalone_mode=False) or 0
        except typer.exceptions.TyperException as error:
            code = (2, error.format_message())
        captured = capsys.readouterr()
        told = code[1] if isinstance(code, tuple) else captured.err
        return (2 if isinstance(code, tuple) else int(code)), captured.out, told

    return call


def shelf_app() -> typer.Typer:
    app = new_app()

    @answered(app, ShowShelf, examples="$ casemate shelf")
    def shelf(found: Shelf, call: Call) -> None:
        """Show a shelf to a person."""
        print(f"{call.name} of {call.url} has {found.books}")

    return app


def test_what_is_given_is_sent(run: Runs, node: FakeNode) -> None:
    given = ("shop/books", "Novels", "one", "two", "--limit", "7", "--number", "3")
    given += ("--colour", "blue", "--low", "a", "--high", "7", "--by-letter", "-g")
    code, out, _ = run(shelf_app(), *given, "--since", "1970-01-02T00:00:00+00:00")
    assert (code, out) == (0, "shop/books of http://node has 3\n")
    assert node.asked == [
        ShowShelf(
            project="shop",
            bucket="books",
            title="Novels",
            limit=7,
            since=86400.0,
            number=3,
            colour=Colour.BLUE,
            between=Between(low="a", high=7),
            by_letter=True,
            mark="/",
            ids=("one", "two"),
        )
    ]


def test_what_is_not_given_is_as_declared(run: Runs, node: FakeNode) -> None:
    assert run(shelf_app(), "shop/books", "Novels")[0] == 0
    assert node.asked == [ShowShelf(project="shop", bucket="books", title="Novels")]
    (asked_for,) = node.asked
    assert form_of(ShowShelf).query(asked_for) == {"title": "Novels"}


def test_the_help_is_of_the_fields(run: Runs) -> None:
    _, shown, _ = run(shelf_app(), "--help")
    lines = " ".join(shown.split())
    assert "it [OPTIONS] PROJECT/BUCKET TITLE [ID]..." in lines
    assert "The bucket, such as shop/uploads, or just its name inside a" in lines
    assert "What it is called. [required]" in lines
    assert "--limit <int range> How many to return. [default: 100; 1<=x<=1000]" in lines
    assert "--number <int range> Only this. [x>=1]" in lines
    assert "--since TIME Not before." in lines
    assert "-g, --groups In groups." in lines
    assert "--by-letter In order." in lines
    assert "--low <str> Not below." in lines
    assert "--labels" not in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--limit", "0"), "--limit"),
        (("--limit", "1001"), "--limit"),
        (("--limit", "many"), "--limit"),
        (("--number", "0"), "--number"),
        (("--colour", "green"), "--colour"),
        (("--labels", "x"), "--labels"),
        (("--no-by-letter",), "--no-by-letter"),
    ],
)
def test_bounds_hold_before_anything_is_sent(
    run: Runs, node: FakeNode, arguments: tuple[str, ...], told: str
) -> None:
    code, _, message = run(shelf_app(), "shop/books", "Novels", *arguments)
    assert code == 2
    assert told in message
    assert node.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("books", "Novels"),
        ("shop/Books", "Novels"),
        ("shop/books\n", "Novels"),
        ("shop/books", "\udcff"),
        ("shop/books", "Novels", "--since", "soon"),
        ("shop/books", "Novels", "--low", "\udcff"),
    ],
)
def test_what_cannot_be_read_is_refused(
    run: Runs, node: FakeNode, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError):
        run(shelf_app(), *arguments)
    assert node.asked == []


def test_an_added_field_is_an_option(run: Runs, node: FakeNode) -> None:
    class ListErrorsOf(ListErrors, frozen=True, kw_only=True):
        """List the newest errors."""

        declared = ListErrors.declared
        caller: Annotated[str, text("Only those of this caller.")] | None = None

    for kind, there in ((ListErrors, False), (ListErrorsOf, True)):
        app = new_app()

        @answered(app, kind, examples="")
        def ls(found: Any) -> None:
            """List errors."""

        shown = run(app, "--help")[1]
        assert ("Only those of this caller." in shown) is there
    assert run(app, "shop/cart", "--caller", "ada")[0] == 0
    assert node.asked == [ListErrorsOf(project="shop", function="cart", caller="ada", limit=20)]


def test_json_is_printed_as_it_is(run: Runs, node: FakeNode) -> None:
    assert json.loads(run(shelf_app(), "shop/books", "Novels", "--json")[1]) == {"books": 3}


def test_a_command_may_print_json_itself(run: Runs, node: FakeNode) -> None:
    app = new_app()

    @answered(app, ShowDesk, examples="")
    def desk(found: Shelf, *, json: JsonOption = False) -> None:
        """Show it."""
        print("its own", json)

    assert run(app, "shop/desk", "--json")[1] == "its own True\n"


def test_another_operation_by_a_flag(run: Runs, node: FakeNode) -> None:
    app = new_app()

    @answered(app, ShowDesk, instead=Instead(ShowBench, "bench", "It is a bench."), examples="")
    def place(found: Shelf, call: Call) -> None:
        """Show it."""
        print(call.kind, call.name)

    assert run(app, "shop/oak")[1] == "table shop/oak\n"
    assert run(app, "shop/oak", "--bench")[1] == "queue shop/oak\n"
    assert node.asked == [
        ShowDesk(project="shop", table="oak"),
        ShowBench(project="shop", queue="oak"),
    ]


def burning_app(removed: str = "") -> typer.Typer:
    app = new_app()

    @answered(
        app,
        BurnShelf,
        confirm="Burn {it.bucket} ({call.name}) of {call.url}?",
        removed=removed,
        examples="",
    )
    def burn(call: Call) -> None:
        """Burn it."""
        print(f"{call.name} is gone.")

    return app


def test_a_question_comes_before_the_deed(run: Runs, node: FakeNode) -> None:
    with pytest.raises(UsageError, match="needs a confirmation"):
        run(burning_app(), "shop/books")
    assert node.asked == []
    assert run(burning_app(), "shop/books", "--yes")[1] == "shop/books is gone.\n"
    assert node.asked == [BurnShelf(project="shop", bucket="books")]


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        ("", {"project": "shop", "bucket": "books"}),
        ("{call.name} or {it.bucket}", {"removed": "shop/books or books"}),
    ],
)
def test_programs_are_told_what_was_asked_where_nothing_is_answered(
    run: Runs, node: FakeNode, removed: str, told: dict[str, str]
) -> None:
    code, out, _ = run(burning_app(removed), "shop/books", "--yes", "--json")
    assert (code, json.loads(out)) == (0, told)


def test_a_question_shows_what_is_given_and_reads_nothing_of_it(
    run: Runs, node: FakeNode, monkeypatch
) -> None:
    class Burn(Operation[None], frozen=True, kw_only=True):
        """Burn a book."""

        declared = Declaration(http="DELETE /books/{title}", decided=Decided.SELF)
        title: str

    questions: list[str] = []
    monkeypatch.setattr(
        operation_command.prompts, "confirm", lambda question, *, yes: questions.append(question)
    )
    app = new_app()

    @answered(app, Burn, confirm="Burn {it.title}?", examples="")
    def burn() -> None:
        """Burn it."""

    run(app, "{call.client}{0}")
    assert questions == ["Burn {call.client}{0}?"]


def test_a_command_that_does_the_rest_itself(run: Runs) -> None:
    app, got = new_app(), []

    @asked(app, ShowDesk, examples="")
    def desk(wanted: ShowDesk, *, often: bool = False, yes: YesOption = False) -> None:
        """Do it."""
        got.append((name_of(wanted), often, yes))

    assert run(app, "shop/oak", "--often", "-y")[0] == 0
    assert got == [("shop/oak", True, True)]


def test_fields_that_a_command_sets_cannot_be_given(run: Runs, node: FakeNode) -> None:
    app = new_app()

    @answered(app, ShowShelf, fixed={"limit": 1, "title": "All"}, examples="")
    def one(found: Shelf) -> None:
        """Show one."""

    assert run(app, "shop/books", "--limit", "5")[0] == 2
    assert run(app, "shop/books")[0] == 0
    assert node.asked == [ShowShelf(project="shop", bucket="books", title="All", limit=1)]


def test_roles_and_functions_are_read_as_people_write_them(run: Runs, node: FakeNode) -> None:
    class ListShelves(Operation[Shelf], frozen=True, kw_only=True):
        """List shelves."""

        declared = Declaration(http="GET /shelves", decided=Decided.SELF, on=on_chosen)
        project: OnlyProject | None = None
        function: OnlyFunction | None = None
        roles: Roles

    app = new_app()

    @answered(app, ListShelves, examples="")
    def ls(found: Shelf) -> None:
        """List them."""

    assert run(app)[0] == 0
    assert run(app, "shop/cart", "--role", "owner", "--role", "developer@shop")[0] == 0
    with pytest.raises(CasemateError, match="is not a role"):
        run(app, "--role", "Owner!")
    assert node.asked == [
        ListShelves(roles=()),
        ListShelves(project="shop", function="cart", roles=("owner", "developer@shop")),
    ]


def test_a_field_that_nobody_can_type_is_refused_at_once() -> None:
    class Put(Operation[None], frozen=True, kw_only=True):
        """Put it."""

        declared = Declaration(http="POST /it", decided=Decided.SELF)
        parts: dict[str, str]

    with pytest.raises(DeclarationError, match="parts cannot be given"):
        answered(new_app(), Put, examples="")
    answered(new_app(), Put, read={"parts": json.loads}, examples="")


@pytest.mark.parametrize("how", [{"fixed": {"nothing": 1}}, {"read": {"nothing": str}}])
def test_a_field_that_is_not_there_is_refused_at_once(how: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="ShowDesk has no field nothing"):
        answered(new_app(), ShowDesk, examples="", **how)


def test_an_option_of_its_own_cannot_hide_a_field() -> None:
    with pytest.raises(ValueError, match="duplicate parameter name"):

        @asked(new_app(), ShowShelf, examples="")
        def shelf(wanted: ShowShelf, *, limit: int = 3) -> None:
            """Show it."""
