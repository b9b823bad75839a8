"""Tags of template engines with data in them, compared with what an engine makes of them."""

from __future__ import annotations

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard.origin import Origin, Span
from casemate.guard.templates.judgement import (
    BOTTLE,
    CHAMELEON,
    DJANGO,
    JINJA,
    MAKO,
    Syntax,
    judge,
)

ORIGIN = Origin("event", "/t")


def _blocked(head: str, value: str, tail: str, how: Syntax) -> bool:
    span = Span(len(head), len(head) + len(value), ORIGIN, exact=True)
    return judge(head + value + tail, [span], how) is not None


@settings(max_examples=300)
@given(value=st.text("ab{}%#-'\" \n|.7*", min_size=1, max_size=14))
def test_what_passes_is_text_for_jinja(value: str) -> None:
    if not _blocked("a ", value, " {{ x }}", JINJA):
        environment = jinja2.Environment(keep_trailing_newline=True)
        assert environment.from_string(f"a {value} {{{{ x }}}}").render(x="X") == f"a {value} X"


@pytest.mark.parametrize("how", [JINJA, DJANGO, MAKO, BOTTLE, CHAMELEON])
@given(value=st.text("abc ü,.!?:;()'\"&-_/@0123456789", min_size=1, max_size=40))
def test_plain_text_passes(how: Syntax, value: str) -> None:
    assert not _blocked("Hello ", value, "\n", how)


@pytest.mark.parametrize(
    ("how", "value"),
    [
        (JINJA, "{{ x }}"),
        (JINJA, "{% x %}"),
        (JINJA, "{# x"),
        (DJANGO, "{% load x %}"),
        (MAKO, "${x}"),
        (MAKO, "<% x %>"),
        (MAKO, "\n% for x in y:"),
        (MAKO, "\n## x"),
        (BOTTLE, "{{x}}"),
        (BOTTLE, "\n% x"),
        (CHAMELEON, "${x}"),
        (CHAMELEON, '<a tal:content="x"/>'),
    ],
)
def test_tags_are_found(how: Syntax, value: str) -> None:
    assert _blocked("Hello ", value, "", how)


@pytest.mark.parametrize(
    ("value", "blocked"),
    [("7", False), ("name", True), ("x.y", True), ("' ~ x ~ '", True), ("}} {{ x", True)],
)
def test_data_in_an_expression(value: str, blocked: bool) -> None:
    assert _blocked("{{ user[", value, "] }}", JINJA) is blocked


def test_data_in_a_literal_of_an_expression() -> None:
    assert not _blocked("{{ t('", "Hello there", "') }}", JINJA)
    assert _blocked("{{ t('", "') ~ x ~ t('", "') }}", JINJA)
