import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.manifest import json_schema
from casemate.manifest.grant_tables import BUCKET_GRANT, EGRESS_GRANT, GRANTS, TABLE_GRANT
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.resource_tables import BUCKET, INDEX, QUEUE, TABLE
from casemate.manifest.schema import DIALECT, schema_text
from casemate.manifest.tables import FUNCTION, HTTP, LIMITS, MANIFEST, PROJECT
from casemate.manifest.trigger_tables import DELIVERY, TABLES

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "casemate.schema.json"
UPDATE = "run `python -m casemate.manifest docs/reference`"

TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}
NOTES = {"title", "description", "default", "$schema"}


def accepts(schema, value):
    """Evaluate the keywords that our schema uses; any other one is a KeyError."""
    checks = {
        "type": lambda t: any(
            isinstance(value, TYPES[one]) and (one == "boolean" or not isinstance(value, bool))
            for one in ([t] if isinstance(t, str) else t)
        ),
        "anyOf": lambda inner: any(accepts(one, value) for one in inner),
        "enum": lambda values: value in values,
        "pattern": lambda p: re.search(p, value) is not None,
        "maxLength": lambda n: len(value) <= n,
        "minLength": lambda n: len(value) >= n,
        "minItems": lambda n: len(value) >= n,
        "uniqueItems": lambda _: all(value.count(item) == 1 for item in value),
        "minimum": lambda n: value >= n,
        "maximum": lambda n: value <= n,
        "required": lambda names: all(name in value for name in names),
        "minProperties": lambda n: len(value) >= n,
        "maxProperties": lambda n: len(value) <= n,
        "maxItems": lambda n: len(value) <= n,
        "items": lambda inner: all(accepts(inner, item) for item in value),
        "properties": lambda inner: all(
            accepts(inner[name], item) for name, item in value.items() if name in inner
        ),
        "patternProperties": lambda inner: all(
            accepts(s, item)
            for p, s in inner.items()
            for n, item in value.items()
            if re.search(p, n)
        ),
        "additionalProperties": lambda allowed: all(
            name in schema.get("properties", {})
            or any(re.search(p, name) for p in schema.get("patternProperties", {}))
            for name in value
        ),
    }
    keywords = [key for key in schema if key not in NOTES]
    keywords.sort(key=lambda key: key != "type")
    return all(checks[key](schema[key]) for key in keywords)


def every_schema(schema):
    yield schema
    children = [
        *schema.get("properties", {}).values(),
        *schema.get("patternProperties", {}).values(),
    ]
    if "items" in schema:
        children.append(schema["items"])
    for child in children:
        yield from every_schema(child)


def test_the_published_schema_is_the_generated_one():
    assert PUBLISHED.read_text() == schema_text(), UPDATE


def test_the_schema_is_plain_json_of_the_dialect():
    schema = json.loads(schema_text())
    assert schema == json_schema()
    assert schema["$schema"] == DIALECT


def test_everything_is_described_and_closed():
    for schema in every_schema(json_schema()):
        assert schema["description"]
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False


def test_every_default_satisfies_its_own_schema():
    defaults = [schema for schema in every_schema(json_schema()) if "default" in schema]
    assert len(defaults) == 101
    for schema in defaults:
        assert accepts(schema, schema["default"])


def test_the_example_of_the_page_is_valid():
    page = PUBLISHED.with_name("manifest.md").read_text()
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert accepts(json_schema(), tomllib.loads(example))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1",
        'project.name = "A"\nfunction.f.handler = "a:b"',
        'project.name = "a"\nfunction = {}',
    ]
    + ['project.name = "a"\nfunction.f.handler = "a"']
    + [
        f'project.name = "a"\nfunction.f = {{handler = "a:b", {more}}}'
        for more in (
            "x = 1",
            "limits.memory = 64",
            "limits.cpu = 0",
            "python = 3.13",
            'source = "../x"',
            'source = "/x"',
            "http = {}",
            'http = [{method = "get", path = "/"}]',
            'http = [{method = "GET", path = "a"}]',
            'http = [{method = "GET", path = "/a/../b"}]',
            "internal = 1",
            'environment = {_lower = "x"}',
            "environment = {A = 1}",
            'grants.bucket = ["x"]',
            'grants.buckets = [{name = "x"}]',
            'grants.buckets = [{name = "x", actions = ["*"]}]',
            'grants.buckets = [{name = "x", actions = []}]',
            'grants.buckets = [{name = "x", actions = ["read"], prefixes = [""]}]',
            'grants.queues = ["x", "x"]',
            'grants.egress = [{host = "https://x.example"}]',
            'grants.egress = [{host = "x.example", forward = 80}]',
            'grants.egress = [{host = "x.example", private = true, exception = "short"}]',
        )
    ]
    + [
        f'project.name = "a"\nfunction.f.handler = "a:b"\n{more}'
        for more in ("bucket.X = {}", "table.x = {}", "queue = {}", "topic.x = {key = 1}")
    ],
)
def test_the_schema_refuses_mistakes(text):
    assert not accepts(json_schema(), tomllib.loads(text))


FIELDS = [
    f
    for t in (
        MANIFEST,
        PROJECT,
        FUNCTION,
        LIMITS,
        HTTP,
        GRANTS,
        BUCKET_GRANT,
        TABLE_GRANT,
        EGRESS_GRANT,
        BUCKET,
        TABLE,
        INDEX,
        QUEUE,
        DELIVERY,
        *(table for _, table in TABLES.values()),
    )
    for f in t.fields
    if hasattr(f.kind, "parse")
]
ANY = st.one_of(
    st.text(max_size=12),
    st.text("/{}.ab:KMGBmsh019 ", max_size=12),
    st.text("*.aA1:[]f-", max_size=12),
    st.integers(-5, 2000),
    st.floats(),
    st.booleans(),
    *(st.sampled_from(f.kind.values) for f in FIELDS if hasattr(f.kind, "values")),
)


@given(st.sampled_from(FIELDS), ANY)
@settings(max_examples=800, deadline=None)
def test_the_schema_accepts_what_validation_accepts(field, value):
    try:
        field.kind.parse(value)
    except RejectedValueError:
        return
    assert accepts(field.kind.schema(), value)


def test_types_of_a_model_are_read_once() -> None:
    """They were read for each key, which took a fifth of what it takes to load this package."""
    code = (
        "import collections, msgspec\n"
        "read = collections.Counter()\n"
        "fields = msgspec.structs.fields\n"
        "def counting(model):\n"
        "    read[model] += 1\n"
        "    return fields(model)\n"
        "msgspec.structs.fields = counting\n"
        "import casemate.manifest\n"
        "print(len(read), max(read.values()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    models, most = map(int, done.stdout.split())
    assert models > 10
    assert most == 1
