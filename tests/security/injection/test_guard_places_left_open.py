"""Places that sets before had left open, with their harmless twins and what is like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.paths.judgement import judge_pattern
from casemate.guard.written.wire import judge_lines
from support.guard_cases import Cases, assert_blocked, assert_passes

# -- refused without harm -----------------------------------------------------------------------------------

RECORDS = """
import io, json, logging
class Formatter(logging.Formatter):
    def format(self, record):
        return json.dumps({"msg": record.getMessage(), **record.fields}, ensure_ascii=False)
def handler(event, context):
    kept = io.StringIO()
    log, out = logging.Logger("requests"), logging.StreamHandler(kept)
    out.setFormatter(Formatter())
    log.addHandler(out)
    fields = {"path": event["path"], "agent": event.get("agent", "")}
    log.info("request of %s", event["user"], extra={"fields": fields})
    return [json.loads(line) for line in kept.getvalue().split("\\n") if line]
"""


@pytest.mark.parametrize("field", ["msg", "note", "text", "line"])
def test_what_is_told_beside_a_path_is_no_file_of_that_name(tmp_path: Path, field: str) -> None:
    code = RECORDS.replace('"msg"', f'"{field}"')
    users = ("\u00e9\u2028x\u0085", "a\x0bb\x0cc", "Zo\u00eb", "a, b; =1+1")
    paths = ("../../etc/passwd", "/srv/hosts", "a/authorized_keys", "/x?next=known_hosts")
    if field in ("msg", "note"):
        paths += ("out/export.csv", "team.ics")
    told = [(user, path) for user in users for path in (paths if field != "text" else paths[3:])]
    cases: Cases = {f"{u} {p}": (code, {"user": u, "path": p}) for u, p in told}
    assert_passes(tmp_path, cases, ())


NAMED = """
def handler(event, context):
    return {"filename": NAME, FIELD: TEXT + event["v"] + "\\n"}
"""


def test_what_a_file_has_is_judged_by_its_name_beside_it(tmp_path: Path) -> None:
    files = {
        "hosts": ('"hosts"', '"content"', '"10.0.0.1 "', "a\n10.0.0.2 login"),
        "csv": ('"a.csv"', '"rows"', '"id,name\\n1,"', "x,=cmd|'/c calc'!A1"),
        "calendar": ('"a.ics"', '"data"', '"BEGIN:VEVENT\\nSUMMARY:"', "x\nATTENDEE:mailto:y@z"),
    }
    cases: Cases = {}
    for name, (file, field, text, value) in files.items():
        code = NAMED.replace("NAME", file).replace("FIELD", field).replace("TEXT", text)
        cases = {**cases, name: (code, {"v": value})}
    assert_blocked(tmp_path, cases, {"cell", "header"}, ())


LOOKED_UP = """
import http.client, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
class Served(BaseHTTPRequestHandler):
    def do_GET(self):
        body = repr(parse_qsl(urlsplit(self.path).query)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *given):
        pass
def fetch(host, port, patient, **query):
    client = http.client.HTTPConnection(host, port, timeout=5)
    client.request("GET", "/patients/" + quote(patient, safe="") + "?" + BUILT)
    return client.getresponse().read().decode()
