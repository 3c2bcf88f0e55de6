"""Counters and histograms that the event loop's thread alone writes, for what happens at every request.

They show what prometheus_client's own show, at a tenth of the cost: a lock for every value and a walk over the
buckets made three of them 2.1 µs of a request that takes 40. Here an observation is kept as it is, and put into its
bucket together with others: to sort 256 of them and to look the bounds up among them takes less than to look each of
them up among the bounds.

Rules:
- One thread, the event loop's, writes and reads: a scrape is rendered there.
- What was observed is in the next scrape, whether it is in its bucket by then or not.
- A scrape never sees a histogram contradict itself: its count is the sum of its buckets.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

SETTLED_AT_ONCE = 256
"""Observations of a series that are put into their buckets together; that takes some 30 µs."""


class CounterChild:
    """One series of a counter."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """Count one."""
        self.value += 1


class HistogramChild:
    """One series of a histogram."""

    __slots__ = ("_bounds", "_counts", "_total", "exemplars", "observed")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0
        self.observed = Observed(self)
        self.exemplars: dict[int, Exemplar] = {}
        """By bucket, the last request of it that was traced."""

    @property
    def counts(self) -> list[int]:
        """Observations by bucket, not accumulated; the last bucket has no bound."""
        self.observed.settle()
        return self._counts

    @property
    def total(self) -> float:
        """The sum of the observations."""
        self.observed.settle()
        return self._total

    def observe_together(self, *others: "HistogramChild") -> "Observed":
        """What is observed of this series and of others, kept once."""
        together = Observed(self, *others)
        for child in (self, *others):
            child.observed.beside.append(together)
        return together

    def add(self, ordered: Sequence[float]) -> None:
        """Count amounts that are in order, each in the first bucket whose bound it does not exceed."""
        below = 0
        for bucket, bound in enumerate(self._bounds):
            up_to = bisect_right(ordered, bound, below)
            self._counts[bucket] += up_to - below
            below = up_to
            if below == len(ordered):
                break
        self._counts[-1] += len(ordered) - below
        self._total += sum(ordered)

    def exemplify(self, amount: float, trace_id: str, unix_now: float) -> None:
        """Name the trace of what was observed with this ``amount`` (OpenMetrics section "Exemplars")."""
        self.exemplars[bisect_left(self._bounds, amount)] = Exemplar({"trace_id": trace_id}, amount, unix_now)

    def observe(self, amount: float) -> None:
        """Count ``amount`` in the first bucket whose bound it does not exceed."""
        self.observed.observe(amount)


class Observed:
    """Amounts that are not in their buckets yet, of one series or of several that observe the same."""

    __slots__ = ("_children", "beside", "waiting")

    def __init__(self, *children: HistogramChild) -> None:
        self._children = children
        self.waiting: list[float] = []
        """What is to be settled; whoever appends to it settles it before it has SETTLED_AT_ONCE."""
        self.beside: list[Observed] = []
        """Others that a series of this one is in."""

    def observe(self, amount: float) -> None:
        """Count ``amount`` in every series."""
        waiting = self.waiting
        waiting.append(amount)
        if len(waiting) >= SETTLED_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Put everything into its bucket."""
        waiting = self.waiting
        if waiting:
            waiting.sort()
            for child in self._children:
                child.add(waiting)
            waiting.clear()
        for other in self.beside:
            other.settle()


class LoopCounter:
    """A counter with labels; its name goes without ``_total``."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._documentation, self._label_names = name, documentation, tuple(labels)
        self._children: dict[tuple[str, ...], CounterChild] = {}
        registry.register(self)

    def labels(self, *values: str) -> CounterChild:
        """The series of these label values, from now on shown in scrapes. Raises ValueError for a wrong number."""
        return self._children.setdefault(_checked(values, self._label_names), CounterChild())

    def describe(self) -> Iterable[CounterMetricFamily]:
        """The family without its series: what the registry needs to refuse another of the same name."""
        return [CounterMetricFamily(self._name, self._documentation, labels=self._label_names)]

    def collect(self) -> Iterable[CounterMetricFamily]:
        """All series, for a scrape."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._label_names)
        for values, child in list(self._children.items()):
            family.add_metric(values, child.value)
        return [family]


class LoopHistogram:
    """A histogram with labels."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        """``buckets`` are upper bounds, rising; the one without a bound is added."""
        self._name, self._documentation, self._label_names = name, documentation, tuple(labels)
        self._bounds = tuple(float(bound) for bound in buckets)
        self._shown_bounds = (*map(floatToGoString, self._bounds), "+Inf")
        self._children: dict[tuple[str, ...], HistogramChild] = {}
        registry.register(self)

    def labels(self, *values: str) -> HistogramChild:
        """The series of these label values, from now on shown in scrapes. Raises ValueError for a wrong number."""
        return self._children.setdefault(_checked(values, self._label_names), HistogramChild(self._bounds))

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """The family without its series: what the registry needs to refuse another of the same name."""
        return [HistogramMetricFamily(self._name, self._documentation, labels=self._label_names)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """All series, for a scrape."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._label_names)
        for values, child in list(self._children.items()):
            up_to = accumulate(child.counts)
            exemplars = child.exemplars
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = [
                (bound, count, exemplars[number]) if number in exemplars else (bound, count)
                for number, (bound, count) in enumerate(zip(self._shown_bounds, up_to, strict=True))
            ]
            family.add_metric(values, buckets, child.total)
        return [family]


def _checked(values: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) != len(names):
        raise ValueError(f"{len(names)} label values are needed ({', '.join(names)}), and {len(values)} are given")
    return values
