"""What a refused use says to write is what the manifest takes, and grants just that."""

from __future__ import annotations

import tomllib

import msgspec
import pytest

from casemate.capabilities.errors import how_to_grant
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind

LINKS = Grant(kind=GrantKind.TABLE, name="links", actions=("get",))
UPLOADS = Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",), prefixes=("in/",))
SPEC = FunctionSpec(name="list", handler="a:b", grants=(LINKS, UPLOADS))


@pytest.mark.parametrize(
    ("kind", "name", "action", "expected"),
    [
        (GrantKind.QUEUE, "jobs", "send", {"queues": ["jobs"]}),
        (GrantKind.TOPIC, "done", "publish", {"topics": ["done"]}),
        (GrantKind.SECRET, "key", "read", {"secrets": ["key"]}),
        (GrantKind.FUNCTION, "scale", "invoke", {"invoke": ["scale"]}),
    ],
)
def test_the_line_for_what_is_not_granted(
    kind: GrantKind, name: str, action: str, expected: dict[str, object]
) -> None:
    said, _, line = how_to_grant(SPEC, kind, name, action).partition(": ")
    assert said == "Under [function.list.grants] in casemate.toml add"
    assert tomllib.loads(line) == expected


def test_what_joins_others_of_its_kind_is_no_second_key() -> None:
    """TOML takes a key once."""
    said = how_to_grant(SPEC, GrantKind.TABLE, "users", "put")
    assert said.endswith('.toml add to tables: { name = "users", actions = ["put"] }')
    spec = msgspec.structs.replace(SPEC, grants_in_tables=(GrantKind.BUCKET,))
    said = how_to_grant(spec, GrantKind.BUCKET, "b", "list")
    assert said.endswith(
        'a table [[function.list.grants.buckets]] with the lines name = "b" and actions = ["list"]'
    )


def test_another_action_joins_the_others() -> None:
    said = how_to_grant(SPEC, GrantKind.TABLE, "links", "query")
    assert said.startswith('add "query" to the actions of table links, in casemate.toml below')


def test_another_key_is_a_matter_of_prefixes() -> None:
    assert "prefixes of bucket uploads" in how_to_grant(SPEC, GrantKind.BUCKET, "uploads", "read")
