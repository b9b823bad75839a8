"""What a sixty-first set of everyday programs showed: tables, widths, LaTeX, images, cut pickles."""

from __future__ import annotations

import base64
from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes, each_turn, of_turn, placed

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

LATEX = r"""
import re, string, subprocess
TEX = "\\documentclass{letter}\n\\begin{document}\n\\textbf{Bill} \\emph{<<NAME>>}, <<CITY>>\n\\end{document}\n"
ROWS = "\\section{Rooms}\n\\begin{tabular}{lr}\n%s & 1 \\\\\n\\end{tabular}\n"
SPECIAL = {"%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$"}
FULL = {**SPECIAL, "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "^": r"\^{}", "~": r"\~{}"}
class Letter:
    def __init__(self, name):
        self.name = name
    def source(self):
        v = self.name
        MAKE
        return text
def handler(event, context):
    name = "".join(TABLE.get(c, c) for c in event["v"])
    return {"key": "tex/1.tex", "source": Letter(name).source()}
"""
MAKES = {
    "marks": "text = re.sub(r'<<(\\w+)>>', lambda m: {'NAME': v, 'CITY': 'Ulm'}[m[1]], TEX)",
    "marks, trimmed": "text = re.sub('<<([A-Z]+)>>', lambda m: v if m[1] == 'NAME' else '', TEX).strip()",
    "replaced": "text = TEX.replace('<<NAME>>', v).replace('<<CITY>>', 'Ulm')",
    "percent": "text = ROWS % v",
    "pieces": "text = '\\\\section{Rooms}\\n\\\\textbf{' + v + '}\\n'",
    "f-string": "text = f'\\\\begin{{document}}\\n\\\\item {v}\\n\\\\end{{document}}'",
    "format": "text = '\\\\section{{Bill}}\\n{}\\n'.format(v)",
    "lines": "text = '\\n'.join(['\\\\documentclass{article}', '\\\\begin{document}', v, '\\\\end{document}'])",
}
COMMANDS = (
    r"Eve \input{/etc/passwd}",
    r"\immediate\write18{id > /tmp/x}",
    r"Eve}\end{document}",
    r"\include{secret} x",
    r"a \openin5=/etc/passwd \read5 to \x",
    r"\catcode`\%=12",
    r"\def\x{1}\x",
    r"\csname input\endcsname{/etc/passwd}",
    r"\lstinputlisting{/etc/passwd}",
    r"Ann \verbatiminput{/etc/hosts}",
    r"\usepackage{shellesc}",
    r"\directlua{os.execute('id')}",
    r"\ShellEscape{id}",
    r"\\\input{x}",
)
NAMES = (
    "Ann O'Hara",
    "M\u00fcller & Co 100% #1_$",
    "\u674e\u96f7",
    "1/2 Mug",
    "a-b (c)",
    "Text, more",
)
ESCAPED = (*NAMES, r"\input{secret} {x}", "C:\\Temp\\~x^2", r"\write18{id}", r"x}\end{document}")


def _letter(make: str, table: str) -> str:
    return LATEX.replace("MAKE", MAKES[make]).replace("TABLE", table)


ATTACKS_LATEX = {
    f"{command}, {make}, {table}": (_letter(make, table), {"v": command})
    for number, command in enumerate(COMMANDS)
    for turn, make in enumerate(MAKES)
    if (number + turn) % 3 == 0
    for table in ("SPECIAL" if turn % 2 and "%" not in command else "{}",)
}
HARMLESS_LATEX = {
    f"{value}, {make}": (_letter(make, "FULL"), {"v": value})
    for number, value in enumerate(ESCAPED)
    for turn, make in enumerate(MAKES)
    if (number + turn) % 3 == 0
}

HARMLESS_LATEX["escaped, a command of the code's"] = (
    _letter("f-string", "FULL"),
    {"v": r"\item", "other": r"\end{document}"},
)

WIDTH = """
import datetime
TEXTS = {"hello": "Hello %NAME%,", "more": "you have {count} new of {total}."}
class Texts:
    def __init__(self, texts):
        self.texts = texts
    def show(self, name, **values):
        MAKE
def handler(event, context):
    values = {"count": 3, "total": 20, "when": datetime.date(2026, 5, 1)}
    return len(Texts(TEXTS).show(event["v"], **values, **event.get("more", {})))
"""
FILLS = {
    "replaced": "return (self.texts['hello'].replace('%NAME%', name) + self.texts['more']).format(**values)",
    "pieces": "return ('Dear ' + name + ', {count}').format(**values)",
    "mapped": "return f'{name}: {{count}}'.format_map(values)",
    "whole": "return name.format(**values)",
}
WIDE = (
    "{count:>5000}",
    "x{count:099999}",
    "{total:.9999f}",
    "{count!r:>99999999}",
    "{when!s:*^2000}",
)
NARROW = (
    "{count:>10}",
    "{total:.2f}",
    "{when:%d.%m.%Y}",
    "{when:%d.%m.2026}",
    "{count:03d}",
    "Ann",
)
ATTACKS_WIDE = {
    f"{value}, {how}": (WIDTH.replace("MAKE", fill), {"v": value})
    for value in WIDE
    for how, fill in FILLS.items()
} | {
    f"given, {how}": (WIDTH.replace("MAKE", fill), {"v": "{count:>{far}}", "more": {"far": 99999}})
    for how, fill in FILLS.items()
}
HARMLESS_WIDE = {
    f"{value}, {how}": (WIDTH.replace("MAKE", fill), {"v": value})
    for value in NARROW
    for how, fill in FILLS.items()
    if how == "whole" or value == "Ann"
}

