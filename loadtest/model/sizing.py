"""From a demand to pods, Redis masters, network, connections and memory, and what gives way first.

Rules:
- A pod is planned at :attr:`Policy.pod_load` of what it can do with :attr:`Policy.spare` pods away, a Redis master at
  :attr:`Policy.redis_busy` of its core. What a pod can do is counted by the costs at full load: a loop with little to
  do spends more on waking up, which it need not when there is more to do. What it is seen to use is simulated.
- Plain messages reach every node of a Redis Cluster, and every pod is subscribed at every master (ADR 22): a revocation
  is delivered pods x masters times, and each master does pods deliveries of *every* revocation. More masters take
  lookups away from each other, never deliveries.
"""

import functools
import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec

from loadtest.model import popularity
from loadtest.model.calibration import Model
from loadtest.model.pod import Arrivals, Costs, Outcome, Redis, Stalls, simulate

FRAME_BYTES = 66
"""Ethernet, IPv4 and TCP with timestamps around each segment (RFC 894, 791, 9293, 7323)."""
SEGMENTS = 3
"""A request, its response, and an acknowledgement that found nothing to ride on."""
BEATS_PER_SECOND = 2.5
"""Of each pod at each master (ADR 20)."""
LINKS_PER_MASTER = 3
"""Two connections for questions, one that is subscribed."""
MESSAGE_BYTES = 110
"""A revocation's name and the protocol around it."""
CACHE_ENTRY_BYTES = 450
"""An entry with its name and record (``ENTRY_BYTES`` of app/storage/redis/cache.py and 200 of both)."""
MOST_MASTERS = 1000
"""As many as Redis recommends at most (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/)."""
CACHE_ENTRIES = 10_000
"""``CACHE_MAX_ENTRIES`` as shipped."""
MOST_CONNECTIONS = 20_000
"""``MAX_CONNECTIONS`` of a pod as shipped."""
MOST_REDIS_CLIENTS = 10_000
"""``maxclients`` of Redis as shipped."""
_AROUND = SEGMENTS * FRAME_BYTES
_SECONDS = 0.4
"""Of a simulated run."""


class Demand(msgspec.Struct, frozen=True):
    """What is asked of the whole installation."""

    name: str
    introspections: float
    """A second."""
    live_tokens: int
    token_seconds: float = 3600.0
    exponent: float = 1.0
    """Of Zipf's law; 0: every token as likely as any other."""
    revoked: float = 0.1
    """Which share of the tokens is revoked before its end."""
    connections: int = 20_000
    """Of all clients together."""

    @property
    def issuances(self) -> float:
        """A second, where the number of live tokens stays as it is."""
        return self.live_tokens / self.token_seconds

    @property
    def revocations(self) -> float:
        return self.issuances * self.revoked


class Policy(msgspec.Struct, frozen=True):
    """How much room is left."""

    pod_load: float = 0.60
    spare: int = 2
    redis_busy: float = 0.50
    redis_replicas: int = 1
    nic_bits: float = 10e9


class Limit(msgspec.Struct, frozen=True):
    """Something that ends, and how far it is used as planned."""

    what: str
    used: float
    """1: nothing more can be had."""


class Infeasible(Exception):
    """No number of masters is enough; the message says what does not get less with more of them."""


