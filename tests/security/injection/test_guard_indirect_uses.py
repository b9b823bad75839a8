"""Code, commands and patterns that run by a way of their own: loaders, `$1`, `re.split`, options."""

from __future__ import annotations

import base64
from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

_RESOLVED = """
import pkgutil
def handler(event, context): return pkgutil.resolve_name(event["task"].replace("/", ":")).__name__
"""
_RESOLVED_INSIDE = """
import pkgutil
def handler(event, context): return pkgutil.resolve_name("json:" + event["task"]).__name__
"""
_RELATIVE = """
import importlib
def handler(event, context):
    return importlib.import_module("." + event["name"], package=event.get("in", "json")).__name__
"""
_FRAME = """
import pandas
def handler(event, context):
    frame = pandas.DataFrame({"price": [1, 5, 9], "kind": ["a", "b", "a"]})
    return len(frame.query(f"price >= {event['least']} and kind == '{event['kind']}'"))
"""
_LITERAL = """
import ast
def handler(event, context): return ast.literal_eval("['" + event["text"] + "', 1]")
"""
_TREE = """
import ast
def handler(event, context):
    tree = ast.parse("f('" + event["text"] + "')", mode="eval")
    return eval(compile(tree, "x", "eval"), {"f": len})
"""
_PLUGIN = """
import importlib.util
def handler(event, context):
    spec = importlib.util.spec_from_file_location("plugin", "/tmp/plugins/" + event["name"] + ".py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except FileNotFoundError:
        return None
"""
_LOADER = """
import importlib.machinery, importlib.util
def handler(event, context):
    loader = importlib.machinery.SourceFileLoader("plugin", "/tmp/plugins/" + event["name"] + ".py")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("plugin", loader))
    try:
        loader.exec_module(module)
    except FileNotFoundError:
        return None
"""
_LATE = """
def handler(event, context):
    import colorsys, importlib.util
    spec = importlib.util.spec_from_file_location("late", colorsys.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.rgb_to_hsv(1, 0, 0)
"""
_LOG = """
import io, logging
def handler(event, context):
    logging.basicConfig(format=event["format"], style="{", stream=io.StringIO(), force=True)
    logging.warning("x")
"""
_LOG_PERCENT = _LOG.replace('style="{"', 'style="%"')
_SPLIT = """
import re
def handler(event, context): return [re.split("|".join(event["by"]), t) for t in event["texts"]]
"""
_SPLIT_CONSTANT = """
import re
SEPARATOR = re.compile(r"(\\s*,*)*;")
def handler(event, context): return SEPARATOR.split(event["text"])
"""
_FOUND = """
import re
WORDS = re.compile(r"(\\w+\\s*)+;")
def handler(event, context): return WORDS.findall(event["text"])
"""
_JQ = """
import subprocess
def handler(event, context):
    try:
        return subprocess.run(["jq", "-n", "--arg", "v", event["value"], event.get("filter", "$v")]).returncode
    except FileNotFoundError:
        return 0
"""
_FIRST = """
import subprocess
def handler(event, context):
    return subprocess.run(["sh", "-c", "cd / && $1", "_", event["text"]]).returncode
"""
_ALL = """
import subprocess
def handler(event, context):
    return subprocess.run(["sh", "-c", 'cd / && exec "$@"', "_", *event["words"]]).returncode
"""
_ALL_ECHO = _ALL.replace('"_", ', '"_", "echo", ')
_PRINTED = """
import subprocess
def handler(event, context):
    return subprocess.run(["sh", "-c", 'echo "$1" | tr a-z A-Z', "_", event["text"]]).returncode
"""
_YAML = """
import base64, yaml
def handler(event, context): return yaml.load(%s, Loader=yaml.%s)
"""
_QUOTED = _YAML % ('f\'title: "{event["y"]}"\'', "UnsafeLoader")
_BLOCK = _YAML % ("'text: |\\n  ' + event['y'] + '\\n'", "Loader")
_WHOLE = _YAML % ("event['y']", "UnsafeLoader")
_FULL = _YAML % ("event['y']", "FullLoader")
_DECODED = _YAML % ("base64.b64decode(event['y'])", "UnsafeLoader")
_DUMPED = _YAML % ("yaml.safe_dump({'n': event['y']})", "FullLoader")
_OBJECT = "!!python/object/apply:os.getcwd []"
_FIRST_OF_ALL = """
import yaml
def handler(event, context): return next(yaml.load_all(event["y"], Loader=yaml.UnsafeLoader))
"""


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ATTACKS: Cases = {
    "a name that is resolved": (_RESOLVED, {"task": "os/system"}),
    "a package that is chosen": (_RELATIVE, {"name": "path", "in": "os"}),
    "a query of a frame": (_FRAME, {"least": 3, "kind": "x' or @__builtins__ or kind == '"}),
    "a tree of a quoted value": (_TREE, {"text": "') or __import__('os').getcwd() or ('"}),
    "a plugin's file": (_PLUGIN, {"name": "../../etc/x"}),
    "a loader's file": (_LOADER, {"name": "../../etc/x"}),
    "a log's format": (_LOG, {"format": "{msg.__class__.__mro__}"}),
    "re.split": (_SPLIT, {"by": [",", "(;*)*$"], "texts": ["a,b"]}),
    "split by a constant": (_SPLIT_CONSTANT, {"text": " , " * 30}),
    "findall of a constant": (_FOUND, {"text": "word " * 30}),
    "a filter of jq": (_JQ, {"value": "x", "filter": "env | .KEY"}),
    "$1 is the command": (_FIRST, {"text": "id -u"}),
    "$@ is the command": (_ALL, {"words": ["id", "-u"]}),
    "YAML that ends its quotes": (_QUOTED, {"y": f'x"\nevil: {_OBJECT}\nz: "'}),
    "YAML that ends its block": (_BLOCK, {"y": f"a\nb: {_OBJECT}"}),
    "YAML of its own directive": (
        _WHOLE,
        {"y": "%TAG !p! tag:yaml.org,2002:python/\n---\n!p!object/apply:os.getcwd []"},
    ),
    "YAML with a tag after an anchor": (_FULL, {"y": "[&a !!python/name:os.system '', *a]"}),
    "YAML that is broken further on": (_FIRST_OF_ALL, {"y": f"{_OBJECT}\n---\n\t- {{bad"}),
    "YAML in bytes": (_DECODED, {"y": _coded(f"a: {_OBJECT}")}),
}
HARMLESS: Cases = {
    "a name that the code begins": (_RESOLVED_INSIDE, {"task": "loads"}),
    "a module of the code's package": (_RELATIVE, {"name": "decoder"}),
    "a query of a frame": (_FRAME, {"least": -1.5, "kind": "it is b"}),
    "a literal with a quoted value": (_LITERAL, {"text": "it is (a) text; x = 1"}),
    "a tree of a quoted value": (_TREE, {"text": "it is (a) text; x = 1"}),
    "a plugin's file": (_PLUGIN, {"name": "hello"}),
    "a loader's file": (_LOADER, {"name": "hello"}),
    "a module that is imported late": (_LATE, {"name": "colorsys"}),
    "a log's format": (_LOG, {"format": "{asctime} {message:>10}"}),
    "a log's format of percents": (_LOG_PERCENT, {"format": "%(message)s {msg.__class__}"}),
    "re.split": (_SPLIT, {"by": [",", ";"], "texts": ["a,b;c"]}),
    "split by a constant": (_SPLIT_CONSTANT, {"text": "a;b"}),
    "findall of a constant": (_FOUND, {"text": "a b;"}),
    "a value of jq": (_JQ, {"value": '" or true | --from-file=x'}),
    "a value of jq with a dash": (_JQ, {"value": "--from-file=x"}),
    "$@ is the rest of a command": (_ALL_ECHO, {"words": ["id; x", "a b"]}),
    "$1 is data": (_PRINTED, {"text": "id; $(x)"}),
    "YAML in quotes": (_QUOTED, {"y": f"fine {_OBJECT}"}),
    "YAML in a block": (_BLOCK, {"y": f"use {_OBJECT} with care"}),
    "YAML with quotes": (_WHOLE, {"y": f"a: 'x {_OBJECT}'"}),
    "YAML with tags of its own": (_FULL, {"y": "a: !!str 5\nb: !!seq [1]"}),
    "YAML that the code wrote": (_DUMPED, {"y": _OBJECT}),
    "YAML in bytes": (_DECODED, {"y": _coded(f'a: "{_OBJECT}"')}),
}
_SINKS = {"code", "command", "path", "regex", "deserialisation"}


def test_indirect_uses_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(ATTACKS, tmp_path), _SINKS, ("yaml", "pandas"))


def test_their_harmless_like_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ("yaml", "pandas"))
