"""What a twenty-second set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- columns read by types that the event names ----------------------------------------------------

COLUMN = (
    "import builtins\n\ndef handler(event, context):\n"
    "    return getattr(builtins, event['type'])(event['value'])\n"
)


def _column(name: str, value: str) -> tuple[str, object]:
    return COLUMN, {"type": name, "value": value}


TYPES_AS_MEANT: Cases = {
    name: _column(name, value)
    for name, value in (("int", "31"), ("float", "2.5"), ("str", "a, b"), ("bool", "x"))
}
TYPES_STOPPED: Cases = {
    name: _column(name, "1+1")
    for name in ("eval", "exec", "open", "compile", "__import__", "delattr", "vars", "breakpoint")
}

# -- objects that say how they are shown -----------------------------------------------------------

PLAYERS = (
    "class Player:\n    def __init__(self, name):\n        self.name, self.key = name, 'k-1'\n"
    "    def __str__(self):\n        return self.name\n"
    "    def __repr__(self):\n        return f'Player({self.name}, {self.key})'\n\n"
    "class Bare:\n    def __init__(self, name):\n        self.key = 'k-1'\n"
    "    def __repr__(self):\n        return self.key\n\n"
    "def handler(event, context):\n"
    "    return event['text'].format(Player('Ada'), player=Player('Ada'), bare=Bare('Bob'))\n"
)


def _shown(text: str) -> tuple[str, object]:
    return PLAYERS, {"text": text}


SHOWN_AS_MEANT: Cases = {
    text: _shown(text) for text in ("{player} scores!", "{0}", "{player!s}: 2 goals")
}
SHOWN_STOPPED: Cases = {
    text: _shown(text)
    for text in ("{bare}", "{player!r}", "{0!a}", "{player.key.__class__}", "{player.__init__}")
}


def test_types_and_objects_that_show_themselves_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, {**TYPES_AS_MEANT, **SHOWN_AS_MEANT}, ())


def test_other_functions_and_other_texts_of_objects_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {**TYPES_STOPPED, **SHOWN_STOPPED}, {"code"}, ())
