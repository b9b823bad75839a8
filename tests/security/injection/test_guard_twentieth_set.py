"""What a twentieth set of programs by others showed, and small ones of our own.

Each has its hostile twins.
"""

from __future__ import annotations

import base64
import collections
import datetime
import decimal
import pickle
import uuid
from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = (
    *("requests", "urllib.request", "http.server", "http.client", "email.parser", "email"),
    *("xml.etree.ElementTree", "xml.dom.minidom", "xml.sax.saxutils", "sqlite3", "pickle"),
)


def _handler(body: str, before: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return f"{before}\ndef handler(event, context):\n{lines}"


# -- hosts that the code has looked at -------------------------------------------------------------

FETCH = (
    "import requests\nfrom urllib.parse import urlsplit\n"
    "class Adapter(requests.adapters.BaseAdapter):\n    def send(self, request, **named):\n"
    "        found = requests.Response()\n        found.status_code = 200\n"
    "        found._content = b'ok'\n        found.url = request.url\n        return found\n"
    "    def close(self):\n        pass\n"
    "def fetch(url):\n    session = requests.Session()\n    session.mount('http://', Adapter())\n"
    "    session.mount('https://', Adapter())\n    return session.post(url, json={'a': 1}).text\n"
)
OF_URLS = {
    "a part of the URL": ("PARTNER in url", "PARTNER = 'partner.example'"),
    "a part of it by a function": (
        "allowed(url)",
        "PARTNER = 'partner.example'\ndef allowed(url):\n"
        "    return url.startswith(('http://', 'https://')) and PARTNER in url",
    ),
    "one of a list": ("any(p in url for p in OF)", "OF = ['partner.example', 'b.example']"),
    "a part of the place": ("'partner.example' in urlsplit(url).netloc", ""),
    "a search": ("re.search(r'partner\\.example', url)", "import re"),
    "a search with a set": ("OF.search(url)", "import re\nOF = re.compile('partner[.]example')"),
    "a beginning": ("OF.match(url)", "import re\nOF = re.compile(r'https?://.*partner\\.example')"),
}
OF_HOSTS = {
    "an end": ("host.endswith('partner.example')", ""),
    "ends of a list": (
        "any(host.endswith(p) for p in OF)",
        "OF = ['partner.example', 'b.example']",
    ),
    "the last labels": (
        "'.'.join(host.split('.')[-2:]) in OF",
        "OF = {'partner.example', 'b.example'}",
    ),
    "the last labels compared": ("'.'.join(host.rsplit('.', 2)[-2:]) == 'partner.example'", ""),
    "the domain above": ("host in OF or host.partition('.')[2] in OF", "OF = {'partner.example'}"),
    "without its first label": ("host.removeprefix('hooks.') in OF", "OF = {'partner.example'}"),
    "a cut": ("host[-len(OF):] == OF", "OF = 'partner.example'"),
    "a name with a star": ("fnmatch.fnmatch(host, '*.partner.example')", "import fnmatch"),
    "names with stars": (
        "any(fnmatch.fnmatch(host, p) for p in OF)",
        "import fnmatch\nOF = ['*.partner.example', 'x.example']",
    ),
}


def _checking(check: tuple[str, str]) -> str:
    condition, before = check
    body = f"url = event['url']\nhost = urlsplit(url).hostname or ''\nif not ({condition}):\n"
    return _handler(f"{body}    raise SystemExit('no')\nreturn fetch(url)", FETCH + before)


HOOK = "http://hooks.partner.example/in?tenant=42&x=a%20b#top"
ELSEWHERE = (
    *("http://169.254.169.254/latest?http://hooks.partner.example/", "http://evilpartner.example/"),
    *("http://partner.example.evil.test/", "http://10.0.0.5/?partner.example"),
    *("http://partner.example@vault.internal/", "http://admin.partner.example/"),
    *("http://partner.example:6379/", "http://x.partner.example:22/"),
)
PASSING_FAULTS = (
    *((name, url) for name in OF_URLS if name != "a part of the place" for url in ELSEWHERE),
    *(("a part of the place", url) for url in ELSEWHERE if "?" not in url),
    *((name, ELSEWHERE[1]) for name in ("an end", "ends of a list", "a cut")),
    *((name, ELSEWHERE[5]) for name in ("an end", "the last labels", "the domain above", "a cut")),
)
HOSTS_AS_MEANT: Cases = {
    **{n: (_checking(c), {"url": HOOK}) for n, c in (OF_URLS | OF_HOSTS).items()},
    **{
        f"{n}, {url}": (_checking(c), {"url": url})
        for n, c in OF_URLS.items()
        for url in ("http://eu.partner.example:8080/", "https://partner.example/Lieferung/Köln")
    },
}
HOSTS_STOPPED: Cases = {
    **{
        f"{n}, {url}": (_checking((OF_URLS | OF_HOSTS)[n]), {"url": url})
        for n, url in PASSING_FAULTS
    },
    "a domain that the event brings": (
        _checking(("event['of'] in url", "")),
        {"url": HOOK, "of": "partner.example"},
    ),
    "domains that the event brings": (
        _checking(("'.'.join(host.split('.')[-2:]) in event['of']", "")),
        {"url": HOOK, "of": ["partner.example"]},
    ),
    "a beginning alone": (
        _checking(("url.startswith('http://hooks.partner')", "")),
        {"url": "http://hooks.partner.evil.test/"},
    ),
    "any host of a top domain": (
        _checking(("'.example' in url", "")),
        {"url": "http://other.example/"},
    ),
}

ADDRESSES = (
    "import ipaddress, re\nOK = {('http', '10.1.1.2', 8081)}\nHOSTS = {'xn--bcher-kva.example'}\n"
)
NETWORK = (
    "a = ipaddress.ip_address(event['a'])\nif a not in ipaddress.ip_network({}):\n"
    "    raise SystemExit('no')\n"
)
SEVERAL = (
    "nets = [ipaddress.ip_network(n) for n in ('10.20.0.0/16', '10.30.1.0/24')]\n"
    "a = ipaddress.ip_address(event['a'])\nif not any(a in n for n in nets):\n"
    "    raise SystemExit('no')\n"
)
BEGINNING = "if not event['a'].startswith({}):\n    raise SystemExit('no')\n"
PATTERN = "if not re.{}(r'{}', event['a']):\n    raise SystemExit('no')\n"
PORT = "p = int(event['p'])\nif p not in {}:\n    raise SystemExit('no')\n"
TUPLE = (
    "p = urlsplit(event['u'])\nif (p.scheme, p.hostname, p.port) not in {}:\n"
    "    raise SystemExit('no')\n"
)
AT = "return fetch(f\"http://{event['a']}:8080/status\")"
WHOLE = "return fetch(event['u'])"
LOOKED_AT = {
    "a network": (NETWORK.format("'10.20.0.0/16'") + "return fetch(f'http://{a}:8080/s')", "a"),
    "networks": (SEVERAL + AT, "a"),
    "a beginning": (BEGINNING.format("'10.20.30.'") + AT, "a"),
    "a pattern": (PATTERN.format("fullmatch", r"10\.20\.30\.\d{1,3}") + AT, "a"),
}
ADDRESSES_AS_MEANT: Cases = {
    **{
        k: (_handler(code, FETCH + ADDRESSES), {name: "10.20.30.4"})
        for k, (code, name) in LOOKED_AT.items()
    },
    "a port": (
        _handler(
            PORT.format("range(8000, 8100)") + "return fetch(f'http://b.example:{p}/x')", FETCH
        ),
        {"p": "8012"},
    ),
    "a tuple with a port": (
        _handler(TUPLE.format("OK") + WHOLE, FETCH + ADDRESSES),
        {"u": "http://10.1.1.2:8081/x"},
    ),
    "a name as it is sent": (
        _handler(
            "host = urlsplit(event['u']).hostname.encode('idna').decode()\n"
            "if host not in HOSTS:\n    raise SystemExit('no')\n" + WHOLE,
            FETCH + ADDRESSES,
        ),
        {"u": "https://bücher.example/x"},
    ),
}
ADDRESSES_STOPPED: Cases = {
    **{
        f"{k}, {address}": (_handler(LOOKED_AT[k][0], FETCH + ADDRESSES), {"a": address})
        for k, address in (
            *(("a beginning", "10.20.30.evil.test"), ("a beginning", "10.20.30.4.evil.test")),
            *(("a beginning", "10.20.30.4@127.0.0.1"), ("a beginning", "10.20.30.4:22/x?")),
        )
    },
    **{
        f"{name}, {event}": (_handler(code, FETCH + ADDRESSES), event)
        for name, code, event in (
            (
                "a network of the event",
                NETWORK.format("event['n']") + AT,
                {"a": "169.254.169.254", "n": "169.254.0.0/16"},
            ),
            (
                "all networks",
                NETWORK.format("'0.0.0.0/0'") + AT,
                {"a": "169.254.169.254"},
            ),
            (
                "none of a network",
                NETWORK.replace("not in", "in").format("'192.168.0.0/16'") + AT,
                {"a": "169.254.169.254"},
            ),
            (
                "a port beside a network",
                NETWORK.format("'10.20.0.0/16'") + "return fetch(f\"http://{a}:{event['p']}/\")",
                {"a": "10.20.1.1", "p": "22"},
            ),
            ("one number", BEGINNING.format("'169.'") + AT, {"a": "169.254.169.254"}),
            (
                "a beginning of the event",
                BEGINNING.format("event['x']") + AT,
                {"a": "169.254.169.254", "x": "169.254."},
            ),
            ("any name", PATTERN.format("match", "[a-z.]+") + AT, {"a": "vault.internal"}),
            (
                "ports of the event",
                PORT.format("event['ok']") + "return fetch(f'http://b.example:{p}/x')",
                {"p": 22, "ok": [22]},
            ),
            ("any port", "return fetch(f\"http://b.example:{event['p']}/x\")", {"p": "22"}),
            (
                "tuples of the event",
                TUPLE.format("{(a, b, c) for a, b, c in event['ok']}") + WHOLE,
                {"u": "http://10.1.1.9:8081/x", "ok": [["http", "10.1.1.9", 8081]]},
            ),
            (
                "a tuple without a port",
                TUPLE.replace(", p.port", "").format("{('http', '10.1.1.2')}") + WHOLE,
                {"u": "http://10.1.1.2:22/x"},
            ),
        )
    },
}

# -- servers of the code's own ---------------------------------------------------------------------

SERVER = (
    "import threading, urllib.request\nfrom http.server import BaseHTTPRequestHandler, HTTPServer\n"
    "class Calendars(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
    "        self.send_response(200)\n        self.end_headers()\n"
    "        self.wfile.write(b'BEGIN:VCALENDAR')\n    do_POST = do_GET\n"
    "    def log_message(self, *told):\n        pass\n"
    "def start(port):\n    server = HTTPServer(('127.0.0.1', port), Calendars)\n"
    "    threading.Thread(target=server.serve_forever, daemon=True).start()\n"
)


_OPEN = "urlopen(url, timeout=5)"
Case = tuple[str, object]


def _serving(port: int, url: str, more: str = "", call: str = _OPEN) -> Case:
    code = (
        f"start({port})\n{more}\nurl = event['url']\nreturn urllib.request.{call}.read().decode()"
    )
    return _handler(code, SERVER), {"url": url.format(port)}


SERVERS_AS_MEANT: Cases = {
    "the one server": _serving(18911, "http://127.0.0.1:{}/team.ics?week=2"),
    "the one server, escaped": _serving(18912, "http://127.0.0.1:{}/k%C3%B6ln.ics"),
    "the one server by another name of it": _serving(
        18913, "webcal://127.0.0.1:{}/a.ics", call="urlopen(url.replace('webcal:', 'http:'))"
    ),
}
SERVERS_STOPPED: Cases = {
    "one of two": _serving(18921, "http://127.0.0.1:{}/", "start(18922)"),
    "sent there": _serving(18923, "http://127.0.0.1:{}/", call="urlopen(url, b'x', timeout=5)"),
    "with a login": _serving(
        18924,
        "http://127.0.0.1:{}/",
        call="urlopen(urllib.request.Request(url, headers={'Authorization': 'x'}))",
    ),
    "another port": _serving(18925, "http://127.0.0.1:22/"),
    "another name": _serving(18926, "http://localhost:{}/"),
    "another form": _serving(18927, "http://2130706433:{}/"),
    "for few": _serving(18928, "http://127.0.0.1:{}/admin/users"),
    "for few, escaped": _serving(18929, "http://127.0.0.1:{}/%61dmin/users"),
    "with a user": _serving(18930, "http://x@127.0.0.1:{}/"),
}

# -- URLs that a library quotes piece by piece -----------------------------------------------------

QUOTED = (
    "from urllib.parse import quote, urlsplit, urlunsplit\nHOSTS = {'media.example'}\n"
    "def checked(url):\n    parts = urlsplit(url.strip())\n"
    "    if parts.scheme != 'http' or parts.netloc not in HOSTS:\n        raise SystemExit('no')\n"
    "    return urlunsplit(('http', parts.netloc, quote(parts.path, safe='/%'),"
    " quote(parts.query, safe='=&%'), ''))\n"
)
PIECES_AS_MEANT: Cases = {
    path: (_handler("return fetch(checked(event['url']))", FETCH + QUOTED), {"url": path})
    for path in (
        *("http://media.example/u/jörg & co.gif?size=64&x=a'b", "http://media.example/a?b=c d&e=f"),
        *('http://media.example/ü/x y.png?q="z"', "http://media.example/it's.gif?a=1"),
    )
}
PIECES_STOPPED: Cases = {
    "a part that a library wrote": (
        _handler(
            "return fetch(urlunsplit(('http', 'media.example', '/u/' + event['name'], 'size=64', '')))",
            FETCH + QUOTED,
        ),
        {"name": "../../internal?key=a&b='x'"},
    ),
    "a host that a check passed by a part": (
        _handler(
            "if 'media.example' not in event['url']:\n    return 'no'\nreturn fetch(event['url'])",
            FETCH,
        ),
        {"url": "http://10.0.0.5/jörg & co.gif?x=media.example"},
    ),
}

# -- XML that a library has escaped ----------------------------------------------------------------

TREE = (
    "import io, xml.etree.ElementTree as ET\nfrom xml.dom import minidom\n"
    "def build(text, more):\n    root = ET.Element('feed')\n    entry = ET.SubElement(root, 'entry')\n"
    "    ET.SubElement(entry, 'title').text = text\n    ET.SubElement(entry, 'link', {'href': more})\n"
    "    ET.SubElement(entry, 'note').text = more\n    return root\n"
    "def text_of(text, more):\n    return ET.tostring(build(text, more), encoding='unicode')\n"
)
WRITERS = {
    "a file": (
        "file = io.BytesIO()\nET.ElementTree(build(t, u)).write(file, encoding='utf-8')\n"
        "x = file.getvalue().decode()"
    ),
    "bytes": "x = ET.tostring(build(t, u)).decode()",
    "trimmed": "x = text_of(t, u).strip()",
    "a frame": "x = f'<feed>{text_of(t, u)}</feed>'",
    "a declaration": "x = '<?xml version=\"1.0\"?>\\n' + text_of(t, u)",
    "another writer": "x = minidom.parseString(text_of(t, u)).toprettyxml().replace('\\n', '')",
    "several": "x = '<f>' + ''.join(text_of(one, u) for one in (t, u)) + '</f>'",
    "encoded": "x = ('<f>' + text_of(t, u) + '</f>').encode('utf-8')",
    "a generator": (
        "from xml.sax.saxutils import XMLGenerator\nfile = io.StringIO()\nto = XMLGenerator(file)\n"
        "to.startElement('feed', {'h': u})\nto.characters(t)\nto.endElement('feed')\n"
        "x = file.getvalue().strip()"
    ),
    "escaped by hand": (
        "from xml.sax.saxutils import escape, quoteattr\n"
        "x = f'<feed><entry><title>{escape(t)}</title><link href={quoteattr(u)}/></entry></feed>'"
    ),
}
MARKUP = (
    *("</title></entry><entry>", "<script>alert(1)</script>", "<title>x</title>", "a </entry> b"),
    *("]]> <![CDATA[ x", "<!-- x --> </feed>", "&lt;/title&gt;", '" onload="x"', "</note><note>"),
)
RAW = "<feed><entry><title>{t}</title></entry></feed>"
RAW_WRITERS = {
    "an f-string": f"x = f'{RAW}'",
    "one that is trimmed": f"x = f'  {RAW} '.strip().encode()",
    "one that is dedented": f"import textwrap\nx = textwrap.dedent(f'  {RAW}').strip()",
    "a join": "x = ''.join(['<feed><entry><title>', t, '</title></entry></feed>'])",
    "a replacement": "x = '<feed><entry><title>T</title></entry></feed>'.replace('T', t)",
    "beside a tree": f"x = '<f>' + text_of('a', 'b') + f'{RAW}' + '</f>'",
}


def _reading(writer: str) -> str:
    body = f"t, u = event['t'], event['u']\n{writer}\nreturn len(ET.fromstring(x))"
    return _handler(body, TREE)


XML_AS_MEANT: Cases = {
    f"{name} with {text}": (_reading(code), {"t": text, "u": MARKUP[number - 1]})
    for name, code in WRITERS.items()
    for number, text in enumerate(MARKUP)
}
XML_STOPPED: Cases = {
    name: (_reading(code), {"t": "</title></entry><entry><title>", "u": "x"})
    for name, code in RAW_WRITERS.items()
}

# -- heads that the code writes and reads again ----------------------------------------------------

FIELDS = (
    "lines = ['Status: 200 OK', 'Content-Type: text/csv',"
    " f'Content-Disposition: attachment; filename=\"{n}\"']\n"
    "raw = '\\r\\n'.join(lines) + '\\r\\n\\r\\nday;amount\\r\\n'\n"
)
HEADS = {
    "partition": FIELDS + "return raw.partition('\\r\\n\\r\\n')[0]",
    "split": FIELDS + "h, b = raw.split('\\r\\n\\r\\n', 1)\nreturn h.splitlines()",
    "lines": FIELDS + "return [line.partition(': ')[2] for line in raw.split('\\r\\n') if line]",
    "bytes": FIELDS + "return raw.encode().split(b'\\r\\n\\r\\n', 1)[0].decode()",
    "parse_headers": (
        "import http.client, io\n" + FIELDS + "return http.client.parse_headers("
        "io.BytesIO(raw.encode())).items()"
    ),
    "an answer of http.client": (
        "import http.client, io\nclass Sock:\n    def __init__(self, data):\n        self.data = data\n"
        "    def makefile(self, *mode):\n        return io.BytesIO(self.data)\n"
        f"{FIELDS}found = http.client.HTTPResponse(Sock(b'HTTP/1.1 200 OK\\r\\n' + raw.encode()))\n"
        "found.begin()\nreturn found.getheaders()"
    ),
    "BytesParser": (
        "import io\nfrom email.parser import BytesParser\n"
        + FIELDS
        + "return BytesParser().parse(io.BytesIO(raw.encode())).items()"
    ),
    "HeaderParser": (
        "import io\nfrom email.parser import HeaderParser\n"
        + FIELDS
        + "return HeaderParser().parse(io.StringIO(raw)).items()"
    ),
    "message_from_binary_file": (
        "import email, io\n" + FIELDS + "return email.message_from_binary_file("
        "io.BytesIO(raw.encode())).items()"
    ),
    "with line feeds": (
        "raw = f'Content-Type: text/csv\\nContent-Disposition: inline; filename={n}\\n\\nday\\n'\n"
        "return raw.partition('\\n\\n')[0]"
    ),
    "grown": (
        "raw = 'Status: 200\\r\\n'\nraw += 'X-Name: ' + n + '\\r\\n'\nraw += '\\r\\n'\nraw += 'body'\n"
        "return raw.split('\\r\\n\\r\\n', 1)[0]"
    ),
    "a template": (
        "raw = 'Status: 200\\r\\nX-Name: {}\\r\\n\\r\\n{}'.format(n, 'x').encode()\n"
        "return raw.split(b'\\r\\n\\r\\n', 1)[0].decode()"
    ),
    "a class": (
        "class Answer:\n    def __init__(self):\n        self.fields = {'Status': '200 OK'}\n"
        "    def dump(self):\n        return '\\r\\n'.join("
        "f'{k}: {v}' for k, v in self.fields.items()) + '\\r\\n\\r\\n'\n"
        "answer = Answer()\nanswer.fields['X-Name'] = n\n"
        "return (answer.dump() + 'body').partition('\\r\\n\\r\\n')[0]"
    ),
    "re.split": ("import re\n" + FIELDS + "return re.split(r'\\r?\\n\\r?\\n', raw, maxsplit=1)[0]"),
    "names of line ends": FIELDS + "end = '\\r\\n' * 2\nreturn raw.partition(end)[0]",
    "a place": FIELDS + "place = raw.index('\\r\\n\\r\\n')\nreturn raw[:place]",
    "a place that is found": FIELDS + "return raw[:raw.find('\\r\\n\\r\\n')]",
    "lines of a loop": FIELDS
    + "found = []\nfor line in raw.splitlines():\n    if not line:\n        break\n"
    "    found.append(line)\nreturn found",
    "BytesFeedParser": (
        "from email.feedparser import BytesFeedParser\n"
        + FIELDS
        + "reader = BytesFeedParser()\nreader.feed(raw.encode())\nreturn reader.close().items()"
    ),
    "a generator": (
        "def lines():\n    yield 'Status: 200 OK'\n    yield 'X-Export: ' + n\n    yield ''\n"
        "    yield 'body'\nreturn '\\r\\n'.join(lines()).split('\\r\\n\\r\\n')[0]"
    ),
}
NAMES = (
    *("export 2024.csv", "Set-Cookie: a=b", "a; b=c: d", "Köln 写真.pdf", "x\ty", " trailing "),
    "line\n folded",
)
BREAKING = ("x.csv\r\nSet-Cookie: a=evil", "x\r\n\r\n<script>alert(1)</script>", "a\nX-B: c")
MAIL = "Subject: x\r\nFrom: a@b.example\r\n\r\nHello\r\nX: y\r\n"
PARAGRAPHS = "Line one\nKey: value\n\nAnother: x\n\nend"
NO_HEADS = {
    "paragraphs": "return f'Title: {event[\"n\"]}\\n\\n{event[\"b\"]}'.split('\\n\\n')",
    "a question": "t = f'Question: {event[\"b\"]}\\n\\nAnswer:'\nreturn t.split('\\n\\n')",
    "a body": (
        "raw = f'Subject: {n}\\r\\nFrom: a@b.example\\r\\n\\r\\n{event[\"b\"]}'\n"
        "return raw.partition('\\r\\n\\r\\n')[2]"
    ),
    "a question with CR LF": (
        "b = event['b'].replace('\\n', '\\r\\n')\n"
        "return f'Question: {b}\\n\\nAnswer:'.split('\\n\\n')"
    ),
    "a status": "t = f'Status: {n}\\nand so on'\nreturn t.partition(': ')[2]",
    "a status of lines": "t = 'Status: ' + event['b']\nreturn t.splitlines()",
    "blank lines": "import re\nreturn re.split(r'\\n{2,}', event['b']), event['b'].index('\\n\\n')",
    "a mail that is passed on": "return event['m'].strip().split('\\r\\n\\r\\n')[0]",
    "a mail that is read": (
        "import io, http.client\nfile = io.BytesIO(event['m'].encode())\n"
        "return http.client.parse_headers(file).items()"
    ),
    "a field before a mail": (
        "raw = 'Received: by us\\r\\n' + event['m']\nreturn raw.split('\\r\\n\\r\\n')[0]"
    ),
}


def _named(code: str) -> str:
    return _handler(f"n = event['n']\n{code}")


HEADS_AS_MEANT: Cases = {
    **{f"{k}, {n!r}": (_named(code), {"n": n}) for k, code in HEADS.items() for n in NAMES},
    **{k: (_named(c), {"n": "Hi", "b": PARAGRAPHS, "m": MAIL}) for k, c in NO_HEADS.items()},
}
HEADS_STOPPED: Cases = {
    f"{k}, {n!r}": (_named(code), {"n": n}) for k, code in HEADS.items() for n in BREAKING
}

# -- records that the code keeps in memory ---------------------------------------------------------

RECORDS = {
    "an access log": (
        "print(f'10.0.0.1 - {u} [2024-05-01] \"GET /\"', file=out)\n"
        "return [bool(ENTRY.match(line)) for line in out.getvalue().split('\\n')]",
        'eve [x] "GET"\n9.9.9.9 - root [01] "x"',
    ),
    "times": (
        "out.write(f'2024-05-01T10:00:00 login {u}\\n')\n"
        "return [line for line in out.getvalue().splitlines() if 'login' in line]",
        "a\n2024-05-01T10:00:01 login root",
    ),
    "levels": (
        "out.write('INFO user %s\\n' % u)\nreturn list(out.getvalue().splitlines())",
        "a\nINFO user root",
    ),
    "a join": (
        "lines = [f'2024-05-01 10:00:0{n} {x}' for n, x in enumerate([u, 'x'])]\n"
        "out.write('\\n'.join(lines))\nreturn out.getvalue().splitlines()",
        "a\n2024-05-01 10:00:09 x",
    ),
    "a class": (
        "class Log:\n    def __init__(self):\n        self.kept = io.StringIO()\n"
        "    def add(self, ip, what):\n        self.kept.write(f'{ip} {what}\\n')\n"
        "    def lines(self):\n        for line in self.kept.getvalue().splitlines():\n"
        "            yield line\nlog = Log()\nlog.add('10.1.2.3', u)\nreturn list(log.lines())",
        "a\n9.9.9.9 root",
    ),
}
TOLD = ("Ada", "O'Neil [x] 10.0.0.1", "two\nlines of text", "1. a\n2. b", "- a\n- b 2024", "K\n\nT")
NO_RECORDS = {
    "a list": (
        "for n, x in enumerate([u, 'x'], 1):\n    print(f'{n}. {x}', file=out)\n"
        "return out.getvalue().splitlines()"
    ),
    "a report": "out.write(f'Report for {u}\\n')\nreturn out.getvalue().splitlines()",
    "a text": "out.write(u)\nreturn out.getvalue().splitlines()",
}
IN_MEMORY = "import io, re\nENTRY = re.compile(r'^(\\S+) - (\\S+) \\[(.*?)\\] \"(.*)\"$')\n"


def _kept(code: str) -> str:
    return _handler(f"u = event['u']\nout = io.StringIO()\n{code}", IN_MEMORY)


RECORDS_AS_MEANT: Cases = {
    **{f"{k}, {u!r}": (_kept(c), {"u": u}) for k, (c, _) in RECORDS.items() for u in TOLD},
    **{
        f"{k}, {u!r}": (_kept(code), {"u": u})
        for k, code in NO_RECORDS.items()
        for u in ("a\n1. b\n2. c", "10.0.0.1 - x\n10.0.0.2 - y", "INFO a\nINFO b", "line\nnote: x")
    },
}
RECORDS_STOPPED: Cases = {k: (_kept(c), {"u": u}) for k, (c, u) in RECORDS.items()}

# -- pickles that make values, and those in a part of a text ---------------------------------------

STORE = (
    "import base64, os, pickle, sqlite3, tempfile\ndef store(key, data):\n"
    "    con = sqlite3.connect(':memory:')\n    con.execute('CREATE TABLE s(id TEXT, data BLOB)')\n"
    "    con.execute('INSERT INTO s VALUES (?, ?)', (key, data))\n"
    "    return con.execute('SELECT data FROM s').fetchone()[0]\n"
)
LOADERS = {
    "a line of a dump": (
        "k, _, h = event['d'].splitlines()[0].partition(' ')\n"
        "return str(pickle.loads(store(k, bytes.fromhex(h))))"
    ),
    "a pair": (
        "k, v = event['d'].split(' ', 1)\nreturn str(pickle.loads(store(k, base64.b64decode(v))))"
    ),
    "a file": (
        "k, v = event['d'].split(' ', 1)\nwith tempfile.TemporaryFile() as file:\n"
        "    file.write(base64.b64decode(v))\n    file.seek(0)\n    return str(pickle.load(file))"
    ),
    "a copy": (
        "k, v = event['d'].split(' ', 1)\n"
        "return str(pickle.loads(memoryview(base64.b64decode(v)).tobytes()))"
    ),
}
VALUES: tuple[object, ...] = (
    {"a": [1]},
    {"at": datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC), "day": datetime.date(2024, 1, 1)},
    *(decimal.Decimal("1.50"), uuid.UUID(int=5), {1, 2, "x"}, [datetime.date(2024, 1, 1)] * 2),
    *(collections.OrderedDict(a=datetime.timedelta(1)), collections.defaultdict(list, {"a": [1]})),
    *(collections.Counter("abca"), collections.deque([1], 3)),
)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("6*7",)