class Fleet(msgspec.Struct, frozen=True):
    """So many pods and masters under a demand, with one pod simulated."""

    demand: Demand
    model: Model
    policy: Policy
    serving: int
    """Pods, without the spare ones."""
    masters: int
    hit_ratio: float

    @property
    def pods(self) -> int:
        return self.serving + self.policy.spare

    @property
    def pod_rate(self) -> float:
        """Introspections a second at each pod while the spare ones are away."""
        return self.demand.introspections / self.serving

    @property
    def aside(self) -> float:
        """The part of a pod's core that goes to other things than introspections."""
        demand, measured = self.demand, self.model.measured
        issued = demand.issuances / self.serving * measured.issue_opaque_cpu
        revoked = demand.revocations / self.serving * measured.revoke_cpu
        heard = (demand.revocations + BEATS_PER_SECOND) * self.masters * measured.heard_cpu
        return issued + revoked + heard

    @property
    def pod_load(self) -> float:
        """The part of what a pod can do that is asked of it."""
        measured = self.model.measured
        each = self.hit_ratio * measured.hit_cpu + (1 - self.hit_ratio) * measured.miss_cpu
        return self.pod_rate * each + self.aside

    @property
    def pod(self) -> Outcome:
        """One pod, simulated with its introspections alone: the same for any number of masters."""
        redis = Redis(self.model.redis.trip, self.model.redis.lookup, self.policy.redis_busy)
        return _simulated(self.model.costs, Arrivals(self.pod_rate), self.hit_ratio, redis, self.model.stalls)

    @property
    def lookups(self) -> float:
        """A second, at all masters together."""
        return self.demand.introspections * (1 - self.hit_ratio)

    @property
    def batch(self) -> float:
        """Lookups that a pod sends to one master at once."""
        return max(1.0, self.pod.mean_batch / self.masters)

    @property
    def deliveries(self) -> float:
        """Of revocations, a second: each goes from every master to every pod."""
        return self.demand.revocations * self.pods * self.masters

    @property
    def fan_out(self) -> float:
        """The part of a master's core that delivering takes: the same for every master, however many there are."""
        return self.demand.revocations * self.pods * self.model.measured.redis_delivery_cpu

    @property
    def beats(self) -> float:
        """The part of a master's core for leases: a beat is a script, and a message to each other master.

        What a message over the cluster's bus costs was not measured: as much as a lookup in a full batch is assumed.
        """
        measured = self.model.measured
        each = measured.redis_revoke_cpu + (self.masters - 1) * measured.redis_lookup_cpu
        return self.pods * BEATS_PER_SECOND * each

    @property
    def master_busy(self) -> float:
        demand, measured = self.demand, self.model.measured
        shared = (
            self.lookups * self.model.redis_lookup(self.batch)
            + demand.issuances * measured.redis_issue_cpu
            + demand.revocations * measured.redis_revoke_cpu
        )
        return shared / self.masters + self.beats + self.fan_out

    @property
    def client_bits(self) -> float:
        """A second, both ways, between all clients and all pods."""
        demand, measured = self.demand, self.model.measured
        asked = measured.request_bytes + measured.response_bytes + _AROUND
        issued = measured.issue_request_bytes + measured.issue_response_bytes + _AROUND
        return 8 * (demand.introspections * asked + demand.issuances * issued)

    @property
    def redis_bits(self) -> float:
        """A second, both ways, between all pods and all masters."""
        demand, measured = self.demand, self.model.measured
        looked_up = self.lookups * (measured.redis_lookup_bytes + _AROUND / self.batch)
        issued = demand.issuances * (measured.redis_issue_bytes + _AROUND)
        return 8 * (looked_up + issued + self.deliveries * (MESSAGE_BYTES + FRAME_BYTES))

    @property
    def redis_connections(self) -> int:
        """At each master."""
        return self.pods * LINKS_PER_MASTER

    @property
    def redis_bytes(self) -> float:
        """Live tokens in all masters and replicas."""
        each = self.model.measured.redis_token_bytes
        return self.demand.live_tokens * each * (1 + self.policy.redis_replicas)

    @property
    def pod_bytes(self) -> float:
        measured = self.model.measured
        cached = min(CACHE_ENTRIES, self.demand.live_tokens) * CACHE_ENTRY_BYTES
        return measured.idle_bytes + cached + self.demand.connections / self.serving * measured.connection_bytes

    @property
    def limits(self) -> Sequence[Limit]:
        """The tightest first."""
        nic = self.policy.nic_bits
        found = (
            Limit("what a pod can do", self.pod_load),
            Limit("a master's core", self.master_busy),
            Limit("of it, delivering revocations", self.fan_out),
            Limit("of it, leases", self.beats),
            Limit("a pod's network", self.client_bits / self.serving / nic),
            Limit("a master's network", self.redis_bits / self.masters / nic),
            Limit("a master's connections", self.redis_connections / MOST_REDIS_CLIENTS),
            Limit("a pod's connections", self.demand.connections / self.serving / MOST_CONNECTIONS),
        )
        return sorted(found, key=lambda one: -one.used)

    @property
    def most_revocations(self) -> float:
        """A second, at which delivering alone takes what a master is planned at."""
        return self.policy.redis_busy / (self.pods * self.model.measured.redis_delivery_cpu)


