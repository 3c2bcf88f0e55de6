"""Tokens: the business of the service, its operations, and what it refuses."""

from tools.dashboards.model import Dashboard, Panel, Query, Row
from tools.dashboards.queries import (
    GUESSED,
    INTROSPECTED,
    OPERATIONS,
    increase,
    quantiles,
    rate,
    rates,
    ratio,
    selector,
    summed,
    whole_requests,
)

_BUSINESS = Row(
    "Business",
    [
        Panel(
            "Issued per minute",
            "Access tokens issued a minute, refreshed ones included.",
            "cpm",
            [Query(f"60 * sum({rate('tokens_issued_total')})", "tokens")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Issued",
            "Access tokens issued in the time that is shown.",
            "short",
            [Query(f"sum({increase('tokens_issued_total', '$__range')})", "tokens")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Active now",
            "Live opaque access tokens; replicas on one Redis tell the same.",
            "short",
            [Query(f"max({selector('active_tokens')})", "tokens")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Introspected per minute",
            "Introspections a minute, of active tokens and of others.",
            "cpm",
            [Query(f"60 * sum({rate(f'{OPERATIONS}_count', INTROSPECTED)})", "introspections")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Issued per minute by grant",
            "Access tokens issued a minute, by the grant that they came from.",
            "cpm",
            [Query(f"60 * {summed('grant_type', rate('tokens_issued_total'))}", "{{grant_type}}")],
            stacked=True,
        ),
        Panel(
            "Issued per minute by format",
            "Opaque tokens are kept in the store, JWTs only where they are revoked.",
            "cpm",
            [Query(f"60 * {summed('format', rate('tokens_issued_total'))}", "{{format}}")],
            stacked=True,
        ),
        Panel(
            "Active tokens",
            "Live opaque access tokens; replicas on one Redis tell the same, so the largest counts.",
            "short",
            [Query(f"max by (job) ({selector('active_tokens')})", "{{job}}")],
        ),
    ],
)

_OPERATIONS = Row(
    "Operations",
    [
        Panel(
            "Operations by outcome",
            "Token operations a second; refused are 4xx, errors 5xx.",
            "ops",
            [rates(f"{OPERATIONS}_count", "operation, outcome")],
        ),
        Panel(
            "Introspection times",
            "How many introspections took how long; darker is more.",
            "s",
            [
                Query(
                    summed("le", increase(f"{OPERATIONS}_bucket", "$__rate_interval", INTROSPECTED)),
                    "{{le}}",
                )
            ],
            kind="heatmap",
        ),
        Panel(
            "Issuing",
            "How long it takes to issue a token.",
            "s",
            [*quantiles(OPERATIONS, "", 'operation="issue",outcome="ok"'), whole_requests("/oauth/token")],
        ),
        Panel(
            "Refreshing",
            "How long it takes to exchange a refresh token for new ones.",
            "s",
            quantiles(OPERATIONS, "", 'operation="refresh",outcome="ok"'),
        ),
        Panel(
            "Introspecting",
            "How long introspections take that succeed.",
            "s",
            [*quantiles(OPERATIONS, "", INTROSPECTED), whole_requests("/oauth/introspect")],
            "HighResponseTime.seconds",
        ),
        Panel(
            "Revoking",
            "How long it takes to revoke a token, telling the replicas included.",
            "s",
            [*quantiles(OPERATIONS, "", 'operation="revoke",outcome="ok"'), whole_requests("/oauth/revoke")],
        ),
    ],
)

_DECISIONS = "rate_limit_decisions_total"
_REFUSALS = Row(
    "Refusals and abuse",
    [
        Panel(
            "Refusals by reason",
            "Token operations a second that were refused or failed.",
            "ops",
            [rates("token_operation_failures_total", "reason")],
        ),
        Panel(
            "Failed authentications",
            "Clients that nobody knows, wrong secrets and wrong methods, a second.",
            "ops",
            [Query(summed("job", rate("token_operation_failures_total", GUESSED)), "{{job}}")],
            "BruteForce.perSecond",
        ),
        Panel(
            "Refresh token reuse",
            "Refresh tokens that came a second time, in ten minutes: their families are revoked.",
            "short",
            [Query(summed("job", increase("refresh_token_reuse_total", "10m")), "{{job}}")],
            "RefreshTokenReuseSpike.reuses",
        ),
        Panel(
            "Rate limiter",
            "Decisions of the limiter a second, by class of request and result.",
            "ops",
            [rates(_DECISIONS, "class, result")],
        ),
        Panel(
            "Limited",
            "Part of the requests of each class that were answered with 429.",
            "percentunit",
            [Query(ratio("class", rate(_DECISIONS, 'result="limited"'), rate(_DECISIONS)), "{{class}}")],
            "ManyRequestsLimited.ratio",
        ),
        Panel(
            "Time of the limiter",
            "How long a decision of the limiter takes, waiting for Redis left out.",
            "s",
            quantiles("rate_limit_duration_seconds"),
        ),
    ],
)

TOKENS = Dashboard(
    "tokens",
    "auth-service / Tokens",
    "What is issued, introspected, refreshed and revoked, by whom it is limited, and what is refused.",
    [_BUSINESS, _OPERATIONS, _REFUSALS],
)
