"""The hot routes: which path takes which method to which endpoint."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from app.endpoints.exchange import Request, Response

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class Route(msgspec.Struct, frozen=True):
    """A path that is answered in front of the framework."""

    path: str
    methods: tuple[str, ...]
    endpoint: Endpoint
    operation: str | None = None
    """The token operation that it counts as; None for documents."""
    cors: bool = False
    """Whether browsers of ``ALLOWED_ORIGINS`` may call it."""

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
