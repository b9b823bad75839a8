"""Applications out of texts, imported into a folder, for tests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from casemate.importing import Choices, Imported, imported
from casemate.manifest import load


def written(folder: Path, files: dict[str, str]) -> Path:
    """Write an application (`src__app.py` would be as it says) and return its folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run(
    folder: Path, files: dict[str, str], kind: str = "sam", *public: str
) -> tuple[Imported, dict[str, Any]]:
    """Import an application; return what came of it and its manifest, which is valid."""
    choices = Choices(name="shop", accept_public=frozenset(public))
    found = imported(written(folder / "app", files), kind, folder / "project", choices)
    load(folder / "project/casemate.toml")
    return found, tomllib.loads((folder / "project/casemate.toml").read_text())


def template(
    code: str,
    *,
    policies: str = "[]",
    resources: str = "",
    more: str = "",
    variables: str = "{}",
    handler: str = "app.handler",
) -> dict[str, str]:
    """Return an application of SAM with one function in `src/app.py`."""
    text = f"""\
Transform: AWS::Serverless-2016-10-31
Resources:
  OneFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: {handler}
      Runtime: python3.12
      Policies: {policies}
      Environment: {{Variables: {variables}}}
{more}
{resources}
"""
    return {"template.yaml": text, "src/app.py": code}