RUNNING = (
    b"cposix\nsystem\n(S'id'\ntR.",
    *map(pickle.dumps, (_Evil(), {"a": datetime.date(2024, 1, 1), "b": _Evil()}, [len])),
    *map(pickle.dumps, (decimal.Decimal("1E+999999"), range(9))),
)


def _dump(name: str, data: bytes) -> dict[str, str]:
    shown = data.hex() if name == "a line of a dump" else base64.b64encode(data).decode()
    return {"d": f"b-7 {shown}"}


PICKLES_AS_MEANT: Cases = {
    f"{k}, {v!r}": (_handler(code, STORE), _dump(k, pickle.dumps(v)))
    for k, code in LOADERS.items()
    for v in VALUES
}
PICKLES_STOPPED: Cases = {
    f"{k}, {data!r}": (_handler(code, STORE), _dump(k, data))
    for k, code in LOADERS.items()
    for data in RUNNING
}


def test_hosts_below_those_of_the_code_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, {**HOSTS_AS_MEANT, **PIECES_AS_MEANT}, PRELOAD)


def test_hosts_that_pass_a_faulty_check_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {**HOSTS_STOPPED, **PIECES_STOPPED}, {"url"}, PRELOAD)


def test_addresses_that_the_code_has_looked_at_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, ADDRESSES_AS_MEANT, PRELOAD)


def test_addresses_that_it_has_not_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, ADDRESSES_STOPPED, {"url"}, PRELOAD)


def test_the_one_server_of_the_code_may_be_read(tmp_path: Path) -> None:
    assert_passes(tmp_path, SERVERS_AS_MEANT, PRELOAD)


def test_other_servers_are_not_read(tmp_path: Path) -> None:
    assert_blocked(tmp_path, SERVERS_STOPPED, {"url"}, PRELOAD)


def test_xml_of_a_library_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, XML_AS_MEANT, PRELOAD)


def test_xml_of_the_code_is_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, XML_STOPPED, {"xml"}, PRELOAD)


def test_heads_without_line_ends_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, HEADS_AS_MEANT, PRELOAD)


def test_heads_that_data_ends_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, HEADS_STOPPED, {"header"}, PRELOAD)


def test_texts_among_records_in_memory_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, RECORDS_AS_MEANT, PRELOAD)


def test_records_among_those_in_memory_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, RECORDS_STOPPED, {"log"}, PRELOAD)


def test_pickles_of_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, PICKLES_AS_MEANT, PRELOAD)


def test_pickles_in_a_part_of_a_text_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, PICKLES_STOPPED, {"deserialisation"}, PRELOAD)
