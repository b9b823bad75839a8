"""Whatever happened, the caller gets a status, a fixed title and an id, and the owner the rest."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.path import Failure, Finished
from casemate.sandbox.meter import Metered
from casemate.seal import Seal
from casemate.seal.close import problem
from casemate.seal.lines import merge_output
from support.core import MemoryStore, raw, request, version

STATUS = {
    Outcome.INVALID: (400, "Bad request"),
    Outcome.DENIED: (401, "Not authenticated"),
    Outcome.NOT_FOUND: (404, "Not found"),
    Outcome.THROTTLED: (429, "Too many requests"),
    Outcome.UNAVAILABLE: (503, "Unavailable"),
    Outcome.INIT_ERROR: (500, "The function failed"),
    Outcome.HANDLER_ERROR: (500, "The function failed"),
    Outcome.BAD_RESULT: (500, "The function failed"),
    Outcome.RESPONSE_TOO_LARGE: (500, "The function failed"),
    Outcome.EXPOSED: (500, "The function failed"),
    Outcome.TIMEOUT: (504, "The function took too long"),
    Outcome.OUT_OF_MEMORY: (500, "The function failed"),
    Outcome.CRASHED: (500, "The function failed"),
    Outcome.BLOCKED: (500, "The function failed"),
    Outcome.PROTOCOL_VIOLATION: (500, "The function failed"),
    Outcome.INTERNAL_ERROR: (500, "The function failed"),
}
WORDS = {
    "Bad request": "bad-request",
    "Not authenticated": "unauthenticated",
    "Not found": "not-found",
    "Too many requests": "too-many-requests",
    "Unavailable": "unavailable",
    "The function failed": "function-failed",
    "The function took too long": "function-too-slow",
}
"""The last part of a problem's type, by its title."""
FAILURES = sorted(STATUS)
BEFORE_ANY_CODE = {
    Outcome.INVALID,
    Outcome.DENIED,
    Outcome.NOT_FOUND,
    Outcome.THROTTLED,
    Outcome.UNAVAILABLE,
    Outcome.INTERNAL_ERROR,
}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_every_outcome_is_known_here() -> None:
    assert set(STATUS) == set(Outcome) - {Outcome.OK}


@pytest.mark.parametrize("outcome", FAILURES)
def test_a_failure_is_a_problem_with_four_fields(store: MemoryStore, outcome: Outcome) -> None:
    failure = Failure(type="T", message="m", trace="t")
    answer = Seal(store).close(Finished(outcome=outcome, request=request(), failure=failure))
    status, title = STATUS[outcome]
    body = msgspec.json.decode(answer.body)
    assert answer.status == status
    assert set(body) == {"type", "title", "status", "error_id"}
    word = WORDS[title]
    assert body["type"] == f"urn:casemate:problem:{word}"
    assert (body["title"], body["status"]) == (title, status)
    sent = dict(answer.headers)
    assert sent[b"content-type"] == b"application/problem+json"
    assert sent[b"cache-control"] == b"no-store"
    assert sent[b"x-request-id"] == b"inv_test"
    assert (b"www-authenticate" in sent) is (status == 401)
    assert b"retry-after" not in sent


@pytest.mark.parametrize("outcome", FAILURES)
def test_the_owner_finds_all_of_it_by_the_id(store: MemoryStore, outcome: Outcome) -> None:
    failure = Failure(type="builtins.ValueError", message="no\nno", trace="Traceback")
    answer = Seal(store).close(
        Finished(outcome=outcome, request=request(), version=version(3), failure=failure)
    )
    [(record, error, lines)] = store.records
    assert error is not None
    assert error.id == record.error_id == msgspec.json.decode(answer.body)["error_id"]
    assert (error.type, error.message, error.trace) == (
        "builtins.ValueError",
        "no\nno",
        "Traceback",
    )
    assert (error.project, error.function, error.version) == ("t", "f", 3)
    assert error.invocation == record.id == "inv_test"
    assert error.outcome is record.outcome is outcome
    of_the_function = outcome not in BEFORE_ANY_CODE
    assert [line.level for line in lines] == ["error"] * of_the_function
    for line in lines:
        assert line.text.startswith(f"{outcome.value}: ValueError")
        assert error.id in line.text


