"""Which parts of events the platform writes: by where they are, not by their name alone."""

from __future__ import annotations

import pytest

from casemate.audit.flow.library.sources import of_platform


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("event['requestContext']['stage']", "http", True),
        ("event.requestContext.identity.sourceIp", "http", True),
        ("event['Records'][]['eventSourceARN']", "queue", True),
        ("event['Records'][]['s3']['bucket']['name']", "storage", True),
        ("event['Records'][]['s3']['object']['size']", "storage", True),
        ("event['bucket']['revision']", "storage", True),
        ("event['httpMethod']", "http", True),
        ("event['region']", "invoke", True),
        ("json(event['Records'][]['body'])['Records'][]['s3']['bucket']['name']", "queue", True),
        ("json(event['body'])['Records'][]['s3']['bucket']['name']", "http", False),
        ("event['region']", "http", False),
        ("event['queryStringParameters']['region']", "http", False),
        ("event.queryStringParameters.stage", "http", False),
        ("event['headers']['account']", "http", False),
        ("json(event['body'])['size']", "http", False),
        ("json(event['body'])['requestContext']['stage']", "http", False),
        ("event.body.bucket.name", "http", False),
        ("event['Records'][]['s3']['object']['key']", "storage", False),
        ("event['Records'][]['dynamodb']['NewImage']['method']['S']", "table", False),
        ("event['detail']['account']", "invoke", False),
        ("event['requestContext']['authorizer']['claims']['email']", "http", False),
        ("event", "http", False),
        ("", "http", False),
    ],
)
def test_a_part_is_the_platforms_by_its_place(path: str, kind: str, expected: bool) -> None:
    assert of_platform(path, kind) is expected
