"""A wrong name is not answered with nothing, by any operation that lists what there is of one."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from api_fake_control import Parts

from casemate.api.app import PREFIX, document
from casemate.api.named import (
    MAX_COMPARED,
    NOT_FOUND_THERE,
    is_empty,
    require_named,
    told_missing,
)
from casemate.model.deployment import DeployedFunction
from casemate.model.errors import NoFunctionError, NotFoundError
from casemate.model.principal import Action, Resource
from casemate.operations.catalogue import FORMS
from casemate.operations.declaration import Decided
from casemate.operations.form import Form
from casemate.operations.samples import answer_of, sample

NARROWED = [form for form in FORMS if form.narrowed]
OF_FUNCTIONS = [form for form in NARROWED if "function" in form.names]


def by_id(form: Form) -> str:
    return form.id


def may(_action: Action, _resource: Resource) -> bool:
    return True


def may_not(_action: Action, _resource: Resource) -> bool:
    return False


def asked(form: Form, parts: Parts, allowed: Any = may, **fields: str) -> None:
    asyncio.run(require_named(form.make(fields), parts.service, allowed))


def test_those_that_list_are_known() -> None:
    assert {form.id for form in NARROWED} == {
        "auditNode", "reviewAccess", "listAdvisoryExceptions", "listLiveHoles", "listSources",
        "showSigningRule", "listInvocations", "listErrors", "listDenials", "readLogs",
        "showMetrics", "showUsage", "listBudgets", "listErrorGroups", "listRecordings",
        "listJournal", "listFindings", "listIncidents", "listPlaybookRuns", "listRestrictions",
        "listRotations", "listDeadLetterPlaces", "listBuckets", "listTables", "listQueues",
        "listProjectSecrets", "listDecoys",
    }  # fmt: skip


@pytest.mark.parametrize("form", NARROWED, ids=by_id)
def test_an_answer_that_shows_nothing_is_empty_and_one_that_shows_something_is_not(
    form: Form,
) -> None:
    if form.line is not None:
        assert is_empty(()) and not is_empty((1,))
        return
    shown = sample(form.answer, form.id) if form.declared.answer is None else answer_of(form)
    full = msgspec.convert(shown, form.answer)
    emptied = {
        name: type(getattr(full, name))()
        for name in full.__struct_fields__
        if isinstance(getattr(full, name), tuple | dict) and name not in NOT_FOUND_THERE
    }
    assert emptied, "nothing of it tells whether anything was found"
    assert is_empty(msgspec.structs.replace(full, **emptied))
    some = {name: ({"a": 1} if value == {} else (1,)) for name, value in emptied.items()}
    for name in emptied:
        one = msgspec.structs.replace(full, **{**emptied, name: some[name]})
        assert not is_empty(one), name


@pytest.mark.parametrize("form", NARROWED, ids=by_id)
def test_a_project_that_is_not_there_is_said_not_to_be(form: Form, parts: Parts) -> None:
    with pytest.raises(NotFoundError, match="There is no project nope") as refused:
        asked(form, parts, project="nope")
    assert "casemate ls" in str(refused.value.next_step)
    asked(form, parts, project="shop")


@pytest.mark.parametrize("form", OF_FUNCTIONS, ids=by_id)
def test_a_function_that_is_not_there_is_said_not_to_be(form: Form, parts: Parts) -> None:
    for function, message in (
        ("nope", r"There is no function shop/nope\."),
        ("other", "There is no function shop/other; other is a project"),
    ):
        with pytest.raises(NotFoundError, match=message):
            asked(form, parts, project="shop", function=function)
    with pytest.raises(NotFoundError, match=r"There is no function shop/other\."):
        asked(form, parts, may_not, project="shop", function="other")


@pytest.mark.parametrize("form", NARROWED, ids=by_id)
def test_of_a_project_that_may_not_be_seen_it_is_not_told_whether_it_is_there(
    form: Form, parts: Parts
) -> None:
    """Where an action on the project is decided before, nobody without it comes as far."""
    if form.declared.decided is not Decided.FOR_EACH:
        assert form.declared.action is not None
        return
    told = []
    for project in ("shop", "nope"):
        with pytest.raises(NotFoundError) as refused:
            asked(form, parts, may_not, project=project)
        told.append(str(refused.value).replace(project, ""))
    assert told[0] == told[1]


@pytest.fixture
def several(parts: Parts) -> Parts:
    for named in (("links", "follow"), ("nightly", "report"), ("hidden", "follow")):
        put(parts, *named)
    return parts


def put(parts: Parts, project: str, name: str) -> None:
    parts.control.deployed[project, name] = DeployedFunction(
        project=project, name=name, versions=(), aliases=()
    )


def may_all_but_hidden(_action: Action, resource: Resource) -> bool:
    return resource.project != "hidden"


@pytest.mark.parametrize(
    ("project", "function", "end"),
    [
        ("links", "folow", '; did you mean "links/follow"?'),
        ("nighty", "report", '; did you mean "nightly/report"?'),
        ("nightly", "zzz", "."),
        ("hidden", "folow", "."),
        ("hiden", "follow", "."),
        ("links", "f" * 5000, "."),
    ],
)
def test_a_function_of_nearly_that_name_is_told_who_may_see_it(
    several: Parts, project: str, function: str, end: str
) -> None:
    for form in OF_FUNCTIONS:
        with pytest.raises(NotFoundError) as refused:
            asked(form, several, may_all_but_hidden, project=project, function=function)
        assert refused.value.message == f"There is no function {project}/{function}{end}"


def test_a_project_of_nearly_that_name_is_told_who_may_see_it(several: Parts) -> None:
    for form in NARROWED:
        for project, near in (("nighty", "nightly"), ("hiden", None)):
            with pytest.raises(NotFoundError) as refused:
                asked(form, several, may_all_but_hidden, project=project)
            told = refused.value.message.partition("; did you mean ")[2]
            assert told == (f'"{near}"?' if near else "")


def test_only_so_many_names_are_compared(several: Parts) -> None:
    for number in range(3 * MAX_COMPARED):
        put(several, "all", f"a{number}")
    decided: list[Resource] = []

    def may_counted(_action: Action, resource: Resource) -> bool:
        decided.append(resource)
        return True

    error = NoFunctionError("links", "folow")
    told = asyncio.run(told_missing(error, several.service, may_counted))
    assert told.message.endswith('; did you mean "links/follow"?')
    assert len(decided) <= MAX_COMPARED


def test_one_function_that_is_asked_for_is_told_so_as_well(ask, several: Parts) -> None:
    for path in ("functions/links/folow", "functions/links/folow/grants"):
        answer = ask("GET", f"/{path}")
        assert answer.status_code == 404
        assert '; did you mean "links/follow"?' in answer.text.replace("\\", "")


@pytest.mark.parametrize("form", NARROWED, ids=by_id)
def test_the_document_has_it(form: Form) -> None:
    responses = document()["paths"][PREFIX + form.path][form.method.lower()]["responses"]
    assert "404" in responses


@pytest.mark.parametrize("path", ["invocations", "errors", "denials", "error-groups", "logs"])
def test_a_wrong_name_is_answered_over_http(ask, path: str) -> None:
    assert ask("GET", f"/{path}?project=shop").status_code == 200
    for query in ("project=nope", "project=shop&function=nope", "project=nope&function=nope"):
        answer = ask("GET", f"/{path}?{query}")
        assert answer.status_code == 404, query
        assert answer.json()["next_step"]


def test_a_log_of_a_wrong_name_is_not_followed(ask) -> None:
    assert ask("GET", "/logs?follow=true&project=shop&function=nope").status_code == 404
