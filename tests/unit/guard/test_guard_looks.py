"""What is done with the name of an `except`: whether it can make a text of the exception."""

from __future__ import annotations

import ast

import pytest

from casemate.guard.looks import may_tell, reads_again, splits_head
from casemate.guard.names import READS_HEAD, READS_LINES


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("pass", False),
        ("raise KeyError from e", False),
        ("raise KeyError(e) from e", True),
        ("raise", False),
        ("return e", True),
        ("return [].append(e)", True),
        ("return f'{e}'", True),
        ("return '%s' % e", True),
        ("return lambda: e", True),
        ("return e.args", True),
        ("return locals()", True),
        ("return eval('str(e)')", True),
        ("return isinstance(e, OSError)", False),
        ("return isinstance(OSError, e)", True),
        ("log.warning('it is %s', e)", False),
        ("self.log.log(30, 'it is %s', e)", False),
        ("log.log('%d', 'it is %s', e)", False),
        ("log.warning('it is', e)", True),
        ("log.warning(e)", True),
        ("log.warning('it is %s' % e)", True),
        ("log.warning('it is %s', str(e))", True),
        ("log.warning(text, e)", True),
        ("log.warning('it is %s', 1, extra={'e': e})", True),
        ("page.write('it is %s', e)", True),
        ("warning('it is %s', e)", True),
        ("e = 3", False),
        ("del e", False),
    ],
)
def test_a_name_that_is_logged_compared_or_raised_from_tells_nothing(body: str, told: bool) -> None:
    for named in (True, False):
        head = "except OSError as e" if named else "except OSError"
        [block] = ast.parse(f"def f():\n try: g()\n {head}:\n  {body}").body[0].body  # type: ignore[attr-defined]
        assert may_tell(block.handlers[0]) is (told and named)


@pytest.mark.parametrize(
    ("code", "announced"),
    [
        *(("t.split('\\n\\n', 1)", READS_HEAD), ("t.partition(b'\\r\\n\\r\\n')", READS_HEAD)),
        *(("t.split('\\r\\n')", READS_HEAD), ("t.find('\\r\\n\\r\\n')", READS_HEAD)),
        *(
            ("t.find('\\r\\n')", ""),
            ("t.split('\\n')", ""),
            ("t.split(';')", ""),
            ("t.split()", ""),
        ),
        *(("t.strip('\\n\\n')", ""), ("split('\\n\\n')", ""), ("t.splitlines()", "")),
        *(("out.getvalue()", READS_LINES), ("out.seek(0)", READS_LINES), ("out.seek(1)", "")),
        *(("out.getvalue().splitlines()", ""), ("getvalue()", ""), ("out.seek(0, 2)", "")),
    ],
)
def test_what_is_read_again_is_known_by_its_look(code: str, announced: str) -> None:
    node = ast.parse(code, mode="eval").body
    assert isinstance(node, ast.Call)
    assert reads_again(node) == announced


@pytest.mark.parametrize(
    ("code", "splits"),
    [
        *((r"re.split(r'\r?\n\r?\n', t)", True), (r"re.split(r'\n\s*\n', t, 1)", True)),
        *(
            (r"re.split(r'\r?\n', t)", False),
            (r"re.split(P, t)", False),
            (r"re.split('\n\n')", False),
        ),
        *((r"P.split('\n\n', t)", False), (r"re.sub('\n\n', t)", False)),
    ],
)
def test_patterns_of_empty_lines_are_known_by_their_look(code: str, splits: bool) -> None:
    node = ast.parse(code, mode="eval").body
    assert isinstance(node, ast.Call)
    assert splits_head(node) is splits