MAIL = """
import email, email.policy, base64, json, os, pathlib
ROOT = "/tmp/mails"
class Box:
    def __init__(self, root):
        self.root = root
    def keep(self, folder, name, data):
        where = KEEP
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "wb") as f:
            f.write(data)
        return str(where)
def handler(event, context):
    message = READ
    box, kept = Box(ROOT), []
    for part in message.walk():
        name = part.get_filename()
        if name:
            kept.append(box.keep(name.strip(), "part.bin", b"x"))
    return len(kept)
"""
KEEPS = {
    "joined": "os.path.join(self.root, 'kept', folder, name)",
    "f-string": "f'{self.root}/kept/{folder}/{name}'",
    "sum": "self.root + '/kept/' + folder + '/' + name",
    "path": "str(pathlib.Path(self.root) / 'kept' / folder / name)",
}
MAIL_READS = {
    "bytes": "email.message_from_bytes(base64.b64decode(event['m']))",
    "text": "email.message_from_string(base64.b64decode(event['m']).decode())",
    "policy": "email.message_from_bytes(base64.b64decode(event['m']), policy=email.policy.default)",
}


def _mails(names: tuple[str, ...]) -> dict[str, tuple[str, object]]:
    cases: dict[str, tuple[str, object]] = {}
    for number, name in enumerate(names):
        text = f'Subject: x\nContent-Disposition: attachment; filename="{name}"\n\nx\n'
        event = {"m": base64.b64encode(text.encode()).decode()}
        for turn, (how, read) in enumerate(MAIL_READS.items()):
            for keep in list(KEEPS)[(number + turn) % 2 :: 2]:
                code = MAIL.replace("KEEP", KEEPS[keep]).replace("READ", read)
                cases[f"{name}, {how}, {keep}"] = (code, event)
    return cases


ATTACKS_MAILS = _mails(("..", "../..", "a/../..", "../conf"))
HARMLESS_MAILS = _mails(("a.txt", "..a", "Bill 1.2 - May", "a..b", "x_y"))


@EACH_TURN
def test_blocks_lines_in_cells_that_the_code_reads_by_lines(tmp_path: Path, turn: int) -> None:
    """Who cuts a table at its line ends knows no quotes."""
    assert_blocked(tmp_path, of_turn(ATTACKS_TABLES, turn, TURNS), {"deserialisation"}, ())


@EACH_TURN
def test_passes_lines_in_cells_that_nobody_reads_by_lines(tmp_path: Path, turn: int) -> None:
    """People write comments of several lines."""
    assert_passes(tmp_path, of_turn(HARMLESS_TABLES, turn, TURNS), ())


@EACH_TURN
def test_blocks_commands_in_what_the_code_writes_as_latex(tmp_path: Path, turn: int) -> None:
    """However the code has put the value in, or escaped some of its signs."""
    assert_blocked(tmp_path, of_turn(ATTACKS_LATEX, turn, TURNS), {"file", "template"}, ())


@EACH_TURN
def test_passes_names_and_escaped_commands_in_latex(tmp_path: Path, turn: int) -> None:
    """A backslash that is written as a word is shown."""
    assert_passes(tmp_path, of_turn(HARMLESS_LATEX, turn, TURNS), ())


@EACH_TURN
def test_blocks_fields_of_great_width(tmp_path: Path, turn: int) -> None:
    """A template of the event needs no page of blanks."""
    assert_blocked(tmp_path, of_turn(ATTACKS_WIDE, turn, TURNS), {"code", "template"}, ())


@EACH_TURN
def test_passes_fields_as_wide_as_people_write_them(tmp_path: Path, turn: int) -> None:
    """Also dates with a year that is written out."""
    assert_passes(tmp_path, of_turn(HARMLESS_WIDE, turn, TURNS), ())


@EACH_TURN
def test_blocks_names_of_attachments_that_leave_the_folder(tmp_path: Path, turn: int) -> None:
    """What a mail calls its parts is the event's, as short as it may be."""
    assert_blocked(tmp_path, of_turn(placed(ATTACKS_MAILS, tmp_path), turn, TURNS), {"path"}, ())


@EACH_TURN
def test_passes_names_of_attachments_with_dots(tmp_path: Path, turn: int) -> None:
    """Names have dots."""
    assert_passes(tmp_path, of_turn(placed(HARMLESS_MAILS, tmp_path), turn, TURNS), ())
