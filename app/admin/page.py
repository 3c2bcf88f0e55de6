"""``/admin/``: what an operator wants to see first, as a page that needs no script and nothing from elsewhere.

Rules:
- Every value is escaped by the template; what cannot be found in it is an error, not an empty place.
- The one style is allowed by its hash, and nothing else is: no script, no image, no form (CSP level 3).
- It tells no more than ``/admin/stats``, the clients file without its secrets, and the audit.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from app.admin.latency import Latency
from app.admin.stats import Stats
from app.admin.timeline import WIDTH, as_planned, timeline
from app.keys.status import KeyStatus
from app.model.clients import Client
from app.observability.audit import AuditEvent

SHOWN_CLIENTS = 100
_FOLDER = Path(__file__).parent


class View(msgspec.Struct, frozen=True):
    """What the page shows."""

    issuer: str
    now: float
    """Unix seconds."""
    stats: Stats
    latencies: Sequence[tuple[str, Latency]]
    """By operation."""
    keys: Sequence[KeyStatus]
    rotations: Sequence[tuple[str, float]]
    """When another key begins to sign, in Unix seconds by algorithm."""
    clients: Sequence[Client]
    audited: bool
    events: Sequence[AuditEvent]
    """The newest first."""


def render_page(view: View) -> bytes:
    """The page, as HTML in UTF-8."""
    shown = {name: getattr(view, name) for name in view.__struct_fields__ if name != "clients"}
    html: str = _template().render(
        **shown,
        clients=sorted(view.clients, key=lambda client: client.id),
        line=timeline(as_planned(view.keys, dict(view.rotations)), view.now),
        width=WIDTH,
        shown_clients=SHOWN_CLIENTS,
        style=_style(),
    )
    return html.encode()


@cache
def page_headers() -> dict[str, str]:
    """The headers that a page has and other answers of the listener have not."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
    policy += "frame-ancestors 'none'"
    return {"content-security-policy": policy, "cache-control": "no-store"}


@cache
def _style() -> Any:
    from markupsafe import Markup  # noqa: PLC0415 - as below

    # It is our own file, and in a style element nothing is an entity.
    return Markup((_FOLDER / "page.css").read_text())  # noqa: S704


@cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for who looks at the page

    environment = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"moment": _moment, "duration": _duration, "milliseconds": _milliseconds}
    return environment.get_template("page.html")


def _moment(unix: float | None) -> str:
    return "–" if unix is None else f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.2f} ms"
