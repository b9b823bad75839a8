"""Login at a real OpenID provider (npm `oidc-provider`), the browser driven step by step."""

from __future__ import annotations

import json
import threading
import time
import webbrowser
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit, urlunsplit

import httpx2
import pytest

from casemate.cli import oidc_login
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.errors import CommandError, DeniedError
from casemate.model.facts import SignedIn
from casemate.operations.login import OidcLogin, OpenedSession
from support.accounts import World
from support.accounts_node import Asking, use_in_cli
from support.oidc import TestProvider


@pytest.fixture(scope="module")
def provider() -> Iterator[TestProvider]:
    running = TestProvider()
    yield running
    running.close()


@pytest.fixture
def ask(provider: TestProvider, monkeypatch) -> Asking:
    world = World()
    world.clock.now = time.time()
    world.start()
    asking = Asking(world)
    use_in_cli(monkeypatch, asking.transport)
    wait_at_most(monkeypatch, 20.0)
    return asking


def wait_at_most(monkeypatch, seconds: float, wait=oidc_login.LoopbackRedirect.wait) -> None:
    """Patch the wait; `wait` is what it was before any patch, so that the last one counts."""
    monkeypatch.setattr(
        oidc_login.LoopbackRedirect, "wait", lambda redirect, _=0.0: wait(redirect, seconds)
    )


def trust(ask: Asking, provider: TestProvider, algorithm: str = "ES256") -> None:
    body = {"issuer": provider.issuer, "client_id": f"casemate-{algorithm}"}
    answer = ask("PUT", "/oidc", json=body)
    assert answer.status_code == 200, answer.text


def browse(monkeypatch, work) -> list[BaseException]:
    """Let `work(url)` be what the browser does, on a thread of its own."""
    faults: list[BaseException] = []

    def run(url: str) -> None:
        try:
            work(url)
        except BaseException as error:
            faults.append(error)

    monkeypatch.setattr(
        webbrowser, "open", lambda url: threading.Thread(target=run, args=(url,)).start()
    )
    return faults


def login(browser: bool = True) -> OpenedSession:
    with NodeClient(Credentials("http://127.0.0.1:8787")) as client:
        return oidc_login.login(client, browser=browser)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_person_whom_the_provider_knows(ask, provider, monkeypatch, algorithm, capsys) -> None:
    trust(ask, provider, algorithm)
    body = {"name": "ada", "roles": ["auditor"], "oidc_subject": "ada-at-provider"}
    assert ask("POST", "/users", json=body).status_code == 201
    faults = browse(monkeypatch, lambda url: provider.log_in(url, "ada-at-provider"))
    told: list[SignedIn] = []
    ask.world.facts.listen(SignedIn, told.append)
    session = login()
    assert not faults
    assert [(fact.by, fact.method) for fact in told] == [("user:ada", "provider")]
    me = ask("GET", "/whoami", token=session.text).json()
    assert (me["principal"], me["roles"]) == ("user:ada", ["auditor"])
    assert session.text not in "".join(capsys.readouterr())
    assert ask("PUT", "/users/ada/state", json={"disabled": True}).status_code == 200
    assert ask("GET", "/whoami", token=session.text).status_code == 401
    with pytest.raises(DeniedError):
        login()
    assert len(told) == 1


def test_a_stranger_gets_no_account(ask, provider, monkeypatch) -> None:
    trust(ask, provider)
    browse(monkeypatch, lambda url: provider.log_in(url, "mallory"))
    with pytest.raises(DeniedError, match="mallory") as caught:
        login()
    assert "users add" in str(caught.value)
    assert ask("GET", "/users").json()["users"] == []
    assert ask.world.denials[-1].action == "login by OIDC"


