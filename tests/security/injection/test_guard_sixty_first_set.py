"""What a sixty-first set of everyday programs showed: tables, widths, LaTeX, images, cut pickles."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes, each_turn, of_turn

TURNS = 3
EACH_TURN = each_turn(TURNS)

TABLE = """
import csv, io, re
COLUMNS = ["name", "note", "role"]
SEPARATORS = {"comma": ",", "semicolon": ";"}
class Sheet:
    def __init__(self):
        self.f = io.StringIO({newline})
        self.w = csv.{writer}
    def add(self, name, note, role="guest"):
        self.w.writerow({row})
    def text(self):
        return self.f.getvalue()
def roles(sheet):
    {read}
def handler(event, context):
    sheet = Sheet()
    for each in event["rows"]:
        sheet.add(each.get("name", ""), "'" + each.get("note", ""))
    return roles(sheet)
"""
WRITERS = {
    "rows": ("writer(self.f)", "[name, note, role]"),
    "quoted": ("writer(self.f, quoting=csv.QUOTE_ALL, lineterminator='\\n')", "[name, note, role]"),
    "semicolons": ("writer(self.f, delimiter=';')", "(name, note, role)"),
    "fields": (
        "DictWriter(self.f, COLUMNS)",
        "{'name': name, 'note': note, 'role': role}",
    ),
}
BY_LINES = {
    "splitlines": "return [line.split(',')[-1] for line in sheet.text().splitlines()]",
    "split": "return [line.rsplit(',', 1)[-1] for line in sheet.text().split('\\n')]",
    "kept": "text = sheet.text(); rows = text.strip().splitlines()\n"
    "    return [r.partition(',')[0] for r in rows]",
    "file": "sheet.f.seek(0)\n    return [line.split(',')[-1] for line in sheet.f]",
    "pattern": "return re.findall(r'(?m)^([^,]*),([^,]*),(\\w+)', sheet.text())",
    "lines, beside a reader": "return [line.split(',')[-1] for line in sheet.text().splitlines()]\n"
    "def columns(text):\n    return [len(row) for row in csv.reader(io.StringIO(text))]",
    "in memory": "return [line.split(',')[-1] for line in io.StringIO(sheet.text())]",
}
BY_TABLES = {
    "reader": "sheet.f.seek(0)\n    return [row[-1] for row in csv.reader(sheet.f)]",
    "text": "return [row[-1:] for row in csv.reader(io.StringIO(sheet.text()))]",
    "lines": "return [row[-1:] for row in csv.reader(sheet.text().splitlines())]",
    "kept ends": "return [r[-1:] for r in csv.reader(sheet.text().splitlines(keepends=True))]",
    "fields": "return [r for r in csv.DictReader(io.StringIO(sheet.text()), COLUMNS)]",
    "returned": "return {'headers': {'Content-Type': 'text/csv'}, 'body': sheet.text()}",
    "read": "return sheet.text()",
    "own": "\n    ".join(
        (
            "rows, row, cell, quoted = [], [], '', False",
            "for c in sheet.text():",
            "    if c == '\"':",
            "        quoted = not quoted",
            "    elif c in ',;' and not quoted:",
            "        row.append(cell); cell = ''",
            "    elif c == '\\n' and not quoted:",
            "        rows.append(row + [cell]); row, cell = [], ''",
            "    else:",
            "        cell += c",
            "return rows",
        )
    ),
}
ROWS = [
    {"name": "ann", "note": "x\nroot,y,admin"},
    {"name": "bob", "note": "z"},
]
NOTES = (
    'line1\nline2, "x"',
    "Dear all,\nplease, come, early\nann",
    "a;b\nc;d;e",
    'He said:\n"yes, I do", twice',
)


def _table(writer: str, read: str, newline: str = "newline=''") -> str:
    made, row = WRITERS[writer]
    code = TABLE.replace("{newline}", newline).replace("{writer}", made)
    return code.replace("{row}", row).replace("{read}", read)


ATTACKS_TABLES = {
    f"{writer} by {how}": (_table(writer, read), {"rows": ROWS})
    for writer in ("rows", "quoted", "fields")
    for how, read in BY_LINES.items()
}
OF_COMMAS = ("rows", "quoted", "fields")
HARMLESS_TABLES = {
    f"{writer} by {how}, {number}": (
        _table(writer, read),
        {"rows": [{"name": 'Smith, "Bob"', "note": note}, {"name": "ann"}]},
    )
    for number, note in enumerate(NOTES)
    for turn, (how, read) in enumerate(BY_TABLES.items())
    for writer in (
        ("semicolons" if how in ("returned", "read", "own") and number % 2 else ""),
        OF_COMMAS[(number + turn) % 3],
    )
    if writer
}


@EACH_TURN
def test_blocks_lines_in_cells_that_the_code_reads_by_lines(tmp_path: Path, turn: int) -> None:
    """Who cuts a table at its line ends knows no quotes."""
    assert_blocked(tmp_path, of_turn(ATTACKS_TABLES, turn, TURNS), {"deserialisation"}, ())


@EACH_TURN
def test_passes_lines_in_cells_that_nobody_reads_by_lines(tmp_path: Path, turn: int) -> None:
    """People write comments of several lines."""
    assert_passes(tmp_path, of_turn(HARMLESS_TABLES, turn, TURNS), ())
