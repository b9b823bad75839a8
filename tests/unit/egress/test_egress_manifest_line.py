"""What a refused connection tells to add to the manifest is taken by the next deploy."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from casemate.egress.access import manifest_line
from casemate.egress.rules import Rules
from casemate.egress.target import Target
from casemate.manifest import load
from casemate.model.grant import Grant, GrantKind

NONE = Rules((), "report")
SOME = Grant(kind=GrantKind.EGRESS, name="api.example.com:443", actions=("connect",))


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "100.64.0.1", "169.254.1.1", "::1"])
def test_an_address_inside_comes_with_what_it_needs(host: str) -> None:
    line = manifest_line(Target(host, 8899, ip_address(host)), NONE)
    assert line.endswith(', port = 8899, private = true, exception = "WHY" }]')


def test_localhost_does_as_well() -> None:
    assert "private = true" in manifest_line(Target("localhost", 80), NONE)


@pytest.mark.parametrize("host", ["8.8.8.8", "169.254.169.254"])
def test_nobody_is_told_to_open_more_than_that(host: str) -> None:
    """Metadata of a cloud among them: it takes a decision, not a line that is pasted."""
    assert manifest_line(Target(host, 80, ip_address(host)), NONE).endswith(", port = 80 }]")


@pytest.mark.parametrize(
    ("before", "in_tables", "said"),
    [
        ("", False, 'Under [function.report.grants] in casemate.toml add: egress = [{ host = '),
        ('egress = [\n  { host = "api.example.com" }\n]', False, "add to egress: { host = "),
        ('[[function.report.grants.egress]]\nhost = "api.example.com"', True,
         "add a table [[function.report.grants.egress]] with the lines host = "),
    ],
)  # fmt: skip
def test_what_is_told_can_stand_in_the_manifest_as_it_is(
    tmp_path: Path, before: str, in_tables: bool, said: str
) -> None:
    """TOML takes a key once, and no table `[[...]]` beside a list."""
    rules = Rules((SOME,) if before else (), "report", in_tables=in_tables)
    told = manifest_line(Target("b.example", 8443), rules)
    assert said in told
    if in_tables:
        lines = told.partition("lines ")[2].replace(" and ", "\n")
        text = f"{before}\n[[function.report.grants.egress]]\n{lines}"
    elif before:
        text = before.replace("\n]", f",\n  {told.partition('egress: ')[2]}\n]")
    else:
        text = told.partition("add: ")[2]
    (tmp_path / "app.py").write_text("def handler(event, context): ...\n")
    manifest = tmp_path / "casemate.toml"
    head = '[project]\nname = "p"\n[function.report]\nhandler = "app:handler"\n'
    manifest.write_text(f"{head}{'' if in_tables else '[function.report.grants]'}\n{text}\n")
    (spec,) = load(manifest).functions
    assert "b.example:8443" in {grant.name for grant in spec.grants}
    assert spec.grants_in_tables == ((GrantKind.EGRESS,) if in_tables else ())
