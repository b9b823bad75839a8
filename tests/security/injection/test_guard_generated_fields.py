"""Fields of a class that code generates: names that were checked pass, of a real object none do."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

_RECORD = """
def handler(event, context):
    good = [f for f in event["f"] if f.isidentifier() and not f.startswith("_")]
    lines = ["class Record:", "    def __init__(self, **given):"]
    lines += [f"        self.{f} = given.get({f!r})" for f in good] or ["        pass"]
    scope = {}
    exec(compile("\\n".join(lines), "<record>", "exec"), scope)
    return vars(scope["Record"](**event["f"]))
"""
_VALUES = """
def handler(event, context):
    lines = ["class Record:", "    def __init__(self):"]
    lines += [f"        self.{f} = {v}" for f, v in event["f"].items() if f.isidentifier()]
    scope = {}
    exec(compile("\\n".join(lines), "<record>", "exec"), scope)
    return vars(scope["Record"]())
"""
_OBJECT = """
class User:
    name, admin = "ada", False
def handler(event, context):
    self = User()
    for name, value in event["f"].items():
        if name.isidentifier():
            exec(f"self.{name} = {value!r}", {"self": self})
    return self.admin
"""
_OTHER = _RECORD.replace("self.{f} = ", "Settings.{f} = ").replace(
    "    lines =", "    class Settings: pass\n    lines =", 1
)
_READ = _RECORD.replace("self.{f} = given.get({f!r})", "self.a = self.{f}")
_UNCHECKED = _RECORD.replace(' if f.isidentifier() and not f.startswith("_")', "")

PASSES: Cases = {
    "fields that are generated": (_RECORD, {"f": {"eta": "14:30", "remark": "def f(): return 1"}}),
    "in other letters": (_RECORD, {"f": {"λ": [1, {"a": "b"}], "_hidden": 1, "größe": 2}}),
    "hostile values": (_RECORD, {"f": {"x": "exec(1)", "y y": "'); import os"}}),
    "with literals": (_VALUES, {"f": {"x": 1, "größe": 2.5}}),
}
ATTACKS: Cases = {
    "code as the value": (_VALUES, {"f": {"x": "__import__('os').getpid()"}}),
    "a field of a real object": (_OBJECT, {"f": {"admin": True}}),
    "a field of another one": (_OTHER, {"f": {"name": 1}}),
    "a field that is read": (_READ, {"f": {"secret": 1}}),
    "a hidden field": (_UNCHECKED, {"f": {"__class__": 1}}),
    "more than a name": (_UNCHECKED, {"f": {"x = print(6 * 7); self.y": 1}}),
}


def test_checked_names_of_generated_fields_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, PASSES, ())


def test_what_is_more_than_that_is_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, ATTACKS, {"code"}, ())
