"""What a tenth set of programs showed, whose author had not read the guard: classes, not cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.command.judgement import Judgement
from casemate.guard.evaluation.engines import _is_name_by_chance
from casemate.guard.fragments import Fragments
from casemate.guard.objects.judgement import judge_toml
from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.written.heads import judge_head
from casemate.guard.written.settings import judge_blocks, judge_expansions, judge_yaml
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

DATA = Origin("event", ("q",))

TOML = (
    "import tomllib\n"
    'text = \'name = "%s"\\nnote = """%s"""\\nby = {name = \\\'x\\\'}\\n\'\n'
    "return tomllib.loads(text % (event['n'], event.get('t', '')))"
)
INI = (
    "import configparser\nread = configparser.ConfigParser(interpolation=None)\n"
    "read.read_string(f\"[site]\\nname = {event['n']}\\nadmin = no\\n\")\n"
    "return dict(read['site'])"
)
SEARCH = (
    "import urllib.request\n"
    'text = \'{"term": {"tenant": "%s"}, "size": %s}\' % (event[\'n\'], event.get(\'size\', 10))\n'
    "sent = urllib.request.Request('http://127.0.0.1:9/x', data=text.encode(), method='POST')\n"
    "try:\n    urllib.request.urlopen(sent, timeout=1)\nexcept OSError:\n    pass"
)
CONNECTED = (
    "import http.client\n"
    'text = \'{"query": {"match": {"title": "\' + event[\'n\'] + \'"}}}\'\n'
    "try:\n    http.client.HTTPConnection('127.0.0.1', 9, timeout=1).request('POST', '/', text)\n"
    "except OSError:\n    pass"
)
GRAPHQL = (
    "import httpx\n"
    'query = f\'mutation {{ rename(id: 1, name: "{event["n"]}") {{ id }} }}\'\n'
    "try:\n    httpx.Client(trust_env=False).post('http://127.0.0.1:9/', json={'query': query})\n"
    "except httpx.HTTPError:\n    pass"
)
CACHE = (
    "import socket\na, b = socket.socketpair()\n"
    "with a, b, a.makefile('rw', newline='') as file:\n"
    "    file.write(f\"set page:{event['n']} 0 60 {len(event.get('v', ''))}\\r\\n{event.get('v', '')}\\r\\n\")"
)
SENT = (
    "import socket\na, b = socket.socketpair()\n"
    "with a, b:\n    a.sendall(f\"delete {event['n']}\\r\\n\".encode())"
)
NAMES = (
    "import subprocess\nwith open('/tmp/names.txt', 'w') as file:\n"
    "    file.write(event['n'] + '\\n')\n"
    "line = \"xargs -d '\\\\n' -I{} sh -c 'echo is {}' < /tmp/names.txt\"\n"
    "subprocess.run(line, shell=True, check=False, capture_output=True)"
)
PROBE = (
    "import subprocess\nline = \"printf '%s ' port {port}\".format(port=event['n'])\n"
    "subprocess.run(line, shell=True, check=False, capture_output=True)"
)
SUM = (
    'import subprocess\nsubprocess.run(f\'echo "scale=2; {event["n"]}" | bc\', shell=True, '
    "check=False, capture_output=True)"
)

VULNERABLE: Cases = {
    "TOML: a key": (TOML, {"n": 'x"\nbackend = "evil'}),
    "TOML: out of lines": (TOML, {"n": "x", "t": 'a"""\nrun = "id"\nmore = """b'}),
    "INI: a key": (INI, {"n": "x\nadmin = yes"}),
    "search: a clause": (SEARCH, {"n": 'x"}, "match_all": {"a": "'}),
    "search: by a number": (SEARCH, {"n": "x", "size": '1, "query": {}'}),
    "connected: a script": (CONNECTED, {"n": 'x"}, "script": {"source": "1'}),
    "cache: a command": (CACHE, {"n": "x\t0\t0\t1\r\nz\r\ndelete\tflag\r\nget\ty"}),
    "sent: a command": (SENT, {"n": "a\r\nflush_all"}),
    "names: a command": (NAMES, {"n": "a.jpg; id"}),
    "names: a substitution": (NAMES, {"n": "$(id)"}),
    "probe: a command": (PROBE, {"n": "1 ; id"}),
    "probe: two arguments": (PROBE, {"n": " 1 2 "}),
    "sum: a loop": (SUM, {"n": "while (1) 1"}),
    "sum: a function": (SUM, {"n": "read()"}),
}
HARMLESS: Cases = {
    "TOML: texts": (TOML, {"n": "it's # 5 = 6", "t": 'line\n[x]\n"quoted" = 1'}),
    "INI: a text": (INI, {"n": "it's; a [b] = c # d"}),
    "search: a text": (SEARCH, {"n": "O'Brien {x}: [1], a", "size": "5"}),
    "connected: a text": (CONNECTED, {"n": "it's {x}"}),
    "cache: a value": (CACHE, {"n": "/a/b_c", "v": "x\r\nset y 0 0 1\r\nz"}),
    "sent: a key": (SENT, {"n": "page:/ä;b"}),
    "names: a name": (NAMES, {"n": "photos/2026/a_b.jpg"}),
    "probe: blanks": (PROBE, {"n": " 5432 "}),
    "sum: a comparison": (SUM, {"n": "sqrt(2) > 1 != 0"}),
}
SINKS = {"deserialisation", "nosql", "header", "command"}


def test_attacks_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(VULNERABLE, tmp_path), SINKS, ())


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(HARMLESS, tmp_path), ())


def test_graphql_that_is_sent_is_judged(tmp_path: Path) -> None:
    pytest.importorskip("httpx")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    attack: Cases = {"GraphQL": (GRAPHQL, {"n": 'x") { id } promote(user: "eve'})}
    assert_blocked(tmp_path / "a", attack, SINKS, ("httpx",))
    assert_passes(tmp_path / "b", {"GraphQL": (GRAPHQL, {"n": "it's {x}"})}, ("httpx",))


def _filled(template: str, *parts: str) -> tuple[str, list[Span]]:
    """Return a text with data in its places `@`, and where that is."""
    text, *rest = template.split("@")
    spans = list[Span]()
    for part, after in zip(parts, rest, strict=True):
        spans.append(Span(len(text), len(text) + len(part), DATA, exact=True))
        text += part + after
    return text, spans


@pytest.mark.parametrize(
    ("template", "data", "stopped"),
    [
        ("name: @\nadmin: false\n", "{x: 1, admin: true}", True),
        ("- @\n", "[a, b]", True),
        ("name: {a: 1, b: @}\n", "x}, admin: {c: 1", True),
        ("name: {a: 1, b: @}\n", "x, admin: true", True),
        ("name: @\n", "[draft] of {x}", False),
        ("name: '@'\n", "{x: 1}", False),
        ("tags: [a, @]\n", "b, c", False),
        ("# to @\nname: x\n", "{x: 1}", False),
    ],
)
def test_a_collection_is_no_value_of_yaml(template: str, data: str, stopped: bool) -> None:
    assert (judge_yaml(*_filled(template, data)) is not None) is stopped


_BLOCK = "server {\n  listen 80;\n  # tenant: @\n  root '@';\n}\n"


@pytest.mark.parametrize("tenant", ["O'Brien; location /x { }", "server { } ${uri}", '"a" # b'])
def test_one_line_of_a_comment_is_no_directive(tenant: str) -> None:
    assert judge_blocks(*_filled(_BLOCK, tenant, "x")) is None


@pytest.mark.parametrize("tenant", ["x\n  location / { }", "x\nallow all;", "x\r\n\tdeny all"])
def test_what_ends_a_comment_is_stopped(tenant: str) -> None:
    assert judge_blocks(*_filled(_BLOCK, tenant, "x")) is not None
    assert judge_blocks(*_filled(_BLOCK, "x", "a'; " + tenant)) is not None


_PARTS = (
    "To: a\n\n--7f3a\nContent-Type: text/plain\nContent-Disposition: a; filename=@\n\n@\n--7f3a--\n"
)


@pytest.mark.parametrize("name", ["x\nContent-Type: text/html", "x\r\nX-A: b", "x\n\n<b>"])
def test_the_head_of_a_part_is_fields_as_well(name: str) -> None:
    assert judge_head(*_filled(_PARTS, name, "text")) is not None
    assert judge_head(*_filled(_PARTS, "a b; c: d", "of\n\n-- \nX-A: b\n--7\nnothing")) is None


def test_make_expands_no_sign_that_the_code_has_doubled() -> None:
    assert judge_expansions(*_filled("A = $@ b\n", "${price}")) is None
    assert judge_expansions(*_filled("A = x@ b\n", "${price}")) is not None
    assert judge_expansions(*_filled("A = $$@ b\n", "$(shell id)")) is not None


@pytest.mark.parametrize(
    "data", ['a"""\nx = 1\ny = """', 'a""" # "', 'a"""\n[tool]\nsign = false\nz = """']
)
def test_lines_of_toml_end_by_three_quotes(data: str) -> None:
    assert judge_toml(*_filled('a = """@"""\nb = 1\n', data)) is not None
    assert judge_toml(*_filled("a = '''@'''\nb = 1\n", data)) is None


