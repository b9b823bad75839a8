from __future__ import annotations

import contextlib
import json
import time

import pytest

from casemate.package_index import IndexAnswerError
from casemate.package_index.listing import JSON, parse_listing

AT = "https://pypi.example.org/simple/six/"
HASH = "a" * 64


def listed(*files: dict[str, object], name: str = "six") -> bytes:
    return json.dumps({"meta": {"api-version": "1.3"}, "name": name, "files": files}).encode()


def file(**more: object) -> dict[str, object]:
    return {
        "filename": "six-1.0-py3-none-any.whl",
        "url": "../../f/six-1.0-py3-none-any.whl",
        "hashes": {"sha256": HASH},
        **more,
    }


def test_what_json_tells() -> None:
    told = file(
        **{"upload-time": "2026-01-02T03:04:05.678Z", "yanked": "broken", "requires-python": ">=3"},
        **{"core-metadata": {"sha256": "b" * 64}, "provenance": "https://x.example/p"},
    )
    (release,) = parse_listing(listed(told), f"{JSON}; charset=utf-8", "six", AT)
    assert release.version == "1.0"
    assert release.wheel
    assert release.url == "https://pypi.example.org/f/six-1.0-py3-none-any.whl"
    assert release.uploaded == pytest.approx(1767323045.678)
    assert release.yanked == "broken"
    assert release.metadata_sha256 == "b" * 64
    assert release.provenance == "https://x.example/p"


def test_what_html_tells() -> None:
    page = (
        "<!DOCTYPE html><html><head><title>Links for six</title></head><body>"
        f'<a href="../../f/six-1.0-py3-none-any.whl#sha256={HASH}" data-requires-python="&gt;=3" '
        f"data-yanked='why &amp; how' data-core-metadata=\"sha256={'b' * 64}\">six</a>"
        f'<A HREF="six-2.0.tar.gz#sha256={HASH}" data-yanked>six</A>'
    )
    first, second = parse_listing(page.encode(), "text/html", "six", AT)
    assert (first.requires_python, first.yanked) == (">=3", "why & how")
    assert first.metadata_sha256 == "b" * 64
    assert first.uploaded is None
    assert (second.version, second.wheel, second.yanked) == ("2.0", False, "")


@pytest.mark.parametrize(
    "more",
    [
        {"filename": "seven-1.0-py3-none-any.whl"},
        {"filename": "six-1.0.exe"},
        {"filename": "../six-1.0-py3-none-any.whl"},
        {"filename": "six-1.0-py3-none-any.whl\n"},
        {"hashes": {}},
        {"hashes": {"md5": "a" * 32}},
        {"hashes": {"sha256": "short"}},
        {"url": "file:///etc/passwd"},
        {"url": "ftp://x/six"},
        {"url": "https://user:word@x/six-1.0-py3-none-any.whl"},
        {"url": "https://[x"},
    ],
)
def test_a_file_that_cannot_be_trusted_is_left_out(more: dict[str, object]) -> None:
    assert parse_listing(listed(file(**more)), JSON, "six", AT) == ()


@pytest.mark.parametrize(
    "href", ["https://[x", "https://[x/six-1.0-py3-none-any.whl", "", "#", "//"]
)
def test_a_link_that_leads_nowhere_is_left_out(href: str) -> None:
    page = f'<a href="{href}#sha256={HASH}">six</a><a href="six-1.0.zip#sha256={HASH}">six</a>'
    (release,) = parse_listing(page.encode(), "text/html", "six", AT)
    assert release.filename == "six-1.0.zip"


@pytest.mark.parametrize(
    "when", ["yesterday", "9999-99-99", "", "2026" * 20, "0001-01-01T00:00:00+23:59"]
)
def test_an_odd_time_is_no_time(when: str) -> None:
    (release,) = parse_listing(listed(file(**{"upload-time": when})), JSON, "six", AT)
    assert release.uploaded is None


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<html>Sign in</html>", "text/html"),
        (b"<html>Sign in</html>", JSON),
        (b"", JSON),
        (b"[" * 100_000, JSON),
        (b'{"name": "six"}', JSON),
        (listed(name="seven"), JSON),
        (listed(), "application/octet-stream"),
        (b"\xff", JSON),
    ],
)
def test_an_answer_that_is_no_list_is_an_error(data: bytes, kind: str) -> None:
    with pytest.raises(IndexAnswerError):
        parse_listing(data, kind, "six", AT)


@pytest.mark.parametrize("version", ["2.0", "9", "", "0.9", "one", "\x1b[2J"])
@pytest.mark.parametrize("kind", [JSON, "text/html"])
def test_a_version_that_may_mean_something_else_is_refused(version: str, kind: str) -> None:
    page = json.loads(listed(file())) | {"meta": {"api-version": version}}
    data = json.dumps(page)
    if kind != JSON:
        data = f'<meta name="pypi:repository-version" content="{version}"><a href="six-1.0.zip">'
    with pytest.raises(IndexAnswerError, match="1 is understood") as refused:
        parse_listing(data.encode(), kind, "six", AT)
    assert refused.value.next_step
    assert "\x1b" not in refused.value.message


@pytest.mark.parametrize("meta", [{"meta": {"api-version": "1.9"}}, {"meta": {}}, {}])
def test_what_is_of_the_known_version_or_says_none_is_read(meta: dict[str, object]) -> None:
    page = {"name": "six", "files": [file()]} | meta
    assert len(parse_listing(json.dumps(page).encode(), JSON, "six", AT)) == 1


@pytest.mark.parametrize(
    "page",
    [
        b"<meta name='pypi:repository-version' content='" * 40_000,
        b"<meta" + b" " * 500_000,
        b"<a " * 500_000,
        b"<a href=" * 300_000,
        b'<a x="' + b"y" * 2_000_000,
        b"<a b=c " * 200_000 + b">",
    ],
)
def test_a_hostile_page_takes_no_time(page: bytes) -> None:
    begun = time.process_time()
    with contextlib.suppress(IndexAnswerError):
        parse_listing(page, "text/html", "six", AT)
    assert time.process_time() - begun < 4


def test_too_many_files_are_refused() -> None:
    with pytest.raises(IndexAnswerError, match="more than 100000"):
        parse_listing(b'<a href="x">' * 100_001, "text/html", "six", AT)
