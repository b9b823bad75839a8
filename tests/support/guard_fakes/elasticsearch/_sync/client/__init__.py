"""The client: named arguments become a body, as in version 8."""

from __future__ import annotations

from typing import Any

from elasticsearch._sync.client._base import BaseClient


class Elasticsearch(BaseClient):
    """One cluster."""

    def search(self, *, index: str = "_all", q: str | None = None, body: Any = None, **named: Any):
        """Search."""
        asked = dict(body) if body is not None else dict(named)
        params = {"q": q} if q is not None else {}
        return self.perform_request("POST", f"/{index}/_search", params=params, body=asked)

    def index(self, *, index: str, document: Any) -> Any:
        """Keep a document."""
        return self.perform_request("POST", f"/{index}/_doc", params={}, body=document)

    def update(self, *, index: str, id: str, script: Any = None, doc: Any = None) -> Any:
        """Change a document."""
        body = {"script": script} if script is not None else {"doc": doc}
        return self.perform_request("POST", f"/{index}/_update/{id}", params={}, body=body)