def test_a_piece_ends_where_it_was_cut_at_a_line() -> None:
    found = Fragments()
    found.add('fix "it\'s" & $(stuff)\nbody', None)
    text = '# last: fix "it\'s" & $(stuff)\necho "x"\n'
    assert {text[start:end] for start, end, _ in found.find(text)} == {'fix "it\'s" & $(stuff)'}
    text = '# last: fix "it\'s" & $(stuff)\nbody\n'
    assert {text[start:end][-5:] for start, end, _ in found.find(text)} == {"\nbody"}


def test_a_name_in_a_librarys_script_is_there_by_chance() -> None:
    piece = Span(0, 10, DATA.decoded(*PIECE), exact=False)
    assert _is_name_by_chance("redis.call('GET')", piece)
    assert not _is_name_by_chance("redis.call('GET')", piece._replace(end=12))
    assert not _is_name_by_chance("redis.call('GET')", piece._replace(origin=DATA, exact=True))


def test_a_file_is_read_by_the_command_before_its_sign() -> None:
    script = "a; $(id)"
    spans = [Span(0, len(script), DATA, exact=False)]
    judgement = Judgement(
        lambda text, spans: None,
        lambda text, spans: None,
        script=lambda path: (script, spans) if path == "/tmp/list" else None,
    )
    for line in (
        "sh < /tmp/list",
        "ls; xargs rm </tmp/list | wc",
        "xargs -I% sh -c 'x %' < /tmp/list",
    ):
        assert judgement.sourced(line) is not None, line
    for line in ("cat < /tmp/list", "sh < /tmp/other", "wc -l < /tmp/list; xargs rm"):
        assert judgement.sourced(line) is None, line
