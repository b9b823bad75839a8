from pathlib import Path

import pytest

from casemate.manifest import ManifestError, load
from casemate.manifest.__main__ import write
from casemate.manifest.grant_tables import BUCKET_GRANT, EGRESS_GRANT, GRANTS, TABLE_GRANT
from casemate.manifest.guard_tables import EXCEPTION
from casemate.manifest.reference import BEGIN, END, reference_tables, with_reference_tables
from casemate.manifest.resource_tables import BUCKET, INDEX, QUEUE, TABLE
from casemate.manifest.structure import NamedTables, Table, TableArray
from casemate.manifest.tables import FUNCTION, HTTP, LIMITS, PROJECT
from casemate.manifest.trigger_tables import DELIVERY, TABLES

FOLDER = Path(__file__).parents[3] / "docs" / "reference"
PAGE = FOLDER / "manifest.md"

MISTAKEN = """\
[project]
name = "shop"

[function.thumbnail]
handlr = "thumbnail:handler"

[function.thumbnail.limits]
memory = 64
"""


def test_the_published_page_is_up_to_date():
    page = PAGE.read_text()
    assert page == with_reference_tables(page), "run `python -m casemate.manifest docs/reference`"


def test_every_key_has_a_row():
    tables = reference_tables()
    grants = (GRANTS, BUCKET_GRANT, TABLE_GRANT, EGRESS_GRANT)
    triggers = (DELIVERY, *(table for _, table in TABLES.values()))
    for table in (
        PROJECT,
        FUNCTION,
        LIMITS,
        HTTP,
        EXCEPTION,
        *grants,
        BUCKET,
        TABLE,
        INDEX,
        QUEUE,
        *triggers,
    ):
        for field in table.fields:
            if not isinstance(field.kind, (Table, TableArray, NamedTables)):
                assert f"| `{field.name}` |" in tables


def test_the_example_of_mistakes_is_what_is_printed(tmp_path, monkeypatch):
    (tmp_path / "casemate.toml").write_text(MISTAKEN)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError) as caught:
        load(Path("casemate.toml"))
    page = PAGE.read_text()
    assert f"```toml\n{MISTAKEN}```" in page
    assert f"```text\n{caught.value}\n```" in page


def test_the_writer_writes_both_files(tmp_path):
    (tmp_path / "manifest.md").write_text(f"before\n{BEGIN}\nSTALE\n{END}\nafter\n")
    write(tmp_path)
    page = (tmp_path / "manifest.md").read_text()
    assert page.startswith("before\n")
    assert page.endswith("\nafter\n")
    assert "STALE" not in page
    schema = (tmp_path / "casemate.schema.json").read_text()
    assert schema == (FOLDER / "casemate.schema.json").read_text()
    write(tmp_path)
    assert (tmp_path / "manifest.md").read_text() == page


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_the_lines_is_refused(page):
    with pytest.raises(ValueError, match="lacks"):
        with_reference_tables(page)
