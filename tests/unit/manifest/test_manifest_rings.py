"""Destinations by which functions tell each other of their ends, again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.manifest import ManifestError, load

HEAD = '[project]\nname = "shop"\n[queue.a]\n[queue.b]\n[topic.t]\n'


def function(name: str, more: str) -> str:
    return f'[function.{name}]\nhandler = "h:handler"\n{more}\n'


def queue(name: str, of: str) -> str:
    return f'[[function.{name}.queue]]\nqueue = "{of}"\n'


def topic(name: str) -> str:
    return f'[[function.{name}.topic]]\ntopic = "t"\n'


def told(name: str, end: str, *to: str) -> str:
    return f"[function.{name}.delivery]\n{end} = [{', '.join(f'{each!r}' for each in to)}]\n"


def loaded(folder: Path, *functions: str) -> None:
    path = folder / "casemate.toml"
    path.write_text(HEAD + "".join(functions))
    (folder / "h.py").write_text("def handler(event, context): ...\n")
    load(path)


RINGS = {
    "queues": (
        function("f", queue("f", "a") + told("f", "on_failure", "queue:b")),
        function("g", queue("g", "b") + told("g", "on_failure", "queue:a")),
    ),
    "through a function": (
        function("f", queue("f", "a") + told("f", "on_success", "function:h")),
        function("h", told("h", "on_success", "queue:b")),
        function("g", queue("g", "b") + told("g", "on_success", "queue:a")),
    ),
    "own topic": (function("f", topic("f") + told("f", "on_failure", "topic:t")),),
    "topic": (
        function("f", topic("f")),
        function(
            "g",
            topic("g")
            + '[[function.g.result]]\nfunction = "f"\non = ["failure"]\n'
            + told("g", "on_failure", "topic:t"),
        ),
    ),
}


@pytest.mark.parametrize("functions", RINGS.values(), ids=RINGS)
def test_an_end_that_leads_to_itself_through_messages_is_none(
    tmp_path: Path, functions: tuple[str, ...]
) -> None:
    with pytest.raises(ManifestError, match="it would never end"):
        loaded(tmp_path, *functions)


def test_what_comes_to_an_end_is_taken(tmp_path: Path) -> None:
    loaded(
        tmp_path,
        function("f", queue("f", "a") + told("f", "on_failure", "queue:b", "topic:t")),
        function("g", queue("g", "b") + told("g", "on_success", "queue:a")),
        function("h", topic("h") + told("h", "on_failure", "function:g")),
    )
