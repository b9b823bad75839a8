import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.manifest.quantity import (
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1KB", 1024),
        ("1KiB", 1024),
        ("64MB", 64 * 1024**2),
        ("64 MiB", 64 * 1024**2),
        ("1.5GB", 1536 * 1024**2),
        ("0.5KB", 512),
        ("999999999GB", 999999999 * 1024**3),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "64",
        "64mb",
        "64Mb",
        "64B",
        "64TB",
        "MB",
        "-1MB",
        "+1MB",
        "1e3KB",
        "1.MB",
        ".5MB",
        "0.1KB",
        "64  MB",
        " 64MB",
        "64MB ",
        "64MB\n",
        "٦٤MB",
        "1,5MB",
        "9" * 5000 + "KB",
        "1_0MB",
        "infMB",
    ],
)
def test_what_is_no_size(text):
    assert parse_size(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("14d", 1209600.0),
        ("1.5s", 1.5),
        ("10 s", 10.0),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "10S", "1w", "s", "-1s", "1e3s", "10s\n", "nans", "1m30s"]
)
def test_what_is_no_duration(text):
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0KB"), (1536, "1.5KB"), (262144, "256KB"), (64 * 1024**2, "64MB"), (1024**4, "1024GB")],
)
def test_formatted_sizes(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "10ms"),
        (10.0, "10s"),
        (300.0, "5m"),
        (86400.0, "24h"),
        (90.0, "90s"),
        (604800.0, "7d"),
    ],
)
def test_formatted_durations(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(0, 64 * 1024**3))
def test_a_formatted_size_reads_back(size):
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10**9))
def test_a_formatted_duration_reads_back(milliseconds):
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_none(text):
    assert parse_size(text) is None or parse_size(text) >= 0
    assert parse_duration(text) is None or parse_duration(text) >= 0
