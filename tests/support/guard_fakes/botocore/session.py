"""Sessions, with the signature of botocore's."""

from __future__ import annotations

from typing import Any

from botocore.client import BaseClient


class Session:
    """Makes clients."""

    def create_client(
        self,
        service_name: str,
        region_name: str | None = None,
        api_version: str | None = None,
        use_ssl: bool = True,
        verify: Any = None,
        endpoint_url: str | None = None,
        **_: Any,
    ) -> BaseClient:
        """Return a client."""
        return BaseClient(service_name, endpoint_url)
