"""`casemate secrets` and `casemate vault`: what they send, print, and refuse."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1] / "vault"))

from vault_samples import VALUE, EngineVault, master_key, open_engine, value_of

from casemate.api.problems import response_to
from casemate.api.secrets import OPERATIONS
from casemate.cli import operation_command
from casemate.cli.client import NodeClient
from casemate.cli.commands import secrets as secrets_module
from casemate.cli.commands import vault as vault_module
from casemate.cli.credentials import Credentials
from casemate.facts import FactStream
from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.rotation import Rotation, SecretRotation
from casemate.model.trigger import RepositoryTrigger
from casemate.model.vault import NewValue, ValueForm
from casemate.operations.functions import Functions
from casemate.operations.secrets import SealedSecret
from casemate.vault.errors import WrongMasterKeyError
from casemate.vault.key_material import create_key_file
from support.parts import unused_parts
from support.recorder import FakeRecorder

ADA = Principal(kind=PrincipalKind.USER, id="ada")
ROTATION = Rotation(
    project="nightly",
    name="keyy",
    value=NewValue(form=ValueForm.HEX, length=32),
    overlap=0,
    by="user:ada",
    since=0.0,
)
ROTATED = SecretRotation(project="nightly", name="keyy", version=1, former=0, until=None)


class Rekeyed:
    """Stands for the store, the bundles and the projects' data: nothing is to be encrypted."""

    async def rekey(self, _what: object) -> None:
        pass

    async def change(self, _operation: object) -> None:
        pass

    async def reseal_bundles(self) -> None:
        pass


class _Together(msgspec.Struct):
    secrets: tuple[SealedSecret, ...]


def _sealed_in(content: bytes, kind: str) -> list[bytes]:
    if kind != "application/json":
        return [content]
    return [one.sealed for one in msgspec.json.decode(content, type=_Together).secrets]


class FakeNode(NodeClient):
    """Answers what the API would, from a vault in this process; `sent` is what went out sealed."""

    def __init__(self, engine) -> None:
        super().__init__(Credentials(url="http://node", key=None, allow_http=True))
        self.sent: list[bytes] = []
        self.functions: tuple[DeployedFunction, ...] = ()
        nothing = Rekeyed()
        service = SimpleNamespace(
            **unused_parts(FactStream()),
            facts=FactStream(),
            recorder=FakeRecorder(),
            vault=EngineVault(engine),
            store=nothing,
            data=nothing,
            control=nothing,
            may=lambda *_: True,
            require=lambda *_, **__: None,
        )

        def route(path: str) -> Route:
            methods = {o.method: o for o in OPERATIONS if o.path == path}

            async def endpoint(request):
                request.scope["casemate.principal"] = ADA
                try:
                    return await methods[request.method].endpoint(request, service)
                except Exception as error:
                    return response_to(error)

            return Route("/api/v1" + path, endpoint, methods=list(methods))

        paths = dict.fromkeys(o.path for o in OPERATIONS)
        self.app = Starlette(routes=[route(path) for path in paths])

    def exchange(self, method: str, path: str, **rest) -> httpx2.Response:
        if path.endswith("/functions"):
            listed = msgspec.json.encode(Functions(functions=self.functions))
            return httpx2.Response(200, content=listed)
        rest.pop("timeout", None)
        if method == "PUT":
            self.sent += _sealed_in(rest["content"], rest["headers"]["content-type"])

        async def call() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app)
            async with httpx2.AsyncClient(transport=transport, base_url=self.url) as client:
                return await client.request(method, path, **rest)

        return asyncio.run(call())


