"""A field of what the code's XPath has chosen: a plain name passes, whatever reaches further not."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

_DOCUMENT = """
from lxml import etree
TREE = etree.fromstring("<port><quay><ship imo='1' flag='DK'><name>a</name><cargo>grain</cargo>"
                        "<pin>9</pin><owner-mail>x</owner-mail></ship></quay>"
                        "<office><pin>1</pin></office></port>")
def handler(event, context):
    found = TREE.xpath(EXPRESSION, imo=event.get("imo", "1"))
    return [one if isinstance(one, str) else one.text for one in found]
"""


def _of(expression: str) -> str:
    return _DOCUMENT.replace("EXPRESSION", expression)


_FIELD = _of("f\"/port/quay/ship[@imo=$imo]/{event['f']}\"")
_TEXT = _of("f\"//ship[@imo=$imo] / {event['f']}/text()\"")
_ATTRIBUTE = _of("f\"//ship/@{event['f']}\"")
_CONTAINER = _of("f\"/port/{event['f']}\"")
_ANYWHERE = _of("f\"//ship[@imo=$imo]//{event['f']}\"")
_MORE = _of("f\"/port/quay/ship[@imo=$imo]/{event['f']}/../pin\"")
_WITHIN = _of("f\"//ship[name/{event['f']}]\"")

PASSES: Cases = {
    "a field": (_FIELD, {"f": "cargo"}),
    "its text": (_TEXT, {"f": "name"}),
    "an attribute": (_ATTRIBUTE, {"f": "flag"}),
    "beside a variable": (_FIELD, {"f": "cargo", "imo": "' or '1'='1"}),
}
ATTACKS: Cases = {
    "a field that is kept back": (_FIELD, {"f": "pin"}),
    "a person's": (_FIELD, {"f": "owner-mail"}),
    "a field and more": (_FIELD, {"f": "name | //pin"}),
    "a step up": (_FIELD, {"f": "../../office"}),
    "an axis": (_FIELD, {"f": "ancestor::port"}),
    "all fields": (_FIELD, {"f": "*"}),
    "a function": (_FIELD, {"f": "node()"}),
    "a hidden attribute": (_ATTRIBUTE, {"f": "token"}),
    "what has fields below": (_CONTAINER, {"f": "office"}),
    "a field of whatever is below": (_ANYWHERE, {"f": "name"}),
    "a step that the code goes on from": (_MORE, {"f": "name"}),
    "within a predicate": (_WITHIN, {"f": "../pin"}),
}


def test_fields_of_what_the_code_has_chosen_pass(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    assert_passes(tmp_path, PASSES, ("lxml",))


def test_what_reaches_further_is_stopped(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    assert_blocked(tmp_path, ATTACKS, {"xpath"}, ("lxml",))
