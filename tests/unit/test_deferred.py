"""Names of packages that are loaded when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import casemate.vault
from casemate.deferred import deferred

PACKAGES = ("blobs", "egress", "facts", "journal", "monitor", "nodes", "recorder", "sources")


@pytest.mark.parametrize("name", [*PACKAGES, "store", "vault"])
def test_every_name_of_a_package_is_there(name: str) -> None:
    package = __import__(f"casemate.{name}", fromlist=["__all__"])
    assert all(getattr(package, each) is not None for each in package.__all__)


def test_a_name_that_there_is_not_is_told() -> None:
    with pytest.raises(
        AttributeError, match=r"module 'casemate\.vault' has no attribute 'Nothing'"
    ):
        casemate.vault.Nothing
    with pytest.raises(AttributeError, match="no attribute 'b'"):
        deferred("p", m=("a",))("b")


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = (
        "import sys, casemate.vault\n"
        "before = 'casemate.vault.client' in sys.modules\n"
        "from casemate.vault import VaultClient\n"
        "print(before, VaultClient.__module__, 'VaultClient' in vars(casemate.vault))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "casemate.vault.client", "True"]
