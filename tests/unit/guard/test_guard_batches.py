"""What is done for thousands of texts at once is what is done for each of them."""

from __future__ import annotations

import base64
import json
import random
import sys
import time

from hypothesis import example, given
from hypothesis import strategies as st

from casemate.guard.batches import (
    all_lowered,
    base64_of,
    lowered,
    plain_of,
    requoted,
    sort_out,
)
from casemate.guard.decoding import base64_bytes, bytes_forms, decoded
from casemate.guard.fragments import Fragments
from casemate.guard.known import MAX_TEXTS
from casemate.guard.needles import Needles
from casemate.guard.taint import Taint

SIGNS = st.text("ab1Z ;<>|,.:/-_=+%&\\'\"`{[]}()$#!?@~\n\té\0", max_size=14)


@given(st.lists(SIGNS.filter(bool), unique=True, max_size=30))
def test_every_text_is_of_one_kind(texts: list[str]) -> None:
    words, coded, easy, quoted, hard = sort_out(texts)
    assert {*words, *coded, *easy, *quoted, *hard} == set(texts)
    assert not {*easy, *quoted} & {*words, *coded, *hard}
    assert not set(hard) & {*words, *coded}


@given(st.lists(st.one_of(SIGNS, SIGNS.map(lambda text: text * 900)).filter(bool), max_size=9))
def test_texts_are_sorted_out_together_as_one_by_one(texts: list[str]) -> None:
    one_by_one = [sort_out([text]) for text in texts]
    for number, kind in enumerate(sort_out(texts)):
        of_each = [text for one in one_by_one for text in one[number]]
        assert sorted(kind) == sorted(of_each)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=9), SIGNS.map(str.encode)), max_size=9))
def test_data_is_read_together_as_one_by_one(values: list[bytes]) -> None:
    data = {f"t{number}": value for number, value in enumerate(values)}
    plain, others = plain_of([*data, "none"], data)
    for text in data:
        one, more = plain_of([text], data)
        assert one.get(text) == plain.get(text)
        assert more == [other for other in others if other == text]
    assert plain_of(list(data), data) == (plain, others)


@given(
    st.lists(st.one_of(SIGNS, st.sampled_from(["a;b", "x' OR 1", "name"])), max_size=9),
    st.integers(0, 3),
)
def test_a_list_of_texts_is_known_as_one_with_others_among_them(
    texts: list[str], place: int
) -> None:
    """The one is taken at once, the other text by text."""
    many = [*texts, *[f"n{n};" for n in range(80)]]
    nested = [many, {"k": many[::2], "a;b": "x"}]
    one, other = (Taint(lambda text: text == "name") for _ in range(2))
    one.add("event", nested)
    mixed = [*many, None]
    other.add("event", [mixed, {"k": [*many[::2], None], "a;b": "x"}])
    for text in {*many, "k", "a;b"} - {""}:
        assert one.exact(text) == other.exact(text)
    asked = f"SELECT '{many[place]}' n5; -- "
    assert one.search(asked) == other.search(asked)
    assert one.fragments(asked) == other.fragments(asked)


def test_of_too_long_a_list_the_first_texts_are_known() -> None:
    taint = Taint(lambda text: False)
    texts = [f"n{n};" for n in range(MAX_TEXTS + 9)]
    taint.add("event", ["x;y", texts])
    assert taint.exact("n7;") is not None
    assert taint.exact(texts[MAX_TEXTS - 2]) is not None
    assert taint.exact(texts[MAX_TEXTS]) is None
    assert taint.overflown


@example("1 ")
@example("it's ")
@given(SIGNS.filter(bool))
def test_what_is_easy_has_no_other_form(text: str) -> None:
    kinds = sort_out([text])
    if not (kinds.easy or kinds.quoted):
        return
    assert list(decoded(text)) == []
    assert text == text.strip()
    assert text.isprintable()
    assert text.isascii()
    if kinds.easy:
        assert not set("'\"`\\") & set(text)


@given(SIGNS.filter(lambda text: text and "\0" not in text))
def test_a_text_with_quotes_is_written_as_json_python_and_sql_do(text: str) -> None:
    if sort_out([text]).quoted:
        forms = {text, *(form for (form,), _ in requoted([text]))}
        assert {json.dumps(text)[1:-1], repr(text)[1:-1], text.replace("'", "''")} <= forms
        escaped = text.replace("'", "\\'")
        assert {escaped, escaped.replace('"', '\\"')} <= forms


def test_one_character_alone_is_longer_in_lower_case() -> None:
    longer = [chr(c) for c in range(sys.maxunicode + 1) if len(chr(c).lower()) != 1]
    assert longer == ["\u0130"]
    assert lowered("A\u0130B\u0130") == "a\u0130b\u0130"


