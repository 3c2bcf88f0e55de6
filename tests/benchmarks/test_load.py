"""Reading what the load generator prints."""

import pytest

from benchmarks.load import Load, LoadError, Script, parse

PRINTED = """Running 2s test @ http://127.0.0.1:9001/oauth/introspect
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.68ms  501.61us   8.29ms   91.45%
Requests/sec:  38146.49
RESULT {"requests":76374,"seconds":2.002133,"p50_ms":1.5970,"p99_ms":4.4610,"refused":3,"failed":1}
"""


def test_a_result_is_read() -> None:
    assert parse(PRINTED) == Load(76374, 2.002133, 1.5970, 4.4610, refused=3, failed=1)


def test_rates_are_by_the_clock_and_by_cpu_time() -> None:
    load = Load(requests=30_000, seconds=2, p50_ms=1, p99_ms=2, refused=0, failed=0, cpu_seconds=1.5)
    assert (load.rate, load.rate_on_cpu, load.core_share) == (15_000, 20_000, 0.75)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "wrk printed no result: nothing at all"),
        ("unable to connect to 127.0.0.1:1 Connection refused\n", "no result: unable to connect"),
        ("RESULT {", "cannot be read"),
        ('RESULT {"requests":1}', "cannot be read"),
        ('RESULT {"requests":"many"}', "cannot be read"),
        ("RESULT []", "cannot be read"),
    ],
)
def test_an_output_without_a_result_says_why(output: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        parse(output)


def test_a_request_without_a_body_is_no_form() -> None:
    assert Script.same("GET") == Script("same.lua", ("GET", "", ""))
