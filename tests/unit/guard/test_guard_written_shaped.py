"""Texts of a shape that no name tells of: what of them is more than one value."""

from __future__ import annotations

import time

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.written import shaped

ORIGIN = Origin("event", ("v",))
Parts = tuple[str | tuple[str], ...]


def put(*parts: str | tuple[str]) -> tuple[str, list[Span]]:
    """Return a text of literals and values, which are in tuples, and where these are."""
    text, spans = "", []
    for part in parts:
        if isinstance(part, tuple):
            spans.append(Span(len(text), len(text) + len(part[0]), ORIGIN, exact=True))
        text += part[0] if isinstance(part, tuple) else part
    return text, spans


MORE: dict[str, Parts] = {
    "hl7": ("MSH|^~\\&|A|B\rPID|1||", ("7\rOBX|1|NM|x",), "||D\r"),
    "edifact": ("UNH+1+ORDERS:D'NAD+BY+", ("X'LIN+1++5",), "'UNT+3+1'"),
    "x12": ("ISA*00~NM1*IL*1*", ("X~CLM*9*500",), "~SE*4~"),
    "swift": (":20:REF\n:32A:260101EUR1,\n:59:/", ("BE1\n:70:FREE",), "\n"),
    "playlist": ("#EXTM3U\n#EXTINF:3,", ("x\n#EXTINF:9,z\nhttp://evil",), "\nseg.ts\n"),
    "subtitles": (
        *("1\n00:00:01,000 --> 00:00:02,000\n", ("hi\n\n2\n00:00:02,000 --> 00:00:03,000\nx",)),
        "\n",
    ),
    "sequences": (">sub|", ("a\n>ref|x y\nACGT",), " d\nACGT\n"),
    "labels": ("^XA^FO10,10^FD", ("x^FS^FO20,20^GB3,3,3^FS^FDy",), "^FS^XZ"),
    "latex": ("\\begin{document}\\section{", ("x}\\input{/etc/passwd}{",), "}\\end{document}"),
    "latex command": ("\\begin{document}\nDear ", ("\\input{/etc/passwd}",), ",\n"),
    "bibtex": ("@book{k,\n  title = {", ("x},\n  url = {evil",), "},\n}\n"),
    "pdf": ("BT\n(", ("x) Tj (evil",), ") Tj\nET\n"),
    "session": ("user=", ("bob;role=admin",), ";role=user"),
    "another role": ("user=bob;mail=", ("b;role=admin",), ";lang=en"),
    "graph": ('digraph { a [label="', ('x"]; b [label="y',), '"] }'),
    "image": ("FROM python\nRUN pip install ", ("x\nUSER root",), "\nCMD run\n"),
    "call": ("CDR|1|", ("x|0|EUR",), "|100|EUR\n"),
    "calls": ("CDR|1|", ("x\nCDR|2|y",), "|100|EUR\n"),
    "yaml": ("app: ", ("x\nprivileged: true",), "\nreplicas: 3\n"),
    "toml": ('name = "', ('x"\nadmin = "y',), '"\nmode = "safe"\n'),
    "references": ("TY  - JOUR\nTI  - ", ("x\nER  - \nTY  - BOOK",), "\nER  - \n"),
    "families": ("0 HEAD\n1 NAME ", ("x\n1 NOTE y",), "\n1 SEX F\n"),
    "games": ('[Event "x"]\n[White "', ('a"]\n[Result "1-0',), '"]\n\n1. e4'),
    "songs": ("[ti:song]\n[00:12.00]", ("x\n[00:12.50]evil",), "\n[00:13.00]b\n"),
    "tracks": ('FILE "a.wav" WAVE\n  TITLE "', ('x"\n  TRACK 02 AUDIO\n  TITLE "y',), '"\n'),
    "a chat's protocol": ("PRIVMSG #a :", ("x\r\nQUIT :y",), "\r\n"),
    "balances": ("01,A,B,26/\n16,475,", ("1/\n16,475,9",), ",Z/\n"),
    "variants": ("chr1\t10\t.\t", ("A\tG\t9\nchr2\t10\t.\tA",), "\tT\t50\n"),
    "diagram": ("graph TD\n  A[", ('x]\n  click A "javascript:x',), "] --> B\n"),
    "sequence": ("@startuml\nA -> B : ", ("x\n!include /etc/passwd",), "\n@enduml\n"),
    "mill": ("G21\nG1 X10 Y", ("5\nM104 S300",), "\nM30\n"),
    "store": ("SET user ", ("x\r\nFLUSHALL",), "\r\nGET user\r\n"),
    "style": (".a { color: ", ("red; } body { display: none",), "; }\n"),
    "a link's name": ("See [", ("x](https://evil.test) [y",), "](https://example.com)\n"),
    "rows": ("id;name;role\n1;", ("x;admin",), ";user\n"),
    "environment": ("name=", ("x\nADMIN=1",), "\nrole=user\n"),
}


