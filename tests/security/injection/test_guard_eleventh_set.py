"""What own programs by mechanism, and an eleventh and a twelfth set, showed: classes, not cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.guard.evaluation.formulas import is_formula, is_of_values
from casemate.guard.objects.plain import is_plain_array
from casemate.guard.origin import PIECE, Origin, Span
from casemate.guard.paths.judgement import judge_pattern
from casemate.guard.written.fields import judge_cookie, judge_parameter
from casemate.guard.written.settings import judge_expansions
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("urllib.request", "requests", "httpx", "botocore.client", "lxml.etree")
SINKS = {
    *("url", "code", "path", "response", "xpath", "command", "header", "file", "deserialisation")
}
DATA = Origin("event", ("q",))
TRIED = "import requests\ndef tried(u):\n    try:\n        return requests.get(u, timeout=1)\n    except OSError:\n        return None\n"
HOOK = TRIED + "def handler(event, context):\n    tried(event['url'])\n"
STATUS = TRIED + "def handler(event, context):\n    tried(f\"https://{event['host']}/status\")\n"
AFTER = (
    TRIED
    + "def handler(event, context):\n    tried(event['url'].strip() + '?done=' + event['id'])\n"
)
TENANT = (
    TRIED + "def handler(event, context):\n    tried(f\"https://{event['host']}.example.com/x\")\n"
)
JOINED = (
    TRIED + "from urllib.parse import urljoin\n"
    "def handler(event, context):\n    tried(urljoin('https://api.example.com/v1/', event['url']))\n"
)
BASED = (
    "import httpx\ndef handler(event, context):\n"
    "    with httpx.Client(base_url='https://api.example.com', trust_env=False) as client:\n"
    "        try:\n            client.get(event['url'])\n"
    "        except httpx.HTTPError:\n            pass\n"
)
BEGINNING = (
    TRIED + "def handler(event, context):\n"
    "    if event['url'].startswith('https://api.example.com'):\n        tried(event['url'])\n"
)
SEARCHED = (
    TRIED + "def handler(event, context):\n"
    "    if 'partner.example' in event['url']:\n        tried(event['url'])\n"
)
RULE = (
    "def handler(event, context):\n"
    "    rule = compile(event['e'], '<rule>', 'eval')\n"
    "    return eval(rule, {'__builtins__': {}}, {'amount': 3, 'country': 'DE'})\n"
)
BACK = (
    "from urllib.parse import urlsplit\ndef handler(event, context):\n"
    "    target = event['next']\n"
    "    if urlsplit(target).netloc != event['headers']['host']:\n        target = event['other']\n"
    "    return {'status': 302, 'headers': {'location': target}}\n"
)
SITE = {"headers": {"host": "shop.example.com"}}
FILES = "import glob\nreturn glob.glob(f\"/var/tmp/{event['n']}-*.txt\")"
FOUND = "from pathlib import Path\nreturn list(Path('/var/tmp').glob(f\"{event['n']}/*.txt\"))"

CUT = (
    "import http.client\nfrom urllib.parse import urljoin, urlsplit\n"
    "found = urlsplit(urljoin('http://127.0.0.2:9/pictures/', event['n']))\n"
    "link = http.client.HTTPConnection(found.hostname, found.port, timeout=1)\n"
    "try:\n    link.request('GET', found.path)\nexcept OSError:\n    pass"
)
BADGE = (
    "class Member:\n    def __init__(self, first):\n        self.level, self._config = first, {'a': 1}\n"
    "def handler(event, context):\n"
    "    return ('Hello ' + event['t']).format(member=Member('Ada'))\n"
)
SUPPLIER = (
    "from lxml import etree\ntree = etree.fromstring('<s><a><name>x</name></a></s>')\n"
    "return str(tree.xpath(f\"//a[contains({event['f']}, '{event['v']}')]\"))"
)
PAIR = (
    "from urllib.parse import urlsplit\nSITES = {('https', 'app.corp.example')}\n"
    "def handler(event, context):\n"
    "    found = urlsplit(event['u'])\n"
    "    to = event['u'] if (found.scheme, found.netloc) in SITES else event['other']\n"
    "    return {'status': 302, 'headers': {'location': to}}\n"
)
VIEW = (
    "def handler(event, context):\n"
    "    found = ('to', event['to']) in event['fields'].items()\n"
    "    return {'status': 302, 'headers': {'location': event['to'] if found else '/'}}\n"
)
MADE = (
    "CODE = 'class Row:\\n    def __init__(self, {args}):\\n        {body}\\n'\n"
    "def handler(event, context):\n"
    "    if not all(name.isidentifier() for name in event['names']):\n        return None\n"
    "    args = ', '.join(event['names']) + event.get('more', '')\n"
    "    body = '; '.join(f'self.{n} = {n}' for n in event['names'])\n"
    "    exec(CODE.format(args=args, body=body), {})\n"
)
FOUND_BY = (
    "import shlex, subprocess\n"
    'words = shlex.split(f\'find /var/tmp -type d -name "{event["n"]}" -maxdepth 0\')\n'
    "return subprocess.run(words, capture_output=True).returncode"
)
ZONE = (
    "import dns.zone\n"
    "text = '$ORIGIN a.example.\\n@ 9 IN SOA n h 1 2 3 4 5\\n@ 9 IN NS n\\nn 9 IN A 192.0.2.1\\n'\n"
    "text += f'www 9 IN A {event[\"v\"]}\\n'\n"
    "dns.zone.from_text(text, check_origin=False)"
)
INI = (
    "import configparser, io\nread = configparser.ConfigParser(interpolation=None)\n"
    "read.read_file(io.StringIO('[DEFAULT]\\nadmin = no\\n[site]\\nname = %s\\n' % event['n']))\n"
    "return dict(read['site'])"
)
POLICY = (
    "import cedarpy\n"
    "text = 'permit(principal, action, resource == Folder::\"%s\");' % event['f']\n"
    "asked = {'principal': 'User::\"a\"', 'action': 'Action::\"r\"', 'resource': 'Folder::\"x\"'}\n"
    "cedarpy.is_authorized(asked | {'context': {}}, text, [])"
)
S3 = "import io\nimport boto3\ns3 = boto3.client('s3')\n"
PUT = S3 + (
    "def handler(event, context):\n"
    "    page = f'<p>{event[\"t\"]}</p>'\n"
    "    s3.put_object(Bucket='b', Key='p.html', ContentType='text/html', Body=page)\n"
)
KEY = S3 + (
    "import os\ndef handler(event, context):\n"
    "    s3.get_object(Bucket='b', Key=os.path.normpath(os.path.join('tenants/a', event['n'])))\n"
)
TOLD = S3 + (
    "import pickle\nclass Body(io.BytesIO):\n    pass\ndef handler(event, context):\n"
    "    data = pickle.dumps({'w': [1, 2]}) if event['Records'][0]['plain'] else b'cos\\ngetcwd\\n(tR.'\n"
    "    s3.answer = {'Body': Body(data)}\n"
    "    key = event['Records'][0]['s3']['object']['key']\n"
    "    return str(pickle.loads(s3.get_object(Bucket='b', Key=key)['Body'].read()))\n"
)


def told(*, plain: bool) -> dict[str, object]:
    """Return a notification of a bucket."""
    return {"Records": [{"s3": {"object": {"key": "models/a.pickle"}}, "plain": plain}]}


HARMLESS: Cases = {
    "a URL that is cut": (CUT, {"n": "team/ada.png"}),
    "a field that SQL keeps": (BADGE, {"t": "{member.level}!"}),
    "a field that is searched": (SUPPLIER, {"f": "name", "v": "a < b"}),
    "a pair that is looked up": (PAIR, {"u": "https://app.corp.example/a?b=c", "other": "/"}),
    "names of parameters": (MADE, {"names": ["city", "größe"]}),
    "an option that ends like a header": (FOUND_BY, {"n": "a; b", "content-type": "text/html"}),
    "an address of a zone": (ZONE, {"v": "192.0.2.7"}),
    "a setting that is read": (INI, {"n": "it's; [x] = 1"}),
    "a folder of a policy": (POLICY, {"f": "it's; x"}),
    "a page for S3": (PUT, {"t": "a < b & c"}),
    "a key": (KEY, {"n": "2026/./a b.txt"}),
    "a plain object that was told of": (TOLD, told(plain=True)),
    "a sum": ("return eval(event['e'])", {"e": "(3.5 - 1) * 2 ** 3 > 5"}),
    "a rule that is compiled": (RULE, {"e": "amount * 2 > 5 and country in ('DE', 'AT')"}),
    "an address of the same site": (
        BACK,
        SITE | {"next": "https://shop.example.com/a", "other": "/"},
    ),
    "a pattern of the event": (
        "import glob\nreturn glob.glob('/var/tmp/' + event['n'])",
        {"n": "*.txt"},
    ),
    "a name in a pattern": (FILES, {"n": "report [final] 2"}),
}
HOSTILE: Cases = {
    "a URL that is cut, another host": (CUT, {"n": "//127.0.0.1:9/latest"}),
    "a URL that is cut, another folder": (CUT, {"n": "../admin/users"}),
    "a field that is hidden": (BADGE, {"t": "{member._config}"}),
    "more than a field": (SUPPLIER, {"f": "name, 'x')] | //*[contains(name", "v": "a"}),
    "a pair that is not there": (PAIR, {"u": "x", "other": "https://evil.example/"}),
    "a pair of the event's own": (
        VIEW,
        {"to": "https://evil.example/", "fields": {"to": "https://evil.example/"}},
    ),
    "more than names": (MADE, {"names": ["a"], "more": "=print(6 * 7)"}),
    "more than a name": (FOUND_BY, {"n": 'x" -exec id ; -name "y'}),
    "another line of a zone": (ZONE, {"v": "192.0.2.7\nmail 9 IN A 203.0.113.6"}),
    "another setting that is read": (INI, {"n": "x\nadmin = yes"}),
    "another policy": (POLICY, {"f": 'x"); permit(principal, action, resource); //'}),
    "markup in a page for S3": (PUT, {"t": "<img src=x onerror=alert(1)>"}),
    "a key of another": (KEY, {"n": "../b/secret.txt"}),
    "an object that was told of": (TOLD, told(plain=False)),
    "a host of the event's": (HOOK, {"url": "https://shop.example.net:8443/in/42?t=a-b#x"}),
    "a host of the event's in other letters": (HOOK, {"url": "https://müller.example/hook"}),
    "a host alone": (STATUS, {"host": "eu.status.example.org"}),
    "a host and more": (AFTER, {"url": " https://hooks.example.org/a\n", "id": "7"}),
    "an address that is not public": (HOOK, {"url": "http://169.254.169.254/latest/"}),
    "one in other digits": (HOOK, {"url": "http://①②⑦.0.0.1/"}),
    "one with dots of other letters": (HOOK, {"url": "http://127\u30020\u30020\u30021:9/"}),
    "one that is encoded": (HOOK, {"url": "http://127%2e0%2e0%2e1/"}),
    "one within a name": (HOOK, {"url": "http://10.0.0.1.nip.io/"}),
    "a name for few": (HOOK, {"url": "https://admin.example.com/"}),
    "credentials": (HOOK, {"url": "https://a:b@shop.example.net/"}),
    "files": (HOOK.replace("requests.get(u, timeout=1)", "__import__('urllib.request').request.urlopen(u)"), {"url": "file:///etc/passwd"}),
    "a part of a host": (TENANT, {"host": "evil.example/"}),
    "a host that hides the rest": (STATUS, {"host": "evil.example/x?"}),
    "in the place of the code's": (JOINED, {"url": "https://evil.example/"}),
    "in the place of a client's": (BASED, {"url": "https://evil.example/"}),
    "past a beginning": (BEGINNING, {"url": "https://api.example.com.evil.example/"}),
    "past a search": (SEARCHED, {"url": "https://evil.example/?partner.example"}),
    "more than a sum": ("return eval(event['e'])", {"e": "2 * len(dir())"}),
    "a rule that reaches out": (RULE, {"e": "().__class__"}),
    "an address of another site": (
        BACK,
        SITE | {"next": "https://shop.example.com.evil.example/", "other": "https://evil.example"},
    ),
    "any name in a pattern": (FILES, {"n": "*"}),
    "any folder in a pattern": (FOUND, {"n": "*"}),
}  # fmt: skip


def span(text: str, part: str) -> Span:
    """Return where data is in a text."""
    start = text.index(part)
    return Span(start, start + len(part), DATA, exact=True)


def test_harmless_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, HARMLESS, PRELOAD)


def test_their_hostile_twins_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, HOSTILE, SINKS, PRELOAD)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("1 + 2", True),
        ("max(1, 2.5) <= 3 and not 0", True),
        ("'a' == 'b'", True),
        ("9 ** 9 ** 9", False),
        ("[0] * 9999999999", False),
        ("'a' * 9999999999", False),
        ("price * 2", False),
        ("open('x')", False),
        ("(1).real", False),
        ("[x for x in (1, 2)]", False),
    ],
)
def test_formulas_of_values(text: str, *, passes: bool) -> None:
    assert is_of_values(text) is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("where(a > 1, sqrt(b) ** 2, 0)", True),
        ("a.between(1, 2)", True),
        ("name.str.contains('x', case=False)", True),
        ("name.str.cat('x')", False),
        ("name.str.contains(name.__class__)", False),
        ("a.pipe(1)", False),
    ],
)
def test_formulas_of_columns(text: str, *, passes: bool) -> None:
    assert is_formula(text, [span(text, text)], columns=True) is passes


@pytest.mark.parametrize(
    ("pattern", "part", "passes"),
    [
        ("/d/*-x.csv", "*", True),
        ("/d/*-x*.csv", "*", False),
        ("/d/a?-*.csv", "a?", True),
        ("/d/??-*.csv", "??", False),
    ],
)
def test_patterns_of_files(pattern: str, part: str, *, passes: bool) -> None:
    assert (judge_pattern(pattern, [span(pattern, part)]) is None) is passes


def test_the_end_of_a_cookie_s_value_adds_nothing() -> None:
    assert judge_cookie("lang=de; Path=/", [span("lang=de; Path=/", "lang=de; ")]) is None
    assert judge_cookie("a=b; Domain=x; c", [span("a=b; Domain=x; c", "b; Domain=x")]) is not None


def test_an_array_of_bytes_is_plain() -> None:
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    assert is_plain_array(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + b"\n")


@pytest.mark.parametrize(
    ("recipe", "part", "passes"),
    [
        ('\t@echo "at $(NAME)"\n', "a; b & c < d", True),
        ("\t@printf '%s\\n' '$(NAME)'\n", "a; b", True),
        ('\t@echo "at $(NAME)"\n', '"; id; "', False),
        ("\t@echo at $(NAME)\n", "a; b", False),
        ('\t@echo "at \\"$(NAME)"\n', "a; b", False),
    ],
)
def test_variables_of_make_in_quotes(recipe: str, part: str, *, passes: bool) -> None:
    text = f"NAME := {part}\nlabel:\n{recipe}"
    assert (judge_expansions(text, [span(text, part)]) is None) is passes


def test_the_signs_of_a_form_are_no_quotes_of_a_header() -> None:
    text = 'attachment; filename="export.csv"'
    piece = span(text, 'filename="export.csv')
    piece = piece._replace(origin=DATA.decoded(*PIECE), exact=False)
    assert judge_parameter(text, [piece], ";") is None
    assert judge_parameter(text, [span(text, '; filename="')], ";") is not None
