"""Every scenario once: which form each has, and what the sweep comes to."""

import pytest

from loadtest.scenarios import SCENARIOS
from loadtest.sweep import SHORT, worst
from loadtest.verdict import Exit


def test_what_is_shortened_exists_and_keeps_its_rate() -> None:
    assert set(SHORT) <= {one.name for one in SCENARIOS}
    assert not [name for name, told in SHORT.items() if "RATE_FACTOR" in told]


@pytest.mark.parametrize(
    ("exits", "comes_to"),
    [
        ([], Exit.PASSED),
        ([Exit.PASSED, Exit.PASSED], Exit.PASSED),
        ([Exit.PASSED, Exit.NOT_CALIBRATED], Exit.NOT_CALIBRATED),
        ([Exit.NOT_REACHED, Exit.PASSED], Exit.NOT_REACHED),
        ([Exit.GENERATOR_LIMITED, Exit.NOT_CALIBRATED], Exit.GENERATOR_LIMITED),
        ([Exit.GENERATOR_LIMITED, Exit.FAILED, Exit.PASSED], Exit.FAILED),
        ([Exit.FAILED, Exit.NOT_RUN], Exit.NOT_RUN),
    ],
)
def test_a_sweep_comes_to_the_gravest(exits: list[Exit], comes_to: Exit) -> None:
    assert worst(exits) is comes_to