def plan(demand: Demand, model: Model, policy: Policy = Policy()) -> Fleet:  # noqa: B008 - frozen
    """The least pods and masters for a demand. Raises Infeasible."""
    masters = 1
    while True:
        fleet = _least_pods(demand, model, policy, masters)
        needed = _least_masters(fleet)
        if needed <= masters:
            return fleet
        masters = needed


def most(demand: Demand, model: Model, policy: Policy = Policy()) -> float:  # noqa: B008 - frozen
    """How many introspections a second one cluster carries, live tokens and connections grown with them."""
    held, broke = 0.0, 0.0
    factor = 1.0
    while broke == 0.0 or held == 0.0 or broke / held > 1.02:
        grown = msgspec.structs.replace(
            demand,
            introspections=demand.introspections * factor,
            live_tokens=round(demand.live_tokens * factor),
            connections=round(demand.connections * factor),
        )
        try:
            plan(grown, model, policy)
            held = factor
        except Infeasible:
            broke = factor
        factor = held * 2 if broke == 0.0 else (held or broke / 4) / 2 + broke / 2
    return demand.introspections * held


def _least_pods(demand: Demand, model: Model, policy: Policy, masters: int) -> Fleet:
    low, high = 1, 2
    while _fleet(demand, model, policy, high, masters).pod_load > policy.pod_load:
        low, high = high + 1, high * 2
    while low < high:
        middle = (low + high) // 2
        if _fleet(demand, model, policy, middle, masters).pod_load <= policy.pod_load:
            high = middle
        else:
            low = middle + 1
    return _fleet(demand, model, policy, low, masters)


def _fleet(demand: Demand, model: Model, policy: Policy, serving: int, masters: int) -> Fleet:
    hits = popularity.hit_ratio(demand.introspections / serving, demand.live_tokens, demand.exponent)
    return Fleet(demand, model, policy, serving, masters, hits)


@functools.cache
def _simulated(costs: Costs, arrivals: Arrivals, hit_ratio: float, redis: Redis, stalls: Stalls) -> Outcome:
    return simulate(costs, arrivals, hit_ratio=hit_ratio, redis=redis, stalls=stalls, seconds=_SECONDS)


def _least_masters(fleet: Fleet) -> int:
    for masters in range(fleet.masters, MOST_MASTERS + 1):
        if msgspec.structs.replace(fleet, masters=masters).master_busy <= fleet.policy.redis_busy:
            return masters
    raise Infeasible(
        f"{fleet.demand.name}: {fleet.demand.revocations:,.0f} revocations a second to {fleet.pods} pods take "
        f"{fleet.fan_out:.0%} of every master's core, however many masters there are"
    )


def busiest_share(pods: int, connections: float) -> float:
    """How much more than the mean the busiest pod gets, where a balancer spreads connections by chance.

    The median of the greatest of ``pods`` Poisson deviates, for so many equally busy connections a pod.
    """
    below = term = math.exp(-connections) if connections < 700 else 0.0
    if below == 0.0:  # normal enough
        greatest = NormalDist(connections, math.sqrt(connections)).inv_cdf(0.5 ** (1 / pods))
        return greatest / connections
    count = 0
    while below**pods < 0.5:
        count += 1
        term *= connections / count
        below += term
    return count / connections