def test_a_large_text_is_lowered_once_and_no_other_for_it() -> None:
    class Odd(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = str.__hash__

    large = "A" * 5000
    assert lowered(large) is lowered(large)
    assert lowered("B" * 5000) == "b" * 5000
    assert lowered(Odd("C" * 5000)) == "c" * 5000


def test_binary_data_that_holds_it_is_lowered_as_fast_as_other_text() -> None:
    """Of 200 KB that was read as UTF-16 each of its dozens of searches took a tenth of a second."""
    text = "\u0130" + "\u1234A" * 100_000

    def seconds(of: str) -> float:
        began = time.process_time()
        for _ in range(5):
            lowered(of)
        return time.process_time() - began

    assert (
        min(seconds(text) for _ in range(3)) < 5 * min(seconds(text[1:]) for _ in range(3)) + 0.01
    )


@given(st.lists(st.text(max_size=9), max_size=9))
def test_texts_are_lowered_as_one_is(texts: list[str]) -> None:
    assert all_lowered(texts) == [lowered(text) for text in texts]


@given(st.lists(st.binary(min_size=6, max_size=24), max_size=20), st.booleans(), st.booleans())
def test_base64_is_decoded_as_one_is(data: list[bytes], url: bool, bare: bool) -> None:
    encode = base64.urlsafe_b64encode if url else base64.standard_b64encode
    texts = [encode(d).decode().rstrip("=" if bare else "") for d in data]
    coded = sort_out(list(dict.fromkeys(texts))).coded
    assert coded or not [text for text in texts if "+" not in text]
    found = base64_of(coded)
    for text in coded:
        assert found.get(text) == base64_bytes(text)


def test_no_text_of_base64_spoils_that_of_others() -> None:
    texts = ["A" * n for n in range(8, 40)] + ["aGVsbG8gd29ybGQ", "____----", "AAAAAAAAA"]
    assert base64_of(texts)["aGVsbG8gd29ybGQ"] == b"hello world"
    for text in texts:
        assert base64_of(texts).get(text) == base64_bytes(text)


@example([b"\0\0\0\1"])
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=20))
def test_bytes_are_read_as_one_is(data: list[bytes]) -> None:
    known = {str(n): held for n, held in enumerate(data)}
    plain, others = plain_of(list(known), known)
    for name, held in known.items():
        forms = [form for _, form in bytes_forms(held, "base64")]
        if name in others:
            continue
        assert forms == ([plain[name]] if name in plain else [])


def _many(seed: int, number: int) -> list[str]:
    chance = random.Random(seed)
    signs = "abcde ;'()-./"
    return ["".join(chance.choices(signs, k=chance.randrange(3, 14))) for _ in range(number)]


def test_texts_are_found_whether_they_were_put_in_order_or_not() -> None:
    texts = _many(1, 5000)
    needles = Needles()
    needles.add_all(texts, texts)
    inside = " and ".join(texts[100:110])
    once, twice, later = (sorted({text for text, _, _ in needles.find(inside)}) for _ in range(3))
    assert needles._grouped == 1
    assert once == twice == later == sorted({text for text in texts if text in inside})


SHORT = st.text("ab'é\u0130\U0001f600;", min_size=3, max_size=9)


@given(st.lists(SHORT, min_size=65, max_size=90), st.lists(SHORT, max_size=30))
def test_texts_are_found_in_long_ones_as_in_short_ones(texts: list[str], parts: list[str]) -> None:
    lower = all_lowered(texts)
    needles = Needles()
    needles.add_all(lower, texts)
    needles.add("'b'", "single")
    inside = lowered(" ".join([*parts, *texts[:9]]))
    found = {text: about for text, about, _ in needles.find(inside)}
    assert found.keys() == {text for text in (*lower, "'b'") if text in inside}
    longer = inside + "\0" * 5000
    for text, about, places in needles.find(longer):
        assert found.pop(text) == about
        assert places is not None
        assert sorted(places) == [n for n in range(len(inside)) if inside.startswith(text, n)]
    assert found == {}


def test_pieces_are_found_whether_all_were_cut_or_not() -> None:
    for seed in range(6):
        texts = [f"{n}{text}{n}" for n, text in enumerate(_many(seed, 4000))]
        fragments = Fragments()
        fragments.add_all(texts, texts)
        inside = f"select '{texts[1007][1:]}' from x where ({texts[1090][:-1]}--{texts[1800][2:]}."
        once, twice, *_, later = [set(fragments.find(inside)) for _ in range(12)]
        assert fragments._waiting == []
        # Of pieces that many texts have, the first few are kept. Later, fewer are cut at all.
        assert once == twice
        assert {(start, end) for start, end, _ in later} <= {(s, e) for s, e, _ in once}
        assert once


def test_attacks_among_thousands_of_texts_are_found_at_once_and_later() -> None:
    for attack, used in (
        ("x' OR 1=1 --", "x' or 1=1 --"),
        ("it's; DROP", "it\\'s; DROP"),
        ('say "x"; y', 'say \\"x\\"; y'),
        ("  spaced';  ", "spaced'; "),
        (base64.b64encode(b"1 OR 2=2;").decode(), "1 OR 2=2;"),
    ):
        texts = [f"{n}a;" for n in range(6000)] + [f"it's {n}" for n in range(2000)]
        made = Taint(lambda word: False)
        made.add("event", [*texts, attack])
        statement = f"SELECT a FROM t WHERE b = '{used}' AND c = 5"
        for _ in range(4):
            spans = made.search(statement)
            assert any(used.strip().lower() in statement[s.start : s.end].lower() for s in spans)
        assert not made.overflown


def test_where_a_form_is_from_is_told_to_the_last_step() -> None:
    made = Taint(lambda word: False)
    inner = base64.b64encode(json.dumps({"k": ["some; text"]}).encode()).decode()
    made.add("event", {"a": [base64.b64encode(inner.encode()).decode()]})
    origin = made.exact("some; text")
    assert origin is not None
    assert origin.pointer == "/a/0/k/0"
    assert origin.decoding == ("base64", "base64", "JSON")
