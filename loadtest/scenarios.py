"""The load tests that there are, by name."""

from collections.abc import Mapping

import msgspec


class Scenario(msgspec.Struct, frozen=True):
    """One way to run one of k6's scripts."""

    name: str
    script: str
    """Without ``.js``."""
    says: str
    """What it is about, in one line."""
    environ: Mapping[str, str] = {}
    calibrates: bool = False
    """Whether k6 itself is measured first, because the run is about a rate."""
    anywhere: bool = False
    """Whether k6 may use the service's core too: the rate takes a small part of that core, and k6 more than one."""
    redis: bool = False
    """Whether it says nothing of a service without Redis: one that is started for it gets one."""


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("smoke", "smoke", "does it work at all: a few requests a second for ten seconds"),
    Scenario("seed", "seed", "the guide's whole load test, 42 minutes"),
    Scenario("basic", "seed", "100 introspections a second for five minutes", {"STAGE": "basic"}),
    Scenario("stress", "seed", "50 issuances a second beside the introspections", {"STAGE": "stress"}),
    Scenario("spike", "seed", "from 10 to 500 introspections a second and back", {"STAGE": "spike"}),
    Scenario("endurance", "seed", "20 users for half an hour", {"STAGE": "endurance"}),
    Scenario("capacity", "capacity", "introspections at a rising rate, until it breaks", calibrates=True),
    Scenario(
        "capacity-issue", "capacity", "the same with issuances", {"OPERATION": "issue", "FIRST_RATE": "300"}, True
    ),
    Scenario("users", "users", "a thousand users at once"),
    Scenario(
        "introspections", "introspections", "5,000 introspections a second for two minutes", {}, True, anywhere=True
    ),
    Scenario("issuances", "issuances", "2,000 issuances a second for two minutes", {}, True, anywhere=True),
    Scenario("soak", "soak", "everything, steadily, for half an hour"),
    Scenario("rollout", "under-change", "load during a rollout that you start", {"CHANGE": "rollout"}),
    Scenario("rotation", "under-change", "load during a key rotation that you start", {"CHANGE": "rotation"}),
    Scenario("failover", "under-change", "load during a failover of Redis that you start", {"CHANGE": "failover"}),
    Scenario("hot-client", "hot-client", "one client far beyond its limit, another that must not notice"),
    Scenario("uniform", "uniform", "20,000 tokens asked about in turn: no cache helps", redis=True),
    Scenario("live-tokens", "live-tokens", "a hundred thousand live tokens"),
)


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises KeyError with the names that there are."""
    for one in SCENARIOS:
        if one.name == name:
            return one
    raise KeyError(f"there is no scenario {name!r}; there are: {', '.join(one.name for one in SCENARIOS)}")
