"""Contents that instances of a zygote have in common are there once, and for as long as needed."""

from __future__ import annotations

import gc

from casemate.kernel.pagemap import PAGE
from casemate.restorer.kept_pages import KeptPages


def test_pages_with_one_content_are_one() -> None:
    shared = KeptPages()
    first = shared.of(bytearray(b"a" * PAGE + b"b" * PAGE))
    second = shared.of(bytearray(b"b" * PAGE + b"c" * PAGE))
    assert [page.content[:1] for page in first + second] == [b"a", b"b", b"b", b"c"]
    assert first[1] is second[0]


def test_what_is_taken_is_not_changed_with_what_it_was_taken_from() -> None:
    data = bytearray(PAGE)
    (page,) = KeptPages().of(data)
    data[:] = b"x" * PAGE
    assert page.content == bytes(PAGE)


def test_a_page_is_let_go_with_the_last_who_holds_it() -> None:
    shared = KeptPages()
    one, other = shared.of(bytearray(PAGE)), shared.of(bytearray(PAGE))
    del one
    gc.collect()
    assert len(shared) == 1
    del other
    gc.collect()
    assert len(shared) == 0


def test_zygotes_share_nothing() -> None:
    (one,), (other,) = KeptPages().of(bytearray(PAGE)), KeptPages().of(bytearray(PAGE))
    assert one is not other
    assert one.content is not other.content
