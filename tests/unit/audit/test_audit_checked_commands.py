"""A command line of checked data alone is not told; one that anything else comes into is."""

from __future__ import annotations

import ast

import pytest

from casemate.audit.auditing import Options, audit
from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.python_dangers import shell

_HEAD = "import os, re, shlex, subprocess\n"
_CHECK = "if not re.fullmatch(r'[a-z]+', a): raise ValueError"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (f"def f(a):\n  {_CHECK}\n  os.system(f'ls {{a}}')", 0),
        (f"def f(a):\n  {_CHECK}\n  subprocess.run(f'ls {{a}}', shell=True)", 0),
        ("def f(a):\n  subprocess.run(f'ls {shlex.quote(a)}', shell=True)", 0),
        (f"class A:\n def f(self, a):\n  {_CHECK}\n  os.system(f'ls {{a}}')", 0),
        (f"def c(a):\n  {_CHECK}\ndef f(a):\n  c(a)\n  os.system(f'ls {{a}}')", 0),
        ("def f(a):\n  os.system(f'ls {a}')", 1),
        (f"def f(a, b):\n  {_CHECK}\n  os.system(f'ls {{a}} {{b}}')", 1),
        (f"def f(a):\n  {_CHECK}\n  os.system(f'ls {{a}} {{B}}')", 1),
        (f"def f(a):\n  {_CHECK.replace('fullmatch', 'match')}\n  os.system(f'ls {{a}}')", 1),
        (f"def g(a):\n  os.system(f'ls {{a}}')\ndef f(a):\n  {_CHECK}\n  g(a)", 1),
        ("from v import c\ndef f(a):\n  c(a)\n  os.system(f'ls {a}')", 1),
        ("class A:\n def f(self):\n  os.system(f'ls {self.a}')", 1),
        ("os.system(f'ls {A}')", 1),
    ],
)
def test_command_lines_of_python(code: str, found: int) -> None:
    code = _HEAD + code + "\n"
    assert len(list(shell(PythonFile("a.py", code, ast.parse(code))))) == found


_ROUTE = """const express = require('express'); const cp = require('child_process');
const app = express();
app.get('/a', (req, res) => {
  const a = String(req.query.a);
  CHECK
  RUN
  res.end();
});
"""
_TEST = "if (!/^[a-z]+$/.test(a)) return res.sendStatus(400);"


@pytest.mark.parametrize(
    ("check", "run", "found"),
    [
        (_TEST, "cp.exec(`ls ${a}`);", set()),
        ("", "cp.exec(`ls ${a}`);", {"DF-002"}),
        (_TEST, "cp.exec(`ls ${a} ${process.env.B}`);", {"JS-004"}),
        (_TEST, "cp.exec(`ls ${a} ${later}`);", {"JS-004"}),
        (_TEST, "const run = (b) => {\n cp.exec(`ls ${b}`); };\n run(a);", {"JS-004"}),
    ],
)
def test_command_lines_of_javascript(tmp_path, check: str, run: str, found: set[str]) -> None:
    (tmp_path / "a.js").write_text(_ROUTE.replace("CHECK", check).replace("RUN", run))
    report = audit(tmp_path, Options(only=("JS-004", "DF-002")))
    assert {each.rule for each in report.findings} == found