@pytest.fixture
def fake(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    key = create_key_file(tmp_path / "master.key")
    engine = open_engine(
        tmp_path / "data" / "vault", master_key(f"file:{tmp_path}/master.key", key), create=True
    )
    node = FakeNode(engine)
    monkeypatch.setattr(secrets_module, "connect", lambda: node)
    monkeypatch.setattr(vault_module, "connect", lambda: node)
    monkeypatch.setattr(operation_command, "connect", lambda: node)
    yield SimpleNamespace(node=node, engine=engine, base=tmp_path, data=str(tmp_path / "data"))
    os.close(engine._folder.descriptor)


def test_set_list_remove(cli, fake, home) -> None:
    result = cli("secrets", "set", "shop/key", stdin=VALUE + b"\n")
    assert result.code == 0, result.err
    assert "version 1" in result.out
    assert value_of(fake.engine, "key") == VALUE
    assert VALUE not in fake.node.sent[0]
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n')
    assert cli("secrets", "set", "key", stdin=VALUE + b"\n").out == "shop/key has version 2.\n"
    listed = cli("secrets", "ls").out
    assert "shop/key" in listed
    assert "user:ada" in listed
    assert VALUE.decode() not in listed + result.out + result.err
    assert json.loads(cli("secrets", "ls", "shop", "--json").out)["secrets"][0]["name"] == "key"
    assert cli("secrets", "ls", "mail").out == ""
    assert cli("secrets", "rm", "shop/key").code == 2
    assert cli("secrets", "rm", "shop/key", "--yes").code == 0
    assert fake.engine.secrets(None) == ()


def function_with(project: str, *secrets: str, trigger: str = "") -> DeployedFunction:
    """Return a function that is granted secrets, and one that its trigger names."""
    spec = FunctionSpec(
        name="f",
        handler="a:f",
        grants=tuple(
            Grant(kind=GrantKind.SECRET, name=name, actions=("read",)) for name in secrets
        ),
        triggers=(RepositoryTrigger(name="r", provider="git", secret=trigger),) if trigger else (),
    )
    version = Version(
        project=project, function="f", number=1, digest="0" * 64, spec=spec,
        created_at=0.0, created_by="user:ada",
    )  # fmt: skip
    targets = (AliasTarget(version=1, weight=100),)
    live = Alias(project=project, function="f", name=LIVE, targets=targets, changed_at=0.0)
    return DeployedFunction(project=project, name="f", versions=(version,), aliases=(live,))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nighty/summary-key", "nightly/summary-key"),
        ("nightly/sumary-key", "nightly/summary-key"),
        ("nightly/hook", "nightly/hook-key"),
        ("nighty/whatever", "nightly/whatever"),
        ("nightly/whatever", None),
        ("other/whatever", None),
    ],
)
def test_a_secret_that_nobody_is_granted_is_told(cli, fake, name: str, meant: str | None) -> None:
    fake.node.functions = (function_with("nightly", "summary-key", trigger="hook-key"),)
    result = cli("secrets", "set", name, stdin=VALUE + b"\n")
    assert (result.code, result.out) == (0, f"{name} has version 1.\n")
    assert f"No function that you may see is granted the secret {name}" in result.err
    assert "[function.NAME.grants]" in result.err
    assert ("did you mean" in result.err) is (meant is not None)
    if meant is not None:
        assert f'did you mean "{meant}"?' in result.err
        assert f"`casemate secrets rm {name}`" in result.err
    assert cli("secrets", "set", name, stdin=VALUE + b"\n").err == ""


def test_a_secret_that_somebody_is_granted_or_of_which_nothing_is_known_is_not(cli, fake) -> None:
    assert cli("secrets", "set", "a/b", stdin=VALUE).err == ""
    fake.node.functions = (function_with("nightly", "summary-key", trigger="hook-key"),)
    for name in ("summary-key", "hook-key"):
        assert cli("secrets", "set", f"nightly/{name}", stdin=VALUE).err == ""


def test_secrets_that_are_imported_are_told_as_well(cli, fake) -> None:
    fake.node.functions = (function_with("nightly", "key-1"),)
    lines = "".join(f"KEY_{number}=a-long-value\n" for number in range(1, 14))
    result = cli("secrets", "import", "nightly", "-", stdin=lines.encode())
    assert result.code == 0, result.err
    assert "nightly/key-1;" not in result.err and "secret nightly/key-2;" in result.err
    assert "The same is so of 4 more." in result.err