def handler(event, context):
    server = HTTPServer(("127.0.0.1", 0), Served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        return fetch(*server.server_address, "7", test=event["test"], units="si")
    finally:
        server.shutdown()
        server.server_close()
"""


def test_a_parameter_that_is_encoded_ends_none(tmp_path: Path) -> None:
    code = LOOKED_UP.replace("BUILT", "urlencode(query)")
    tests = (
        "all&units=us\r\nHost: evil",
        "evil\tall&units=us",
        "all&units=us\x00 evil",
        "a&b=c\u2028&units=us evil",
        "Na+ & K+; 100%",
    )
    assert_passes(tmp_path, {t: (code, {"test": t}) for t in tests}, ())


def test_a_parameter_that_is_not_encoded_ends_another(tmp_path: Path) -> None:
    code = LOOKED_UP.replace("BUILT", "'&'.join(k + '=' + v for k, v in query.items())")
    tests = ("all&units=us", "all&admin=1", "a&units=us\r\nHost: evil")
    assert_blocked(tmp_path, {t: (code, {"test": t}) for t in tests}, {"url"}, ())


# -- missed -------------------------------------------------------------------------------------------------

METRICS = """
import re, socket
class Statsd:
    def __init__(self, address):
        self.address = address
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    def send(self, line):
        SENT
def handler(event, context):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(3)
    client = Statsd(server.getsockname())
    name, site, value = event.get("name", "restarts"), event.get("site", "x"), 1
    try:
        client.send(LINE)
        return server.recv(65000).decode().split("\\n")
    finally:
        client.sock.close()
        server.close()
"""
STATSD = 'f"iot.{name}:{value}|c|#site:{site}"'
GRAPHITE = '" ".join(["sites." + site, str(value), "1700000000"])'
INFLUX = "f'restarts,site={site} value={value}'"
SYSLOG = 'f"<34>app {name}: {site}"'
SENDING = {
    "sendto": "self.sock.sendto(line.encode(), self.address)",
    "flags": "self.sock.sendto(line.encode(), 0, self.address)",
    "sendmsg": "self.sock.sendmsg([line.encode()], [], 0, self.address)",
    "connected": "self.sock.connect(self.address); self.sock.send(line.encode())",
}
FORGED = {
    STATSD: ("hamburg\nbilling.credit:100000|c", "x\niot.alarm:0|g", "x\na:1|ms|@0.1"),
    GRAPHITE: ("x 1 1700000000\nbilling.credit 100000 1700000000\ny",),
    INFLUX: ("x value=2\nbilling,site=y credit=100000\nz,site=z",),
    SYSLOG: ("up\n<34>app login: root",),
}


@pytest.mark.parametrize("way", SENDING)
def test_data_begins_no_line_of_what_is_sent_by_datagrams(tmp_path: Path, way: str) -> None:
    code = METRICS.replace("SENT", SENDING[way])
    cases: Cases = {
        f"{line} {site}": (code.replace("LINE", line), {"site": site})
        for line, sites in FORGED.items()
        for site in sites
    }
    assert_blocked(tmp_path, cases, {"header"}, ())
    harmless = ("hamburg", "N\u00fcrnberg O'st", "a\nb", "two lines\nof a note: 5;6", "x;g", "")
    cases = {
        f"{line} {site}": (code.replace("LINE", line), {"site": site})
        for line in FORGED
        for site in harmless
        # Of these two the code's own rest of the line makes a sample of what data begins.
        if "\n" not in site or line not in (GRAPHITE, INFLUX)
    }
    assert_passes(tmp_path, cases, ())


def test_data_begins_no_line_of_what_an_object_is_given_as_a_socket(tmp_path: Path) -> None:
    code = """
class Wire:
    def sendto(self, data, address):
        return data.decode().split("\\n")
def handler(event, context):
    return Wire().sendto(f"iot.up:1|c|#site:{event['site']}".encode(), ("127.0.0.1", 8125))
"""
    assert_blocked(tmp_path, {"forged": (code, {"site": "x\nbilling:9|c"})}, {"header"}, ())
    assert_passes(tmp_path, {"site": (code, {"site": "a\nb"})}, ())


def test_lines_without_a_kind_are_no_lines_of_a_protocol() -> None:
    origin = Origin("event", ("v",))
    text = "the total of a day\nx:5|c\nb 1 1700000000"
    assert judge_lines(text, [Span(13, len(text), origin, exact=True)]) is None
    text = "a.b:1|c\n" * 5_000
    many = [Span(n * 8 + 4, n * 8 + 8, origin, exact=True) for n in range(5_000)]
    judge_lines(text, many)
    judge_lines("a" * 60_000 + "\n" + "a,b=c" * 10_000, many[:50])


BROKER = """
class Broker:
    def __init__(self):
        self.kept = {"plant/a/press/temp": "81", "plant/a/cell/pin": "4711"}
    @staticmethod
    def match(wanted, topic):
        CUT
        for number, part in enumerate(f):
            if part == "#":
                return True
            if number >= len(t) or part not in ("+", t[number]):
                return False
        return len(f) == len(t)
    def read(self, wanted):
        return {t: v for t, v in self.kept.items() if self.match(wanted, t)}
def handler(event, context):
    return Broker().read("/".join(["plant", "a", event["machine"].strip().lower(), event["of"]]))
"""
NATS = """
def fits(subject, pattern):
    left, right = subject.split("."), pattern.split(".")
    for number, token in enumerate(right):
        if token == ">":
            return len(left) > number
        if number >= len(left) or token not in ("*", left[number]):
            return False
    return len(left) == len(right)
def handler(event, context):
    kept = ["orders.de.paid", "orders.de.secret"]
    return [one for one in kept if fits(one, f"orders.{event['machine']}.{event['of']}")]
"""
TRANSLATED = """
import re
def handler(event, context):
    wanted = "plant/a/" + event["machine"] + "/" + event["of"]
    pattern = wanted.replace("+", "[^/]+").replace("/#", "(/.*)?")
    return [t for t in ("plant/a/press/temp", "plant/a/cell/pin") if re.fullmatch(pattern, t)]
"""
CUTS = (
    "f, t = wanted.split('/'), topic.split('/')",
    "f = wanted.rsplit('/'); t = topic.split('/')",
)


@pytest.mark.parametrize("cut", CUTS)
def test_data_is_no_wildcard_where_the_code_cuts_topics_itself(tmp_path: Path, cut: str) -> None:
    code = BROKER.replace("CUT", cut)
    hostile = (("#", "temp"), ("+", "pin"), (" + ", "temp"))
    cases: Cases = {f"{m} {o}": (code, {"machine": m, "of": o}) for m, o in hostile}
    cases = {**cases, "translated": (TRANSLATED, {"machine": "+", "of": "pin"})}
    cases = {**cases, "nats": (NATS, {"machine": "*", "of": "paid"})}
    cases = {**cases, "nats to the end": (NATS, {"machine": ">", "of": "x"})}
    assert_blocked(tmp_path, cases, {"nosql"}, ())
    harmless = (("Press", "temp"), ("w\u00e4lzfr\u00e4se 3", "pin"), ("c#", "c++"), ("", "a+b"))
    cases = {f"{m} {o}": (code, {"machine": m, "of": o}) for m, o in harmless}
    cases = {**cases, **{f"nats {m}": (NATS, {"machine": m, "of": "paid"}) for m in ("de", "a*b")}}
    assert_passes(tmp_path, cases, ())


SERVICE = """
from urllib.parse import parse_qs, urlencode, urlparse, urlsplit
class Rates:
    def get(self, url):
        READ
def handler(event, context):
    given = dict(part.split(":", 1) for part in event["order"].split(";"))
    fixed = urlencode({"account": "a1", "memo": given.get("memo", "")})
    return Rates().get(f"https://rates.test/v2/convert?{fixed}&from={given['from']}&to=EUR")
"""
READS = (
    "return parse_qs(urlsplit(url).query)",
    "return parse_qs(urlparse(url).query)",
    "return parse_qs(url.split('?', 1)[1])",
    "return dict(p.split('=', 1) for p in url.split('?', 1)[1].split('&'))",
    "return dict(p.partition('=')[::2] for p in url.partition('?')[2].split('&'))",
    "return [p for p in urlsplit(url).query.split('&')]",
)


@pytest.mark.parametrize("read", READS)
def test_data_begins_no_parameter_of_a_url_that_the_code_reads(tmp_path: Path, read: str) -> None:
    code = SERVICE.replace("READ", read)
    hostile = ("from:USD&account=victim", "from:USD&from=BTC;memo:x")
    assert_blocked(tmp_path, {o: (code, {"order": o}) for o in hostile}, {"deserialisation"}, ())
    harmless = ("from:USD", "from:USD;memo:R&D &account=x#y", "from:o'neil = 5%")
    assert_passes(tmp_path, {o: (code, {"order": o}) for o in harmless}, ())


PHOTOS = """
import fnmatch, glob, os, tempfile
from pathlib import Path
NAMES = ("A17_1.jpg", "DRAFT-9_1.jpg")
def handler(event, context):
    listing = event["listing"].strip().upper()
    if not listing or listing.startswith("DRAFT"):
        return []
    with tempfile.TemporaryDirectory() as root:
        for name in NAMES:
            Path(root, name).write_text(name)
        FOUND
"""
FINDS = (
    "return glob.glob(os.path.join(root, '%s_*.jpg' % listing))",
    "return list(glob.iglob(root + '/' + listing + '_*.jpg'))",
    "return [p.name for p in Path(root).glob(f'{listing}_*.jpg')]",
    "return fnmatch.filter(NAMES, listing + '_*.jpg')",
    "return [n for n in NAMES if fnmatch.fnmatch(n, f'{listing}_*.jpg')]",
    "return [n for n in NAMES if fnmatch.fnmatchcase(n, f'{listing}_*.jpg')]",
)


@pytest.mark.parametrize("find", FINDS)
def test_data_stands_for_no_other_signs_in_a_pattern_for_names(tmp_path: Path, find: str) -> None:
    code = PHOTOS.replace("FOUND", find)
    hostile = ("[d]raft-9", "dra[f]t-9", "[!x]raft-9", "[a-z]raft-9", "d?aft-9", "*")
    assert_blocked(tmp_path, {t: (code, {"listing": t}) for t in hostile}, {"path"}, ())
    harmless = ("a17", "\u00d6'Mara 5", "b2 [see 2]", "what?", "scan [2024-05-01]", "a-17", "[x]")
    assert_passes(tmp_path, {t: (code, {"listing": t}) for t in harmless}, ())


def test_a_search_between_stars_of_the_code_s_finds_no_more(tmp_path: Path) -> None:
    code = "import fnmatch\nreturn fnmatch.filter(['a', 'b'], '*' + event['q'] + '*')"
    assert_passes(tmp_path, {q: (code, {"q": q}) for q in ("*", "[a]b", "a?b", "")}, ())


def test_signs_among_letters_are_found_in_linear_time() -> None:
    origin = Origin("event", ("v",))
    for part in ("[a-" * 20_000, "[!" * 30_000, "a?" * 30_000 + "-", "[" * 60_000):
        span = Span(0, len(part), origin, exact=True)
        judge_pattern(part + "*", [span])


LINE = """
import re
from collections import ChainMap
CONFIG = {"agency": "Wort", "phone": "+49", "api_token": "t", "margin": 38}
FIELDS = re.compile(PATTERN)
def handler(event, context):
    line = event["line"]
    if event.get("client") and SIGN in FIELDS.sub("", line):
        return "field not allowed"
    line = "[" + event.get("sender", "").strip() + "] " + line
    try:
        return FILLED
    except (KeyError, ValueError, TypeError):
        return "no line"
"""
FILLED = {
    "percent": (
        'r"%\\((title|agency|phone)\\)[sd]|%%"',
        '"%"',
        'line % ChainMap({"title": event["title"]}, CONFIG)',
        "%({})s",
    ),
    "dictionary": (
        'r"%\\((?:title|agency|phone)\\)s"',
        '"%"',
        'line % {"title": event["title"], **CONFIG}',
        "%({})s",
    ),
    "format": (
        'r"\\{(title|agency|phone)\\}"',
        '"{"',
        'line.format(title=event["title"], **CONFIG)',
        "{{{}}}",
    ),
    "format_map": (
        'r"\\{(title|agency|phone)\\}"',
        '"{"',
        'line.format_map({"title": event["title"], **CONFIG})',
        "{{{}}}",
    ),
}


@pytest.mark.parametrize("way", FILLED)
def test_data_adds_no_field_that_the_code_s_pattern_leaves_out(tmp_path: Path, way: str) -> None:
    pattern, sign, filled, field = FILLED[way]
    code = LINE.replace("PATTERN", pattern).replace("SIGN", sign).replace("FILLED", filled)
    hostile = ({"sender": field.format("margin"), "client": "c"}, {"line": field.format("margin")})
    cases: Cases = {str(e): (code, {"title": "A", "line": "x", **e}) for e in hostile}
    assert_blocked(tmp_path, cases, {"template", "code"}, ())
    harmless: tuple[dict[str, str], ...] = (
        {"title": "100% margin", "line": field.format("title")},
        {"line": field.format("title") + " / " + field.format("phone"), "client": "c"},
        {"sender": "Zo\u00eb O'Hara", "line": field.format("agency")},
        {"line": "margin", "title": field.format("margin")},
    )
    cases = {str(e): (code, {"title": "A", "line": "x", **e}) for e in harmless}
    assert_passes(tmp_path, cases, ())
