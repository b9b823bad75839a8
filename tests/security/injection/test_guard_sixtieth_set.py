"""What a sixtieth set of everyday programs showed: quotes that are doubled as the reader knows."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes, each_turn, of_turn

TURNS = 3
EACH_TURN = each_turn(TURNS)
OF_QUERIES = ("nosql", "sql", "deserialisation", "file")

STORE = """
import json, re
{reader}
ROWS = [{{"owner": "ann", "note": "a"}}, {{"owner": "bob", "note": "gate 7"}}]
def pairs(text):
    found, at = [], 0
    while at < len(text):
        m = TOKEN.match(text, at)
        if not m:
            raise ValueError(text[at:])
        found.append((m.lastgroup, m.group(m.lastgroup)))
        at = m.end()
    return found
class Store:
    def __init__(self, rows):
        self.rows = rows
    def ask(self, text):
        words = {taken}
        return [r for r in self.rows if any(r["owner"] in str(w) for w in words)]
def handler(event, context):
    v = event["v"]
    {make}
    return len(Store(ROWS).ask(text))
"""
TOKENS = "pairs(text.strip())"
"""How readers take a text apart: token by token, by `finditer` and by `findall`."""
FOUND = "[m[0] for m in TOKEN.finditer(text)]"
ALL = "TOKEN.findall(text)"
DOUBLED = r"""TOKEN = re.compile(r"\s*(?:(?P<s>'(?:[^']|'')*')|(?P<o>[=<>]+)|(?P<w>\w+))")"""
DOUBLED_RUN = r"""TOKEN = re.compile(r"\s*(?P<s>'[^']*(?:''[^']*)*'|[=<>]+|\w+)")"""
BACKSLASHED = r"""TOKEN = re.compile(r"\s*(?:(?P<s>'(?:[^'\\]|\\.)*')|(?P<o>[=<>]+)|(?P<w>\w+))")"""
BACKSLASHED_RUN = r"""TOKEN = re.compile(r'\s*(?P<s>"(?:\\.|[^"\\])*"|[=<>]+|\w+)')"""
DOUBLED_DOUBLE = r"""TOKEN = re.compile(r'\s*(?P<s>"(?:[^"]|"")*"|[=<>]+|\w+)')"""
BOTH = r'''TOKEN = re.compile(r"""\s*(?P<s>'(?:[^']|'')*'|"(?:[^"]|"")*"|[=<>]+|\w+)""")'''
PLAIN = r"""TOKEN = re.compile(r"\s*(?:(?P<s>'[^']*')|(?P<o>[=<>]+)|(?P<w>\w+))")"""
PLAIN_DOUBLE = r"""TOKEN = re.compile(r'\s*(?P<s>"[^"]*"|[=<>]+|\w+)')"""

SINGLE = """
    text = f"owner = '{{v}}' AND note > 'a'"
"""


def _store(reader: str, taken: str, make: str) -> str:
    return STORE.format(reader=reader, taken=taken, make=make.strip())


OR = "x' OR owner = 'bob"
OR_DOUBLE = 'x" OR owner = "bob'
D = """v = v.replace("'", "''"); text = f"owner = '{v}' AND note > 'a'" """
D_CHR = """text = f"owner = '{v.replace(chr(39), chr(39) * 2)}' AND note > 'a'" """
D_PERCENT = """text = "owner = '%s' AND note > 'a'" % v.replace("'", "''")"""
D_JOIN = """text = "owner = '" + "''".join(v.split("'")) + "' AND note > 'a'" """
D_SUB = """text = "owner = '{}' AND note > 'a'".format(re.sub("'", "''", v))"""
D_LOOP = """
    out = ""
    for c in v:
        out += "''" if c == "'" else c
    text = f"owner = '{out}' AND note > 'a'"
"""
D_DOUBLE = """text = 'owner = "' + v.replace('"', '""') + '" AND note > "a"'"""
B = r"""text = "owner = '" + v.replace("\\", "\\\\").replace("'", "\\'") + "' AND note > 'a'" """
B_DOUBLE = r"""text = 'owner = "%s" AND note > "a"' % v.replace("\\", "\\\\").replace('"', '\\"')"""
RAW = """text = f"owner = '{v}' AND note > 'a'" """
RAW_DOUBLE = """text = f'owner = "{v}" AND note > "a"'"""

