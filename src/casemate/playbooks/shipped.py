"""The playbooks that come with Casemate: `shipped/NAME.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType


def _read() -> Mapping[str, str]:
    found = sorted((Path(__file__).parent / "shipped").glob("*.toml"))
    return MappingProxyType({each.stem: each.read_text(encoding="utf-8") for each in found})


SHIPPED = _read()
"""Their texts by name; read as this is imported, since the gateway reads no files later."""
