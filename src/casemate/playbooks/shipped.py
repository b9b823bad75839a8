"""The playbooks that come with Casemate: `shipped/NAME.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType


def _read() -> Mapping[str, str]:
    place = files("casemate.playbooks").joinpath("shipped")
    found = sorted((each for each in place.iterdir() if each.name.endswith(".toml")), key=str)
    return MappingProxyType(
        {each.name.removesuffix(".toml"): each.read_text(encoding="utf-8") for each in found}
    )


SHIPPED = _read()
"""Their texts by name; read as this is imported, since the gateway reads no files later."""
