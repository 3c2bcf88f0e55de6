import pytest

from app.protocol.trace_context import TraceParent, parse_traceparent, sampled_traceparent, trace_id

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "traceparent",
    [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-more"],
)
def test_a_valid_field_names_its_trace(traceparent: str) -> None:
    assert trace_id(traceparent.encode()) == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        TRACE,
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
    ],
)
def test_any_other_field_names_none(traceparent: str) -> None:
    assert trace_id(traceparent.encode()) is None


def test_no_field_names_none() -> None:
    assert trace_id(None) is None


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_the_last_bit_of_the_flags_says_whether_the_caller_records(flags: str, sampled: bool) -> None:
    parent = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}".encode())
    assert parent == TraceParent(TRACE, SPAN, sampled)


def test_what_is_passed_on_can_be_read_again() -> None:
    assert parse_traceparent(sampled_traceparent(TRACE, SPAN).encode()) == TraceParent(TRACE, SPAN, True)
