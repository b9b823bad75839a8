"""Handlers that know where their requests go. Nothing answers: a failed connection is no alarm."""

from support.guard_corpus import Program, body

HOSTILE = [
    "http://169.254.169.254/",
    "../../admin",
    "a&b=c#d",
    "x@127.0.0.1",
    "127.0.0.1",
    "localhost",
    "plain",
]


def each(key):
    return [{key: h} for h in HOSTILE]


URLS = [
    {"url": u}
    for u in (
        "https://api.example.com/v1/a?b=c",
        "http://127.0.0.1:9/",
        "https://api.example.com.evil.net/",
    )
]

PROGRAMS = {
    "params": Program(
        """
import requests
def handler(event, context):
    return requests.get("http://127.0.0.1:9/search", params={"q": event["q"]}, timeout=1).text
""",
        benign=each("q"),
    ),
    "quoted": Program(
        """
from urllib.parse import quote
from urllib.request import urlopen
def handler(event, context): return urlopen("http://127.0.0.1:9/u/" + quote(event["q"], safe=""), timeout=1).read()
""",
        benign=each("q"),
    ),
    "urlencode": Program(
        """
import httpx
from urllib.parse import urlencode
def handler(event, context):
    return httpx.get("http://127.0.0.1:9/s?" + urlencode({"q": event["q"], "n": 5}), timeout=1).text
""",
        benign=each("q"),
    ),
    "body only": Program(
        """
import json, requests
def handler(event, context):
    return requests.post("http://127.0.0.1:9/hook", json=json.loads(event["body"]), timeout=1).text
""",
        benign=[body(url=h) for h in HOSTILE],
    ),
    "allow-list of hosts": Program(
        """
import requests
from urllib.parse import urlparse
ALLOWED = {"api.example.com", "cdn.example.com"}
def handler(event, context):
    u = urlparse(event["url"])
    if u.scheme != "https" or u.hostname not in ALLOWED: return {"statusCode": 400}
    return requests.get(event["url"], timeout=1).text
""",
        benign=URLS,
    ),
    "one host": Program(
        """
import requests
from urllib.parse import urlsplit
def handler(event, context):
    if urlsplit(event["url"]).netloc != "api.example.com": raise ValueError("host")
    return requests.get(event["url"], timeout=1).text
""",
        benign=URLS,
    ),
    "domain by its end": Program(
        """
import requests
from urllib.parse import urlparse
def handler(event, context):
    host = urlparse(event["url"]).hostname or ""
    if not (host == "example.com" or host.endswith(".example.com")): return 403
    return requests.get(event["url"], timeout=1).text
""",
        benign=URLS,
    ),
    "prefix": Program(
        """
import requests
def handler(event, context):
    if not event["url"].startswith("https://api.example.com/"): return 403
    return requests.get(event["url"], timeout=1, allow_redirects=False).text
""",
        benign=URLS,
    ),
    "pattern": Program(
        """
import re, requests
def handler(event, context):
    if not re.fullmatch(r"https://[a-z]+\\.example\\.com/[\\w/?=]*", event["url"]): return 400
    return requests.get(event["url"], timeout=1).text
""",
        benign=URLS,
    ),
    "dictionary of services": Program(
        """
import requests
SERVICES = {"users": "http://127.0.0.1:9/users", "orders": "http://127.0.0.1:9/orders"}
def handler(event, context):
    url = SERVICES.get(event["service"])
    return requests.get(url, timeout=1).text if url else 404
""",
        benign=[{"service": "users"}, {"service": "http://x"}, {"service": "orders"}],
    ),
    "addresses are looked at": Program(
        """
import ipaddress, socket, requests
from urllib.parse import urlparse
def handler(event, context):
    u = urlparse(event["url"])
    for info in socket.getaddrinfo(u.hostname, u.port or 80):
        if not ipaddress.ip_address(info[4][0]).is_global: return 403
    return requests.get(event["url"], timeout=1).text
""",
        benign=[
            {"url": "http://127.0.0.1/"},
            {"url": "http://[::1]/"},
            {"url": "http://169.254.169.254/"},
        ],
    ),
    "number in the path": Program(
        """
import requests
def handler(event, context): return requests.get(f"http://127.0.0.1:9/items/{int(event['id'])}", timeout=1).text
""",
        benign=[{"id": "7"}, {"id": "x"}],
    ),
    "segments checked": Program(
        """
import re, requests
class Api:
    base = "http://127.0.0.1:9"
    def get(self, *parts):
        for p in parts:
            if not re.match(r"^[A-Za-z0-9_-]+$", p): raise ValueError(p)
        return requests.get("/".join([self.base, *parts]), timeout=1)
def handler(event, context): return Api().get("users", event["id"]).text
""",
        benign=[{"id": "ada"}, {"id": "../x"}],
    ),
    "host of the settings": Program(
        """
import os, requests
def handler(event, context):
    base = os.environ.get("API", "http://127.0.0.1:9")
    return requests.get(base + "/ping", headers={"x-name": event["q"].strip()}, timeout=1).text
""",
        benign=each("q"),
    ),
    "urljoin, checked": Program(
        """
import requests
from urllib.parse import urljoin, urlparse
BASE = "https://api.example.com/v1/"
def handler(event, context):
    url = urljoin(BASE, event["q"])
    if urlparse(url).netloc != urlparse(BASE).netloc: return 403
    return requests.get(url, timeout=1).text
""",
        benign=[{"q": "users/1"}, {"q": "http://127.0.0.1/"}, {"q": "//evil.net"}],
    ),
    "only parsed": Program(
        """
from urllib.parse import urlparse, parse_qs, urlunparse
def handler(event, context):
    u = urlparse(event["q"])
    return urlunparse(u._replace(fragment="")), parse_qs(u.query), u.hostname
""",
        benign=each("q"),
    ),
}
