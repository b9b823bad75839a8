"""Signs that the code writes around values: its line ends, its quotes, the end of its segments."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

LETTER = r"""
import pathlib, re, tempfile
SPECIAL = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "{": r"\{", "}": r"\}"}
def tex(value):
    value = "".join(SPECIAL.get(c, c) for c in value)
    return re.sub(r"\n\s*\n+", r" \\par ", value).replace("\n", r"\newline ")
def handler(event, context):
    text = "\\documentclass{letter}\n\\begin{letter}{" + tex(event["v"]) + "}\n\\end{letter}\n"
    target = pathlib.Path(tempfile.mkdtemp()) / "letter.tex"
    target.write_text(text, encoding="utf-8")
    return {"tex": text}
"""
BARE_LETTER = LETTER.replace('"".join(SPECIAL.get(c, c) for c in value)', "value")

MAIL = r"""
import email, email.policy, re
from email.message import EmailMessage
def handler(event, context):
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = re.sub(r"[\r\n]+\s*", " ", event["subject"]).strip()
    message["X-Topic"] = "news"
    message.set_content(event["v"] + "\n", charset="utf-8", cte="base64")
    message.add_alternative("<p>x</p>", subtype="html", charset="utf-8", cte="base64")
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    return {"subject": str(read["Subject"])}
"""
HEAD = r"""
import email
def handler(event, context):
    head = "From: a@b.example\r\nSubject: " + event["subject"] + "\r\nX-Topic: news\r\n\r\n"
    return {"keys": email.message_from_string(head + event["v"]).keys()}
"""

PREVIEW = r"""
import pathlib, re, shlex, subprocess, tempfile
TAB = pathlib.Path(tempfile.mkdtemp()) / "crontab"
def handler(event, context):
    title = re.sub(r"[^\w .;-]", "", event["title"])[:40].strip()
    command = "printf '%s: %s\\n' {} {}".format(@TITLE@, shlex.quote(event["v"]))
    TAB.write_text("0 7 * * * " + command + "\n", encoding="utf-8")
    last = TAB.read_text(encoding="utf-8").splitlines()[-1].split(None, 5)[5]
    return {"out": subprocess.run(last, shell=True, capture_output=True, text=True).stdout}
"""
QUOTED = PREVIEW.replace("@TITLE@", "shlex.quote(title)")
OPEN = PREVIEW.replace("@TITLE@", "title")

ORDER = """
import pathlib, tempfile
def handler(event, context):
    segments = ["UNH+1+ORDERS:D:96A:UN", "BGM+220+9001+9", "RFF+CT:" + event["v"], "LIN+1++4006381:EN"]
    segments += ["PRI+AAA:900.00", "UNT+6+1"]
    text = "UNA:+.? '" + "'\\n".join(segments) + "'\\n"
    path = pathlib.Path(tempfile.mkdtemp()) / "1.edi"
    path.@WRITE@
    return {}
"""
WRITES = "write_text(text)", "write_bytes(text.encode())", "open('wb').write(text.encode('ascii'))"

FILTERS = """
FILTERS = {"name": "(&(sn=%(sn)s*)(!(vip=TRUE)))", "portal": "(&(uid=%(uid)s)(code=%(code)s))"}
class Directory:
    templates = FILTERS
    def search(self, base, search_filter, attributes):
        return len(search_filter)
people = Directory()
def lookup(kind, **fields):
    return people.search("dc=x", @MADE@, ("cn",))
def handler(event, context):
    return {"n": lookup("portal", uid=event["v"].strip().lower(), code="1")}
"""
FILLED = (
    "FILTERS[kind] % fields",
    "FILTERS.get(kind) % fields",
    "people.templates[kind] % fields",
)
TAKEN = """
class Filter:
    def __init__(self, text):
        self.text = text
def handler(event, context):
    text = f"(|(&(cn=x)(ou={event['v']}))(uid=helpdesk))"
    return {"n": len(Filter(text).text)}
"""
STARRED = """
ESCAPES = {"*": "\\\\2a"}
def search(text, shown):
    return len(text)
def handler(event, context):
    found = search("(&(type=*)(dept=" + event["v"]@CHANGE@ + "))", ("uid",))
    return {"n": found, "all": search(f"(&(type=person)(cn={event.get('n', '')}*))", ("uid",))}
"""
ALLOWED = """
DEPARTMENTS = ("*", "it", "hr")
def search(text, shown):
    return len(text)
def handler(event, context):
    dept = event["v"]@CHANGE@
    if dept not in DEPARTMENTS:
        return "none"
    return search("(&(type=person)(dept=" + dept + "))", ("uid",))
