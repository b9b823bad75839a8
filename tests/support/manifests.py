"""The manifests for Kubernetes as they come out of kustomize, as far as they are patched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"


def with_databases() -> dict[str, Any]:
    """Return the nodes with other databases: with what their component adds (RFC 6902)."""
    nodes: dict[str, Any] = yaml.safe_load((FOLDER / "statefulset.yaml").read_text())
    component = yaml.safe_load((FOLDER / "databases/kustomization.yaml").read_text())
    for patch in component["patches"]:
        assert patch["target"] == {"kind": nodes["kind"], "name": nodes["metadata"]["name"]}
        for step in yaml.safe_load(patch["patch"]):
            assert step["op"] == "add"
            *steps, last = step["path"].removeprefix("/").split("/")
            assert last == "-", "at the end of a list"
            at: Any = nodes
            for one in steps:
                at = at[int(one) if isinstance(at, list) else one]
            at.append(step["value"])
    return nodes
