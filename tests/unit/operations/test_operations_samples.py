"""Every operation has an example that is valid, and so has its answer."""

from __future__ import annotations

import msgspec
import pytest

from casemate.operations import samples
from casemate.operations.catalogue import FORMS
from casemate.operations.form import Form


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.id)
def test_examples_are_what_they_are_examples_of(form: Form) -> None:
    operation = samples.request_of(form)
    assert isinstance(operation, form.kind)
    if form.declared.http:
        assert "{" not in form.target(operation)
    answer = samples.answer_of(form)
    if answer is not None:
        assert msgspec.convert(answer, form.answer) is not None