@pytest.mark.parametrize(
    ("words", "answer", "told"),
    [
        (("rotation",), ROTATION, True),
        (("rotate", "--reason", "x"), ROTATED, True),
        (("rotate", "--reason", "x"), msgspec.structs.replace(ROTATED, former=1), False),
    ],
)
def test_a_secret_that_gets_its_first_value_by_rotation_is_told_as_well(
    cli, fake, monkeypatch, words: tuple[str, ...], answer: object, told: bool
) -> None:
    fake.node.functions = (function_with("nightly", "key"),)
    monkeypatch.setattr(FakeNode, "call", lambda *_, **__: answer)
    result = cli("secrets", words[0], "nightly/keyy", *words[1:])
    assert result.code == 0, result.err
    assert ('did you mean "nightly/key"?' in result.err) is told


@pytest.mark.parametrize(
    ("stdin", "arguments", "kept"),
    [
        (b"value1\n\n", (), b"value1\n"),
        (b"value1\r\n", (), b"value1"),
        (b"value1\n", ("--exact",), b"value1\n"),
        (b"\x00\xff\x00\xff\x00\xff", (), b"\x00\xff\x00\xff\x00\xff"),
    ],
)
def test_line_ends_and_bytes(cli, fake, stdin, arguments, kept) -> None:
    assert cli("secrets", "set", "shop/key", *arguments, stdin=stdin).code == 0
    assert value_of(fake.engine, "key") == kept


@pytest.mark.parametrize("stdin", [b"", b"12345\n", b"x" * 70_000])
def test_values_that_are_refused_are_not_sent(cli, fake, stdin) -> None:
    result = cli("secrets", "set", "shop/key", stdin=stdin)
    assert result.code == 1
    assert "expected 6 to 65536" in result.err
    assert not fake.node.sent


@pytest.mark.parametrize("name", ["key", "/key", "shop/", "Shop/key", "a/b/c", "shop/k_y"])
def test_names_that_are_none(cli, fake, name) -> None:
    assert cli("secrets", "set", name, stdin=VALUE).code == 2
    assert not fake.node.sent


def test_a_value_is_no_argument(cli, fake) -> None:
    assert cli("secrets", "set", "shop/key", "value-on-the-line").code == 2


def test_another_key_than_the_expected_is_not_sealed_to(cli, fake) -> None:
    right = json.loads(cli("vault", "status", "--json").out)["public_key_sha256"]
    for wrong in ("0" * 64, right[:-1], "", "é"):
        assert cli("secrets", "set", "shop/key", "--vault-key", wrong, stdin=VALUE).code == 1
    assert not fake.node.sent
    result = cli("secrets", "set", "shop/key", "--vault-key", right.upper(), stdin=VALUE)
    assert result.code == 0


def test_status(cli, fake) -> None:
    result = cli("vault", "status")
    assert f"file:{fake.base}/master.key" in result.out
    assert "not locked" in result.out
    assert "may reach swap" in result.err


def test_rotate_keys(cli, fake) -> None:
    cli("secrets", "set", "shop/key", stdin=VALUE)
    assert "shop" in cli("vault", "rotate-keys").out
    assert cli("vault", "rotate-keys", "--project", "shop").code == 0
    assert "signed with key" in cli("vault", "rotate-keys", "--signing").out
    assert cli("vault", "rotate-keys", "--signing", "--project", "shop").code == 2
    assert value_of(fake.engine, "key") == VALUE


def rotate(cli, fake, to: str, *more: str):
    if "--from" not in more:
        more = (*more, "--from", f"file:{fake.base}/master.key")
    return rotate_unsaid(cli, fake, to, *more)


