"""Base scores are those that FIRST publishes in its examples, and vectors are read strictly."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.advisories import Severity, VectorError, score_of, severity_of
from casemate.advisories.cvss3 import _BASE as BASE3
from casemate.advisories.cvss4 import _BASE as BASE4
from casemate.advisories.severity import rating_of

# https://www.first.org/cvss/v3.1/examples
EXAMPLES3 = [
    ("CVE-2013-1937", "AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
    ("CVE-2013-0375", "AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
    ("CVE-2014-3566", "AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),
    ("CVE-2012-1516", "AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),
    ("CVE-2009-0783", "AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2),
    ("CVE-2012-0384", "AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8),
    ("CVE-2015-1098", "AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8),
    ("CVE-2014-0160", "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
    ("CVE-2014-6271", "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
    ("CVE-2008-1447", "AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", 6.8),
    ("CVE-2014-2005", "AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8),
    ("CVE-2010-0467", "AV:N/AC:L/PR:N/UI:N/S:C/C:L/I:N/A:N", 5.8),
    ("CVE-2012-1342", "AV:N/AC:L/PR:N/UI:N/S:C/C:N/I:L/A:N", 5.8),
    ("CVE-2013-6014", "AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H", 9.3),
    ("CVE-2014-9253", "AV:N/AC:L/PR:L/UI:R/S:C/C:L/I:L/A:N", 5.4),
    ("CVE-2011-1265", "AV:A/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 8.8),
    ("CVE-2014-2019", "AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 4.6),
    ("CVE-2014-0224", "AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N", 7.4),
    ("CVE-2012-5376", "AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H", 9.6),
]
# https://www.first.org/cvss/v4.0/examples
EXAMPLES4 = [
    ("CVE-2022-41741", "AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.3),
    ("CVE-2020-3549", "AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.7),
    ("CVE-2023-3089", "AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N", 8.3),
    ("CVE-2021-44714", "AV:L/AC:L/AT:N/PR:N/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N", 4.6),
    ("CVE-2022-21830", "AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 5.1),
    ("CVE-2022-22186", "AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 6.9),
    ("CVE-2023-21989", "AV:L/AC:L/AT:N/PR:H/UI:N/VC:N/VI:N/VA:N/SC:H/SI:N/SA:N", 5.9),
    ("CVE-2014-0160", "AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N", 8.7),
    ("CVE-2021-44228", "AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 10.0),
    ("CVE-2013-6014", "AV:A/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:H/SI:N/SA:H", 6.4),
]


@pytest.mark.parametrize(("cve", "vector", "score"), EXAMPLES3)
def test_published_examples_of_3_1(cve: str, vector: str, score: float) -> None:
    assert score_of(f"CVSS:3.1/{vector}") == score


@pytest.mark.parametrize(("cve", "vector", "score"), EXAMPLES4)
def test_published_examples_of_4_0(cve: str, vector: str, score: float) -> None:
    assert score_of(f"CVSS:4.0/{vector}") == score


def test_all_vectors_of_3_1_have_a_score_of_one_decimal() -> None:
    for values in product(*(each.split(",") for each in BASE3.values())):
        vector = "/".join(f"{n}:{v}" for n, v in zip(BASE3, values, strict=True))
        score = score_of(f"CVSS:3.1/{vector}")
        assert 0 <= score <= 10
        assert round(score, 1) == score


_vectors4 = st.fixed_dictionaries({n: st.sampled_from(v.split(",")) for n, v in BASE4.items()})


@given(_vectors4, st.sampled_from(sorted(BASE4)))
def test_a_graver_value_never_lowers_the_score_by_more_than_rounding(
    metrics: dict[str, str], name: str
) -> None:
    values = BASE4[name].split(",")
    at = values.index(metrics[name])
    graver = {**metrics, name: values[max(at - 1, 0)]}
    lower, higher = (
        score_of("CVSS:4.0/" + "/".join(f"{n}:{v}" for n, v in each.items()))
        for each in (metrics, graver)
    )
    assert 0 <= lower <= 10
    assert higher >= lower - 0.1


def test_threat_and_environment_change_no_base_score() -> None:
    base = "AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"
    assert score_of(f"CVSS:4.0/{base}/E:U/MAV:P/CR:L/U:Clear") == score_of(f"CVSS:4.0/{base}")
    three = "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    assert score_of(f"CVSS:3.1/{three}/E:U/MAV:P") == 9.8
    assert score_of(f"CVSS:3.0/{three}") == 9.8


@pytest.mark.parametrize(
    "vector",
    [
        *("", "CVSS:3.1", "CVSS:3.1/", "CVSS:2.0/AV:N", "AV:N/AC:L/Au:N/C:P/I:P/A:P"),
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N,A/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:R/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "CVSS:4.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/" + "AV:N/" * 100_000,
    ],
)
def test_what_is_no_vector_is_refused(vector: str) -> None:
    with pytest.raises(VectorError):
        score_of(vector)


@pytest.mark.parametrize(
    ("score", "word"),
    [
        *((0.0, "none"), (0.1, "low"), (3.9, "low"), (4.0, "medium"), (6.9, "medium")),
        *((7.0, "high"), (8.9, "high"), (9.0, "critical"), (10.0, "critical")),
    ],
)
def test_words_for_scores(score: float, word: str) -> None:
    assert severity_of(score) == word


def test_the_highest_score_counts_and_the_databases_word_where_there_is_none() -> None:
    low, high = (f"CVSS:3.1/{EXAMPLES3[at][1]}" for at in (2, 8))
    assert rating_of([low, "nonsense", high], "LOW").score == 9.8
    assert rating_of(["nonsense"], "MODERATE").severity is Severity.MEDIUM
    assert rating_of([], None).severity is Severity.UNKNOWN
    assert rating_of([], "whatever").severity is Severity.UNKNOWN
