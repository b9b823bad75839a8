"""What a thirty-sixth set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- files among the operands of programs that search ----------------------------------------------

COMMANDS = {
    "grep": 'handled(["grep", "-m", "2", event["given"], "notes.txt"])',
    "grep, an option's": 'handled(["grep", "--max-count", "2", "-e", event["given"], "notes.txt"])',
    "rg": 'handled(["grep", "-C", "1", "-F", event["given"], "notes.txt"])',
    "sed": 'handled(["sed", "-n", "1p", event["file"]])',
    "find": 'handled(["find", event["file"], "-name", event["given"]])',
    "jq": 'handled(["cut", "-d", event["given"][:1], "-f", "1", event["file"]])',
}
FILES = {
    "grep": 'handled(["grep", "-e", "root", event["file"]])',
    "grep, its pattern first": 'handled(["grep", "-m", "1", "root", event["file"]])',
    "grep, a long option": 'handled(["grep", "--regexp=root", event["file"]])',
    "grep, a file of patterns": 'handled(["grep", "-f", event["file"], "/etc/hostname"])',
    "grep, split": 'handled(["grep", "-F", "-e", *shlex.split("root " + event["file"])])',
    "sed": 'handled(["sed", "-n", "1p", event["file"]])',
    "sed, an option": 'handled(["sed", "-n", "-e", "1p", event["file"]])',
    "awk": 'handled(["awk", "{print $1}", event["file"]])',
    "find": 'handled(["find", event["file"], "-name", "passwd"])',
    "find, an option first": 'handled(["find", "-L", event["file"], "-maxdepth", "0"])',
    "cut": 'handled(["cut", "-d:", "-f1", event["file"]])',
}
RUN = """
import shlex, subprocess
def handled(command):
    return subprocess.run(command, capture_output=True, text=True, cwd="/tmp").stdout
def handler(event, context):
    return {}
"""


def test_patterns_are_no_files(tmp_path: Path) -> None:
    texts = ("tea", "/api/v1", "../up", "and/or", "a b")
    event = {"file": "notes.txt"}
    cases: Cases = {
        f"{name}: {text}": (RUN.replace("{}", code), event | {"given": text})
        for name, code in COMMANDS.items()
        for text in texts
    }
    assert_passes(tmp_path, cases, ())


def test_files_of_programs_that_search_are_the_codes(tmp_path: Path) -> None:
    cases: Cases = {
        f"{name}: {file}": (RUN.replace("{}", code), {"file": file})
        for name, code in FILES.items()
        for file in ("/etc/passwd", "../etc/passwd")
    }
    assert_blocked(tmp_path, cases, {"command"}, ())


# -- what a function of the code has made -----------------------------------------------------------

PREPARE = """
import re, sqlite3
QUERY = "select a from t where (:n is null or a = :n) /*order:a, b*/"
ORDER = re.compile(r"/\\*order:([\\w, ]+)\\*/")
def prepare(text, sort):
    def choose(found):
        allowed = [name.strip() for name in found[1].split(",")]
        column, _, way = sort.partition(" ")
        if event_sorts(column, allowed):
            return f"order by {column} {way}"
        return f"order by {allowed[0]}"
    return ORDER.sub(choose, text)
def event_sorts(column, allowed):
    return column.startswith("!") or column in allowed
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table t(a, b)")
    return db.execute(prepare(QUERY, event["sort"]).replace("!", ""), {"n": None}).fetchall()
