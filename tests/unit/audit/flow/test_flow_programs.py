"""Each small program is told of as it was written, and not any more once it is mended."""

from __future__ import annotations

import textwrap

import pytest
from tests.unit.audit.flow.flow_programs import BODIES, HEAD

from casemate.audit.flow import Analysis, Entry, analyse


def _analysed(body: str) -> Analysis:
    start = 'x = event["queryStringParameters"]["x"]\ndata = json.loads(event["body"])\n'
    code = f"{HEAD}\ndef handler(event, context):\n{textwrap.indent(start + body, '    ')}\n"
    analysis = analyse({"app.py": code}, [Entry(path="app.py", name="handler")])
    assert not analysis.unresolved
    return analysis


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len(BODIES) >= 140
    assert len({name for name, *_ in BODIES}) == len(BODIES)


@pytest.mark.parametrize(("name", "weakness", "bad", "good"), BODIES, ids=[b[0] for b in BODIES])
def test_a_program_is_told_of_until_it_is_mended(
    name: str, weakness: str, bad: str, good: str
) -> None:
    found = [flow for flow in _analysed(bad).flows if flow.weakness == weakness]
    assert found
    assert found[0].steps
    assert found[0].place.path == "app.py"
    assert weakness not in {flow.weakness for flow in _analysed(good).flows}
