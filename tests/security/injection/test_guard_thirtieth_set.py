"""What a thirtieth set of programs by others showed. Each has its hostile twins."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import assert_blocked, assert_passes

# -- statements that a page offers, with what people read -------------------------------------------

OFFERED = """
import sqlite3
{NAME} = {
    "room, arrival DESC": "By room",
    "guest COLLATE NOCASE": "By guest",
    "state = 'booked'": "Booked",
    "1=1 --": "All",
}
def handler(event, context):
    db = sqlite3.connect(":memory:")
    db.execute("create table booking (guest, room, arrival, state, flag)")
    sql = "SELECT guest FROM booking WHERE flag = ''"
    if event.get("view"):
        sql += f" AND {event['view']}"
    sql += f" ORDER BY {event.get('order', 'room')}"
    return db.execute(sql).fetchall()
"""


def test_a_part_of_a_statement_that_a_page_offers_passes(tmp_path: Path) -> None:
    code = OFFERED.replace("{NAME}", "ORDERS")
    events = ({"order": "guest COLLATE NOCASE"}, {"view": "state = 'booked'"}, {})
    assert_passes(tmp_path, {str(e): (code, e) for e in events}, ("sqlite3",))


def test_others_are_stopped_and_what_is_forbidden_by_its_name(tmp_path: Path) -> None:
    code = OFFERED.replace("{NAME}", "ORDERS")
    forbidden = OFFERED.replace("{NAME}", "BLOCKED")
    cases = {
        "more": (code, {"view": "state = 'booked' OR flag = 'vip'"}),
        "a comment": (code, {"view": "1=1 --"}),
        "other blanks": (code, {"order": "guest  COLLATE NOCASE"}),
        "forbidden": (forbidden, {"order": "guest COLLATE NOCASE"}),
    }
    assert_blocked(tmp_path, cases, {"sql"}, ("sqlite3",))


# -- a host in other letters -----------------------------------------------------------------------

EXIT = """
from urllib.parse import urlsplit
SHOPS = {"tea.example", "möbel.example"}
def handler(event, context):
    parts = urlsplit(event["url"])
    if CHECK:
        return {"status": 404, "headers": {}, "body": ""}
    host = parts.hostname.encode("idna").decode("ascii")
    return {"status": 302, "headers": {"location": "https://" + host + parts.path}, "body": ""}
"""


def test_a_host_that_was_checked_passes_in_other_letters(tmp_path: Path) -> None:
    code = EXIT.replace("CHECK", "parts.hostname not in SHOPS")
    urls = ("https://möbel.example/stuhl", "https://tea.example/a", "https://evil.example/")
    assert_passes(tmp_path, {url: (code, {"url": url}) for url in urls}, ())


def test_one_that_was_not_is_stopped_in_other_letters(tmp_path: Path) -> None:
    code = EXIT.replace("CHECK", "not parts.hostname")
    urls = ("https://möbel.example.evil.example/", "https://böse.example/")
    cases = {url: (code, {"url": url}) for url in urls}
    assert_blocked(tmp_path, cases, {"response"}, ())


# -- fields that a text of the code has -------------------------------------------------------------

LETTER = """
PLACEHOLDERS = {"{p.first}": "first name", "{p.salary:,.2f}": "salary", "{p.password}": "never"}
class Employee:
    def __init__(self):
        self.first, self.salary, self.password, self.pin = "Ann", 48200, "x", "1234"
def handler(event, context):
    return event["wording"].format(p=Employee())
"""


def test_a_field_that_is_offered_as_it_is_passes(tmp_path: Path) -> None:
    texts = ("{p.salary:,.2f}", "{p.first} has {p.salary:.0f}", "{p.salary}")
    assert_passes(tmp_path, {text: (LETTER, {"wording": text}) for text in texts}, ())


def test_a_secret_and_what_is_not_offered_are_stopped(tmp_path: Path) -> None:
    texts = ("It is {p.password}", "{p.pin}", "{p.salary.__class__}", "{p.salary} {p.pin}")
    cases = {text: (LETTER, {"wording": text}) for text in texts}
    assert_blocked(tmp_path, cases, {"code"}, ())


# -- what a list of functions or columns leaves out --------------------------------------------------

REPORTS = """
import payroll
def handler(event, context):
    return getattr(payroll, event["report"])()
