"""Names of resources that cannot be ones are refused with what to write instead."""

from __future__ import annotations

import pytest

from casemate.cli.errors import UsageError
from casemate.cli.resources import project_or_here, resolve_resource


def test_a_resource_where_a_project_is_meant() -> None:
    with pytest.raises(UsageError) as refused:
        project_or_here("report/reports")
    assert refused.value.next_step == "Name the project alone: report"


@pytest.mark.parametrize("name", ["Report", "/x", "ü/x", ""])
def test_what_is_no_project_at_all(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        project_or_here(name)
    assert "below [project] in casemate.toml" in str(refused.value.next_step)


def test_what_is_no_bucket() -> None:
    with pytest.raises(UsageError) as refused:
        resolve_resource("bucket", "shop/My_Bucket")
    assert "shop/my-bucket" in str(refused.value.next_step)
