"""The guard: begins and ends with an invocation, fails closed, tells the host first."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from casemate.guard.core import MAX_RECORDS, Guard, Rule
from casemate.guard.origin import Origin, Span
from casemate.guard.verdict import BlockedError, Verdict

ROOT = str(Path(__file__).parent)
HERE = f"{__name__}"


def never(text: str, spans: Sequence[Span]) -> Verdict | None:
    return None


def always(text: str, spans: Sequence[Span]) -> Verdict | None:
    return Verdict(spans[0].origin, "changed something", "write it otherwise")


def begun(*rules: Rule, event: object = None) -> tuple[Guard, list[dict[str, Any]]]:
    guard = Guard(ROOT, rules)
    told: list[dict[str, Any]] = []
    guard.report = told.append
    guard.begin({"v": "hostile data"} if event is None else event)
    return guard, told


def test_a_text_without_data_of_the_event_is_not_judged() -> None:
    guard, told = begun()
    guard.check("sql", "SELECT 1", always)
    assert (told, guard.blocked) == ([], None)


def test_a_judge_that_finds_nothing_lets_through() -> None:
    guard, told = begun()
    guard.check("sql", "a hostile data b", never)
    assert (told, guard.blocked) == ([], None)


def test_a_verdict_blocks_and_is_told_first() -> None:
    guard, told = begun()
    with pytest.raises(BlockedError) as caught:
        guard.check("sql", "a hostile data b", always)
    (record,) = told
    assert record["sink"] == "sql"
    assert record["mode"] == "block"
    assert record["pointer"] == "/v"
    assert record["source"] == "event"
    assert record["changed"] == "changed something"
    assert record["fix"] == "write it otherwise"
    assert record["place"].startswith("test_guard_core.py:")
    assert record["location"] == f"{HERE}:test_a_verdict_blocks_and_is_told_first"
    assert guard.blocked is not None
    for text in (str(caught.value), guard.blocked, str(record)):
        assert "hostile" not in text


def test_a_block_is_no_exception_that_handlers_catch() -> None:
    assert not issubclass(BlockedError, Exception)


@pytest.mark.parametrize("error", [ValueError("hostile data"), RecursionError(), MemoryError()])
def test_a_judge_that_fails_blocks(error: Exception) -> None:
    def broken(text: str, spans: Sequence[Span]) -> Verdict | None:
        raise error

    guard, told = begun()
    with pytest.raises(BlockedError):
        guard.check("sql", "a hostile data b", broken)
    assert type(error).__name__ in told[0]["changed"]
    assert "hostile" not in str(told)


def test_an_index_that_fails_blocks() -> None:
    class Broken(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise ValueError

    guard, told = begun(event=Broken())
    with pytest.raises(BlockedError):
        guard.check("sql", "anything", never)
    assert "could not be checked" in told[0]["changed"]


def test_a_host_that_cannot_be_told_keeps_nothing_from_being_blocked() -> None:
    def lost(record: dict[str, Any]) -> None:
        raise OSError

    guard, _ = begun()
    guard.report = lost
    with pytest.raises(BlockedError):
        guard.check("sql", "a hostile data b", always)
    assert guard.blocked is not None


def test_records_are_bounded_and_blocks_are_not() -> None:
    guard, told = begun()
    for _ in range(MAX_RECORDS + 10):
        with pytest.raises(BlockedError):
            guard.check("sql", "a hostile data b", always)
    assert len(told) == MAX_RECORDS


@pytest.mark.parametrize(
    ("rule", "applies"),
    [
        (Rule("sql", "*", "report"), True),
        (Rule("*", "*", "report"), True),
        (Rule("sql", f"{HERE}:an_exception", "report"), True),
        (Rule("path", "*", "report"), False),
        (Rule("sql", f"{HERE}:other", "report"), False),
        (Rule("sql", "other:an_exception", "report"), False),
        (Rule("sql", "*", "block"), False),
        (Rule("sql", f"{HERE}:1", "report"), False),
    ],
)
def test_an_exception_applies_where_it_says(rule: Rule, applies: bool) -> None:
    guard, told = begun(rule)

    def check() -> None:
        guard.check("sql", "a hostile data b", always)

    check.__code__ = check.__code__.replace(co_qualname="an_exception")
    if applies:
        check()
        assert guard.blocked is None
    else:
        with pytest.raises(BlockedError):
            check()
    assert told[0]["mode"] == ("report" if applies else "block")


def test_the_first_exception_that_applies_counts() -> None:
    guard, _ = begun(Rule("sql", "*", "block"), Rule("*", "*", "report"))
    with pytest.raises(BlockedError):
        guard.check("sql", "a hostile data b", always)
    guard.check("path", "a hostile data b", always)


def test_what_a_check_does_itself_is_not_checked() -> None:
    guard, _ = begun()

    def asks_again(text: str, spans: Sequence[Span]) -> Verdict | None:
        assert not guard.active
        guard.check("path", "a hostile data b", always)
        return None

    guard.check("sql", "a hostile data b", asks_again)
    assert guard.active


def test_a_check_in_one_thread_leaves_the_others_guarded() -> None:
    guard, _ = begun()
    blocked: list[bool] = []

    def other() -> None:
        try:
            guard.check("path", "a hostile data b", always)
        except BlockedError:
            blocked.append(True)

    def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return None

    guard.check("sql", "a hostile data b", judge)
    assert blocked == [True]
    assert guard.blocked is not None


def test_nothing_is_checked_between_invocations() -> None:
    guard, told = begun()
    guard.end()
    assert not guard.active
    guard.check("sql", "a hostile data b", always)
    guard.begin({"v": "other"})
    guard.check("sql", "a hostile data b", always)
    assert told == []
    assert guard.spans("the other one")[0].origin == Origin("event", ("v",))


def test_sources_that_come_later_are_guarded() -> None:
    guard, told = begun()
    guard.add("table:notes", {"text": "second order"})
    with pytest.raises(BlockedError):
        guard.check("sql", "a second order b", always)
    assert (told[0]["source"], told[0]["pointer"]) == ("table:notes", "/text")


def test_a_place_outside_of_the_functions_code_is_said() -> None:
    guard = Guard("/nowhere")
    told: list[dict[str, Any]] = []
    guard.report = told.append
    guard.begin({"v": "hostile data"})
    with pytest.raises(BlockedError):
        guard.check("sql", "a hostile data b", always)
    assert told[0]["place"] == "code of a dependency"
    assert told[0]["location"] == "*"


def test_a_literal_of_the_code_is_its_own_and_an_equal_text_is_looked_at() -> None:
    guard, _ = begun(event={"v": "name"})
    code = compile(
        "'''doc'''\ndef f():\n    '''said'''\n    return 'SELECT 1', 'said'", "a", "exec"
    )
    guard.constants.add_code(code)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    literal, said = namespace["f"]()
    assert guard.constants.is_literal(literal)
    assert not guard.constants.is_literal(said), "it is a docstring's text as well"
    assert guard.is_own(literal)
    equal = guard.provenance.join(0, "SELECT ", "".join(["", "1"]))
    assert not guard.constants.is_literal(equal)
    assert not guard.is_own(equal)
    exec(code, namespace)
    exec(compile("def f():\n    return 'SELECT ' '1', ''", "b", "exec"), namespace)
    guard.constants.add_code(namespace["f"].__code__)
    again, _ = namespace["f"]()
    assert again is not literal
    assert guard.constants.is_literal(again), "of two equal ones both are the code's"
    assert guard.is_own(again)


def test_bytes_are_not_taken_apart_before_a_text_is_asked_about() -> None:
    guard, _ = begun()
    photo = b"\xff\xd8\x00" + b"a comment; here" + bytes(1000)
    guard.add("bucket:photos", photo)
    assert guard.taint is not None
    assert guard.taint.is_of(photo) is not None
    assert guard.taint.is_of("".join(["a ", "path"])) is None
    assert "a comment; here" not in guard.taint._texts
    assert guard.taint.exact("a comment; here") is not None


def test_nothing_is_made_of_an_event_until_a_sink_asks() -> None:
    guard, _ = begun(event={"v": "hostile data"})
    guard.add("bucket:a", "other data")
    assert guard._taint is None
    assert guard.active
    with pytest.raises(BlockedError):
        guard.check("sql", "a hostile data b", always)
    guard.add("table:b", "third data")
    for text, source in (("other data", "bucket:a"), ("third data", "table:b")):
        (span,) = guard.spans("".join(["x ", text, " y"]))
        assert span.origin.source == source
    guard.end()
    assert guard.taint is None
    assert guard.spans("a hostile data b") == []


def test_threads_that_ask_first_together_see_the_same_sources() -> None:
    for _ in range(20):
        guard, _ = begun(event={"v": "hostile data"})
        barrier = threading.Barrier(4)
        seen: list[object] = []

        def ask(guard: Guard = guard, barrier: Any = barrier, seen: Any = seen) -> None:
            barrier.wait()
            guard.add("bucket:a", "other data")
            seen.append((guard.taint, len(guard.spans("a other data b hostile data c"))))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [(guard.taint, 2)] * 4
        assert guard.taint is not None
        assert guard.taint.sources == 5


def test_no_statement_and_no_note_raises_an_audit_event_of_its_own() -> None:
    guard, _ = begun(event={"v": "hostile data", "rows": [{"a": f"x;{n}"} for n in range(50)]})
    asked = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal asked
        asked += event == "c_call" and argument is id

    rows = json.dumps([{"a": f"{n};"} for n in range(50)])
    sys.setprofile(counted)
    try:
        for value in guard.provenance.given(json.loads, rows):
            guard.spans(guard.provenance.join(0b101, "a ", value["a"], " b"))
    finally:
        sys.setprofile(None)
    assert asked == 0
