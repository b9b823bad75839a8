"""Clients as they are, with nothing but the variables that a function has, get out by the proxy.

They run in processes of their own, with packages that are installed once, at fixed versions, into a
folder of the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.egress import (
    HOST,
    HttpOrigin,
    LoopbackConnector,
    Names,
    RunningProxy,
    TestAuthority,
    egress,
)
from support.servers import postgresql, valkey

PACKAGES = (
    "aiohttp==3.14.5",
    "boto3==1.44.5",
    "psycopg[binary]==3.3.9",
    "redis==8.1.0",
    "requests==2.34.2",
)
Run = Callable[..., str]


@pytest.fixture(scope="module")
def packages() -> Path:
    """A folder with the clients."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "casemate-tests"
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    name = hashlib.sha256("\n".join((*PACKAGES, version)).encode()).hexdigest()[:16]
    folder = cache / f"clients-{name}"
    if not folder.exists():
        making = cache / f"{folder.name}.{os.getpid()}"
        uv = Path(sys.executable).with_name("uv")
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", making]
        subprocess.run([*command, *PACKAGES], check=True, timeout=170)
        making.rename(folder)
    return folder


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


@pytest.fixture
def plain() -> Iterator[HttpOrigin]:
    with HttpOrigin() as origin:
        yield origin


@pytest.fixture
def secure(authority: TestAuthority) -> Iterator[HttpOrigin]:
    with HttpOrigin(authority.context(HOST, "s3.example.com")) as origin:
        yield origin


@pytest.fixture
def proxy(plain: HttpOrigin, secure: HttpOrigin) -> Iterator[RunningProxy]:
    connector = LoopbackConnector({80: plain.port, 443: secure.port})
    names = Names(api_example_com="93.184.216.34", s3_example_com="93.184.216.35")
    grants = [egress(f"{host}:{port}") for host in (HOST, "s3.example.com") for port in (80, 443)]
    with RunningProxy(*grants, connector=connector, lookup=names) as running:
        yield running