def test_an_id_token_is_used_once_and_for_this_client(ask, provider, monkeypatch) -> None:
    trust(ask, provider)
    ask("POST", "/users", json={"name": "ada", "roles": [], "oidc_subject": "ada"})
    sent: list[str] = []
    post = oidc_login.post

    def keep(client, operation):
        if isinstance(operation, OidcLogin):
            sent.append(operation.id_token)
        return post(client, operation)

    monkeypatch.setattr(oidc_login, "post", keep)
    browse(monkeypatch, lambda url: provider.log_in(url, "ada"))
    assert login()
    again = ask("POST", "/login/oidc", token=None, json={"id_token": sent[0]})
    assert again.status_code == 401
    assert sent[0] not in again.text
    trust(ask, provider, "RS256")
    other = ask("POST", "/login/oidc", token=None, json={"id_token": sent[0]})
    assert other.status_code == 401


def test_a_nonce_of_somebody_elses_choice(ask, provider, monkeypatch) -> None:
    trust(ask, provider)
    ask("POST", "/users", json={"name": "ada", "roles": [], "oidc_subject": "ada"})

    def other_nonce(url: str) -> None:
        parts = urlsplit(url)
        nonce = parse_qs(parts.query)["nonce"][0]
        provider.log_in(urlunsplit(parts._replace(query=parts.query.replace(nonce, "x"))), "ada")

    browse(monkeypatch, other_nonce)
    with pytest.raises(DeniedError, match="not belong"):
        login()


def test_new_keys_of_the_provider_are_taken_over(ask, provider, monkeypatch) -> None:
    trust(ask, provider)
    ask("POST", "/users", json={"name": "ada", "roles": [], "oidc_subject": "ada"})
    browse(monkeypatch, lambda url: provider.log_in(url, "ada"))
    assert login()
    provider.rotate()
    with pytest.raises(DeniedError, match="key"):
        login()  # within a minute of the last look at the keys
    ask.world.clock.now += 61
    assert login()


def test_what_carries_another_state_does_not_end_the_wait(ask, provider, monkeypatch) -> None:
    trust(ask, provider)
    ask("POST", "/users", json={"name": "ada", "roles": [], "oidc_subject": "ada"})
    seen: list[int] = []

    def disturbed(url: str) -> None:
        redirect = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        for query in ("", "?state=x&code=evil", "?code=evil", "?state=x&state=y", "?%ff"):
            seen.append(httpx2.get(redirect + query, trust_env=False).status_code)
        seen.append(httpx2.get(redirect.replace("callback", "other")).status_code)
        provider.log_in(url, "ada")

    faults = browse(monkeypatch, disturbed)
    assert login()
    assert not faults
    assert set(seen) == {400}


def test_the_request_is_bound_by_pkce_state_and_nonce(ask, provider, monkeypatch, capsys) -> None:
    trust(ask, provider)
    wait_at_most(monkeypatch, 0.05)
    with pytest.raises(CommandError, match="did not come back"):
        login(browser=False)
    url = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("http"))
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    assert len(query["state"]) >= 43
    assert len(query["nonce"]) == 70
    assert query["redirect_uri"].startswith("http://127.0.0.1:")


def test_an_answer_of_another_provider(ask, provider, monkeypatch) -> None:
    trust(ask, provider)

    def mixed_up(url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        params = {"state": query["state"][0], "code": "x", "iss": "https://evil.example.org"}
        httpx2.get(query["redirect_uri"][0], params=params, trust_env=False)

    browse(monkeypatch, mixed_up)
    with pytest.raises(DeniedError, match="another provider"):
        login()


def test_the_provider_says_no(ask, provider, monkeypatch) -> None:
    trust(ask, provider)

    def refused(url: str) -> None:
        query = parse_qs(urlsplit(url).query)
        params = {"state": query["state"][0], "error": "access_denied"}
        httpx2.get(query["redirect_uri"][0], params=params, trust_env=False)

    browse(monkeypatch, refused)
    with pytest.raises(DeniedError, match="access_denied"):
        login()


def test_settings_survive_a_restart(ask, provider) -> None:
    trust(ask, provider)
    ask.world.start()
    begun = ask("POST", "/login/oidc/begin", token=None).json()
    assert begun["issuer"] == provider.issuer
    assert json.loads(ask.world.store.values["accounts/oidc"])["client_id"] == "casemate-ES256"
    assert ask("DELETE", "/oidc").json() == {"provider": None}
    ask.world.start()
    assert ask("POST", "/login/oidc/begin", token=None).status_code == 404
