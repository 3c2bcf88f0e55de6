"""How long keys live: the settings of rotation and the margins that follow from them.

Rules:
- ``lead``: how long a key is published before it signs. A replica may read the ring ``propagation`` late, a verifier
  may have cached the JWKS just before that for ``max_age``, and writer and signer may differ by twice the skew.
- A retired key stays for ``retain`` and twice the skew more, so that a verifier whose clock is behind still finds
  the key of a token that it holds to be alive.
"""

import msgspec

from app.keys.algorithms import ALGORITHMS, MAX_RSA_BITS, MIN_RSA_BITS

WINDOW_FRACTION = 8
"""A rotation may be prepared this part of a period before it is due: three hours for a daily one, so that a CronJob
that runs hourly gets three tries, and one that runs once a period may be late without skipping a period."""


class RotationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """All durations in seconds."""

    algorithms: tuple[str, ...] = ("ES256", "RS256")
    max_age_seconds: float = 300
    """``Cache-Control: max-age`` of the JWKS (JWKS_MAX_AGE_SECONDS)."""
    propagation_seconds: float = 120
    """From the decision to write until every replica uses what was written (KEYS_PROPAGATION_SECONDS)."""
    skew_seconds: float = 30
    """How far a clock may be from the right time, either way (KEY_CLOCK_SKEW_SECONDS)."""
    period_seconds: float = 86400
    """How long a key signs (JWKS_ROTATION_SECONDS)."""
    retain_seconds: float = 86400
    """How long a key stays after it signed last, at least the longest token life (JWKS_RETAIN_SECONDS)."""
    rsa_bits: int = 2048

    @property
    def lead_seconds(self) -> float:
        return self.max_age_seconds + self.propagation_seconds + 2 * self.skew_seconds

    @property
    def keep_seconds(self) -> float:
        """From a key's last signature to its removal."""
        return self.retain_seconds + 2 * self.skew_seconds

    @property
    def window_seconds(self) -> float:
        return self.period_seconds / WINDOW_FRACTION

    def problems(self, longest_token_seconds: float) -> tuple[str, ...]:
        """Everything that makes this policy impossible, as sentences that name the settings; empty if it is fine."""
        found = []
        unknown = [a for a in self.algorithms if a not in ALGORITHMS]
        if unknown or not self.algorithms:
            found.append(f"KEYS_ALGORITHMS: {', '.join(unknown) or 'empty'}; allowed are {', '.join(ALGORITHMS)}")
        if len(set(self.algorithms)) != len(self.algorithms):
            found.append("KEYS_ALGORITHMS names an algorithm twice")
        for name, value in (
            ("JWKS_MAX_AGE_SECONDS", self.max_age_seconds),
            ("KEYS_PROPAGATION_SECONDS", self.propagation_seconds),
            ("KEY_CLOCK_SKEW_SECONDS", self.skew_seconds),
        ):
            if value < 0:
                found.append(f"{name} is {value:g}; it must not be negative")
        if self.retain_seconds < longest_token_seconds:
            found.append(
                f"JWKS_RETAIN_SECONDS is {self.retain_seconds:g}, and the longest-lived signed token lives"
                f" {longest_token_seconds:g} seconds: its key would leave the JWKS while it is still alive"
            )
        if self.period_seconds < self.lead_seconds + self.window_seconds:
            shortest = self.lead_seconds * WINDOW_FRACTION / (WINDOW_FRACTION - 1)
            found.append(
                f"JWKS_ROTATION_SECONDS is {self.period_seconds:g}; it must be at least {shortest:.0f}, because a key"
                f" is published for {self.lead_seconds:g} seconds before it signs (JWKS_MAX_AGE_SECONDS"
                " + KEYS_PROPAGATION_SECONDS + 2 * KEY_CLOCK_SKEW_SECONDS)"
            )
        if not MIN_RSA_BITS <= self.rsa_bits <= MAX_RSA_BITS:
            found.append(f"KEYS_RSA_BITS is {self.rsa_bits}; allowed are {MIN_RSA_BITS} to {MAX_RSA_BITS}")
        return tuple(found)
