"""Tags that are found one after the other, compared with one expression for all of them."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.templates.judgement import (
    BOTTLE,
    CHAMELEON,
    CHEETAH,
    JINJA,
    MAKO,
    MUSTACHE,
    Syntax,
)

ENGINES = {
    "jinja": (JINJA, [r"\{\{.*?\}\}", r"\{%.*?%\}", r"\{\#.*?\#\}"]),
    "mako": (
        MAKO,
        [r"\$\{.*?\}", r"<%.*?%?>", r"</%.*?>", r"^[ \t]*%(?!%)[^\n]*", r"^[ \t]*##[^\n]*"],
    ),
    "bottle": (BOTTLE, [r"\{\{.*?\}\}", r"<%.*?%>", r"^[ \t]*%[^\n]*"]),
    "chameleon": (
        CHAMELEON,
        [
            *(r"\$\{.*?\}", r"<\?python.*?\?>"),
            r"(?:tal|metal|i18n):[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*')",
        ],
    ),
    "cheetah": (CHEETAH, [r"\$\S+", r"#\w+[^\n]*", r"<%.*?%>"]),
    "mustache": (MUSTACHE, [r"\{\{.*?\}\}"]),
}
PARTS = st.sampled_from(
    [
        *("{{", "}}", "{%", "%}", "{#", "#}", "${", "}", "<%", "%>", "</%", ">", "<?python", "?>"),
        *("tal:a=", "'", '"', "%", "%%", "##", "#", "$", "a", " ", "\t", "\n", "i18n:b ="),
    ]
)


@given(st.lists(PARTS, max_size=30).map("".join), st.sampled_from(sorted(ENGINES)))
def test_they_are_those_of_one_expression(text: str, engine: str) -> None:
    how, expressions = ENGINES[engine]
    one = re.compile("|".join(expressions), re.DOTALL | re.MULTILINE)
    assert how.tags.find(text) == [match.span() for match in one.finditer(text)]


@pytest.mark.parametrize(
    "begin", ["{{ a", "{% if ", "{#", "${ a", "<% a", "</%", "<?python ", "tal:a='"]
)
@pytest.mark.parametrize("how", [how for how, _ in ENGINES.values()], ids=list(ENGINES))
def test_tags_that_nothing_ends_are_passed_in_linear_time(how: Syntax, begin: str) -> None:
    def took(count: int) -> float:
        text = begin * count
        began = time.process_time()
        how.tags.find(text)
        return time.process_time() - began

    few = min(took(2_000) for _ in range(3))
    assert min(took(32_000) for _ in range(2)) < 48 * few + 0.05
