"""What is told of operations: each that changes something, once, with who, from where, on what."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec
import pytest
from api_fake_control import GUEST_TEXT, OWNER_TEXT, Client

import casemate.api.app as api
from casemate.access_reviews import OnlyHolder
from casemate.api.authorization import function_of
from casemate.api.problems import problem_response
from casemate.model.errors import ConflictError
from casemate.model.facts import OperationPerformed
from casemate.model.principal import ANONYMOUS, NODE, Action
from casemate.operations import samples
from casemate.operations.catalogue import FORMS
from casemate.operations.declaration import Decided, Effect
from casemate.operations.form import Form
from casemate.vault.errors import VaultUnavailableError

RECORDED = [form for form in FORMS if form.declared.recorded]
"""They only read, and that they did is told all the same."""
CHANGING = [form for form in FORMS if form.effect is not Effect.READ and form.declared.http]
CHANGING += RECORDED
READING = [form for form in FORMS if form.effect is Effect.READ and form.declared.http]
READING = [form for form in READING if form not in RECORDED]


@pytest.fixture
def told(parts) -> list[OperationPerformed]:
    heard: list[OperationPerformed] = []
    parts.facts.listen(OperationPerformed, heard.append)
    return heard


@pytest.fixture
def performing(monkeypatch):
    """Have every operation performed by a function of the form instead of by the node."""

    def use(perform) -> None:
        async def performed(_operation, call):
            return perform(call)

        replaced = tuple(dataclasses.replace(one, perform=performed) for one in api.OPERATIONS)
        monkeypatch.setattr(api, "OPERATIONS", replaced)

    return use


@pytest.fixture
def send(performing, parts, told):
    """Ask for an example of a form; what was told before is forgotten."""

    def sent(form: Form, key: str | None = OWNER_TEXT) -> httpx2.Response:
        told.clear()
        operation = samples.request_of(form)
        rest: dict[str, Any] = {"params": form.query(operation)}
        if form.declared.content:
            rest["content"] = getattr(operation, form.declared.content)
        elif not form.declared.raw_content:
            body = form.json(operation)
            rest["content"] = None if body is None else msgspec.json.encode(body)
            rest["headers"] = {"content-type": "application/json"}
        client = Client(parts, parts.service.spool)
        return client(form.method, form.target(operation), key=key, **rest)

    return sent


def test_every_operation_that_changes_something_is_told_once(performing, send, told) -> None:
    assert len(CHANGING) > 30
    for form in CHANGING:
        performing(lambda _call, form=form: samples.answer_of(form))
        answer = send(form)
        assert answer.is_success, (form.id, answer.text)
        [fact] = told
        is_open = form.declared.decided is Decided.OPEN
        assert fact.by == (ANONYMOUS.text if is_open else "token:owner")
        assert fact.remote_address == "192.0.2.9"
        assert (fact.operation, fact.effect) == (form.id, form.effect.value)
        if form.declared.action is not None:
            assert fact.action == form.declared.action.value
            assert fact.resource
            assert fact.resource == "node" or fact.project in fact.resource
            assert fact.at > 1_700_000_000


def test_reading_what_decoys_recordings_and_snapshots_hold_is_told() -> None:
    assert {form.id for form in RECORDED} == {
        *("listDecoys", "showErrorSnapshot", "showRecording", "fetchEvidence"),
    }
    assert all(form.effect is Effect.READ for form in RECORDED)


@pytest.mark.parametrize("form", RECORDED, ids=lambda form: form.id)
def test_which_of_them_somebody_has_looked_at_is_named(performing, send, told, form) -> None:
    """That a recording of the project was shown was on record, and not which one."""
    performing(lambda _call: samples.answer_of(form))
    send(form)
    identity = getattr(samples.request_of(form), "id", "")
    assert not identity or told[0].what == f"id={identity}"


def test_what_it_was_done_to_is_named(performing, send, told) -> None:
    performing(lambda _call: None)
    (form,) = [form for form in CHANGING if form.id == "removeFunction"]
    send(form)
    assert (told[0].resource, told[0].project) == ("function:shop/checkout", "shop")
    assert (told[0].function, told[0].action) == ("checkout", "function:remove")


def test_which_person_token_or_policy_it_was_is_named(performing, send, told) -> None:
    """Else nobody finds in the journal whom a thief has removed, or what he has made."""
    named = 0
    for form in CHANGING:
        performing(lambda _call, form=form: samples.answer_of(form))
        send(form)
        operation = samples.request_of(form)
        if told[0].resource not in ("", "node"):
            ids = [name for name in ("id", "number") if name in form.in_path]
            expected = " ".join(f"{name}={getattr(operation, name)}" for name in ids)
            assert told[0].what == expected, form.id
            continue
        for name in form.in_path:
            assert f"{name}={getattr(operation, name)}" in told[0].what, form.id
            named += 1
        for secret in ("password", "code", "totp", "text", "id_token", "proof"):
            value = getattr(operation, secret, None)
            assert not value or str(value) not in told[0].what, form.id
    assert named > 15


def test_a_token_that_is_made_is_named_with_its_roles(performing, send, told) -> None:
    (form,) = [form for form in CHANGING if form.id == "addToken"]
    made = msgspec.convert(samples.answer_of(form), form.answer)
    performing(lambda _call: made)
    send(form)
    wanted = samples.request_of(form)
    assert f"name={wanted.name} roles={','.join(wanted.roles)}" in told[0].what
    assert f"token={made.token.id}" in told[0].what and made.text not in told[0].what


@pytest.mark.parametrize("known", [True, False, None])
def test_who_makes_a_token_alone_is_told(performing, send, told, monkeypatch, known) -> None:
    asked = []

    def may_alone(_self: object, *about: object) -> bool:
        asked.append(about)
        if known is None:
            raise RuntimeError("the accounts cannot be read")
        return known

    monkeypatch.setattr(OnlyHolder, "may_alone", may_alone)
    for form in CHANGING:
        performing(lambda _call, form=form: samples.answer_of(form))
        send(form)
        assert told[0].alone is (known is True and form.id == "addToken"), form.id
    [(action, resource, by)] = asked
    assert (action, resource, by.principal) == (Action.TOKEN_WRITE, NODE, "token:owner")


def test_reading_is_not_told(performing, send, told) -> None:
    for form in READING:
        performing(lambda _call, form=form: samples.answer_of(form))
        send(form)
        assert told == [], form.id


def fails(_call) -> None:
    raise ConflictError("It is in use.")


def answers_with_a_problem(_call):
    return problem_response(HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts.")


@pytest.mark.parametrize("refuses", [fails, answers_with_a_problem])
def test_what_was_refused_while_it_was_done_is_not_told(performing, send, told, refuses) -> None:
    performing(refuses)
    for form in CHANGING:
        assert send(form).is_client_error, form.id
        assert told == [], form.id


def test_what_was_not_allowed_is_not_told_as_done(performing, send, told, parts) -> None:
    performing(lambda _call: None)
    for form in CHANGING:
        if form.declared.action is not None or form.declared.anywhere is not None:
            assert send(form, GUEST_TEXT).status_code == 403, form.id
            assert told == [], form.id
            assert parts.denied[-1].by == "token:guest"
            assert parts.denied[-1].remote_address == "192.0.2.9"
        if form.declared.decided is not Decided.OPEN:
            assert send(form, None).status_code == 401, form.id
            assert told == [], form.id


def cancelled(_call) -> None:
    raise asyncio.CancelledError


def without_vault(_call) -> None:
    raise VaultUnavailableError("The vault is gone.")


def faulty(_call) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("cut_short", [cancelled, without_vault, faulty])
def test_what_was_cut_short_is_told_as_unfinished(performing, send, told, cut_short) -> None:
    """A version stood without a word in the journal: whoever had it deployed was not told."""
    performing(cut_short)
    for form in CHANGING:
        with suppress(asyncio.CancelledError, ZeroDivisionError):
            send(form)
        [fact] = told
        assert fact.unfinished and fact.operation == form.id


def test_what_is_done_would_be_on_record_were_the_gateway_killed(
    performing, send, parts, told
) -> None:
    noted: list[list[OperationPerformed]] = []

    def perform(call):
        before = parts.recorder.noted
        call.require(Action.FUNCTION_DEPLOY, function_of("shop", "second"))
        noted.append([*before, *parts.recorder.noted])
        return samples.answer_of(form)

    performing(perform)
    (form,) = [form for form in CHANGING if form.id == "deployFunctions"]
    assert send(form).is_success
    ((before, after),) = noted
    assert before.unfinished and before.operation == form.id and "second" not in before.what
    assert "function:shop/second" in after.what
    assert parts.recorder.noted == [] and not told[0].unfinished


def test_who_deploys_very_many_has_them_named_up_to_a_bound(performing, send, parts) -> None:
    encoded = 0

    def perform(call):
        nonlocal encoded
        call.on_allowed.append(count)
        for number in range(2_000):
            call.require(Action.FUNCTION_DEPLOY, function_of("shop", f"f{number}"))
        return samples.answer_of(form)

    def count() -> None:
        nonlocal encoded
        encoded += 1

    performing(perform)
    (form,) = [form for form in CHANGING if form.id == "deployFunctions"]
    assert send(form).is_success
    assert 0 < encoded <= 20


def test_malformed_requests_are_not_told(performing, ask, told) -> None:
    performing(lambda _call: None)
    assert ask("DELETE", "/functions/shop/Not-A-Name").status_code == 400
    assert ask("PUT", "/users/ada/roles", json={"nothing": 1}).is_client_error
    assert told == []


def test_nothing_is_made_where_nobody_listens(performing, monkeypatch, parts) -> None:
    made: list[object] = []
    performing(lambda _call: None)
    monkeypatch.setattr("casemate.api.performing.resource_of", lambda *asked: made.append(asked))
    ask = Client(parts, parts.service.spool)
    assert ask("DELETE", "/functions/shop/cart").is_success
    assert made == []