def rotate_unsaid(cli, fake, to: str, *more: str):
    return cli("vault", "rotate-master", "--data", fake.data, "--to", to, "--yes", *more)


def test_rotate_master(cli, fake) -> None:
    cli("secrets", "set", "shop/key", stdin=VALUE)
    result = rotate(cli, fake, f"file:{fake.base}/second.key")
    assert result.code == 0, result.err
    assert "--master-key" in result.err
    text = (fake.base / "second.key").read_text().strip()
    assert text not in result.out + result.err
    assert text.encode() not in fake.node.sent[-1]
    os.close(fake.engine._folder.descriptor)
    fake.engine._folder.descriptor = os.open("/", os.O_RDONLY)
    old = (fake.base / "master.key").read_text()
    with pytest.raises(WrongMasterKeyError):
        open_engine(Path(fake.data) / "vault", master_key(key=_key(old)))
    opened = open_engine(Path(fake.data) / "vault", master_key(key=_key(text)))
    assert value_of(opened, "key") == VALUE
    opened.close()


def _key(text: str) -> bytes:
    import base64

    return base64.b64decode(text)


def test_rotate_master_refuses_before_it_changes_anything(cli, fake) -> None:
    other = create_key_file(fake.base / "other.key")
    assert other
    inside = rotate(cli, fake, f"file:{fake.data}/new.key")
    assert "inside the data folder" in inside.err
    wrong = rotate(cli, fake, f"file:{fake.base}/x.key", "--from", f"file:{fake.base}/other.key")
    assert "another one" in wrong.err
    assert not (fake.base / "x.key").exists()
    same = rotate(cli, fake, f"file:{fake.base}/master.key")
    assert "the one that holds now" in same.err
    elsewhere = cli("vault", "rotate-master", "--data", "/nonexistent", "--to", "passphrase")
    assert "cannot be read" in elsewhere.err
    assert rotate(cli, fake, "nowhere").code == 1
    assert fake.engine.status().generation == 1


def test_a_command_that_only_the_file_names_is_not_run(cli, fake, monkeypatch) -> None:
    header = msgspec.structs.replace(
        fake.engine._opened.header, source=f"command:/bin/touch {fake.base}/ran"
    )
    monkeypatch.setattr(vault_module, "_stored", lambda _folder: (b"", header))
    result = rotate_unsaid(cli, fake, f"file:{fake.base}/new.key")
    assert result.code == 2
    assert "--from SOURCE" in result.err
    assert "--from 'command:" not in result.err
    assert not (fake.base / "ran").exists()


def test_a_place_that_only_the_file_names_gets_into_no_advice(cli, fake, monkeypatch) -> None:
    planted = fake.base / "key; touch ran"
    planted.write_text("x")
    planted.chmod(0o644)
    header = msgspec.structs.replace(fake.engine._opened.header, source=f"file:{planted}")
    monkeypatch.setattr(vault_module, "_stored", lambda _folder: (b"", header))
    result = rotate_unsaid(cli, fake, f"file:{fake.base}/new.key")
    assert result.code == 2
    assert "nothing proves" in " ".join(result.err.split())
    assert "--from SOURCE" in result.err
    assert "chmod" not in result.err
    named = rotate(cli, fake, f"file:{fake.base}/new.key", "--from", f"file:{planted}")
    assert f"chmod 600 '{planted}'" in " ".join(named.err.split())