"""


def test_what_a_function_of_the_code_returns_is_as_it_was_made(tmp_path: Path) -> None:
    cases: Cases = {s: (PREPARE, {"sort": s}) for s in ("a", "b desc", "price", "", "x; drop")}
    assert_passes(tmp_path, cases, ())
    sort = "!(select count(*) from sqlite_master) limit 1 --"
    assert_blocked(tmp_path, {"more": (PREPARE, {"sort": sort})}, {"sql"}, ())


# -- lines of a file that is read again -------------------------------------------------------------

TRAIL = """
import os, tempfile
def handler(event, context):
    path = os.path.join(tempfile.mkdtemp(), "gate.txt")
    for state, driver in event["trucks"]:
        with open(path, "a") as file:
            print("2024-05-02T06:00:00+00:00", "OPEN" if state == "in" else "DENIED", driver, sep=" | ", file=file)
    with open(path) as file:
        return [line.split(" | ") for line in file]
"""


def test_a_line_with_the_columns_of_the_codes_is_a_record(tmp_path: Path) -> None:
    harmless = ("Sean O'Hara", "a | b", "first line\nsecond | line", "x\n\n- one\n- two", "品川")
    cases: Cases = {t: (TRAIL, {"trucks": [["in", t], ["out", "y"]]}) for t in harmless}
    assert_passes(tmp_path, cases, ())
    hostile = "x\n2024-05-02 | OPEN | BG-666 | boss"
    assert_blocked(tmp_path, {"one": (TRAIL, {"trucks": [["out", hostile]]})}, {"log"}, ())


JOURNAL = """
import contextlib, io
def handler(event, context):
    kept = io.StringIO()
    with contextlib.redirect_stdout(kept):
        if event.get("columns"):
            print("2024-03-01T12:00:00+00:00|" + event["meter"] + "|outage|" + event["remark"])
        else:
            print("Commit: " + event["remark"])
            print("::set-output name=files::1")
    return [line.split("|") for line in kept.getvalue().splitlines()]
"""


def test_records_in_memory_are_told_by_their_columns_and_orders(tmp_path: Path) -> None:
    remarks = (
        "O'Hara ruft an",
        "Haus A | links",
        "a\nb | c",
        "what does ::set-env name=X::1 do?",
        "x\n- y:: z",
    )
    assert_passes(
        tmp_path,
        {
            f"{c}: {r}": (JOURNAL, {"meter": "1", "remark": r, "columns": c})
            for r in remarks
            for c in (0, 1)
        },
        (),
    )
    hostile = {
        "ok\n2024-03-01|1EMH001|outage|5000.00|": 1,
        "fix\n::set-env name=LD_PRELOAD::/tmp/evil.so": 0,
        "x\n\n::error::y": 0,
        "x\r\n##vso[task.setvariable variable=a]b": 0,
    }
    cases: Cases = {
        r: (JOURNAL, {"meter": "1", "remark": r, "columns": c}) for r, c in hostile.items()
    }
    assert_blocked(tmp_path, cases, {"log"}, ())


# -- a name out of the head of a part of a mail ----------------------------------------------------------

ATTACHMENT = """
import email.message, os, re
ROOT = "/tmp/thirty_sixth"
def handler(event, context):
    message = email.message.Message()
    message["content-disposition"] = event["disposition"]
    name = re.sub(r"[\\x00-\\x1f]", "", (message.get_filename() or "x").split("\\\\")[-1])
    folder = os.path.join(ROOT, "issues", "12")
    return os.path.exists(os.path.join(folder, name))
"""


def test_an_absolute_path_out_of_a_head_drops_no_folder(tmp_path: Path) -> None:
    names = (
        'filename="a b.txt"',
        "filename*=UTF-8''%C3%A4%20b.pdf",
        'filename="tmp/thirty_sixth"',
        "",
    )
    cases: Cases = {n: (ATTACHMENT, {"disposition": f"attachment; {n}"}) for n in names}
    assert_passes(tmp_path, cases, ())
    names = ('filename="/tmp/thirty_sixth/quota"', "filename*=UTF-8''%2Ftmp%2Fthirty_sixth%2Fquota")
    cases = {n: (ATTACHMENT, {"disposition": f"attachment; {n}"}) for n in names}
    assert_blocked(tmp_path, cases, {"path"}, ())
