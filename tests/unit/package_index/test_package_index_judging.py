from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from casemate.package_index import (
    Allow,
    MaliciousPackageError,
    NothingKnown,
    Policy,
    Release,
    Rules,
    TooNewError,
    UndatedError,
    YankedError,
)
from casemate.package_index.judging import refusal
from casemate.package_index.policy import RecordedException

NOW = datetime(2026, 11, 27, tzinfo=UTC).timestamp()
DAY = 86400.0


class Advisories:
    """Say that `bad` is an attack, and that 2.0 of anything mends a hole."""

    def malicious(self, package: str, version: str) -> str | None:
        return "MAL-2026-1" if package == "bad" else None

    def mends(self, package: str, version: str) -> str | None:
        return "PYSEC-2026-1" if version == "2.0" else None


def release(age: float | None = 100, *, version: str = "1.0", yanked: str | None = None) -> Release:
    return Release(
        filename=f"six-{version}-py3-none-any.whl",
        version=version,
        url="https://x.example/six",
        sha256="a" * 64,
        wheel=True,
        uploaded=None if age is None else NOW - age * DAY,
        yanked=yanked,
    )


def rules(*allowed: Allow, expires: date = date(2026, 12, 31), **more: object) -> Rules:
    exception = RecordedException(package="six", allow=allowed, reason="so", expires=expires)
    policy = Policy(exception=(exception,) if allowed else (), **more)  # type: ignore[arg-type]
    return Rules(policy=policy, known=NothingKnown(), now=NOW)


def test_a_release_waits_for_fourteen_days() -> None:
    assert refusal("six", release(14), rules()) is None
    error = refusal("six", release(13.9), rules())
    assert isinstance(error, TooNewError)
    assert "uploaded on 2026-11-13" in error.message
    assert "Wait 1 day(s)" in (error.next_step or "")
    assert 'allow = ["fresh"]' in (error.next_step or "")


def test_a_project_may_wait_longer_or_not_at_all() -> None:
    assert isinstance(refusal("six", release(20), rules(cool_down=30)), TooNewError)
    assert refusal("six", release(0), rules(cool_down=0)) is None
    assert refusal("six", release(None), rules(cool_down=0)) is None


def test_a_time_in_the_future_is_too_new() -> None:
    error = refusal("six", release(-3), rules())
    assert isinstance(error, TooNewError)
    assert "in the future" in error.message


def test_without_a_time_it_is_refused() -> None:
    assert isinstance(refusal("six", release(None), rules()), UndatedError)
    assert refusal("six", release(None), rules(Allow.UNDATED)) is None
    # An exception for what is undated is none for what is new, and the other way round.
    assert isinstance(refusal("six", release(1), rules(Allow.UNDATED)), TooNewError)
    assert isinstance(refusal("six", release(None), rules(Allow.FRESH)), UndatedError)


def test_yanked_is_refused_whatever_its_age() -> None:
    error = refusal("six", release(1000, yanked="CVE"), rules())
    assert isinstance(error, YankedError)
    assert "CVE" in error.message
    assert isinstance(refusal("six", release(yanked=""), rules()), YankedError)
    assert isinstance(refusal("six", release(yanked=""), rules(), held=True), YankedError)
    assert refusal("six", release(yanked=""), rules(Allow.YANKED)) is None


def test_an_exception_that_ended_is_none_and_is_told() -> None:
    error = refusal("six", release(1), rules(Allow.FRESH, expires=date(2026, 11, 26)))
    assert isinstance(error, TooNewError)
    assert "ended on 2026-11-26" in (error.next_step or "")


def test_what_the_lock_had_is_not_judged_by_age_again() -> None:
    assert refusal("six", release(1), rules(), held=True) is None
    assert refusal("six", release(None), rules(), held=True) is None


def test_the_release_that_mends_a_hole_need_not_wait() -> None:
    known = Rules(policy=Policy(), known=Advisories(), now=NOW)
    assert refusal("six", release(0, version="2.0"), known) is None
    assert isinstance(refusal("six", release(0, version="2.1"), known), TooNewError)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("aged", [False, True])
def test_what_is_known_to_be_an_attack_has_no_exception(held: bool, aged: bool) -> None:
    everything = RecordedException(
        package="*".rjust(4, "b"),
        allow=tuple(Allow),
        reason="so",
        expires=date(2026, 12, 31),
        publisher="x",
    )
    policy = Policy(exception=(everything,), cool_down=0)
    known = Rules(policy=policy, known=Advisories(), now=NOW, aged=aged)
    error = refusal("bad", release(), known, held=held)
    assert isinstance(error, MaliciousPackageError)
    assert "MAL-2026-1" in error.message
