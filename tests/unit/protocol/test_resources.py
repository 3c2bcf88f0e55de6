"""Resource indicators: which audience a token gets."""

from collections.abc import Sequence

import pytest

from app.protocol.errors import ErrorCode, ProtocolError
from app.protocol.resources import grant_audience, narrow_audience

A, B, ISSUER = "https://a.example", "https://b.example", "https://issuer.example"


@pytest.mark.parametrize(
    ("requested", "allowed", "audience"),
    [
        ((), (), (ISSUER,)),
        ((), (A, B), (A,)),
        ((B,), (A, B), (B,)),
        ((B, A), (A, B), (B, A)),
        ((A, A), (A, B), (A,)),
    ],
)
def test_the_audience_is_what_was_asked_for_or_the_default(
    requested: Sequence[str], allowed: Sequence[str], audience: tuple[str, ...]
) -> None:
    assert grant_audience(requested, allowed, ISSUER) == audience


@pytest.mark.parametrize(
    ("requested", "allowed"),
    [
        ((B,), (A,)),
        ((A, B), (A,)),
        ((A,), ()),
        ((ISSUER,), (A,)),
        ((A + "/",), (A,)),  # names, not addresses: compared by the letter
        ((A.upper(),), (A,)),
        (("",), (A,)),
        (("not a uri",), (A,)),
    ],
)
def test_any_other_resource_is_an_invalid_target(requested: Sequence[str], allowed: Sequence[str]) -> None:
    with pytest.raises(ProtocolError) as raised:
        grant_audience(requested, allowed, ISSUER)
    assert (raised.value.error, raised.value.status) == (ErrorCode.INVALID_TARGET, 400)


@pytest.mark.parametrize(
    ("requested", "granted", "audience"), [((), (A, B), (A, B)), ((B,), (A, B), (B,)), ((B, A), (A, B), (B, A))]
)
def test_a_refresh_may_narrow_the_audience(
    requested: Sequence[str], granted: Sequence[str], audience: tuple[str, ...]
) -> None:
    assert narrow_audience(requested, granted) == audience


def test_a_refresh_may_not_widen_the_audience() -> None:
    with pytest.raises(ProtocolError) as raised:
        narrow_audience((A, B), (A,))
    assert raised.value.error is ErrorCode.INVALID_TARGET
