"""An impossible policy is refused with the settings that make it so."""

import msgspec
import pytest

from app.keys.policy import RotationPolicy


def test_the_default_policy_is_possible() -> None:
    policy = RotationPolicy()
    assert policy.problems(longest_token_seconds=3600) == ()
    assert policy.lead_seconds == 300 + 120 + 2 * 30
    assert policy.keep_seconds == 86400 + 60
    assert policy.window_seconds == 3 * 3600


@pytest.mark.parametrize(
    ("change", "longest", "says"),
    [
        ({"retain_seconds": 3599}, 3600, ["JWKS_RETAIN_SECONDS is 3599", "lives 3600 seconds"]),
        ({"period_seconds": 500}, 1, ["JWKS_ROTATION_SECONDS is 500", "at least 549", "480 seconds"]),
        ({"algorithms": ()}, 1, ["KEYS_ALGORITHMS"]),
        ({"algorithms": ("HS256", "ES256")}, 1, ["HS256", "allowed are RS256"]),
        ({"algorithms": ("ES256", "ES256")}, 1, ["twice"]),
        ({"max_age_seconds": -1}, 1, ["JWKS_MAX_AGE_SECONDS"]),
        ({"propagation_seconds": -1}, 1, ["KEYS_PROPAGATION_SECONDS"]),
        ({"skew_seconds": -1}, 1, ["KEY_CLOCK_SKEW_SECONDS"]),
        ({"rsa_bits": 1024}, 1, ["KEYS_RSA_BITS is 1024"]),
    ],
)
def test_an_impossible_policy_is_refused_with_the_reason(
    change: dict[str, object], longest: float, says: list[str]
) -> None:
    (problem,) = msgspec.structs.replace(RotationPolicy(), **change).problems(longest)
    assert all(words in problem for words in says)


def test_all_problems_come_at_once() -> None:
    assert len(RotationPolicy(algorithms=("none",), retain_seconds=1, period_seconds=1).problems(60)) == 3


def test_the_named_shortest_period_is_possible() -> None:
    assert RotationPolicy(period_seconds=549).problems(1) == ()
