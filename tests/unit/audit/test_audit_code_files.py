"""Which files are code is looked for once, however many manifests there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from casemate.audit.documents import read_documents
from casemate.audit.importers.knative import Knative
from casemate.audit.importers.port import Source
from casemate.audit.workspace import Workspace

_SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: s
spec:
  template:
    spec:
      containers:
        - image: acme/s:1
"""
_MANIFESTS = 20


def test_all_files_are_looked_at_once_for_all_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    under = Workspace.under

    def counted(self: Workspace, folder: str) -> Iterator[str]:
        looked.append(folder)
        return under(self, folder)

    monkeypatch.setattr(Workspace, "under", counted)
    texts = {f"s{each}/service.yaml": _SERVICE for each in range(_MANIFESTS)}
    workspace = Workspace.of({**texts, **{f"s{each}/app.py": "" for each in range(_MANIFESTS)}})
    for name in texts:
        source = Source(name, tuple(read_documents(_SERVICE, name)[0]))
        (application,) = Knative().read(source, workspace)
        (function,) = application.functions
        assert function.files == (f"{name.rpartition('/')[0]}/app.py",)
    assert looked.count(".") == 2  # what is code, and what was installed
