"""The file of databases: read strictly, by its owner alone, and nothing of a URL is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from casemate.model.errors import CasemateError
from casemate.model.processes import MAX_DATABASES
from casemate.supervisor.database_map import MAX_FILE
from casemate.supervisor.options import SharedOptions
from casemate.supervisor.shared_places import SharedPlaces, named_places

KEYS = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "secret"}
STORE = "postgresql://casemate:s3cr3t@127.0.0.1/casemate"
URL = "postgresql://casemate:s3cr3t@127.0.0.1/projects"


def named(path: Path | str | None, environ: dict[str, str] | None = None) -> SharedPlaces | None:
    shared = SharedOptions(
        objects="s3://casemate?endpoint=http://127.0.0.1:9000",
        encrypted_disks=True,
        databases=str(path) if path else None,
    )
    return named_places(shared, (), {**KEYS, "CASEMATE_STORE": STORE, **(environ or {})})


def file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "databases.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_databases_are_named_by_a_url_or_a_file_with_one(tmp_path: Path) -> None:
    east = tmp_path / "east.url"
    east.write_text(f"{URL}2\n")
    east.chmod(0o600)
    path = file(tmp_path, f'west = "{URL}"\neast = "file:{east}"\n')
    for found in (named(path), named(None, {"CASEMATE_DATABASES": str(path)})):
        assert found is not None
        assert found.databases == {"west": URL, "east": f"{URL}2"}
        assert "s3cr3t" not in repr(found)
        told = msgspec.json.decode(found.environment["CASEMATE_DATABASES"])
        assert told == found.databases
    assert "CASEMATE_DATABASES" not in (named(None) or found).environment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'west = "{URL}"\neast = "{URL}"', "west and east are the same database"),
        (f'main = "{URL}"', "'main' is not a name"),
        (f'"We st" = "{URL}"', "'We st' is not a name"),
        ("west = 1", "west is not a text"),
        (f'[west]\nurl = "{URL}"', "west is not a text"),
        (f"west = {URL}", "it is no TOML (line 1, column 8)"),
        (f'west = "{URL}', "it is no TOML"),
        (b"\xff", "it is no text"),
        ("a = " + "[" * 50_000, "no TOML|nested too deep"),
        ("#" * (MAX_FILE + 1), f"more than {MAX_FILE} bytes"),
        ("\n".join(f'd{n} = "{URL}{n}"' for n in range(MAX_DATABASES + 1)), "it names 33"),
        ('west = "mysql://u:s3cr3t@h/d"', "The database west: The URL"),
        ('west = "postgresql://u:s3cr3t@db.example.org/d?sslmode=require"', "The database west"),
        ('west = "file:/nonexistent/none"', "cannot be read from /nonexistent/none"),
    ],
)
def test_what_is_no_map_is_refused_and_no_password_told(
    text: str | bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(CasemateError) as refused:
        named(file(tmp_path, text))
    told = f"{refused.value} {refused.value.next_step}"
    assert any(one in told for one in said.split("|")), told
    assert "s3cr3t" not in told


def test_others_may_not_read_it_and_it_goes_with_a_store(tmp_path: Path) -> None:
    path = file(tmp_path, f'west = "{URL}"', 0o640)
    with pytest.raises(CasemateError, match="others than its owner may read it"):
        named(path)
    with pytest.raises(CasemateError, match="Only --databases is given"):
        named_places(SharedOptions(databases=str(path)), (), {})
    with pytest.raises(CasemateError, match="cannot be read"):
        named(tmp_path / "none.toml")