@pytest.fixture
def run(packages: Path, proxy: RunningProxy, authority: TestAuthority) -> Run:
    """Run code in a process with a function's variables; return what it prints."""

    def start(code: str, **variables: str) -> str:
        names = ("http_proxy", "https_proxy", "all_proxy")
        environment = {
            **{spelled: proxy.url for name in names for spelled in (name, name.upper())},
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(packages),
            "SSL_CERT_FILE": str(authority.path),
            "REQUESTS_CA_BUNDLE": str(authority.path),
            "AWS_CA_BUNDLE": str(authority.path),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **variables,
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return start


HTTP_CLIENTS = {
    "urllib": """
import sys, urllib.error, urllib.request
def get(url, body=None):
    try:
        return urllib.request.urlopen(url, data=body).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return str(error)
""",
    "requests": """
import requests
session = requests.Session()
def get(url, body=None):
    try:
        return session.request("POST" if body else "GET", url, data=body).text
    except requests.RequestException as error:
        return str(error)
""",
    "httpx": """
import httpx
client = httpx.Client()
def get(url, body=None):
    try:
        return client.request("POST" if body else "GET", url, content=body).text
    except httpx.HTTPError as error:
        return str(error)
""",
    "aiohttp": """
import asyncio, os, ssl
import aiohttp
def get(url, body=None):
    async def main():
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(trust_env=True, connector=connector) as session:
            try:
                method = "POST" if body else "GET"
                async with session.request(method, url, data=body) as answer:
                    return await answer.text()
            except aiohttp.ClientError as error:
                return str(error)
    return asyncio.run(main())
""",
}


@pytest.fixture(params=HTTP_CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return HTTP_CLIENTS[request.param]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_clients_reach_what_is_granted(run: Run, client: str, scheme: str) -> None:
    code = f"""
for body in (None, b"x" * 100_000, None):
    answer = get("{scheme}://{HOST}/path?q=1", body)
    print(answer == "hello " + (body or b"").decode())
"""
    assert run(client + code).split() == ["True"] * 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_authors_read_what_is_missing(
    run: Run, client: str, proxy: RunningProxy, scheme: str
) -> None:
    printed = run(client + f'print(get("{scheme}://other.example.com/"))')
    port = {"http": 80, "https": 443}[scheme]
    assert f"not granted egress to other.example.com:{port}" in printed
    assert f'egress: {{ host = "other.example.com", port = {port} }}' in printed
    assert (proxy.denial().host, proxy.denial().port) == ("other.example.com", port)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_boto3(run: Run, proxy: RunningProxy, scheme: str) -> None:
    """Objects with checksums, sent with `Expect: 100-continue`, large ones in chunks."""
    code = f"""
import io, boto3
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url="{scheme}://s3.example.com",
    config=Config(s3={{"addressing_style": "path"}}))
s3.put_object(Bucket="bucket", Key="small", Body=b"text")
print(s3.get_object(Bucket="bucket", Key="small")["Body"].read())
s3.put_object(Bucket="bucket", Key="large", Body=io.BytesIO(b"0123456789" * 200_000))
print(len(s3.get_object(Bucket="bucket", Key="large")["Body"].read()) >= 2_000_000)
try:
    s3.get_object(Bucket="bucket", Key="none")
except s3.exceptions.NoSuchKey:
    print("none")
"""
    printed = run(code)
    assert "text" in printed
    assert printed.endswith("True\nnone")
    assert not proxy.denials


@pytest.fixture
def database() -> Iterator[int]:
    """The port of a PostgreSQL."""
    with postgresql() as port:
        yield port


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[int]:
    """The port of a Valkey."""
    with valkey(tmp_path) as port:
        yield port


def test_psycopg_by_a_forward(run: Run, database: int) -> None:
    """A real driver and a real server; the host has a loopback address, which is granted."""
    grant = egress(f"localhost:{database}", forward=15432, private=True)
    with RunningProxy(grant, lookup=socket.getaddrinfo) as proxy:
        code = f"""
import psycopg
for _ in range(2):
    with psycopg.connect("host={proxy.address} port=15432 user=test dbname=postgres") as c:
        c.execute("create table if not exists t (n int)")
        with c.cursor().copy("copy t from stdin") as copy:
            for n in range(20_000):
                copy.write_row((n,))
        print(c.execute("select count(*), sum(n) from t").fetchone())
"""
        assert run(code).split("\n") == ["(20000, 199990000)", "(40000, 399980000)"]
        uses = [event for event in proxy.events if event.allowed]
        assert {event.grant for event in uses} == {f"egress localhost:{database}"}


def test_redis_by_a_forward(run: Run, cache: int) -> None:
    grant = egress(f"127.0.0.1:{cache}", forward=16379, private=True)
    with RunningProxy(grant) as proxy:
        code = f"""
import redis
client = redis.Redis(host="{proxy.address}", port=16379)
client.set("large", b"x" * 5_000_000)
with client.pipeline() as pipe:
    for n in range(1000):
        pipe.incr("count")
    print(pipe.execute()[-1], len(client.get("large")))
subscription = client.pubsub()
subscription.subscribe("news")
subscription.get_message(timeout=5)
client.publish("news", "now")
print(subscription.get_message(timeout=5)["data"])
"""
        assert run(code).split("\n") == ["1000 5000000", "b'now'"]


def test_redis_by_a_forward_that_is_not_private(run: Run, cache: int) -> None:
    grant = egress(f"127.0.0.1:{cache}", forward=16379)
    with RunningProxy(grant) as proxy:
        code = f"""
import redis
try:
    redis.Redis(host="{proxy.address}", port=16379).ping()
except redis.ConnectionError:
    print("refused")
"""
        assert run(code) == "refused"
        assert proxy.denial().reason == "loopback address 127.0.0.1"