"""
PAYROLL = """
REPORTS = {"sites": "List of sites", "heads": "Heads by site"}
def sites():
    return ["Porto"]
def heads():
    return {"Porto": 2}
def dump():
    return [("Ann", 51000)]
"""
SHELF = """
from dataclasses import dataclass, field
from operator import attrgetter
COLUMNS = {"title": "Title", "lender.name": "Lent by", "lender.town": "Town"}
@dataclass
class Lender:
    name: str
    town: str
    shelf: int = 3
    pin: str = field(default="0000", repr=False)
@dataclass
class Book:
    title: str
    lender: Lender
BOOKS = [Book("Momo", Lender("Ann", "Ulm"))]
def handler(event, context):
    READS
"""


def test_a_function_that_a_list_of_its_module_leaves_out(tmp_path: Path) -> None:
    for folder in (tmp_path / "stopped", tmp_path / "passing"):
        (folder / "case0").mkdir(parents=True)
        (folder / "case0" / "payroll.py").write_text(PAYROLL)
    cases = {name: (REPORTS, {"report": name}) for name in ("dump",)}
    assert_blocked(tmp_path / "stopped", cases, {"code"}, ())
    cases = {name: (REPORTS, {"report": name}) for name in ("sites", "heads")}
    assert_passes(tmp_path / "passing", cases, ())


@pytest.mark.parametrize(
    "reads",
    [
        "return [str(attrgetter(c)(BOOKS[0])) for c in event['columns']]",
        "return [str(getattr(BOOKS[0].lender, c.rpartition('.')[2])) for c in event['columns']]",
    ],
)
def test_a_hidden_field_that_a_list_of_columns_leaves_out(reads: str, tmp_path: Path) -> None:
    code = SHELF.replace("READS", reads)
    assert_blocked(tmp_path, {"pin": (code, {"columns": ["lender.pin"]})}, {"code"}, ())
    columns = ["lender.name", "lender.town", "lender.shelf"]
    (tmp_path / "more").mkdir()
    assert_passes(tmp_path / "more", {"others": (code, {"columns": columns})}, ())


# -- texts of awk -----------------------------------------------------------------------------------

AWK = """
import subprocess
def handler(event, context):
    program = '$1 == "' + event["v"] + '" PRINT'
    done = subprocess.run(["awk", "-F", ";", program], capture_output=True, text=True, input="a;b")
    return done.stdout + done.stderr
"""


def test_a_text_of_awk_that_is_compared_passes(tmp_path: Path) -> None:
    code = AWK.replace("PRINT", '{ print $1 "|" $2 }')
    texts = ("O'Brien, Mary", "weaver & dyer", "Lee (widow)", "Deutz | Rhein {rechts}; $3")
    assert_passes(tmp_path, {text: (code, {"v": text}) for text in texts}, ("subprocess",))


def test_what_ends_it_or_is_run_is_stopped(tmp_path: Path) -> None:
    code = AWK.replace("PRINT", '{ print $1 "|" $2 }')
    piped = AWK.replace("PRINT", '{ print $1 | "cat " $2 }')
    quoted = AWK.replace("PRINT", '/"/ { print $1 | "cat" } /"/ { print }')
    cases = {
        "ends": (code, {"v": 'x" { } BEGIN { system("id") } $1 == "'}),
        "a backslash": (code, {"v": "x\\"}),
        "a pipe": (piped, {"v": "(a & b)"}),
        "patterns with quotes": (quoted, {"v": "(a & b)"}),
    }
    assert_blocked(tmp_path, cases, {"command"}, ("subprocess",))
