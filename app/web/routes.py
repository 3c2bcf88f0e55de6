"""The hot routes: which path takes which method to which endpoint."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from app.endpoints.exchange import Request, Response

Endpoint = Callable[[Request], Response | Coroutine[Any, Any, Response]]
"""Answers at once where nothing has to be waited for, else by a coroutine. Raises ProtocolError or StoreError."""


class Route(msgspec.Struct, frozen=True):
    """A path that is answered in front of the framework."""

    path: str
    methods: tuple[str, ...]
    endpoint: Endpoint
    operation: str | None = None
    """The token operation that it counts as; None for documents."""
    cors: bool = False
    """Whether browsers of ``ALLOWED_ORIGINS`` may call it."""
    traced: bool = True
    """Whether its requests may be traced: those of probes and scrapes say nothing of what the service is for."""

    @property
    def allow(self) -> str:
        """The value of ``Allow``."""
        return ", ".join(self.methods)


GET = ("GET", "HEAD")
POST = ("POST",)

RouteTable = Mapping[str, Route]


def route_table(*routes: Route) -> RouteTable:
    """The routes by path. Raises ValueError if two have the same path."""
    table = {route.path: route for route in routes}
    if len(table) != len(routes):
        raise ValueError("two hot routes have the same path")
    return table


def under_issuer_path(table: RouteTable, issuer_path: str) -> RouteTable:
    """The routes by path, and again under the path of the issuer, where metadata says that they are.

    A proxy in front may strip that path or hand it on: both find the same routes, and metrics know them by one name.
    """
    if not issuer_path:
        return table
    below = {path if path.startswith(issuer_path) else issuer_path + path: route for path, route in table.items()}
    stripped = {path.removeprefix(issuer_path): route for path, route in table.items()}
    return {**stripped, **below, **table}