@pytest.mark.parametrize("kind", ["file", "passphrase-file"])
def test_a_file_that_only_the_vaults_head_names_is_not_opened(
    cli, fake, monkeypatch, kind: str
) -> None:
    """Whoever can write that file had a file of theirs read, or a reader of a pipe wait."""
    pipe = fake.base / "pipe"
    os.mkfifo(pipe, 0o600)
    listens = os.open(pipe, os.O_RDWR)
    header = msgspec.structs.replace(fake.engine._opened.header, source=f"{kind}:{pipe}")
    opened = []
    monkeypatch.setattr(vault_module, "_stored", lambda _folder: (b"", header))
    monkeypatch.setattr(
        "casemate.vault.sources.KeySource.read",
        lambda self, _: opened.append(self.source.text) or b"k" * 32,
    )
    monkeypatch.setattr(
        "casemate.vault.state.decode_state",
        lambda *_: (_ for _ in ()).throw(WrongMasterKeyError("another", next_step="none")),
    )
    result = rotate_unsaid(cli, fake, f"file:{fake.base}/new.key")
    os.close(listens)
    assert result.code == 2 and "--from SOURCE" in result.err
    assert not any(str(pipe) in one for one in opened), opened


def test_without_a_source_the_key_is_where_a_node_has_it_that_was_told_of_none(
    cli, fake, monkeypatch
) -> None:
    monkeypatch.setattr(
        "casemate.folder.folders.default_master_key", lambda _: f"file:{fake.base}/master.key"
    )
    result = rotate_unsaid(cli, fake, f"file:{fake.base}/second.key")
    assert result.code == 0, result.err
    monkeypatch.setattr(
        "casemate.folder.folders.default_master_key", lambda _: f"file:{fake.base}/other.key"
    )
    create_key_file(fake.base / "other.key")
    other = rotate_unsaid(cli, fake, f"file:{fake.base}/third.key")
    assert other.code == 2 and "--from SOURCE" in other.err
    assert not (fake.base / "third.key").exists()


ENV = b"API_KEY=correct-horse\nexport DB_PASSWORD='battery staple'\n"


@pytest.mark.parametrize("way", ["file", "-"])
def test_an_env_file_is_imported_and_not_shown(cli, fake, way) -> None:
    path = fake.base / ".env"
    path.write_bytes(ENV)
    path.chmod(0o600)
    result = cli("secrets", "import", "shop", "-" if way == "-" else str(path), stdin=ENV)
    assert result.code == 0, result.err
    assert result.out == "shop/api-key has version 1.\nshop/db-password has version 1.\n"
    assert value_of(fake.engine, "api-key") == b"correct-horse"
    assert value_of(fake.engine, "db-password") == b"battery staple"
    shown = result.out + result.err + repr(fake.node.sent)
    assert "correct-horse" not in shown and "battery" not in shown
    assert "Other users" not in result.err
    again = json.loads(cli("secrets", "import", "shop", "-", "--json", stdin=ENV).out)
    assert {name: one["version"] for name, one in again["versions"].items()} == {
        "api-key": 2,
        "db-password": 2,
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"A_KEY=long enough\n",
        b"A_KEY=short\n",
        b"A_KEY=long-enough\nB_KEY=short\n",
        b"A_KEY=long-enough\na_key=long-enough\n",
        b"_A=long-enough\n",
        b"A_KEY=long-enough\nB\n",
        b"".join(b"A%d=long-enough\n" % number for number in range(101)),
    ],
)
def test_an_env_file_that_is_refused_sets_nothing(cli, fake, content) -> None:
    result = cli("secrets", "import", "shop", "-", stdin=content)
    assert result.code == 1
    assert "long-enough" not in result.err and "long enough" not in result.err
    assert not fake.node.sent and fake.engine.secrets(None) == ()


def test_a_file_that_others_may_read_is_told(cli, fake) -> None:
    path = fake.base / ".env"
    path.write_bytes(ENV)
    path.chmod(0o644)
    assert "Other users" in cli("secrets", "import", "shop", str(path)).err
    assert cli("secrets", "import", "shop", str(fake.base / "absent")).code == 2
    assert cli("secrets", "import", "Shop", str(path)).code == 2


def test_what_would_be_typed_visibly_is_not_asked_for(fake, terminal) -> None:
    result = terminal("secrets", "import", "shop", "-")
    assert result.code == 2 and "would show the typed text" in result.out
