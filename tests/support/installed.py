"""Installed packages as a bundle holds them, by hand."""

from __future__ import annotations

from collections.abc import Mapping


def dist(
    name: str, version: str, headers: str = "", files: Mapping[str, str] = {}
) -> dict[str, str]:
    """Return the files of an installed package below `deps/`."""
    info = f"{name}-{version}.dist-info"
    module = {f"{name}/__init__.py": f"# {name}\n", **files}
    named = [*module, f"{info}/METADATA", f"{info}/RECORD"]
    return {
        **module,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{headers}\n",
        f"{info}/RECORD": "".join(f"{path},,\n" for path in named),
    }