TRACE = """Traceback (most recent call last):
  File "/function/code/app.py", line 7, in handler
    return total(event)
  File "/function/code/lib/sums.py", line 3, in total
    raise KeyError(text)
  File "/function/deps/pandas/frame.py", line 9, in get
KeyError: 'a customer of ours'
"""


def test_the_line_in_the_log_says_what_and_where_and_no_message(store: MemoryStore) -> None:
    failure = Failure(type="builtins.KeyError", message="'a customer of ours'", trace=TRACE)
    Seal(store).close(
        Finished(
            outcome=Outcome.HANDLER_ERROR, request=request(), version=version(3), failure=failure
        )
    )
    [(_, error, [line])] = store.records
    assert error is not None
    assert line.text == (
        f"handler-error: KeyError at lib/sums.py:3 in total; see `casemate errors show {error.id}`"
    )


@pytest.mark.parametrize(
    "trace", ['File "' * 200_000, 'File "a", line 1, in ' * 50_000, "\n" * 10**6]
)
def test_a_hostile_trace_costs_next_to_nothing_and_makes_one_line(
    store: MemoryStore, trace: str
) -> None:
    failure = Failure(type="x\n\x1b[2J" * 1000, message="", trace=trace)
    finished = Finished(
        outcome=Outcome.CRASHED, request=request(), version=version(3), failure=failure
    )
    before = time.process_time()
    Seal(store).close(finished)
    assert time.process_time() - before < 0.5
    [(_, _, [line])] = store.records
    assert "\n" not in line.text and len(line.text) < 1000


def test_error_ids_cannot_be_guessed() -> None:
    seal = Seal(MemoryStore())
    ids = {
        msgspec.json.decode(seal.close(Finished(outcome=Outcome.CRASHED)).body)["error_id"]
        for _ in range(100)
    }
    assert len(ids) == 100
    assert all(i.startswith("err_") and len(bytes.fromhex(i[4:])) == 12 for i in ids)


def test_an_ok_answer_is_sent_and_recorded_without_an_error(store: MemoryStore) -> None:
    answer = Seal(store).close(
        Finished(
            outcome=Outcome.OK,
            request=request(body=b"12345", trigger="http"),
            version=version(2),
            head=b'{"status":201,"headers":[["x-a","b"]]}',
            body=b"done",
            queued=0.25,
            ran=0.5,
            cold=True,
        )
    )
    assert (answer.status, answer.body) == (201, b"done")
    assert answer.headers == ((b"x-a", b"b"), (b"x-request-id", b"inv_test"))
    assert store.records == [
        (
            InvocationRecord(
                id="inv_test",
                project="t",
                function="f",
                version=2,
                trigger="http",
                outcome=Outcome.OK,
                status=201,
                started_at=5.0,
                queued_ms=250.0,
                run_ms=500.0,
                cold=True,
                request_bytes=5,
                response_bytes=4,
                error_id=None,
                memory=version(2).spec.limits.memory,
            ),
            None,
            (),
        )
    ]


def test_a_function_cannot_name_another_invocation(store: MemoryStore) -> None:
    head = b'{"headers":[["X-Request-Id","inv_other"]]}'
    answer = Seal(store).close(Finished(outcome=Outcome.OK, request=request(), head=head))
    assert [v for n, v in answer.headers if n == b"x-request-id"] == [b"inv_test"]


@pytest.mark.parametrize("head", [b"", b'{"status":1}', b'{"headers":[["a","b\\r\\nc"]]}', b"\xff"])
def test_an_answer_that_cannot_be_sent_is_a_bad_result(store: MemoryStore, head: bytes) -> None:
    answer = Seal(store).close(
        Finished(outcome=Outcome.OK, request=request(), head=head, body=b"planted")
    )
    assert answer.status == 500
    assert b"planted" not in answer.body
    [(record, error, _)] = store.records
    assert record.outcome is Outcome.BAD_RESULT
    assert error is not None and error.type == "BadResult" and error.message


