"""Requests to addresses: hostile events under each client, and the same "
"code used as it should be."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.origin import Origin, Span
from casemate.guard.url import hosts
from casemate.guard.url.structure import judge, split
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("urllib.request", "http.client", "requests", "httpx", "aiohttp", "asyncio", "socket")
META = "http://169.254.169.254/latest/meta-data/"
TRY = """
def attempt(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__
"""


def b64(text: str) -> str:
    """Encode."""
    return base64.b64encode(text.encode()).decode()


VULNERABLE: Cases = {
    "urlopen": (
        "import urllib.request\nreturn urllib.request.urlopen(event['url']).read()",
        {"url": META},
    ),
    "urlopen of a request": (
        "from urllib.request import Request, urlopen\n"
        "return urlopen(Request(event['url'], headers={'a': 'b'})).read()",
        {"url": "http://10.0.0.8:8500/v1/kv"},
    ),
    "urlopen of a file": (
        "import urllib.request\nreturn urllib.request.urlopen(event['url']).read()",
        {"url": "file:///etc/passwd"},
    ),
    "urlretrieve": (
        "import urllib.request\nreturn urllib.request.urlretrieve(event['src'])",
        {"src": "http://localhost:6379/"},
    ),
    "requests": (
        "import requests\nreturn requests.get(event['url'], timeout=1).text",
        {"url": "http://internal-admin/"},
    ),
    "requests, scheme put before": (
        "import requests\nreturn requests.get('http://' + event['host'] + '/status', "
        "timeout=1).text",
        {"host": "127.0.0.1:8080"},
    ),
    "requests, session and post": (
        "import requests\ns = requests.Session()\n"
        "return s.post(f\"{event['callback']}/done\", json={}, timeout=1).text",
        {"callback": "http://192.168.1.1"},
    ),
    "requests, prepared": (
        "import requests\np = requests.Request('GET', event['u']).prepare()\n"
        "return requests.Session().send(p, timeout=1).text",
        {"u": "http://[::1]/"},
    ),
    "requests, beginning checked without its end": (
        "import requests\nu = event['url']\n"
        "if not u.startswith('https://api.example.com'):\n    raise ValueError\n"
        "return requests.get(u, timeout=1).text",
        {"url": "https://api.example.com.evil.test/x"},
    ),
    "requests, beginning checked, credentials": (
        "import requests\nu = event['url']\n"
        "if not u.startswith('https://api.example.com'):\n    raise ValueError\n"
        "return requests.get(u, timeout=1).text",
        {"url": "https://api.example.com@evil.test/x"},
    ),
    "requests, name searched for": (
        "import requests\nu = event['url']\n"
        "if 'example.com' not in u:\n    raise ValueError\n"
        "return requests.get(u, timeout=1).text",
        {"url": "http://evil.test/?example.com"},
    ),
    "requests, end checked without a dot": (
        "import requests\nfrom urllib.parse import urlparse\nu = event['url']\n"
        "if not urlparse(u).hostname.endswith('example.com'):\n    raise ValueError\n"
        "return requests.get(u, timeout=1).text",
        {"url": "http://evilexample.com/"},
    ),
    "requests, scheme checked alone": (
        "import re, requests\nu = event['url']\n"
        "if not re.match(r'^https?://', u):\n    raise ValueError\n"
        "return requests.get(u, timeout=1).text",
        {"url": "http://10.1.1.1/"},
    ),
    "requests, list of bad hosts, another notation": (
        "import requests\nfrom urllib.parse import urlparse\nu = event['url']\n"
        "if urlparse(u).hostname in ('localhost', '127.0.0.1', '169.254.169.254'):\n"
        "    raise ValueError\nreturn requests.get(u, timeout=1).text",
        {"url": "http://2130706433/"},
    ),
    "requests, list of bad hosts, capitals": (
        "import requests\nu = event['url']\n"
        "if 'localhost' in u or '127.0.0.1' in u:\n    raise ValueError\n"
        "return requests.get(u, timeout=1).text",
        {"url": "http://LOCALHOST:9200/"},
    ),
    "requests, host after the address": (
        "import requests\nreturn requests.get('https://api.example.com' + "
        "event['path'], timeout=1)",
        {"path": "@evil.test/x"},
    ),
    "requests, host grows": (
        "import requests\nreturn requests.get('https://api.example.com' + "
        "event['path'], timeout=1)",
        {"path": ".evil.test/x"},
    ),
    "requests, domain left": (
        "import requests\n"
        "return requests.get(f\"https://{event['tenant']}.example.com/api\", timeout=1)",
        {"tenant": "evil.test/#"},
    ),
    "requests, port": (
        "import requests\nreturn requests.get(f\"http://10.0.0.5:{event['port']}/\", "
        "timeout=1).text",
        {"port": "22"},
    ),
    "requests, path climbs": (
        "import requests\n"
        "return requests.get(f\"https://api.example.com/users/{event['id']}/profile\", timeout=1)",
        {"id": "../../admin/keys"},
    ),
    "requests, path climbs, encoded": (
        "import requests\n"
        "return requests.get('https://api.example.com/files/%s' % event['id'], timeout=1)",
        {"id": "%2e%2e/admin"},
    ),
    "requests, query in the path": (
        "import requests\n"
        "return requests.get('https://api.example.com/users/{}'.format(event['id']), timeout=1)",
        {"id": "1?role=admin"},
    ),
    "requests, fragment cuts": (
        "import requests\n"
        "return requests.get(f\"https://api.example.com/u/{event['id']}/public\", timeout=1)",
        {"id": "1/private#"},
    ),
    "requests, parameter": (
        "import requests\n"
        "return requests.get(f\"https://api.example.com/s?q={event['q']}&limit=5\", timeout=1)",
        {"q": "a&limit=9999"},
    ),
    "requests, address looked at by its text": (
        "import ipaddress, requests\nfrom urllib.parse import urlparse\nu = event['url']\n"
        "try:\n    bad = ipaddress.ip_address(urlparse(u).hostname).is_private\n"
        "except ValueError:\n    bad = False\n"
        "if bad:\n    raise ValueError\nreturn requests.get(u, timeout=1).text",
        {"url": "http://localhost:8080/"},
    ),
    "requests, address looked at, name leads inside": (
        "import ipaddress, requests\nfrom urllib.parse import urlparse\nu = event['url']\n"
        "try:\n    bad = ipaddress.ip_address(urlparse(u).hostname).is_private\n"
        "except ValueError:\n    bad = False\n"
        "if bad:\n    raise ValueError\nreturn requests.get(u, timeout=1).text",
        {"url": "http://rebound.example/"},
    ),
    "httpx": (
        "import httpx\nreturn httpx.get(event['url']).text",
        {"url": "http://metadata.google.internal/computeMetadata/v1/"},
    ),
    "httpx, base": (
        "import httpx\nwith httpx.Client(base_url=event['base']) as c:\n"
        "    return c.get('/x').text",
        {"base": "http://10.9.8.7"},
    ),
    "httpx, path is a URL": (
        "import httpx\nwith httpx.Client(base_url='https://api.example.com') as c:\n"
        "    return c.get(event['path']).text",
        {"path": "http://evil.test/"},
    ),
    "httpx, asynchronous": (
        "import asyncio, httpx\nasync def go(u):\n    async with httpx.AsyncClient() as c:\n"
        "        return (await c.get(u)).text\n"
        "def handler(event, context):\n    return asyncio.run(go(event['url']))",
        {"url": "http://127.1/"},
    ),
    "aiohttp": (
        "import asyncio, aiohttp\nasync def go(u):\n    async with aiohttp.ClientSession() as s:\n"
        "        async with s.get(u) as r:\n            return await r.text()\n"
        "def handler(event, context):\n    return asyncio.run(go(event['url']))",
        {"url": "http://0x7f000001/"},
    ),
    "http.client": (
        "import http.client\nc = http.client.HTTPConnection(event['host'], timeout=1)\n"
        "c.request('GET', '/')\nreturn c.getresponse().read()",
        {"host": "10.0.0.1"},
    ),
    "http.client, path": (
        "import http.client\nc = http.client.HTTPSConnection('api.example.com', timeout=1)\n"
        "c.request('GET', '/v1/' + event['id'])\nreturn c.getresponse().read()",
        {"id": "../admin"},
    ),
    "http.client, tunnel": (
        "import http.client\nc = http.client.HTTPSConnection('127.0.0.1', 3128, timeout=1)\n"
        "c.set_tunnel(event['host'], 443)\nreturn c.request('GET', '/')",
        {"host": "evil.test"},
    ),
    "urllib3": (
        "import urllib3\nreturn urllib3.PoolManager(retries=False).request('GET', event['u']).data",
        {"u": "gopher://127.0.0.1:6379/_FLUSHALL"},
    ),
    "socket": (
        "import socket\ns = socket.socket()\ns.settimeout(1)\n"
        "s.connect((event['host'], int(event['port'])))\nreturn s.recv(10)",
        {"host": "127.0.0.1", "port": "22"},
    ),
    "create_connection": (
        "import socket\nreturn socket.create_connection((event['h'], 80), timeout=1)",
        {"h": "db.internal"},
    ),
    "open_connection": (
        "import asyncio\nasync def go(h):\n    r, w = await asyncio.open_connection(h, 80)\n"
        "def handler(event, context):\n    return asyncio.run(go(event['host']))",
        {"host": "localhost"},
    ),
    "boto3's endpoint": (
        "import boto3\nreturn boto3.client('s3', endpoint_url=event['endpoint'])",
        {"endpoint": "http://127.0.0.1:9000"},
    ),
    "JSON in a string": (
        "import json, requests\nb = json.loads(event['body'])\n"
        "return requests.get(b['webhook']['url'], timeout=1).text",
        {"body": json.dumps({"webhook": {"url": META}})},
    ),
    "base64": (
        "import base64, requests\nu = base64.b64decode(event['u']).decode()\n"
        "return requests.get(u, timeout=1).text",
        {"u": b64(META)},
    ),
    "URL encoding": (
        "import urllib.parse, requests\n"
        "return requests.get(urllib.parse.unquote(event['u']), timeout=1).text",
        {"u": quote(META, safe="")},
    ),
    "query string": (
        "import urllib.parse, requests\nq = urllib.parse.parse_qs(event['rawQueryString'])\n"
        "return requests.get(q['u'][0], timeout=1).text",
        {"rawQueryString": "u=" + quote(META, safe="")},
    ),
    "parts": (
        "import requests\nu = event['scheme'] + '://' + event['host'] + ':' + str(event['port'])\n"
        "return requests.get(u, timeout=1).text",
        {"scheme": "http", "host": "10.0.0.1", "port": 8080},
    ),
    "quotes taken off": (
        "import requests\nreturn requests.get(event['u'].strip('\"'), timeout=1).text",
        {"u": f'"{META}"'},
    ),
    "join": (
        "import requests\nreturn requests.get('/'.join([event['base'], 'v1', 'x']), "
        "timeout=1).text",
        {"base": "http://10.0.0.1"},
    ),
    "urljoin": (
        "import requests\nfrom urllib.parse import urljoin\n"
        "return requests.get(urljoin('https://api.example.com/v1/', event['next']), "
        "timeout=1).text",
        {"next": "//evil.test/x"},
    ),
    "upper case taken off": (
        "import requests\nreturn requests.get(event['u'].lower(), timeout=1).text",
        {"u": "HTTP://LocalHost/"},
    ),
    "queue": (
        "import json, requests\n"
        "for r in event['Records']:\n"
        "    requests.get(json.loads(r['body'])['image'], timeout=1)",
        {"Records": [{"body": json.dumps({"image": "http://10.3.2.1/a.png"})}]},
    ),
}

SAFE: Cases = {
    "host of the code, id in the path": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    u = f\"https://api.example.com/users/{event['id']}\"\n"
        "    return attempt(lambda: requests.get(u, timeout=1))",
        {"id": "4711"},
    ),
    "mail address in the path": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    return attempt(lambda: requests.get("
        "'https://api.example.com/users/' + event['mail'], timeout=1))",
        {"mail": "ada@example.com"},
    ),
    "quoted path": (
        TRY + "import requests\nfrom urllib.parse import quote\ndef handler(event, context):\n"
        "    u = f\"https://api.example.com/users/{quote(event['id'], safe='')}/x\"\n"
        "    return attempt(lambda: requests.get(u, timeout=1))",
        {"id": "../../a?b#c&d\\e"},
    ),
    "parameters": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    return attempt(lambda: requests.get('https://api.example.com/s',"
        " params={'q': event['q'], 'page': event['page']}, timeout=1))",
        {"q": "a&b=c#d http://evil.test/", "page": 3},
    ),
    "urlencode": (
        TRY + "import urllib.request\nfrom urllib.parse import urlencode\n"
        "def handler(event, context):\n"
        "    u = 'https://api.example.com/s?' + urlencode({'q': event['q']})\n"
        "    return attempt(lambda: urllib.request.urlopen(u, timeout=1))",
        {"q": "a&b=c\r\nX: y"},
    ),
    "body of a request": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    return attempt(lambda: requests.post('https://hooks.example.com/in',"
        " json={'text': event['text']}, timeout=1))",
        {"text": META},
    ),
    "hosts allowed, in": (
        TRY + "import requests\nfrom urllib.parse import urlparse\n"
        "ALLOWED = {'cdn.example.com', 'img.example.org'}\ndef handler(event, context):\n"
        "    p = urlparse(event['url'])\n"
        "    if p.scheme != 'https' or p.hostname not in ALLOWED:\n        raise ValueError\n"
        "    return attempt(lambda: requests.get(event['url'], timeout=1))",
        {"url": "https://cdn.example.com/a/b.png?w=200&h=100#top"},
    ),
    "hosts allowed, netloc": (
        TRY + "import urllib.request\nfrom urllib.parse import urlsplit\n"
        "def handler(event, context):\n"
        "    if urlsplit(event['url']).netloc not in ('127.0.0.1:9', 'localhost:9'):\n"
        "        raise ValueError\n"
        "    return attempt(lambda: urllib.request.urlopen(event['url'], timeout=1))",
        {"url": "http://127.0.0.1:9/x"},
    ),
    "hosts allowed, refused": (
        "import requests\nfrom urllib.parse import urlparse\n"
        "if urlparse(event['url']).hostname not in {'cdn.example.com'}:\n    return 'refused'\n"
        "return requests.get(event['url'], timeout=1)",
        {"url": META},
    ),
    "host compared": (
        TRY + "import requests\nfrom urllib.parse import urlparse\ndef handler(event, context):\n"
        "    if urlparse(event['url']).hostname != 'api.partner.example':\n        return 'no'\n"
        "    return attempt(lambda: requests.get(event['url'], timeout=1))",
        {"url": "https://api.partner.example/v1/items?after=10"},
    ),
    "beginning checked with its end": (
        TRY + "import os, requests\nos.environ['BASE'] = 'http://127.0.0.1:9/'\n"
        "def handler(event, context):\n    u = event['url']\n"
        "    if not u.startswith('http://127.0.0.1:9/'):\n        raise ValueError\n"
        "    return attempt(lambda: requests.get(u, timeout=1))",
        {"url": "http://127.0.0.1:9/files/1"},
    ),
    "domain checked": (
        TRY + "import httpx\nfrom urllib.parse import urlparse\ndef handler(event, context):\n"
        "    host = urlparse(event['url']).hostname or ''\n"
        "    if not (host == 'example.com' or host.endswith('.example.com')):\n"
        "        raise ValueError\n    return attempt(lambda: httpx.get(event['url']))",
        {"url": "https://static.example.com/a.css"},
    ),
    "pattern of the whole": (
        TRY
        + "import re, requests\nOK = re.compile(r'https://[a-z0-9-]+\\.example\\.net/[a-z/]*')\n"
        "def handler(event, context):\n    if not OK.fullmatch(event['url']):\n"
        "        raise ValueError\n"
        "    return attempt(lambda: requests.get(event['url'], timeout=1))",
        {"url": "https://eu-1.example.net/api/v"},
    ),
    "address checked after resolution": (
        TRY + "import ipaddress, socket, requests\nfrom urllib.parse import urlparse\n"
        "def check(host):\n    for entry in socket.getaddrinfo(host, None):\n"
        "        if not ipaddress.ip_address(entry[4][0]).is_global:\n"
        "            raise ValueError('private')\n"
        "def handler(event, context):\n    check(urlparse(event['url']).hostname)\n"
        "    return attempt(lambda: requests.get(event['url'], timeout=0.01))",
        {"url": "http://93.184.216.34/"},
    ),
    "address checked, refused": (
        "import ipaddress, socket, requests\nfrom urllib.parse import urlparse\n"
        "ip = socket.gethostbyname(urlparse(event['url']).hostname)\n"
        "if ipaddress.ip_address(ip).is_private:\n    return 'refused'\n"
        "return requests.get(event['url'], timeout=1)",
        {"url": "http://127.0.0.1/"},
    ),
    "table of hosts": (
        TRY + "import requests\nSERVICES = {'eu': 'https://eu.api.example.com', 'us': "
        "'https://us.api.example.com'}\ndef handler(event, context):\n"
        "    return attempt(lambda: requests.get(SERVICES[event['region']] + '/ping', timeout=1))",
        {"region": "eu"},
    ),
    "tenant is one label": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    return attempt(lambda: requests.get("
        "f\"https://{event['tenant']}.example.com/api\", timeout=1))",
        {"tenant": "acme-corp"},
    ),
    "base of the settings": (
        TRY + "import os, requests\ndef handler(event, context):\n"
        "    base = os.environ.get('API_BASE', 'http://127.0.0.1:9')\n"
        "    return attempt(lambda: requests.get(base + '/orders/' + str(event['id']), timeout=1))",
        {"id": 12, "headers": {"Host": "127.0.0.1:9"}},
    ),
    "path of the event below a fixed host": (
        TRY + "import httpx\ndef handler(event, context):\n"
        "    with httpx.Client(base_url='https://up.example.com') as c:\n"
        "        return attempt(lambda: c.get(event['path']))",
        {"path": "/static/js/app.js"},
    ),
    "key of an object": (
        TRY + "import requests\nfrom urllib.parse import unquote_plus, quote\n"
        "def handler(event, context):\n"
        "    key = unquote_plus(event['Records'][0]['s3']['object']['key'])\n"
        "    return attempt(lambda: requests.put("
        "'https://index.example.com/docs/' + quote(key), timeout=1))",
        {"Records": [{"s3": {"object": {"key": "a+b/c%20d.txt"}}}]},
    ),
    "http.client": (
        TRY + "import http.client\ndef handler(event, context):\n"
        "    c = http.client.HTTPConnection('127.0.0.1', 9, timeout=1)\n"
        "    return attempt(lambda: c.request('GET', f\"/users/{int(event['id'])}?full=1\"))",
        {"id": "7", "sourceIp": "127.0.0.1"},
    ),
    "aiohttp": (
        TRY + "import asyncio, aiohttp\nasync def go(x):\n"
        "    async with aiohttp.ClientSession() as s:\n"
        "        async with s.get('http://127.0.0.1:9/x', params={'q': x}) as r:\n"
        "            return await r.text()\n"
        "def handler(event, context):\n    return attempt(lambda: asyncio.run(go(event['q'])))",
        {"q": "x&y"},
    ),
    "socket of the code": (
        TRY + "import socket\ndef handler(event, context):\n"
        "    return attempt(lambda: socket.create_connection(('127.0.0.1', 9), timeout=1))",
        {"message": "hello"},
    ),
    "asyncio of the code": (
        TRY + "import asyncio\nasync def go():\n    await asyncio.open_connection('localhost', 9)\n"
        "def handler(event, context):\n    return attempt(lambda: asyncio.run(go()))",
        {"name": "Ada"},
    ),
    "through the proxy of the sandbox": (
        TRY + "import os, urllib.request\nos.environ['https_proxy'] = 'http://127.0.0.1:9'\n"
        "def handler(event, context):\n    u = 'https://api.example.com/u/' + event['id']\n"
        "    return attempt(lambda: urllib.request.urlopen(u, timeout=1))",
        {"id": "9", "ip": "127.0.0.1"},
    ),
    "URL kept, not fetched": (
        "import json\nfrom urllib.parse import urlparse\n"
        "return json.dumps({'link': event['url'], 'host': urlparse(event['url']).hostname})",
        {"url": META},
    ),
    "constant endpoint of boto3": (
        "import boto3\nreturn str(boto3.client('s3', endpoint_url='http://127.0.0.1:9000'))",
        {"bucket": "uploads"},
    ),
    "scheme chosen from two": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    scheme = event['scheme'] if event['scheme'] in ('http', 'https') else 'https'\n"
        "    return attempt(lambda: requests.get(f'{scheme}://api.example.com/x', timeout=1))",
        {"scheme": "http"},
    ),
    "date and number in a query": (
        TRY + "import requests\ndef handler(event, context):\n"
        "    u = 'https://api.example.com/r?from=%s&n=%d' % (event['from'], event['n'])\n"
        "    return attempt(lambda: requests.get(u, timeout=1))",
        {"from": "2026-01-31", "n": 10},
    ),
}


def test_hostile_addresses_are_not_reached(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"url"}, PRELOAD)


def test_addresses_that_the_code_has_chosen_or_checked_are(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)


class _Redirecting(http.server.BaseHTTPRequestHandler):
    """Sends callers to where nothing good is."""

    def do_GET(self) -> None:
        """Redirect."""
        self.send_response(302)
        self.send_header("Location", META)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def redirecting() -> Iterator[str]:
    """Return the address of a server that redirects to a metadata service."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join(5)


CHECK = "from urllib.parse import urlparse\n" + (
    "def check(u):\n    if urlparse(u).hostname not in {'127.0.0.1'}:\n        raise ValueError\n"
    "    return u\n"
)


def test_a_redirect_does_not_lead_inside(tmp_path: Path, redirecting: str) -> None:
    clients = {
        "urllib": "import urllib.request\n" + CHECK + "def handler(event, context):\n"
        "    return urllib.request.urlopen(check(event['u'])).read()",
        "requests": "import requests\n" + CHECK + "def handler(event, context):\n"
        "    return requests.get(check(event['u']), timeout=2).text",
        "urllib3": "import urllib3\n" + CHECK + "def handler(event, context):\n"
        "    return urllib3.PoolManager().request('GET', check(event['u'])).data",
        "httpx": "import httpx\n" + CHECK + "def handler(event, context):\n"
        "    return httpx.get(check(event['u']), follow_redirects=True).text",
        "aiohttp": "import asyncio, aiohttp\n"
        + CHECK
        + "async def go(u):\n    async with aiohttp.ClientSession() as s:\n"
        "        async with s.get(u) as r:\n            return await r.text()\n"
        "def handler(event, context):\n    return asyncio.run(go(check(event['u'])))",
    }
    cases = {name: (code, {"u": redirecting}) for name, code in clients.items()}
    assert_blocked(tmp_path, cases, {"url"}, PRELOAD)


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("example.com", True),
        ("8.8.8.8", True),
        ("[2606:4700::1111]", True),
        ("localhost", False),
        ("LOCALHOST.", False),
        ("0", False),
        ("0x7f.1", False),
        ("017700000001", False),
        ("127.0.0.1.nip.io", False),
        ("[::ffff:10.0.0.1]", False),
        ("[fe80::1%25eth0]", False),
        ("printer.local", False),
        ("redis", False),
        ("224.0.0.1", False),
    ],
)
def test_hosts_are_told_apart_in_every_notation(host: str, *, public: bool) -> None:
    assert hosts.is_public(host) is public


@given(st.text(max_size=60))
def test_any_text_is_split_without_loss(text: str) -> None:
    parts = split(text)
    assert 0 <= parts.authority[0] <= parts.authority[1] <= parts.path <= parts.query
    assert parts.query <= parts.fragment <= len(text)
    assert parts.authority[0] <= parts.host[0] <= parts.host[1] <= parts.authority[1] or (
        not parts.has_authority()
    )


@given(st.text(alphabet="abz019-_.~", min_size=1, max_size=20).filter(lambda t: ".." not in t))
def test_unreserved_characters_in_a_path_are_never_blocked(value: str) -> None:
    if value in (".", ".."):
        return
    text = f"https://api.example.com/items/{value}/detail"
    span = Span(30, 30 + len(value), Origin("event", ()), exact=True)
    assert judge(text, [span], lambda *_: False) is None


@given(st.text(max_size=30))
def test_a_host_of_the_event_is_never_let_through_unchecked(value: str) -> None:
    text = f"https://{value}"
    if not value.strip("\x00 ") or value[0] in "/\\?#":
        return
    span = Span(8, len(text), Origin("event", ()), exact=True)
    assert judge(text, [span], lambda *_: False) is not None
