"""How clients are listed: nothing of their secrets but how many there are."""

from collections.abc import Sequence
from typing import Any

from app.model.clients import Client

_COLUMNS = ("ID", "AUTH METHOD", "SECRETS", "GRANTS", "SCOPES", "INTROSPECT", "ACCESS TOKEN", "LIMIT/MIN")


def as_rows(clients: Sequence[Client], now: float) -> list[dict[str, Any]]:
    """The clients as JSON values; ``now`` is Unix seconds."""
    return [
        {
            "id": client.id,
            "auth_method": client.auth_method.value,
            "live_secrets": len(client.live_secrets(now)),
            "keys": len(client.jwks),
            "grants": sorted(client.grants),
            "scopes": client.scopes,
            "default_scopes": client.scopes if client.default_scopes is None else client.default_scopes,
            "audiences": client.audiences,
            "introspect": client.introspect.value,
            "access_token": {"format": client.access_token_format.value, "seconds": client.access_token_seconds},
            "refresh_token": {"enabled": client.refresh_token_enabled, "seconds": client.refresh_token_seconds},
            "rate_limit_per_minute": client.rate_limit_per_minute,
        }
        for client in sorted(clients, key=lambda client: client.id)
    ]


def as_table(clients: Sequence[Client], now: float) -> str:
    """The clients as text in columns; ``now`` is Unix seconds."""
    rows = [_COLUMNS, *(_row(client, now) for client in sorted(clients, key=lambda client: client.id))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(client: Client, now: float) -> tuple[str, ...]:
    live = len(client.live_secrets(now))
    expired = len(client.secrets) - live
    proofs = f"{len(client.jwks)} keys" if client.jwks else f"{live}" + (f" (+{expired} expired)" if expired else "")
    limit = {None: "default", 0: "unlimited"}.get(client.rate_limit_per_minute, str(client.rate_limit_per_minute))
    return (
        client.id,
        client.auth_method.value,
        proofs,
        ",".join(sorted(client.grants)),
        " ".join(client.scopes) or "-",
        client.introspect.value,
        f"{client.access_token_format.value} {client.access_token_seconds} s",
        limit,
    )
