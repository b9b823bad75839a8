"""Keys: their text is shown once, their hash never."""

from __future__ import annotations

import pytest


def test_add_list_revoke(ask, control) -> None:
    response = ask("POST", "/keys", json={"name": "ci", "role": "invoke"})
    assert response.status_code == 201
    created = response.json()
    assert created["text"].startswith("cm_")
    assert response.headers["cache-control"] == "no-store"
    listed = ask("GET", "/keys")
    assert created["text"] not in listed.text
    assert "sha256" not in listed.text
    assert created["key"] in listed.json()["keys"]
    revoked = ask("DELETE", f"/keys/{created['key']['id']}").json()
    assert revoked["revoked_at"] == 3.0
    assert "sha256" not in revoked
    assert ask("DELETE", "/keys/nobody").status_code == 404


def test_a_name_is_taken_once(ask) -> None:
    assert ask("POST", "/keys", json={"name": "root", "role": "admin"}).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"name": "ci"},
        {"name": "ci", "role": "root"},
        {"name": "CI", "role": "admin"},
        {"name": "ci\n", "role": "admin"},
        {"name": "ci", "role": "admin", "id": "mine"},
    ],
)
def test_wrong_bodies(ask, body) -> None:
    assert ask("POST", "/keys", json=body).status_code == 400
