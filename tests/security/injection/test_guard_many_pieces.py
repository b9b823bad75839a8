"""Pages of very many pieces: what the event has of them is found, and the rest costs little."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

ROWS = """
import html, re
SOURCE = "\\n".join(f'if a[{n}] < "x" and b & {n}: print("<{n}>")  # note {n}' for n in range(ROWS))
out = []
for n, line in enumerate(SOURCE.splitlines()):
    text = html.escape(line)
    for word in ("if", "and", "print"):
        text = re.sub(rf"\\b{word}\\b", f'<b class="k">{word}</b>', text)
    out.append(f'<td id="L{n}">{text}</td>')
"""
PAGE = "return {'status': 200, 'headers': {'content-type': 'text/html'}, 'body': "
SCRIPT = "<script>alert(1)</script>"
NAME = "main.py <script>"


def rows(number: int) -> str:
    """Return the rows of a page, most of which are the code's."""
    return ROWS.replace("ROWS", str(number))


VULNERABLE: Cases = {
    f"{name}, {number} rows": (f"{rows(number)}\n{code}", event)
    for number in (80, 700)
    for name, code, event in (
        ("one row", f"out[40] = event['n']\n{PAGE}''.join(out)}}", {"n": SCRIPT}),
        (
            "in one row",
            f"out[40] = f\"<p>{{event['n']}}</p>\"\n{PAGE}''.join(out)}}",
            {"n": SCRIPT},
        ),
        (
            "cut out of it",
            f"out[40] = event['n'].split('|')[1].strip()\n{PAGE}''.join(out)}}",
            {"n": f"a| {SCRIPT} |b"},
        ),
        (
            "decoded by the code",
            f"import base64\nout[-1] = base64.b64decode(event['n']).decode()\n{PAGE}'\\n'.join(out)}}",
            {"n": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="},
        ),
        ("turned", f"out[0] = event['n'][::-1]\n{PAGE}''.join(out)}}", {"n": SCRIPT[::-1]}),
        (
            "put in the place of a mark",
            f"out[7] = out[7].replace('<td', event['n'] + '<td')\n{PAGE}''.join(out)}}",
            {"n": SCRIPT},
        ),
        (
            "a page that grows",
            "page = ''\nout[9] += event['n'].lower()\n"
            f"for one in out:\n    page += one\n{PAGE}page}}",
            {"n": SCRIPT.upper()},
        ),
    )
}
SAFE: Cases = {
    f"{name}, {number} rows": (f"{rows(number)}\n{code}", event)
    for number in (80, 700)
    for name, code, event in (
        (
            "escaped",
            f"out[40] = html.escape(event['n'])\n{PAGE}''.join(out)}}",
            {"n": f"a {SCRIPT}"},
        ),
        (
            "said by the code as well",
            f"out[40] = html.escape(event['n'])\n{PAGE}''.join(out)}}",
            {"n": '<b class="k">if</b>'},
        ),
        ("not in it", f"{PAGE}''.join(out)}}", {"n": NAME, "m": "print"}),
    )
}


def test_what_the_event_has_of_many_pieces_is_found(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"response"}, ())


def test_many_pieces_of_the_code_are_its_own(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, ())