def test_a_refusal_may_set_status_detail_and_retry_after(store: MemoryStore) -> None:
    answer = Seal(store).close(
        Finished(
            outcome=Outcome.INVALID, raw=raw(), status=415, detail="Fixed text.", retry_after=7
        )
    )
    body = msgspec.json.decode(answer.body)
    assert (answer.status, body["status"], body["detail"]) == (415, 415, "Fixed text.")
    assert body["title"] == "Unsupported media type"
    assert dict(answer.headers)[b"retry-after"] == b"7"


def test_a_request_that_was_never_parsed_is_recorded_with_an_id_of_its_own(
    store: MemoryStore,
) -> None:
    answer = Seal(store).close(Finished(outcome=Outcome.INVALID, raw=raw(body=b"{{")))
    [(record, error, _)] = store.records
    assert record.id.encode() == dict(answer.headers)[b"x-request-id"]
    assert record.id.startswith("inv_") and record.request_bytes == 2
    assert error is not None and error.type == "invalid" and error.version == 0


def test_a_status_without_a_title_has_a_neutral_one() -> None:
    assert json.loads(problem(451, "err_x").body)["title"] == "Error"


# -- secrets -----------------------------------------------------------------------------------

MARK = "s3cr3t-"
SECRET = st.text(max_size=30).map(lambda text: MARK + text)


@given(
    outcome=st.sampled_from(FAILURES),
    type_=SECRET,
    message=SECRET,
    trace=SECRET,
    output=SECRET,
    status=st.sampled_from([None, 403, 405, 413, 415, 500]),
    parsed=st.booleans(),
)
def test_nothing_planted_in_a_failure_reaches_the_caller(
    outcome: Outcome,
    type_: str,
    message: str,
    trace: str,
    output: str,
    status: int | None,
    parsed: bool,
) -> None:
    store = MemoryStore()
    given = request(
        body=message.encode(errors="replace"),
        credential=type_,
        content_type=trace,
        event={"headers": {MARK: message}},
    )
    finished = Finished(
        outcome=outcome,
        request=given if parsed else None,
        raw=given.raw,
        version=version(digest=MARK, description=message),
        head=b'{"type":"' + MARK.encode() + b'"}',
        body=trace.encode(errors="replace"),
        failure=Failure(type=type_, message=message, trace=trace),
        output=[(1.0, MARK, output.encode(errors="replace"))],
        output_dropped=1,
        status=status,
    )
    answer = Seal(store).close(finished)
    assert isinstance(answer.body, bytes)
    assert MARK.encode() not in answer.body
    assert not any(MARK.encode() in name + value for name, value in answer.headers)
    assert set(json.loads(answer.body)) == {"type", "title", "status", "error_id"}
    [(_, error, lines)] = store.records
    assert error is not None and (error.type, error.message, error.trace) == (type_, message, trace)
    assert any(MARK in line.text for line in lines)


@given(SECRET)
def test_nothing_of_a_malformed_answer_reaches_the_caller(planted: str) -> None:
    store = MemoryStore()
    head = json.dumps({"headers": [[planted, planted + "\n"]], "type": planted}).encode()
    answer = Seal(store).close(
        Finished(outcome=Outcome.OK, request=request(), head=head, body=planted.encode())
    )
    assert isinstance(answer.body, bytes)
    assert MARK.encode() not in answer.body
    assert MARK not in repr(answer.headers)


# -- logs --------------------------------------------------------------------------------------


def lines_of(*output: tuple[float, str, bytes], dropped: int = 0) -> list[tuple[float, str, str]]:
    store = MemoryStore()
    Seal(store).close(
        Finished(
            outcome=Outcome.OK,
            request=request(),
            version=version(4),
            head=b"{}",
            output=output,
            output_dropped=dropped,
        )
    )
    [(record, _, lines)] = store.records
    for line in lines:
        assert (line.invocation, line.project, line.function, line.version) == (
            record.id,
            "t",
            "f",
            4,
        )
    return [(line.at, line.level, line.text) for line in lines]


def test_output_becomes_lines_in_order() -> None:
    assert lines_of((0.0, "stdout", b"a\nb\n"), (7.5, "info", b"c\n"), (0.0, "stdout", b"d")) == [
        (5.0, "stdout", "a"),
        (5.0, "stdout", "b"),
        (7.5, "info", "c"),
        (5.0, "stdout", "d"),
    ]


