"""What all requests go through, with the signature of version 8."""

from __future__ import annotations

from typing import Any


class BaseClient:
    """Asks nobody."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def perform_request(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        headers: Any = None,
        body: Any = None,
    ) -> Any:
        """Return what was asked."""
        return {"path": path, "params": params, "body": body}