ATTACKS = {
    "nothing is doubled": (_store(DOUBLED, TOKENS, RAW), {"v": OR}),
    "nothing is doubled, found": (_store(DOUBLED_RUN, FOUND, RAW), {"v": OR}),
    "nothing is escaped": (_store(BACKSLASHED, TOKENS, RAW), {"v": OR}),
    "nothing is escaped, double": (_store(BACKSLASHED_RUN, ALL, RAW_DOUBLE), {"v": OR_DOUBLE}),
    "reader without doubling": (_store(PLAIN, TOKENS, D), {"v": OR}),
    "reader without doubling, found": (_store(PLAIN, FOUND, D_CHR), {"v": OR}),
    "reader without doubling, double": (
        _store(PLAIN_DOUBLE, ALL, D_DOUBLE),
        {"v": OR_DOUBLE},
    ),
    "reader without backslashes": (_store(PLAIN, TOKENS, B), {"v": OR}),
    "reader without backslashes, double": (
        _store(PLAIN_DOUBLE, FOUND, B_DOUBLE),
        {"v": OR_DOUBLE},
    ),
    "reader of doubled, escaped by backslashes": (_store(DOUBLED, TOKENS, B), {"v": OR}),
    "reader of backslashes, doubled": (_store(BACKSLASHED, FOUND, D), {"v": OR}),
    "the other quotes are doubled": (
        _store(
            BOTH,
            FOUND,
            """text = 'owner = "' + v.replace(
        "'", "''") + '" AND note > "a"'""",
        ),
        {"v": OR_DOUBLE},
    ),
    "doubled, and half of it cut off": (
        _store(DOUBLED, TOKENS, D.replace("; text", "; v = v[:20]; text")),
        {"v": "xy OR owner = 'bob' o'"},
    ),
    "one quote doubled": (
        _store(DOUBLED, TOKENS, D.replace("\"''\")", "\"''\", 1)")),
        {"v": "o'x' OR owner = 'bob"},
    ),
    "backslashes are not escaped": (
        _store(BACKSLASHED, TOKENS, B.replace(r'.replace("\\", "\\\\")', "")),
        {"v": "x\\' OR owner = 'bob"},
    ),
    "escaped and taken back": (
        _store(DOUBLED, FOUND, D.replace("; text", '; v = v.replace("\'\'", "\'"); text')),
        {"v": OR},
    ),
    "quotes in another field": (
        _store(DOUBLED, TOKENS, D.replace("'a'\"", "'{event['n']}'\"")),
        {"v": "o'neil", "n": "x' OR owner = 'bob"},
    ),
}
HARMLESS = {
    f"{name}, {how}": (_store(reader, taken, make), {"v": value})
    for how, reader, taken, make, values in (
        ("doubled", DOUBLED, TOKENS, D, ("o'hara", OR, "'", "''", "ann", "x'' OR 1 = ''1")),
        ("doubled by chr", DOUBLED, FOUND, D_CHR, ("o'hara", OR)),
        ("doubled by percent", DOUBLED_RUN, TOKENS, D_PERCENT, ("it's o'clock",)),
        ("doubled by join", DOUBLED_RUN, FOUND, D_JOIN, ("o'hara", OR)),
        ("doubled by sub", DOUBLED, FOUND, D_SUB, ("rock 'n' roll",)),
        ("doubled in a loop", DOUBLED, TOKENS, D_LOOP, ("o'hara",)),
        ("doubled double", DOUBLED_DOUBLE, FOUND, D_DOUBLE, ('5" pipe', OR_DOUBLE)),
        ("both known", BOTH, FOUND, D, ("o'hara", OR_DOUBLE)),
        ("escaped", BACKSLASHED, TOKENS, B, ("o'hara", OR, "c:\\x", "\\' OR owner = 'bob")),
        ("escaped double", BACKSLASHED_RUN, FOUND, B_DOUBLE, ('5" pipe', OR_DOUBLE)),
        ("no quotes", PLAIN, TOKENS, RAW, ("ann", 'the "best"')),
    )
    for name, value in zip("abcdef", values, strict=False)
}


@EACH_TURN
def test_blocks_data_that_ends_its_quotes_for_the_pattern_that_reads(
    tmp_path: Path, turn: int
) -> None:
    """Doubled or escaped in a way that the reader does not know, or not at all."""
    assert_blocked(tmp_path, of_turn(ATTACKS, turn, TURNS), set(OF_QUERIES), ())


@EACH_TURN
def test_passes_quotes_that_are_escaped_as_the_reader_knows(tmp_path: Path, turn: int) -> None:
    """A customer may be called O'Hara."""
    assert_passes(tmp_path, of_turn(HARMLESS, turn, TURNS), ())