@pytest.mark.parametrize("at", [-1.0, 4.9, 1e18, 1e308, float("inf"), float("nan")])
def test_a_time_outside_of_the_invocation_is_not_believed(at: float) -> None:
    assert lines_of((at, "info", b"x\n")) == [(5.0, "info", "x")]


def test_a_line_cut_by_a_read_is_one_line() -> None:
    text = "caf\u00e9\n".encode()
    assert lines_of((0.0, "stdout", text[:4]), (0.0, "stdout", text[4:])) == [
        (5.0, "stdout", "caf\u00e9")
    ]


def test_an_entry_of_the_log_does_not_cut_a_line_of_output() -> None:
    """They come by two ways, in either order; half a secret would not be found."""
    pieces = [(0.0, "stdout", b"a\nsec"), (6.0, "info", b"x\n"), (0.0, "stdout", b"ret\n")]
    assert [text for _, _, text in lines_of(*pieces)] == ["a", "secret", "x"]
    assert [text for _, _, text in merge_output([*pieces, (0.0, "stdout", b"b")])] == [
        b"a\nsecret\n",
        b"x\n",
        b"b",
    ]


def test_a_log_line_is_never_joined_with_output() -> None:
    assert [text for _, _, text in lines_of((0.0, "stdout", b"a"), (1.0, "error", b"b\n"))] == [
        "a",
        "b",
    ]
    assert merge_output([(1.0, "info", b"a"), (2.0, "info", b"b")]) == [
        (1.0, "info", b"a"),
        (2.0, "info", b"b"),
    ]


def test_bytes_that_are_no_text_are_shown_as_replaced() -> None:
    assert lines_of((0.0, "stdout", b"\xff\xfe")) == [(5.0, "stdout", "\ufffd\ufffd")]


def test_what_was_dropped_is_said() -> None:
    *_, last = lines_of((0.0, "stdout", b"a\n"), dropped=123)
    assert last[1] == "warning" and "123" in last[2]
    assert last[0] > 5.0, "when it was found, not when the call began"
    assert len(lines_of(dropped=1)) == 1


def test_the_number_of_lines_is_bounded_and_the_cut_is_said() -> None:
    lines = lines_of((0.0, "stdout", b"\n" * 300_000))
    assert len(lines) == 10_001
    assert lines[-1][1] == "warning"


@given(st.text(alphabet="ab\u00e9\n", max_size=30), st.lists(st.integers(0, 40), max_size=6))
def test_however_output_is_cut_the_lines_are_the_same(text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    whole = lines_of((0.0, "stdout", data)) if data else []
    assert lines_of(*((0.0, "stdout", piece) for piece in pieces)) == whole


@pytest.mark.parametrize(("told", "kept"), [(41, 41), (1000, 1000), (1 << 53, 1000)])
def test_the_guard_takes_at_most_what_the_call_used(
    store: MemoryStore, told: int, kept: int
) -> None:
    """Whatever the function's process says: it is cut once the control group has counted."""
    used = Metered(1.0, 0.0)
    ended = Finished(
        outcome=Outcome.OK, head=b"{}", request=request(), version=version(3), used=used
    )
    seal = Seal(store)
    seal.close(msgspec.structs.replace(ended, guard_us=told))
    seal.close(ended)  # was not sampled
    assert not store.samples
    used.know(1000, 0)
    assert [(each.function, each.guard_us) for each in store.samples] == [("f", kept)]


def test_an_event_that_waited_is_recorded_once_with_what_it_used(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[InvocationRecord, int, int]] = []

    def count(record: InvocationRecord, cpu_us: int, peak: int) -> bool:
        counted.append((record, cpu_us, peak))
        return True

    monkeypatch.setattr(store, "record_expected", count)
    used = Metered(1.0, 0.0)
    asked = request(sent_at=4.0)
    Seal(store).close(
        Finished(outcome=Outcome.OK, head=b"{}", request=asked, version=version(3), used=used)
    )
    used.know(1000, 7)
    ((record, *spent),) = counted
    assert [span.name for span in record.spans] == ["delivery"] and spent == [1000, 7]
    assert store.records == [] and len(store.expected) == 1
