"""The figures of :mod:`benchmarks.key_work` as lines."""

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks import key_work


def lines(rounds: int, seconds: int) -> Iterator[str]:
    """Measure, and say each figure as soon as it is there."""
    cost = key_work.es256_issuance(50 * rounds)
    sum_of_parts = cost["opaque"] + cost["bare signature"]
    yield (
        f"ES256 issuance: {cost['JWT']:.1f} us of CPU; opaque issuance {cost['opaque']:.1f} + bare signature "
        f"{cost['bare signature']:.1f} = {sum_of_parts:.1f}: {cost['ratio']:.2f} times the sum"
    )
    rates = key_work.rsa_signing(rounds)
    for threads, figures in rates.items():
        gain = median(b / a for a, b in zip(rates[1], figures, strict=True))
        yield f"RS256 signing, {threads} threads: {_spread(figures, 0)} a second, {gain:.2f} times one thread"
    beside = key_work.generation(rounds, seconds)
    yield (
        f"introspection, {key_work.CONNECTIONS} connections, server and load on the same cores; "
        f"RSA {key_work.RSA_BITS} keys are made on {_spread(beside.generating)} of them"
    )
    for name, compared in (("p50", beside.p50_ms), ("p99", beside.p99_ms)):
        yield (
            f"  {name}: quiet {_spread(compared.without)} ms, generating {_spread(compared.with_it)} ms, "
            f"difference {_spread(compared.differences)} ms"
        )


def _spread(figures: Sequence[float], digits: int = 2) -> str:
    """Median, least and greatest."""
    return f"{median(figures):,.{digits}f} ({min(figures):,.{digits}f} to {max(figures):,.{digits}f})"
