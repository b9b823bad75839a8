"""Tags that only show what is offered: how many of them are looked at, and in what time."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.templates.judgement import JINJA
from casemate.guard.templates.showing import judge_shown
from casemate.guard.verdict import Verdict


def shown(template: str) -> Verdict | None:
    """Judge a template that is all of the event's."""
    guard: Any = SimpleNamespace(
        constants=SimpleNamespace(texts=()), provenance=SimpleNamespace(kept={}), root="/function/"
    )
    environment = SimpleNamespace(parse=lambda text: None, filters={})
    span = Span(0, len(template), Origin("event", ("template",)), True)
    return judge_shown(guard, template, [span], JINJA, environment)


@pytest.mark.parametrize("tag", ["{{ name }} ", "{% if name %}", "{{ name|upper }}{% endif %}"])
def test_so_many_tags_pass_and_one_more_is_code(tag: str) -> None:
    assert shown(tag * 100) is None
    assert shown(tag * 501) is not None


@pytest.mark.parametrize("tag", ["{{ a }} ", "{% if a %}", "{{ a", "{% if "])
def test_a_template_of_many_tags_is_judged_in_linear_time(tag: str) -> None:
    def took(count: int) -> float:
        began = time.process_time()
        shown(tag * count)
        return time.process_time() - began

    few = min(took(4_000) for _ in range(3))
    assert min(took(32_000) for _ in range(2)) < 24 * few + 0.05
