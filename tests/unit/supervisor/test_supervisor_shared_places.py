"""Where many nodes keep their state: named wholly, soundly, and seen by nobody who need not."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from casemate.model.errors import CasemateError, InvalidInputError, ProtectionMissingError
from casemate.supervisor.options import ServeOptions, SharedOptions
from casemate.supervisor.shared_places import SharedPlaces, shared_places

STORE = "postgresql://casemate:s3cr3t@127.0.0.1/casemate"
OBJECTS = "s3://casemate?endpoint=http://127.0.0.1:9000"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "secret"}


def places(environ: dict[str, str] | None = None, **options: Any) -> SharedPlaces | None:
    risks = options.pop("accepted_risks", ())
    shared = SharedOptions(**{"encrypted_disks": True, **options})
    environ = {**KEYS, **(environ or {})} if environ is None or "BARE" not in environ else environ
    options_ = ServeOptions(
        data=Path("d"), host="127.0.0.1", port=0, shared=shared, accepted_risks=risks
    )
    return shared_places(options_, environ)


def refused(environ: dict[str, str] | None = None, **options: Any) -> CasemateError:
    with pytest.raises(CasemateError) as error:
        places(environ, **options)
    told = f"{error.value} {error.value.next_step}"
    assert "s3cr3t" not in told
    return error.value


def test_a_node_keeps_its_state_itself_unless_it_is_told_otherwise() -> None:
    assert places() is None


def test_the_environment_is_emptied_of_what_it_names() -> None:
    environ = {**KEYS, "CASEMATE_STORE": STORE, "CASEMATE_OBJECTS": OBJECTS}
    found = shared_places(
        ServeOptions(
            data=Path("d"),
            host="127.0.0.1",
            port=0,
            shared=SharedOptions(encrypted_disks=True),
        ),
        environ,
    )
    assert found is not None
    assert environ == KEYS
    assert found.environment == {"CASEMATE_STORE": STORE, "CASEMATE_OBJECTS": OBJECTS}
    assert "s3cr3t" not in repr(found)


def test_the_environment_is_emptied_where_it_is_refused_as_well() -> None:
    environ = {**KEYS, "CASEMATE_STORE": STORE}
    with pytest.raises(InvalidInputError):
        shared_places(ServeOptions(data=Path("d"), host="127.0.0.1", port=0), environ)
    assert environ == KEYS


def test_a_file_names_the_database(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"{STORE}\n")
    file.chmod(0o600)
    found = places(store=f"file:{file}", objects=OBJECTS)
    assert found is not None and found.store == STORE


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "url"
    file.write_text(STORE)
    file.chmod(mode)
    assert "others than its owner" in refused(store=f"file:{file}", objects=OBJECTS).message


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(store=f"file:{tmp_path / 'no'}", objects=OBJECTS).message
    file = tmp_path / "url"
    file.write_bytes(b"x" * 9000)
    file.chmod(0o600)
    assert "8192" in refused(store=f"file:{file}", objects=OBJECTS).message


def test_a_password_is_no_argument() -> None:
    error = refused(store=STORE, objects=OBJECTS)
    assert "everybody on this machine" in error.message
    assert "CASEMATE_STORE" in str(error.next_step)


@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({}, {"store": "postgresql://u@127.0.0.1/d"}),
        ({}, {"objects": OBJECTS}),
        ({"CASEMATE_STORE": STORE}, {}),
        ({"CASEMATE_OBJECTS": OBJECTS}, {}),
    ],
)
def test_one_without_the_other_is_refused(environ: dict[str, str], options: dict[str, Any]) -> None:
    assert "Only --" in refused(environ, **options).message


@pytest.mark.parametrize(
    ("store", "objects", "said"),
    [
        ("mysql://u:s3cr3t@h/d", OBJECTS, "postgresql://"),
        ("postgresql://u:s3cr3t@db.example.org/d?sslmode=require", OBJECTS, "sslmode=require"),
        (STORE, "s3://bucket?endpoint=http://s3.example.org", "without TLS"),
        (STORE, "file:///srv/objects", "s3://"),
    ],
)
def test_places_that_are_none_or_not_proved_are_refused(
    store: str, objects: str, said: str
) -> None:
    assert said in refused({"CASEMATE_STORE": store, "CASEMATE_OBJECTS": objects}).message


def test_the_risk_of_unproved_places_is_accepted_by_name() -> None:
    found = places(
        {
            "CASEMATE_STORE": "postgresql://u:s3cr3t@db.example.org/d?sslmode=require",
            "CASEMATE_OBJECTS": "s3://bucket?endpoint=http://s3.example.org",
        },
        accepted_risks=("unproved-store",),
    )
    assert found is not None and found.unproved


def test_keys_of_the_object_store_are_needed() -> None:
    environ = {"BARE": "", "CASEMATE_STORE": STORE, "CASEMATE_OBJECTS": OBJECTS}
    assert "AWS_ACCESS_KEY_ID" in refused(environ).message


def test_disks_are_encrypted_or_the_risk_is_accepted() -> None:
    named = {"CASEMATE_STORE": STORE, "CASEMATE_OBJECTS": OBJECTS}
    error = refused(named, encrypted_disks=False)
    assert isinstance(error, ProtectionMissingError)
    assert "--accept-risk clear-disks" in str(error.next_step)
    assert places(named, encrypted_disks=False, accepted_risks=("clear-disks",)) is not None


def test_an_installation_without_the_extra_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "casemate.postgresql.settings":
            raise ImportError("No module named 'psycopg'", name="psycopg")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    error = refused({"CASEMATE_STORE": STORE, "CASEMATE_OBJECTS": OBJECTS})
    assert "psycopg" in error.message
    assert "whl[cluster]" in str(error.next_step)
