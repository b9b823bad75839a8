"""What is out of its bounds is told by the option that gave it, not by a field of a body."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from casemate.cli.errors import UsageError
from casemate.cli.field_types import apart, option_of, require_within
from casemate.operations.catalogue import FORMS
from casemate.operations.form import Form
from casemate.operations.given import DURATION
from casemate.operations.samples import request_of

SERVED = [form for form in FORMS if form.declared.http]


def out_of_bounds(form: Form) -> list[tuple[str, Any]]:
    """Return fields with a value that breaks each of their bounds."""
    found: list[tuple[str, Any]] = []
    for name, field in form.fields.items():
        if name in form.in_path or name == form.declared.content or name in form.declared.inside:
            continue
        taken = apart(field.type)
        for meta in taken.metas:
            if taken.kind is int:
                found += [(name, meta.ge - 1)] if meta.ge is not None else []
                found += [(name, meta.le + 1)] if meta.le is not None else []
            elif taken.kind is str and meta.max_length is not None:
                found.append((name, "x" * (meta.max_length + 1)))
    return found


def test_what_is_within_its_bounds_is_let_through() -> None:
    for form in SERVED:
        require_within(form, request_of(form))


def test_each_bound_is_told_with_the_option() -> None:
    tried = 0
    for form in SERVED:
        for name, value in out_of_bounds(form):
            tried += 1
            field = form.fields[name]
            made = msgspec.structs.replace(request_of(form), **{name: value})
            with pytest.raises(UsageError) as refused:
                require_within(form, made)
            option = option_of(name, apart(field.type), required=field.required)
            told = refused.value.message
            assert told.startswith(f"{option} "), (form.id, told)
            assert re.search(r"expected (at (most|least) |-?\d)", told), (form.id, told)
            assert "$" not in told and len(told) < 300
            assert refused.value.next_step
    assert tried > 100


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("alert silence a-rule --for 999d --reason x", "--for is 999d, expected 0s to 7d."),
        ("budget lift shop month --for 8d --reason x", "--for is 8d, expected 0s to 7d."),
        ("budget let-run shop cart --for 8d --reason x", "--for is 8d, expected 0s to 7d."),
        (
            "advisories except shop/cart --without-advisories --for 1s --reason x",
            "--for is 1s, expected 1m to 180d.",
        ),
        ("budget lift shop month --for 1h --reason REASON", "--reason has 300 characters"),
        ("errors ls --limit 0", "'--limit': Input should be greater than or equal to 1"),
        ("findings ls --level typo", "'typo' is not one of 'informational', 'low', 'medium'"),
        ("incident ls --level typo", "'typo' is not one of 'informational', 'low', 'medium'"),
    ],
)
def test_what_a_person_meets(cli, node, command: str, told: str) -> None:
    words = ["x" * 300 if word == "REASON" else word for word in command.split()]
    result = cli(*words)
    assert result.code == 2, result
    assert told in " ".join(result.err.split())
    assert node.requests == [], "nothing was asked of the node"


def test_how_long_is_told_as_it_is_given() -> None:
    of_time = [
        (form.id, name)
        for form in SERVED
        for name, field in form.fields.items()
        if apart(field.type).given.metavar == DURATION
    ]
    assert ("silenceAlerts", "seconds") in of_time
    assert ("exceptAdvisory", "seconds") in of_time
