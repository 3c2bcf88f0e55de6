"""Keys: the ring and its rotation, what verifiers meet, and what is read again while the service runs."""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import increase, rate, selector, summed

_NEXT = "signing_key_next_rotation_timestamp_seconds"
_AGE = selector("signing_key_age_seconds", 'state="signing"')

_RING = Row(
    "Ring and rotation",
    [
        Panel(
            "Next rotation",
            "Time until another key begins to sign; the end of a published key's waiting.",
            "s",
            [Query(f"min by (algorithm) ({selector(_NEXT)}) - time()", "{{algorithm}}")],
            kind="stat",
            width=12,
            signed=True,
        ),
        Panel(
            "Age of the signing key",
            "Time since the key was made that signs; it waits one rotation as a successor.",
            "s",
            [Query(f"max by (algorithm) ({_AGE})", "{{algorithm}}")],
            "SigningKeyOld.seconds",
            "stat",
            width=12,
        ),
        Panel(
            "Keys by state",
            "Keys of the ring: published ones wait, one signs, retired ones verify until their last token is dead.",
            "short",
            [Query(f"max by (algorithm, state) ({selector('signing_keys')})", "{{algorithm}} {{state}}")],
        ),
        Panel(
            "Age",
            "Age of the newest key in each state; a fall of the signing one is a rotation.",
            "s",
            [
                Query(
                    f"max by (algorithm, state) ({selector('signing_key_age_seconds')})",
                    "{{algorithm}} {{state}}",
                )
            ],
        ),
        Panel(
            "Overdue",
            "Time since the planned moment of a rotation that has not happened.",
            "s",
            [Query(f"clamp_min(time() - max by (algorithm) ({selector(_NEXT)}), 0)", "{{algorithm}}")],
            "KeyRotationOverdue.seconds",
        ),
        Panel(
            "Rotations",
            "Attempts of the instances to rotate in an hour by result; where a CronJob rotates there are none.",
            "short",
            [Query(summed("result", increase("signing_key_rotations_total", "1h")), "{{result}}")],
        ),
        Panel(
            "Failed rotations",
            "Attempts that failed, in an hour.",
            "short",
            [Query(summed("job", increase("signing_key_rotations_total", "1h", 'result="failed"')), "{{job}}")],
            "KeyRotationFailing.failures",
        ),
        Panel(
            "Instances that know the ring",
            "Instances by the number of their keys: two lines for long are two rings.",
            "short",
            [
                Query(
                    f'count_values("keys", {summed("instance", selector("signing_keys"))})',
                    "{{keys}} keys",
                )
            ],
        ),
    ],
)

_VERIFYING = Row(
    "Verifying, and what is read again",
    [
        Panel(
            "Unknown keys",
            "JWTs a second that name a key which the ring does not have.",
            "ops",
            [Query(summed("job", rate("unknown_kid_total")), "{{job}}")],
            "UnknownKid.perSecond",
            width=6,
        ),
        Panel(
            "Keys of clients",
            "Sets of keys fetched from where clients publish them (jwks_uri), in an hour by result.",
            "short",
            [Query(summed("result", increase("outgoing_fetches_total", "1h")), "{{result}}")],
            width=6,
        ),
        Panel(
            "Refused reloads",
            "Configuration that was changed and refused, in a quarter of an hour; the old one is kept.",
            "short",
            [Query(summed("source", increase("config_reload_failures_total", "15m")), "{{source}}")],
            width=6,
        ),
        Panel(
            "Certificates",
            "Time until a configured TLS certificate ends; empty where none is configured.",
            "s",
            [
                Query(
                    f"min by (certificate) ({selector('tls_certificate_expiry_timestamp_seconds')}) - time()",
                    "{{certificate}}",
                )
            ],
            "CertificateExpiring.seconds",
            below=True,
            signed=True,
            width=6,
        ),
    ],
)

KEYS = Dashboard(
    "keys",
    "auth-service / Keys and rotation",
    "The ring of signing keys and its rotation, keys that nobody knows, keys of clients, and certificates.",
    [_RING, _VERIFYING],
)
