"""Grants, environment and resources of a manifest, and everything that is no such thing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.manifest.hosts import Host, address_of, is_private
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.secret_like import looks_like_secret
from casemate.model.grant import (
    BucketSpec,
    Grant,
    GrantKind,
    QueueSpec,
    Resources,
    TableIndex,
    TableSpec,
)

RESOURCES = """\
[bucket.uploads]
[bucket.archive]
max_object = "1MB"
max_total = "2MB"
versions = 5
[table.users]
key = "id"
sort = "at"
ttl = "gone"
max_item = "4KB"
indexes = [{ name = "by-mail", key = "mail", sort = "at" }]
[queue.jobs]
max_message = "1KB"
retention = "1h"
[topic.news]
[function.g]
handler = "app:handler"
"""


def grants(project, function_text, *lines, more=""):
    text = function_text("[function.f.grants]", *lines) + RESOURCES + more
    loaded = project.load(text)
    return loaded.function("f").grants


def problem(project, function_text, *lines):
    return project.problem(function_text("[function.f.grants]", *lines) + RESOURCES)


def test_nothing_is_granted_by_default(project, function_text) -> None:
    loaded = project.load(function_text())
    assert loaded.functions[0].grants == ()
    assert loaded.functions[0].environment == {}
    assert not loaded.functions[0].internal
    assert loaded.resources == Resources()


def test_every_kind_reaches_the_model_in_order(project, function_text) -> None:
    found = grants(
        project,
        function_text,
        'invoke = ["g"]',
        'egress = [{ host = "API.Example.com.", port = 8443 }, '
        '{ host = "db.internal", port = 5432, forward = 5432, private = true, '
        'exception = "our own database" }]',
        'secrets = ["stripe-key"]',
        'topics = ["news"]',
        'queues = ["jobs"]',
        'tables = [{ name = "users", actions = ["delete", "get"] }]',
        'buckets = [{ name = "uploads", actions = ["write", "read"], prefixes = ["b/", "a/"] }, '
        '{ name = "archive", actions = ["list"] }]',
    )
    assert found == (
        Grant(kind=GrantKind.BUCKET, name="archive", actions=("list",)),
        Grant(
            kind=GrantKind.BUCKET, name="uploads", actions=("read", "write"), prefixes=("a/", "b/")
        ),
        Grant(kind=GrantKind.TABLE, name="users", actions=("get", "delete")),
        Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",)),
        Grant(kind=GrantKind.TOPIC, name="news", actions=("publish",)),
        Grant(kind=GrantKind.SECRET, name="stripe-key", actions=("read",)),
        Grant(kind=GrantKind.EGRESS, name="api.example.com:8443", actions=("connect",)),
        Grant(
            kind=GrantKind.EGRESS,
            name="db.internal:5432",
            actions=("connect",),
            forward=5432,
            private=True,
            exception="our own database",
        ),
        Grant(kind=GrantKind.FUNCTION, name="g", actions=("invoke",)),
    )


def test_resources_reach_the_model(project, function_text) -> None:
    assert project.load(function_text() + RESOURCES).resources == Resources(
        buckets=(
            BucketSpec(name="archive", max_object=1 << 20, max_total=2 << 20, versions=5),
            BucketSpec(name="uploads"),
        ),
        tables=(
            TableSpec(
                name="users",
                key="id",
                sort="at",
                indexes=(TableIndex(name="by-mail", key="mail", sort="at"),),
                ttl="gone",
                max_item=4096,
            ),
        ),
        queues=(QueueSpec(name="jobs", max_message=1024, retention=3600.0),),
        topics=(QueueSpec(name="news"),),
    )


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ('bucket = ["uploads"]', "bucket", 'did you mean "buckets"?'),
        ('buckets = [{ name = "uploads" }]', "buckets[0].actions", "the required key actions"),
        ('buckets = [{ name = "uploads", actions = ["*"] }]', "buckets[0].actions[0]", "one of"),
        ('buckets = [{ name = "uploads", actions = [] }]', "buckets[0].actions", "1 to 4"),
        (
            'buckets = [{ name = "uploads", actions = ["raed"] }]',
            "buckets[0].actions[0]",
            'did you mean "read"?',
        ),
        (
            'buckets = [{ name = "uplaods", actions = ["read"] }]',
            "buckets[0].name",
            'did you mean "uploads"?',
        ),
        ('buckets = [{ name = "*", actions = ["read"] }]', "buckets[0].name", "a name of"),
        (
            'buckets = [{ name = "uploads", actions = ["read", "read"] }]',
            "buckets[0].actions[1]",
            "each value once",
        ),
        (
            'buckets = [{ name = "uploads", actions = ["read"] }, '
            '{ name = "uploads", actions = ["write"] }]',
            "buckets[1]",
            "each bucket once",
        ),
        (
            'buckets = [{ name = "uploads", actions = ["read"], prefixes = [] }]',
            "buckets[0].prefixes",
            "1 to 32",
        ),
        (
            'buckets = [{ name = "uploads", actions = ["read"], prefixes = [""] }]',
            "buckets[0].prefixes[0]",
            "1 to 1024",
        ),
        (
            'buckets = [{ name = "uploads", actions = ["read"], prefixes = ["a/", "a/b/"] }]',
            "buckets[0].prefixes",
            "covered once",
        ),
        ('tables = [{ name = "users", actions = ["read"] }]', "tables[0].actions[0]", '"get"'),
        ('tables = [{ name = "none", actions = ["get"] }]', "tables[0].name", "[table.none]"),
        ('queues = ["none"]', "queues[0].name", "[queue.none]"),
        ('queues = "jobs"', "queues", "an array"),
        ('topics = ["jobs"]', "topics[0].name", "[topic.jobs]"),
        ('secrets = ["Stripe"]', "secrets[0]", "a name of"),
        ('secrets = ["k", "k"]', "secrets[1]", "each value once"),
        ('invoke = ["h"]', "invoke[0]", "function of this manifest"),
        ("invoke = [{}]", "invoke[0]", "a function's name"),
        ("egress = [{}]", "egress[0].host", "the required key host"),
        ('egress = ["api.example.com:443"]', "egress[0]", "a table such as { host = ... }"),
        ('buckets = ["b"]', "buckets[0]", "a table such as { name = ..., actions = ... }"),
        ('egress = [{ host = "a.example", port = 0 }]', "egress[0].port", "1 to 65535"),
        ('egress = [{ host = "a.example", port = true }]', "egress[0].port", "1 to 65535"),
        ('egress = [{ host = "a.example", forward = 80 }]', "egress[0].forward", "1024"),
        ('egress = [{ host = "a.example", forward = 3128 }]', "egress[0].forward", "port of its"),
        ('egress = [{ host = "*.a.example" }]', "egress[0].exception", 'exception = "why"'),
        (
            'egress = [{ host = "a.example", private = true }]',
            "egress[0].exception",
            'exception = "why"',
        ),
        (
            'egress = [{ host = "a.example", exception = "no need for it" }]',
            "egress[0].exception",
            "only beside",
        ),
        (
            'egress = [{ host = "a.example", private = true, exception = "          " }]',
            "egress[0].exception",
            "10 to 500",
        ),
        (
            'egress = [{ host = "*.a.example", forward = 5000, exception = "many shards" }]',
            "egress[0].forward",
            "one host",
        ),
        ('egress = [{ host = "10.0.0.1" }]', "egress[0].host", "private = true"),
        ('egress = [{ host = "169.254.169.254" }]', "egress[0].host", "private = true"),
        ('egress = [{ host = "localhost" }]', "egress[0].host", "private = true"),
        (
            'egress = [{ host = "8.8.8.8", private = true, exception = "not private" }]',
            "egress[0].private",
            "no private",
        ),
        (
            'egress = [{ host = "a.example" }, { host = "A.example." }]',
            "egress[1]",
            "each egress once",
        ),
        (
            'egress = [{ host = "a.example", forward = 5000 }, '
            '{ host = "b.example", forward = 5000 }]',
            "egress[1].forward",
            "port of its own",
        ),
    ],
)
def test_mistakes_are_told_where_they_are(project, function_text, line, key, expected) -> None:
    found = problem(project, function_text, line)
    path = key if not key.endswith(".name") or "{" in line else key.removesuffix(".name")
    assert found.key in (f"function.f.grants.{key}", f"function.f.grants.{path}")
    assert found.line == 6
    assert expected in found.expected


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[bucket]", "bucket"),
        ("[bucket.Up]", "bucket.Up"),
        ('[bucket.up]\nversions = 0\nmax_total = "1"', "bucket.up.versions"),
        ("[table.t]", "table.t.key"),
        ('[table.t]\nkey = "a b"', "table.t.key"),
        ('[table.t]\nkey = "a"\nsort = "a"', "table.t.sort"),
        ('[table.t]\nkey = "a"\nttl = "a"', "table.t.ttl"),
        (
            '[table.t]\nkey = "a"\nindexes = [{name = "x", key = "b"}, {name = "x", key = "c"}]',
            "table.t.indexes[1].name",
        ),
        ('[queue.q]\nretention = "0s"', "queue.q.retention"),
        ("[topic.t]\nkey = 1", "topic.t.key"),
    ],
)
def test_mistakes_of_resources(project, function_text, text, key) -> None:
    assert key in {p.key for p in project.problems(function_text() + text)}


@pytest.mark.parametrize("more", ["public = true", 'http = [{ method = "GET", path = "/" }]'])
def test_internal_goes_with_no_way_in(project, function_text, more) -> None:
    assert project.load(function_text("internal = true")).functions[0].internal
    assert project.problem(function_text("internal = true", more)).key == "function.f.internal"


def test_too_many_forwards(project, function_text) -> None:
    hosts = [f'{{ host = "h{n}.example", forward = {4000 + n} }}' for n in range(32)]
    found = problem(project, function_text, f"egress = [{', '.join(hosts)}]")
    assert found.expected == "at most 31 in a function"


# -- environment ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "CASEMATE_X",
        "LD_PRELOAD",
        "PYTHONPATH",
        "PYTHON",
        "HTTPS_PROXY",
        "NO_PROXY",
        "PATH",
        "HOME",
        "TMPDIR",
        "TZ",
        "LANG",
        "OMP_NUM_THREADS",
        "http_proxy",
        "_lower",
        "1A",
        "A-B",
        "Ä",
        "A" * 129,
        '"A\\n"',
    ],
)
def test_names_that_are_not_free(project, function_text, name) -> None:
    quoted = name if name.startswith('"') else f'"{name}"'
    found = project.problem(function_text(f'environment.{quoted} = "x"'))
    assert found.key.startswith("function.f.environment.")


def test_values_reach_the_model(project, function_text) -> None:
    text = function_text(
        'environment = { LEVEL = "info", API_KEY_NAME = "stripe-key", logLevel = "x" }'
    )
    assert project.load(text).functions[0].environment == {
        "LEVEL": "info",
        "API_KEY_NAME": "stripe-key",
        "logLevel": "x",
    }


@pytest.mark.parametrize("value", ["1", "true", "[]", '"\\u0000"', '"\\u001b[2J"'])
def test_values_are_plain_text(project, function_text, value) -> None:
    found = project.problem(function_text(f"environment.A = {value}"))
    assert found.key == "function.f.environment.A"


def test_the_environment_is_small(project, function_text) -> None:
    line = 'environment = {{ A = "{}", B = "{}" }}'
    project.load(function_text(line.format("a" * 4000, "b" * 90)))
    found = project.problem(function_text(line.format("a" * 4000, "b" * 91)))
    assert (found.found, found.key) == ("4097 bytes of names and values", "function.f.environment")
    many = ", ".join(f'A{n} = ""' for n in range(65))
    assert "64 keys" in project.problem(function_text(f"environment = {{ {many} }}")).expected


def _token(*parts: str) -> str:
    """Join at run time, so that no scanner takes this file for a leak."""
    return "".join(parts)


SECRETS = [
    ("A", _token("AKIA", "Z" * 16)),
    ("A", _token("ghp", "_", "a1B2" * 9)),
    ("A", _token("Bearer sk", "_live_", "a1B2c3D4e5F6")),
    ("A", _token("xox", "b-123456789012-abc")),
    ("A", _token("cm", "_0123456789abcdef_", "x" * 49)),
    ("A", _token("eyJhbGciOiJI", ".eyJzdWIiOiIx", ".c2lnbmF0dXJl")),
    ("A", _token("-----BEGIN ", "RSA PRIVATE KEY-----\nMIIE")),
    ("A", _token("postgres://ada:", "lovelace@db/x")),
    ("API_KEY", "9f8e7d6c5b4a39281706f5e4"),
    ("TOKEN", "Zm9vYmFyYmF6MTIz"),
    ("CLIENT_SECRET", "s3cr3t-v4lu3-0f-0urs"),
    ("DB_PASSWORD", "hunter2"),
    ("PASSWORD", "x"),
]


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_what_looks_like_a_secret_is_refused_and_never_shown(
    project, function_text, name, value
) -> None:
    escaped = value.replace("\n", "\\n")
    problems = project.problems(function_text(f'environment.{name} = "{escaped}"'))
    assert "casemate secrets set" in problems[0].expected
    assert not any(value[:12] in str(p) for p in problems if len(value) > 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEVEL", "9f8e7d6c5b4a39281706f5e4"),
        ("SECRET", "stripe-key"),
        ("SORT_KEY", "created_at"),
        ("API_KEY", ""),
        ("CACHE_KEY", "users by their name, newest first 1"),
        ("URL", "https://api.example.com/v1?x=1"),
        ("KEYS", "9f8e7d6c5b4a39281706f5e4"),
    ],
)
def test_what_is_no_secret_is_let_be(name, value) -> None:
    assert looks_like_secret(name, value) is None


# -- hosts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.com.", "example.com"),
        ("db", "db"),
        ("*.Example.com", "*.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:0DB8::0001", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("::1", "[::1]"),
    ],
)
def test_hosts_have_one_form(written, normal) -> None:
    assert Host().parse(written) == normal
    assert Host().parse(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "*",
        "*.",
        "*.com",
        "**.example.com",
        "*.*.example.com",
        "a.*.com",
        "*a.example.com",
        "a*.example.com",
        "https://example.com",
        "example.com/",
        "example.com:443",
        "u@example.com",
        "example.com?x",
        "example.com#x",
        "example%2ecom",
        "exa mple.com",
        " example.com",
        "a..b",
        "example.com\n",
        "example.com..",
        "-a.com",
        "a-.com",
        "a_b.com",
        "bücher.example",
        "é",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "2130706433",
        "0x7f000001",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "example.1",
        "a.0x1",
        "*.0.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "ff02::1",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
        "::ffff:a00:1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "[::1",
        "::1]",
        "[::1]:443",
        "*.[::1]",
        "[127.0.0.1]",
        "a" * 64 + ".com",
        "a." * 127 + "com",
        "\u212a.com",
        "example\u3002com",
        "ex\xadample.com",
        7,
        None,
        ["a"],
        {"a": 1},
        True,
    ],
)
def test_what_is_no_host(text) -> None:
    with pytest.raises(RejectedValueError):
        Host().parse(text)


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("169.254.169.254", True),
        ("[fd00:ec2::254]", True),
        ("[fe80::1]", True),
        ("[::1]", True),
        ("localhost", True),
        ("x.localhost", True),
        ("8.8.8.8", False),
        ("[2606:4700::1111]", False),
        ("example.com", False),
        ("localhost.example", False),
    ],
)
def test_what_is_surely_private(host, private) -> None:
    assert is_private(host) is private


@given(st.one_of(st.text(max_size=20), st.text("*.:[]0123456789abcdefxX-", max_size=20)))
@settings(max_examples=500, deadline=None)
def test_a_host_that_is_accepted_is_in_a_form_that_stays(text) -> None:
    try:
        host = Host().parse(text)
    except RejectedValueError:
        return
    assert Host().parse(host) == host
    assert host.isascii()
    assert host == host.lower()
    assert not set(host) & set(" /@%?#\\\n\t")
    assert host.count("*") == host.startswith("*.")
    if address_of(host) is None:
        assert not host.rpartition(".")[2].isdigit()
