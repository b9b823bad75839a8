"""Manifests that documents show: each is read as that of a project, with what it leaves out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from casemate.manifest import ManifestError, load

ROOT = Path(__file__).resolve().parents[3]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KINDS = ("bucket", "table", "queue", "topic")
MISTAKES = "function.thumbnail.handlr"
"""In the one manifest that is shown with its mistakes."""


def shown() -> list[Any]:
    """Return the manifests that guides, references and explanations show."""
    found = []
    for page in sorted(ROOT.glob("docs/[!a]*/*.md")):
        blocks = [body for kind, body in FENCE.findall(page.read_text()) if kind == "toml"]
        for number, block in enumerate(blocks):
            if re.search(rf"^\[\[?({'|'.join(KINDS)}|function)\.", block, re.MULTILINE):
                found.append(pytest.param(page, number, block, id=f"{page.stem}-{number}"))
    return found


def names_in(function: dict[str, Any]) -> dict[str, set[str]]:
    """Return what of the project a function names: by grants, triggers and destinations."""
    named: dict[str, set[str]] = {kind: set() for kind in (*KINDS, "function")}
    for kind in KINDS:
        for each in function.get("grants", {}).get(f"{kind}s", []):
            named[kind].add(each["name"] if isinstance(each, dict) else each)
        named[kind] |= {each[kind] for each in function.get(kind, [])}
    delivery = function.get("delivery", {})
    for where in ("on_success", "on_failure"):
        for each in delivery.get(where, []):
            kind, _, name = each.partition(":")
            named[kind].add(name)
    return named


def completed(folder: Path, block: str) -> str:
    """Return a manifest with what a block of it leaves out; write the files that it names."""
    said = tomllib.loads(block)
    functions = said.get("function", {})
    head = "" if "project" in said else '[project]\nname = "shown"\n'
    for name, function in list(functions.items()):
        for kind, names in names_in(function).items():
            for each in sorted(names - said.get(kind, {}).keys()):
                said.setdefault(kind, {})[each] = {}
                more = {"table": 'key = "id"\n', "function": 'handler = "more:handler"\n'}
                head += f"[{kind}.{each}]\n{more.get(kind, '')}"
        if f"[function.{name}]" in block:
            default = "" if "handler" in function else '\nhandler = "app:handler"'
            block = block.replace(f"[function.{name}]", f"[function.{name}]{default}", 1)
        else:
            head += f'[function.{name}]\nhandler = "app:handler"\n'
        for place in function.get("errors", []) if isinstance(function.get("errors"), list) else ():
            if place.get("place", "").startswith("/"):
                path = place["place"]
                block += f'[[function.{name}.http]]\nmethod = "GET"\npath = "{path}"\n'
        written(folder, function)
    if not functions:
        head += '[function.more]\nhandler = "more:handler"\n'
    (folder / "more.py").write_text("def handler(event, context): ...\n")
    return head + block


def written(folder: Path, function: dict[str, Any]) -> None:
    """Write the module of a function, with what exceptions of the guard name, and its files."""
    source = folder / function.get("source", ".")
    handlers = [function.get("handler", "app:handler")]
    handlers += [each["location"] for each in function.get("guard", [])]
    for handler in handlers:
        module, _, name = handler.partition(":")
        path = source / f"{module.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"def {name}(event, context): ...\n")
    if (requirements := function.get("requirements")) is not None:
        (folder / requirements).parent.mkdir(parents=True, exist_ok=True)
        (folder / requirements).write_text("")
    triggers = [each for kind in function.values() if isinstance(kind, list) for each in kind]
    for each in (function, *triggers):
        if isinstance(each, dict) and (contract := each.get("contract")) is not None:
            (folder / contract).parent.mkdir(parents=True, exist_ok=True)
            (folder / contract).write_text('{"type": "object"}')


@pytest.mark.parametrize(("page", "number", "block"), shown())
def test_a_manifest_that_is_shown_can_be_used(
    tmp_path: Path, page: Path, number: int, block: str
) -> None:
    manifest = tmp_path / "casemate.toml"
    manifest.write_text(completed(tmp_path, block))
    try:
        load(manifest)
    except ManifestError as error:
        assert MISTAKES in str(error), f"{page.name}: {error}"