"""
ESCAPED = TAKEN.replace("event['v']", "escaped(event['v'])").replace(
    "class Filter",
    "def escaped(v):\n    return ''.join('\\\\%02x' % ord(c) if c in '\\\\*()' else c for c in v)\n"
    "class Filter",
)


def _of(code: str, *texts: str, **more: str) -> dict[str, tuple[str, object]]:
    return {text: (code, {"v": text, **more}) for text in texts}


def test_line_ends_that_the_code_writes_as_commands_are_its_own(tmp_path: Path) -> None:
    texts = "5% Street\nCork", "Net 30\n\nThank you!", "a & b\n- c\n\nd"
    assert_passes(tmp_path, _of(LETTER, *texts), [])


def test_other_commands_of_latex_are_blocked(tmp_path: Path) -> None:
    texts = "Eve\n\\input{/etc/passwd}", "\\newline \\write18{id}", "x\\parskip=0", "\\newlinex{a}"
    assert_blocked(tmp_path, _of(BARE_LETTER, *texts), {"file", "template"}, [])


def test_names_of_fields_in_the_body_are_text(tmp_path: Path) -> None:
    mails = {
        "Two line\nsubject": "the subject came from elsewhere",
        "Parts": "Content-Type: text/html\nContent-Transfer-Encoding: 8bit\n\nThis is a part.",
        "Quoted": "Ann wrote\nSubject: lunch\nContent-Type is a field",
    }
    cases = {one: (MAIL, {"subject": one, "v": text}) for one, text in mails.items()}
    assert_passes(tmp_path, cases, [])


def test_fields_that_data_begins_in_a_head_are_blocked(tmp_path: Path) -> None:
    subjects = "x\r\nBcc: e@v.example", "x\nX-Topic", "x\r\nX-Topic: y", "a\n\nb"
    text = "Content-Type: text/html\nX-Topic"
    cases = {one: (HEAD, {"subject": one, "v": text}) for one in subjects}
    assert_blocked(tmp_path, cases, {"header"}, [])


def test_a_blank_before_quotes_of_the_code_is_its_own(tmp_path: Path) -> None:
    titles = "Emoji \U0001f389", "Bin day \u2192", "Zo\u00eb "
    text = "\U0001f382 party at Zo\u00eb's"
    cases = {one: (QUOTED, {"title": one, "v": text}) for one in titles}
    # A single word is written without quotes, before those of the text.
    cases["open"] = (OPEN, {"title": "Emoji \U0001f389", "v": text})
    assert_passes(tmp_path, cases, [])


def test_words_before_quotes_of_the_code_are_blocked(tmp_path: Path) -> None:
    titles = "x; id \U0001f389", "x id ", "; id"
    cases = {one: (OPEN, {"title": one, "v": "a party"}) for one in titles}
    assert_blocked(tmp_path, cases, {"command", "file"}, [])


def test_segments_that_begin_behind_the_end_of_another_are_blocked(tmp_path: Path) -> None:
    texts = "K-77'PRI+AAA:0.01", "K'LIN+2++9:EN", "x'UNT+1"
    for write in WRITES:
        for ends in ("'\\n", "'\\r\\n"):
            code = ORDER.replace("@WRITE@", write).replace("'\\n", ends)
            assert_blocked(tmp_path, _of(code, *texts), {"file"}, [])


def test_quotes_in_a_segment_that_begin_none_pass(tmp_path: Path) -> None:
    texts = "K-77", "K?'PRI", "O'Brien 5", "the 'new' one+more", "K 'A'+B"
    for write in WRITES:
        assert_passes(tmp_path, _of(ORDER.replace("@WRITE@", write), *texts), [])


def test_filters_made_of_a_table_of_texts_are_judged(tmp_path: Path) -> None:
    texts = "*)(uid=*", "x)(|(uid=*", "*"
    for made in FILLED:
        code = FILTERS.replace("@MADE@", made)
        assert_blocked(tmp_path, _of(code, *texts), {"ldap"}, [])
        assert_passes(tmp_path, _of(code, "O'Brien", "p100", "a & b"), [])


def test_a_backslash_that_the_code_escapes_is_text(tmp_path: Path) -> None:
    assert_passes(tmp_path, _of(ESCAPED, "CORP\\jdoe", "a\\", "\\\\srv\\share"), [])
    assert_blocked(tmp_path, _of(TAKEN, "CORP\\jdoe", "a\\5c*"), {"ldap"}, [])


def test_a_star_alone_is_the_events_also_where_the_code_has_one(tmp_path: Path) -> None:
    for change in ("", ".strip()", ".lower()", ".strip().lower()", ".casefold()"):
        code = STARRED.replace("@CHANGE@", change)
        assert_blocked(tmp_path, _of(code, "*"), {"ldap"}, [])
        assert_passes(tmp_path, _of(code, "it", "", note="*"), [])


def test_a_star_that_the_code_allows_is_no_part_of_the_filter(tmp_path: Path) -> None:
    for change in ("", ".lower()"):
        assert_passes(tmp_path, _of(ALLOWED.replace("@CHANGE@", change), "*", "it"), [])
    # What the event itself allows vouches for nothing.
    code = ALLOWED.replace("@CHANGE@", "").replace("not in DEPARTMENTS", "not in event['all']")
    event = {"v": "*", "all": ["*", "it"]}
    assert_blocked(tmp_path, {"its own": (code, event)}, {"ldap"}, [])


def test_filters_that_a_class_of_the_codes_takes_are_judged(tmp_path: Path) -> None:
    texts = "none))(&(cn=Ada)(ou=Board", "*"
    assert_blocked(tmp_path, _of(TAKEN, *texts), {"ldap"}, [])
    assert_passes(tmp_path, _of(TAKEN, "IT", "R & D"), [])
