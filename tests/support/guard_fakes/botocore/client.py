"""Clients: each method becomes `_make_api_call(operation, parameters)`, as in botocore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class _ServiceModel:
    """What a client is made for."""

    def __init__(self, name: str) -> None:
        self.service_name = name


class _Meta:
    """As botocore's `client.meta`."""

    def __init__(self, service: str, endpoint: str | None) -> None:
        self.service_model = _ServiceModel(service)
        self.endpoint_url = endpoint


class BaseClient:
    """One service."""

    def __init__(self, service: str, endpoint: str | None) -> None:
        self.meta = _Meta(service, endpoint)
        self.answer: dict[str, Any] = {}
        """What else is answered."""

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        operation = "".join(part.capitalize() for part in name.split("_"))
        return lambda **parameters: self._make_api_call(operation, parameters)

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        return {"operation": operation_name, "parameters": api_params, **self.answer}
