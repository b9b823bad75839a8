"""The part of boto3's API that tests need: clients come from botocore's session."""

from __future__ import annotations

from typing import Any

from botocore.session import Session


def client(service_name: str, **named: Any) -> Any:
    """Return a client, as `boto3.client` does."""
    return Session().create_client(service_name, **named)
