"""Names from one index each, over real HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from datetime import date
from functools import partial

import pytest

from casemate.package_index import (
    Allow,
    AmbiguousIndexError,
    IndexAnswerError,
    IndexUnavailableError,
    LookAlikeError,
    MovedError,
    NothingKnown,
    Policy,
    Rules,
    Selection,
    TooNewError,
    Upstream,
    indexes_of,
)
from casemate.package_index.errors import PackagePolicyError
from casemate.package_index.policy import IndexSettings, RecordedException
from support.package_index import JSON, FakeIndex, endless

Select = Callable[..., Selection]
FRESH = "2026-11-26T00:00:00Z"


def bound(index: FakeIndex, *packages: str) -> Policy:
    return Policy(index={"own": IndexSettings(url=f"{index.url}/simple", packages=packages)})


def origin(index: FakeIndex, package: str = "alpha") -> str:
    pin = f"{package}==1.0 \\\n    --hash=sha256:{'a' * 64}\n"
    return f"{pin}# origin: {package} 1.0 {index.url}/simple - -\n"


def test_what_is_old_enough_is_offered(index: FakeIndex, select: Select) -> None:
    index.add("alpha")
    index.add("alpha", version="2.0", uploaded=FRESH)
    selection = select(index)
    assert [each.version for each in selection.releases("alpha") or ()] == ["1.0"]
    error = selection.explanation("there is no version of alpha==2.0")
    assert isinstance(error, TooNewError)
    assert selection.explanation("there is no version of other==2.0") is None
    assert selection.releases("missing") is None


def test_a_refused_version_that_nobody_asked_for_explains_nothing(
    index: FakeIndex, select: Select
) -> None:
    index.add("alpha")
    index.add("alpha", version="6.0.4", uploaded=FRESH)
    selection = select(index)
    assert selection.releases("alpha")
    pinned = "Because alpha==5.3 has no usable wheels and you require alpha==5.3, we can conclude"
    assert selection.explanation(pinned) is None
    extra = "Because only alpha<6 is available and beta==1 depends on alpha[more]>=5,<6.0.4,"
    assert selection.explanation(extra) is None
    for message in (
        "Because only alpha<=6.0.3 is available and you require alpha>=6.0.4, we can conclude",
        "there is no version of alpha==6.0.4 and beta==1 depends on alpha==6.0.4, we conclude",
        "Because alpha was not found and you require alpha, we can conclude",
        "Because you require alpha==5.3 and beta depends on alpha~=6.0, we can conclude",
    ):
        assert isinstance(selection.explanation(message), TooNewError), message


def test_a_name_in_two_indexes_is_refused_until_it_is_bound(
    index: FakeIndex, other: FakeIndex, select: Select
) -> None:
    index.add("alpha")
    other.add("alpha", version="99.0")
    selection = select(index, other)
    assert selection.releases("alpha") is None
    error = selection.explanation("alpha was not found in the package registry")
    assert isinstance(error, AmbiguousIndexError)
    assert index.url in error.message
    assert other.url in error.message
    chosen = select(index, other, policy=bound(index, "alpha"))
    assert [each.version for each in chosen.releases("alpha") or ()] == ["1.0"]


def test_a_bound_name_is_never_asked_for_elsewhere(
    index: FakeIndex, other: FakeIndex, select: Select
) -> None:
    other.add("acme-tools", version="99.0")
    selection = select(other, policy=bound(index, "acme-*"))
    assert selection.releases("acme-tools") is None
    assert other.asked == []


def test_a_name_stays_where_the_lock_has_it(
    index: FakeIndex, other: FakeIndex, select: Select
) -> None:
    index.add("alpha")
    other.add("alpha", version="99.0")
    selection = select(index, other, before=origin(index))
    assert [each.version for each in selection.releases("alpha") or ()] == ["1.0"]
    assert other.asked == []


def test_a_name_that_moves_is_refused(index: FakeIndex, other: FakeIndex, select: Select) -> None:
    other.add("alpha")
    for indexes in ((index, other), (other,)):
        selection = select(*indexes, before=origin(index))
        assert selection.releases("alpha") is None
        error = selection.explanation("alpha")
        assert isinstance(error, MovedError)
    assert select(other, policy=bound(other, "alpha"), before=origin(index)).releases("alpha")


def test_an_index_that_cannot_be_asked_is_no_index_without_the_name(
    index: FakeIndex, other: FakeIndex, select: Select
) -> None:
    index.add("alpha")
    other.answer = lambda handler: (handler.reply(503, "text/plain", b""), True)[1]  # type: ignore[attr-defined]
    selection = select(index, other)
    with pytest.raises(IndexUnavailableError):
        selection.releases("alpha")
    assert isinstance(selection.explanation(""), IndexUnavailableError)
    other.answer = None
    assert selection.releases("alpha")
    assert selection.explanation("") is None


def test_a_look_alike_is_refused_unless_it_is_held_or_accepted(
    index: FakeIndex, select: Select
) -> None:
    index.add("reqeusts")
    selection = select(index)
    assert selection.releases("reqeusts") is None
    assert index.asked == []
    error = selection.explanation("reqeusts was not found")
    assert isinstance(error, LookAlikeError)
    assert "requests" in error.message
    assert 'allow = ["name"]' in (error.next_step or "")
    accepted = RecordedException(
        package="reqeusts", allow=(Allow.NAME,), reason="ours", expires=date(2026, 12, 1)
    )
    assert select(index, policy=Policy(exception=(accepted,))).releases("reqeusts")
    assert select(index, before=origin(index, "reqeusts")).releases("reqeusts")


def test_many_who_ask_at_once_cost_one_question(index: FakeIndex, select: Select) -> None:
    index.add("alpha")
    selection = select(index)
    threads = [threading.Thread(target=selection.releases, args=("alpha",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert index.asked == ["/simple/alpha/"]


def test_pages_of_files_and_html_are_indexes_too(index: FakeIndex, select: Select) -> None:
    index.as_html = True
    index.add("alpha", uploaded=None)
    assert select(index).releases("alpha") == ()
    accepted = RecordedException(
        package="al*", allow=(Allow.UNDATED,), reason="ours", expires=date(2026, 12, 1)
    )
    assert select(index, policy=Policy(exception=(accepted,))).releases("alpha")


def redirect(target: str) -> Callable[[object], bool]:
    def answer(handler: object) -> bool:
        handler.reply(302, "text/plain", b"", Location=target)  # type: ignore[attr-defined]
        return True

    return answer


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://user:word@127.0.0.1/x",
        "/simple/alpha/",
        "//",
        "",
    ],
)
def test_an_index_that_leads_astray_is_an_error(
    index: FakeIndex, select: Select, target: str
) -> None:
    index.answer = redirect(target)
    with pytest.raises((IndexAnswerError, IndexUnavailableError)):
        select(index).releases("alpha")
    assert len(index.asked) <= 6


def test_an_endless_answer_is_cut(
    index: FakeIndex, select: Select, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.package_index.limits.MAX_LIST_BYTES", 1_000_000)
    index.answer = endless
    with pytest.raises(IndexAnswerError, match="more than 1000000 bytes"):
        select(index).releases("alpha")


def packed(index: FakeIndex, times: int, data: bytes, encoding: str) -> None:
    for _ in range(times):
        data = gzip.compress(data)

    def answer(handler: object) -> bool:
        headers = {"Content-Encoding": encoding}
        handler.reply(200, JSON, data, **headers)  # type: ignore[attr-defined]
        return True

    index.answer = answer


def test_a_packed_answer_is_unpacked_once_and_within_bounds(
    index: FakeIndex, select: Select, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add("alpha")
    told = index.listing("alpha")
    assert told is not None
    packed(index, 1, told[1], "gzip")
    assert select(index).releases("alpha")
    monkeypatch.setattr("casemate.package_index.limits.MAX_LIST_BYTES", 1_000_000)
    packed(index, 1, b" " * 10_000_000, "gzip")
    with pytest.raises(IndexAnswerError, match="more than 1000000 bytes"):
        select(index).releases("alpha")
    for encoding in ("gzip, gzip", "br", "deflate", "x" * 1000):
        packed(index, 2, b" " * 10_000_000, encoding)
        with pytest.raises(IndexAnswerError, match="in the encoding"):
            select(index).releases("alpha")
    packed(index, 0, b"no gzip", "gzip")
    with pytest.raises(IndexAnswerError, match="cannot be read"):
        select(index).releases("alpha")


def test_a_slow_answer_is_cut(
    index: FakeIndex, select: Select, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.package_index.limits.LIST_SECONDS", 0.2)
    # As fast as it is read, it would reach the bound of its size first on a fast machine.
    index.answer = partial(endless, pause=0.01)
    with pytest.raises(IndexUnavailableError, match="too slowly"):
        select(index).releases("alpha")


def test_logins_go_to_their_index_only(index: FakeIndex, other: FakeIndex) -> None:
    address = index.url.replace("//", "//me:word@")
    _, logins = indexes_of([], Policy(), {"UV_DEFAULT_INDEX": f"{address}/simple"})
    index.login = "me:word"
    index.add("alpha")
    with Upstream(logins) as upstream:
        assert upstream.document(f"{index.url}/simple/alpha/", accept="*/*", most=10_000)
        index.answer = redirect(f"{other.url}/simple/alpha/")
        upstream.document(f"{index.url}/simple/alpha/", accept="*/*", most=10_000)
    assert other.authorizations == [None]
    assert "word" not in repr(logins)


def test_a_named_index_has_its_login_from_the_environment() -> None:
    policy = Policy(index={"my-own": IndexSettings(url="https://x.example/simple")})
    environ = {"UV_INDEX_MY_OWN_USERNAME": "me", "UV_INDEX_MY_OWN_PASSWORD": "word"}
    indexes, logins = indexes_of([], policy, environ)
    assert [each.name for each in indexes] == ["my-own", "https://pypi.org/simple"]
    assert logins["https://x.example:443"].password == "word"


@pytest.mark.parametrize("url", ["http://me:hunter2@x.example/simple", "ftp://x", "x", "http://[x"])
def test_a_password_is_not_sent_in_clear_and_an_index_has_an_address(url: str) -> None:
    with pytest.raises(PackagePolicyError) as caught:
        indexes_of([], Policy(), {"UV_DEFAULT_INDEX": url})
    assert "hunter2" not in str(caught.value)


def test_without_indexes_there_are_pages_of_files_alone(index: FakeIndex) -> None:
    policy = bound(index, "acme")
    options = ["--no-index", "--extra-index-url https://x.example", "-f https://x.example/files/"]
    indexes, _ = indexes_of(options, policy, {"UV_DEFAULT_INDEX": "https://y.example"})
    assert [(each.url, each.page) for each in indexes] == [("https://x.example/files/", True)]
    assert indexes[0].address_of("alpha") == "https://x.example/files/"


def test_a_page_of_files_is_of_all_projects(index: FakeIndex, upstream: Upstream) -> None:
    index.as_html = True
    index.projects["pages"] = [index.add("alpha"), index.add("beta")]
    (page,) = indexes_of(["--no-index", f"-f {index.url}/simple/pages"], Policy(), {})[0]
    rules = Rules(policy=Policy(cool_down=0), known=NothingKnown(), now=0.0)
    selection = Selection([page], upstream, rules, origins={}, pins=(), popular=None)
    assert [each.filename for each in selection.releases("beta") or ()] == [
        "beta-1.0-py3-none-any.whl"
    ]
    assert selection.releases("gamma") is None


def test_what_is_hidden_is_not_offered_and_not_refused(
    index: FakeIndex, upstream: Upstream
) -> None:
    index.add("alpha")
    index.add("alpha", version="2.0")
    index.add("alpha", version="3.0", uploaded=FRESH)
    hidden = {("alpha", "2.0")}
    rules = Rules(policy=Policy(), known=NothingKnown(), now=1_795_700_000.0)
    selection = Selection(
        indexes_of([f"--index-url {index.url}/simple"], rules.policy, {})[0],
        upstream,
        rules,
        origins={},
        pins=(),
        popular=None,
        hides=lambda package, version: (package, version) in hidden,
    )
    assert [each.version for each in selection.releases("alpha") or ()] == ["1.0"]
    assert selection.explanation("there is no version of alpha==2.0") is not None  # of 3.0 alone
    judged = {each.version: refused for each, refused in selection.judged("alpha")}
    assert judged["2.0"] is None and isinstance(judged["3.0"], TooNewError)
    hidden.clear()
    assert [each.version for each in selection.releases("alpha") or ()] == ["1.0", "2.0"]
    assert len([path for path in index.asked if path.startswith("/simple/alpha")]) == 1
    assert selection.failure is None and selection.judged("missing") == ()