@pytest.mark.parametrize("name", MORE)
def test_data_is_one_value(name: str) -> None:
    text, spans = put(*MORE[name])
    assert shaped.signs_of(text)
    assert shaped.judge(text, spans) is not None


VALUES: dict[str, Parts] = {
    "a message": ("Name: ", ("Ann",), "\nMessage: ", ("Hi\nPhone: 123",), "\n"),
    "an apostrophe": ("PID|1||", ("O'Neil",), "|\rPV1|", ("x",)),
    "an apostrophe that ends segments": ("NAD+BY+", ("O'Neil & Sons",), "'UNT+3+1'"),
    "a subject": ("Subject: ", ("a; b=c",), "\n\nBody"),
    "a link": ("See ", ("https://a/?x=1&y=2",), " ok; done"),
    "links of both": ("https://x/?a=1&b=2&c=3 ", ("see https://y/?p=1&q=2&b=3",), " &c=4"),
    "a table": ('1,"', ('say ""x""',), '",2\n'),
    "code": ("[", ("x = {1}; a=b",), "] title=1; b=2"),
    "lines that are the event's": (
        *("# Notes\n\n", ("- a: b\n- c: d\n```\nX=1\nY=2\n```",), "\n\nDone: yes\nBy: me"),
    ),
    "a mail": ("Dear ", ("Ann",), ",\n\n", ("your code:\nfoo(a=1; b=2)",), "\n\nBest\nTeam"),
    "escaped quotes": ('digraph { a [label="', ('say \\"x\\"',), '"] }'),
    "braces in pairs": ("@book{k,\n  title = {", ("The {ABC} of {X}",), "},\n}\n"),
    "escaped for LaTeX": ("\\section{", ("50\\% \\textbackslash{}n \\& \\{x\\}",), "}"),
    "escaped brackets": ("BT\n(", ("x \\) Tj \\(y",), ") Tj\nET\n"),
    "lines in capitals": ("NOTE ", ("see\nTODO x",), "\n"),
    "decimals": ("a,b,c\n1,", ("2,5",), ",3\n"),
    "a smiley": ("Ann (", ("hi :)",), ") wrote:\n"),
    "an address": ("Name: ", ("Ann",), "\nAddress: ", ("1 High St\nYork\nY1 2AB",), "\nPhone: 1\n"),
    "a table in Markdown": ("| a | b |\n|---|---|\n| ", ("x \\| y",), " | z |\n"),
    "lists in sentences": (
        "Eat: apples, pears, plums\nDrink: ",
        ("tea, milk",),
        ", juice, water\n",
    ),
    "names that are data": (("note",), ": ", ("a\nnote: b",), "\n", ("mail",), ": x\n"),
    "a talk": ("[10:00] ann: ", ("hi\n[edit] there",), "\n[10:01] bob: yes\n"),
    "its whole": ((" a=1;b=2;c=3",), "\n"),
    "a quotation": ("> ", ("hello\n> there",), "\n\nyes"),
}


@pytest.mark.parametrize("name", VALUES)
def test_what_is_one_value_passes(name: str) -> None:
    text, spans = put(*VALUES[name])
    assert shaped.judge(text, spans) is None


def test_most_texts_have_no_shape() -> None:
    for text in ("", "Ann Miller", "2026-12-01T10:00:00Z", "Dear Ann, thank you; we will call."):
        assert not shaped.signs_of(text)


def test_it_takes_linear_time() -> None:
    for unit in (";a.", "\\", "^", "{", '="', "\n:20:", "a=b;", ") Tj", "\\textbf{", "'A+"):
        whole = unit * (shaped.MAX_TEXT // len(unit))
        spans = [Span(at, at + 50, ORIGIN, exact=True) for at in range(1000, len(whole) - 60, 100)]
        begun = time.process_time()
        shaped.signs_of(whole)
        shaped.judge(whole, spans)
        assert time.process_time() - begun < 2, unit


def test_segments_in_lines_of_their_own_take_linear_time() -> None:
    """Names of the code's in thousands of lines, and data with as many ends of segments."""

    def seconds(number: int) -> float:
        own = "".join(f"'\nSEG{at % 7}+{at}" for at in range(number))
        text, spans = put("UNA:+.? 'UNH+1", own, "'\nRFF+", ("x" + "'q+" * number,), "'\nEND+1'\n")
        begun = time.process_time()
        assert shaped.judge(text, spans) is None
        return time.process_time() - begun

    seconds(500)
    few = min(seconds(500) for _ in range(3))
    assert min(seconds(8000) for _ in range(3)) < 32 * few
