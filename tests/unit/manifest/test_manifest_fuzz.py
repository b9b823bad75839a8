"""Whatever a manifest holds: a project comes out, or a ManifestError, and nothing else."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import composite

from casemate.manifest import ManifestError, load
from casemate.manifest.grant_tables import EGRESS_GRANT, GRANTS
from casemate.manifest.resource_tables import BUCKET, TABLE
from casemate.manifest.tables import FUNCTION, HTTP, LIMITS
from casemate.model.function import Project

VALID = """\
[project]
name = "shop"
[function.thumbnail]
handler = "app:handler"
description = '''two
lines'''
source = "."
http = [{method = "GET", path = "/a/{b}"}, # x
  {method = "*", path = "/c/{d...}"}]
[function.thumbnail.limits]
memory = "64MB"
cpu = 1.5
timeout = "10s"
[function."other"]
handler = "app:handler"
environment = { LEVEL = "info" }
[function."other".grants]
buckets = [{ name = "uploads", actions = ["read"] }]
secrets = ["key"]
egress = [{ host = "api.example.com" }]
[bucket.uploads]
versions = 2
[[function.other.http]]
method = "POST"
path = "/e"
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    (root / "app.py").write_text("def handler(event, context): ...")
    return root


def outcome(root, data):
    path = root / "casemate.toml"
    path.write_bytes(data)
    try:
        project = load(path)
    except ManifestError as error:
        assert error.problems
        assert all(line.isprintable() for line in str(error).split("\n"))
        lines = data.replace(b"\r\n", b"\n").split(b"\n")
        for problem in error.problems:
            assert problem.line is None or 1 <= problem.line <= len(lines)
            assert problem.column is None or problem.column >= 1
        return error
    assert isinstance(project, Project)
    return project


@given(data=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_random_bytes(root, data):
    assert isinstance(outcome(root, data), ManifestError)


WORDS = ["project", "function", "f", "name", "limits", "http", *(f.name for f in FUNCTION.fields)]
WORDS += [f.name for f in (*LIMITS.fields, *HTTP.fields, *GRANTS.fields, *EGRESS_GRANT.fields)]
WORDS += ["bucket", "table", "queue", "topic", *(f.name for f in (*BUCKET.fields, *TABLE.fields))]
VALUES = ['"a"', '"app:handler"', "1", "-1", "1.5", "nan", "true", "[]", "{}", '"64MB"', '"10s"']
VALUES += [
    '"../x"',
    '"/a/{b}"',
    "1979-05-27",
    "07:32:00",
    '"\\u0000"',
    "'''x\n'''",
    "[[1], {a = 2}]",
    '["a", "a"]',
    '[{ name = "a", actions = ["read"], prefixes = ["", "a"] }]',
    '[{ host = "*.example.com", forward = 3128 }]',
]
LINES = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(lambda k: f"[{'.'.join(k)}]\n"),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(lambda k: f"[[{'.'.join(k)}]]\n"),
    st.tuples(st.sampled_from(WORDS), st.sampled_from(VALUES)).map(lambda p: f"{p[0]} = {p[1]}\n"),
    st.sampled_from(VALUES).map(lambda v: f"[function.f]\nlimits = {v}\nhttp = [{v}]\n"),
    st.text(max_size=5),
)


@given(lines=st.lists(LINES, max_size=12))
@settings(max_examples=400, deadline=None)
def test_toml_like_texts(root, lines):
    outcome(root, "".join(lines).encode("utf-8", "surrogatepass"))


@composite
def mutated(draw):
    data = VALID.encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.binary(max_size=4) | st.sampled_from([b"[", b"]", b'"', b"\n", b"=", b"."]))
        data = data[:start] + piece + data[end:]
    return data


@given(data=mutated())
@settings(max_examples=400, deadline=None)
def test_mutated_manifests(root, data):
    outcome(root, data)


def test_the_unchanged_manifest_is_valid(root):
    assert isinstance(outcome(root, VALID.encode()), Project)


KEY = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True).map(lambda key: "zz" + key)
LINE_NUMBERS = [
    number
    for number in range(len(VALID.split("\n")))
    if number not in (5, 8)  # inside of a multi-line string and of an array
]


@given(key=KEY, number=st.sampled_from(LINE_NUMBERS), quotes=st.sampled_from(["", '"', "'"]))
@settings(max_examples=200, deadline=None)
def test_an_unknown_key_is_told_on_its_line(root, key, number, quotes):
    lines = VALID.split("\n")
    lines.insert(number, f"{quotes}{key}{quotes} = 1")
    text = "\n".join(lines)
    tomllib.loads(text)
    error = outcome(root, text.encode())
    assert [p.line for p in error.problems if p.key.endswith(key)] == [number + 1]
    assert key in lines[error.problems[0].line - 1]


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 500000,
        "a=" + "{a=" * 300000,
        "[a" + ".a" * 300000 + "]\n" + "b=1\n" * 50000,
        "\n".join(f"k{i}=1" for i in range(100000)),
        "a" * 1000000 + " = 1",
        "a = '" + "\x1b" * 10**6,
        "[function]\n" + "".join(f"k{i}={{}}\n" for i in range(80000)),
        "[function.f]\nhttp = [" + "{}," * 300000 + "]",
        "[[a]]\n" * 100000,
    ],
    ids=range(9),
)
@pytest.mark.timeout(60)
def test_large_hostile_manifests(root, text):
    error = outcome(root, text.encode())
    assert len(str(error)) < 500_000
