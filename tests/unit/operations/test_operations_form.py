"""What the client writes of an operation, the server reads back equal; secrets stay in bodies."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Annotated, Any

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operations_values import operations_of_form, read_back, request_for

from casemate.model.principal import Action
from casemate.operations.catalogue import FORMS, require_readable
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.errors import DeclarationError, MalformedError
from casemate.operations.fields import Digest, Id, Metadata, Moment, Name, VersionNumber, number
from casemate.operations.form import Form, form_of

OVER_HTTP = [form for form in FORMS if form.declared.http]


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark blue & grey"


class Everything(Operation[None], frozen=True, kw_only=True):
    """Take every kind of field that an address can hold."""

    declared = Declaration(http="GET /a/{name}/b/{id}/{digest}/{version}", action=Action.NODE_READ)
    name: Name
    id: Id
    digest: Digest
    version: VersionNumber
    text: str
    other: str | None = None
    flag: bool = False
    on: bool = True
    count: Annotated[int, number("How many.")] = 7
    since: Moment | None = None
    colour: Colour | None = None
    only: Name | None = None


class Sent(Operation[None], frozen=True, kw_only=True):
    """Take every kind of field that a body can hold."""

    declared = Declaration(http="POST /a/{name}", action=Action.NODE_READ)
    name: Name
    key: str | int | float
    sort: str | int | float | None = None
    flag: bool = False
    metadata: Metadata | None = None
    names: tuple[Name, ...] = ()
    colour: Colour = Colour.RED


@pytest.mark.parametrize("form", OVER_HTTP, ids=lambda form: form.id)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_operation_is_read_back_as_it_was_written(form, data) -> None:
    operation = data.draw(operations_of_form(form))
    assert read_back(form, request_for(form, operation)) == operation


@pytest.mark.parametrize("kind", [Everything, Sent])
@settings(deadline=None)
@given(data=st.data())
def test_every_kind_of_field_is_read_back_as_it_was_written(kind, data) -> None:
    operation = data.draw(operations_of_form(form_of(kind)))
    assert read_back(form_of(kind), request_for(form_of(kind), operation)) == operation


@settings(deadline=None)
@given(name=st.text(st.characters(exclude_categories=("Cs",))))
def test_no_text_leaves_its_place_in_a_path(name: str) -> None:
    """Whatever is typed for a name: the request is for that path, or for one that there is not."""
    form = form_of(Sent)
    request = request_for(form, Sent(name=name, key=1))
    path = request.url.raw_path.partition(b"?")[0]
    assert path.startswith(b"/a/")
    assert path.count(b"/") == 2
    try:
        read = read_back(form, request)
    except (MalformedError, AssertionError):
        return
    assert isinstance(read, Sent)
    assert read.name == name


@pytest.mark.parametrize("name", [".", "..", "...", "a/../b", "%2e%2e", "..%2f"])
def test_steps_in_a_path_are_not_taken(name: str) -> None:
    form = form_of(Sent)
    target = form.target(Sent(name=name, key=1))
    assert httpx2.URL("http://node/x" + target).raw_path == b"/x" + target.encode()
    assert target.count("/") == 2


def test_what_is_as_it_would_be_anyway_is_left_out() -> None:
    form = form_of(Everything)
    given = {"name": "n", "id": "i", "digest": "a" * 64, "version": 1, "text": "t"}
    assert form.query(Everything(**given)) == {"text": "t"}
    asked = form.query(Everything(**given, flag=True, on=False, count=0, other="", since=1.5))
    assert asked == {
        "text": "t", "flag": "true", "on": "false", "count": "0", "other": "", "since": "1.5",
    }  # fmt: skip


@pytest.mark.parametrize("since", [1e-7, 0.1 + 0.2, 1e11, 1764201600.1234567])
def test_a_moment_has_no_exponent_and_no_more_digits_than_are_read(since: float) -> None:
    form = form_of(Everything)
    operation = Everything(name="n", id="i", digest="a" * 64, version=1, text="", since=since)
    read: Any = read_back(form, request_for(form, operation))
    assert abs(read.since - since) <= 1e-6


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.id)
def test_fields_are_known_without_their_types_and_their_types_are_there(form) -> None:
    assert form.names == tuple(form.fields)
    assert form.required == {name for name, field in form.fields.items() if field.required}
    assert form.body is None or set(form.body.__struct_fields__) == set(form.in_body)


class Unread(Operation[None], frozen=True, kw_only=True):
    """A type that only a checker of types knows."""

    declared = Declaration(http="GET /unread/{name}", action=Action.TABLE_GET)
    name: NowhereImported  # type: ignore[name-defined]  # noqa: F821


def test_a_type_that_cannot_be_read_is_told_with_its_operation() -> None:
    form = Form(Unread)
    assert form.names == ("name",)
    for asked in (lambda: form.fields, lambda: require_readable([form_of(Sent), Form(Unread)])):
        with pytest.raises(DeclarationError, match=r"test_operations_form\.Unread cannot.*Nowhere"):
            asked()
    require_readable(FORMS)


def test_types_are_read_of_operations_that_are_asked_for() -> None:
    """Those of all take a tenth of the start of a gateway."""
    code = (
        "from casemate.operations.catalogue import FORMS\n"
        "print(len(FORMS), sum('fields' in vars(form) for form in FORMS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, read = map(int, done.stdout.split())
    assert (count, read) == (len(FORMS), 0)


def test_where_fields_travel() -> None:
    form = form_of(Sent)
    assert form.in_path == ("name",)
    assert form.in_query == ()
    assert form.in_body == ("key", "sort", "flag", "metadata", "names", "colour")
    assert form_of(Everything).in_body == ()
    assert form_of(Everything).body is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"key": 1, "name": "n"}', type=form.body)


# -- secrets ---------------------------------------------------------------------------------------


class Entered(Operation[None], frozen=True, kw_only=True):
    """Take a password."""

    declared = Declaration(http="POST /enter", decided=Decided.OPEN, secret=frozenset({"password"}))
    name: str
    password: str


def test_an_operation_is_shown_without_its_secrets() -> None:
    operation = Entered(name="ada", password="correct horse")
    for shown in (repr(operation), str(operation), f"{operation!r}", str([operation])):
        assert "correct" not in shown
        assert "Entered(name='ada')" in shown
    assert operation.__rich_repr__() == [("name", "ada")]
    assert form_of(Entered).json(operation) == {"name": "ada", "password": "correct horse"}


def test_fields_that_are_called_as_secrets_are_of_them() -> None:
    """Whoever adds a field for a secret and forgets to say so is told here."""
    words = {"password", "code", "totp", "id_token", "secret_value", "passphrase"}
    for form in OVER_HTTP:
        told = set(form.fields) & words
        assert told <= form.declared.secret, form.id


@pytest.mark.parametrize("form", [f for f in FORMS if f.declared.secret], ids=lambda form: form.id)
def test_secrets_are_in_no_address_and_no_text(form) -> None:
    values = {name: f"text-of-{name}" for name in form.fields}
    operation = form.make(values)
    request = request_for(form, operation)
    for name in form.declared.secret:
        assert f"text-of-{name}" not in str(request.url)
        assert f"text-of-{name}" not in repr(operation)
        assert f"text-of-{name}".encode() in request.content


@pytest.mark.parametrize("form", OVER_HTTP, ids=lambda form: form.id)
def test_answers_with_a_secret_do_not_show_it(form) -> None:
    """Texts that are shown once are in the answer, and nowhere else that could print it."""
    secrets = {"OpenedSession": "text", "CreatedToken": "text", "SecondFactor": "otpauth_uri"}
    secrets["UserChanged"] = "code"
    name = getattr(form.answer, "__name__", "")
    if name in secrets:
        values = dict.fromkeys(form.answer.__struct_fields__, "shown-once")
        other = {field: "x" for field in values if field != secrets[name]}
        assert "shown-once" not in repr(form.answer(**values | other))


def test_threads_that_ask_at_once_get_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two, the document of the API would describe one and look for the other."""
    form = Form(next(form.kind for form in OVER_HTTP if form.in_body))
    part = Form._part

    def slowly(self: Form, *arguments: Any, **named: Any) -> type[msgspec.Struct]:
        time.sleep(0.05)
        return part(self, *arguments, **named)

    monkeypatch.setattr(Form, "_part", slowly)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: form.body, range(8)))
    assert len(found) == 1 and found == {form.body}
