"""Ways of an attacker: who, through what, to what; the worst first."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from tests.support.audit import application

from casemate.audit.paths import paths_of, svg_of
from casemate.audit.rules.examples import function, project

API = "Type: Api\nProperties: {Path: /x, Method: post}"


def paths(policies: str, event: str = API) -> list[tuple[str, str, str]]:
    files = dict(
        function(f"Policies: {policies}", "Orders:\n  Type: AWS::DynamoDB::Table", event=event)
    )
    found = application(files["template.yaml"])
    return [(path.who, path.verb, path.asset) for path in paths_of([found])]


def test_the_worst_way_comes_first() -> None:
    found = paths(
        "[AdministratorAccess, {DynamoDBReadPolicy: {TableName: !Ref Orders}}, {S3WritePolicy: {BucketName: b}}]"
    )
    assert found == [
        ("everybody", "take over", "the whole account"),
        ("everybody", "change", "s3 b"),
        ("everybody", "read", "Orders"),
    ]


def test_what_only_the_inside_calls_is_no_way_in() -> None:
    assert (
        paths("[AdministratorAccess]", "Type: Schedule\nProperties: {Schedule: rate(1 day)}") == []
    )


def test_logs_are_no_asset_and_deletion_is_worse_than_change() -> None:
    assert paths("[AWSLambdaBasicExecutionRole]") == []
    assert paths("[{DynamoDBCrudPolicy: {TableName: !Ref Orders}}]") == [
        ("everybody", "delete from", "Orders")
    ]


def test_grants_of_casemate_are_ways_too() -> None:
    manifest = project(
        "public = true",
        '[function.thing.grants]\nsecrets = ["s"]\ntables = [{ name = "t", actions = ["put"] }]',
    )
    found = paths_of([application(manifest["casemate.toml"], "casemate.toml", **{"app.py": ""})])
    assert [(p.verb, p.asset) for p in found] == [
        ("read secrets of", "secret/s"),
        ("change", "table/t"),
    ]


def test_the_picture_is_xml_whatever_names_are() -> None:
    manifest = project(
        "public = true",
        '[function.thing.grants]\nbuckets = [{ name = "<b>&\\u0000\\u202e", actions = ["read"] }]',
    )
    found = paths_of([application(manifest["casemate.toml"], "casemate.toml", **{"app.py": ""})])
    root = ET.fromstring(svg_of(found))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}text"))) == 3
    assert ET.fromstring(svg_of([])) is not None
