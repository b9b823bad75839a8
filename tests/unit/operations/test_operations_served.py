"""What the catalogue says of the operations is what the API serves."""

from __future__ import annotations

from types import ModuleType

import pytest

from casemate.api.app import OPERATIONS
from casemate.api.performing import Performers
from casemate.api.served import all_served
from casemate.model.principal import Action
from casemate.operations import delivery, functions, records
from casemate.operations.catalogue import FORMS, checked
from casemate.operations.declaration import NDJSON, Decided, Declaration, Effect, Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.form import form_of


def test_every_operation_of_http_is_served_as_declared() -> None:
    served = {(operation.method, operation.path): operation for operation in OPERATIONS}
    for form in FORMS:
        if form.declared.http:
            operation = served[form.method, form.path]
            declared = form.declared
            assert (operation.id, operation.action) == (form.id, declared.action)
            assert operation.anywhere == declared.anywhere
            assert operation.authenticated == (declared.decided is not Decided.OPEN)


def test_a_module_of_which_something_is_not_performed_has_no_routes() -> None:
    with pytest.raises(DeclarationError, match="Nothing performs"):
        all_served(records, Performers())
    assert all_served(ModuleType("empty"), Performers()) == ()


def test_what_deletes_more_than_is_named_destroys() -> None:
    destroying = {form.id for form in FORMS if form.effect is Effect.DESTROY}
    assert {
        "removeFunction",
        "removeVersion",
        "purgeFunctionDeadLetters",
        "purgeQueueDeadLetters",
    } <= destroying
    for kind in (delivery.RedriveFunctionDeadLetters, delivery.RedriveQueueDeadLetters):
        assert form_of(kind).effect is Effect.CHANGE


def test_only_bundles_and_what_vouches_for_them_are_let_in_by_a_right_on_anything() -> None:
    anywhere = {form.id: form.declared.anywhere for form in FORMS if form.declared.anywhere}
    assert anywhere == dict.fromkeys(
        ("hasBundle", "putBundle", "addBuilderKey", "putAttestation"), Action.FUNCTION_DEPLOY
    )


def test_an_answer_that_comes_in_lines_says_of_what() -> None:
    assert form_of(records.ReadLogs).line is records.LogLine
    assert form_of(records.ListErrors).line is None
    assert form_of(functions.RemoveFunction).line is None


def test_lines_that_are_no_tuple_are_refused() -> None:
    class Lines(Operation[list[str]], frozen=True, kw_only=True):
        """Read lines."""

        declared = Declaration(http="GET /x", decided=Decided.CREDENTIAL, answer_type=NDJSON)

    with pytest.raises(DeclarationError, match="no tuple"):
        checked([Lines])
