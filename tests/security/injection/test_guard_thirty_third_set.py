"""What a thirty-third set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- modules of a package of the code's own --------------------------------------------------------

WORKER = """
import tasks
def handler(event, context):
    found = tasks
    for part in event["task"].split("."):
        found = getattr(found, part)
    return found(*event.get("args", []))
"""
MAIL = """
import os
import secrets as _secrets
def welcome(name): return f"Welcome, {name}"
def _purge(): return "gone"
"""


def _with_tasks(folder: Path, cases: Cases) -> Cases:
    for number in range(len({code for code, _ in cases.values()})):
        tasks = folder / f"case{number}" / "tasks"
        tasks.mkdir(parents=True)
        (tasks / "__init__.py").write_text("import json\nfrom . import _inner, mail\n")
        (tasks / "_inner.py").write_text("def reset(): return 'reset'\n")
        (tasks / "mail.py").write_text(MAIL)
    return cases


def test_a_module_of_the_codes_own_package_may_be_named(tmp_path: Path) -> None:
    cases: Cases = {"mail": (WORKER, {"task": "mail.welcome", "args": ["O'Hara"]})}
    assert_passes(tmp_path, _with_tasks(tmp_path, cases), ())


def test_what_these_modules_import_or_keep_to_themselves_may_not(tmp_path: Path) -> None:
    names = ("mail.os.getcwd", "json.dumps", "_inner.reset", "mail._purge", "mail.__name__.upper")
    cases: Cases = {name: (WORKER, {"task": name}) for name in names}
    assert_blocked(tmp_path, _with_tasks(tmp_path, cases), {"code"}, ())


# -- what the methods of a class set, in a class whose methods have defaults -----------------------

ACCOUNT = """
class Account:
    def __init__(self, owner, key):
        self.owner = owner
        self._api_key = key
    def label(self, prefix="#", *more, sep=("a", "b")):
        return prefix + self.owner
ACCOUNT = Account("Ann", "ak-1")
def handler(event, context):
    return [str(getattr(ACCOUNT, column)) for column in event["columns"]]
"""


def test_a_default_of_a_method_offers_no_private_attribute(tmp_path: Path) -> None:
    cases: Cases = {"private": (ACCOUNT, {"columns": ["owner", "_api_key"]})}
    assert_blocked(tmp_path, cases, {"code"}, ())
    assert_passes(tmp_path, {"owner": (ACCOUNT, {"columns": ["owner"]})}, ())


# -- numbers that begin with a dot -----------------------------------------------------------------

FEE = """
def handler(event, context):
    return str(eval("TABLE".format(amount=event["amount"]), {"__builtins__": {}, "rate": 2}))
"""


def test_a_number_may_begin_with_a_dot(tmp_path: Path) -> None:
    code = FEE.replace("TABLE", "38 + ({amount}) * 20")
    assert_passes(tmp_path, {a: (code, {"amount": a}) for a in (".5", ".5e2", "-.25", "5.")}, ())


def test_what_goes_on_behind_the_codes_own_may_not(tmp_path: Path) -> None:
    cases: Cases = {
        "a name": (FEE.replace("TABLE", "rate{amount}"), {"amount": ".real"}),
        "a number": (FEE.replace("TABLE", "3{amount}"), {"amount": ".5 + rate"}),
        "more": (FEE.replace("TABLE", "38 + ({amount})"), {"amount": ".5) + (rate"}),
    }
    assert_blocked(tmp_path, cases, {"code"}, ())
