"""``/admin/revocations``: many tokens ended at an operator's word, as Litestar routes.

Bodies are JSON and must say so: a browser that holds the operators' password sends no such request for another site
without asking first (the Fetch standard's preflight), and nobody answers that.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import HttpMethod, Request, Response, route
from litestar.handlers import HTTPRouteHandler

from app.admin.revocations import (
    BeforeInstant,
    BulkRevocation,
    Interrupted,
    ListOfTokens,
    OfClient,
    OfSubject,
    Refused,
)
from app.endpoints.answers import JSON_NO_STORE, ErrorBody
from app.storage.epochs import RevocationScope

MAX_BODY_BYTES = 16 * 1024 * 1024

_HEADERS = {name.decode(): value.decode() for name, value in JSON_NO_STORE}
_POST = [HttpMethod.POST]
_Body = TypeVar("_Body")

AnyRequest = Request[Any, Any, Any]
Changed = Callable[[AnyRequest, str], None]
"""Is told what an operator changed, in words: the audit."""
EndedBy = Callable[[AnyRequest], Callable[[str], None]]
"""Whom to tell each token that the request ended: the audit too."""


def revocation_routes(revocation: BulkRevocation, changed: Changed, ended_by: EndedBy) -> Sequence[HTTPRouteHandler]:
    """The routes; whoever mounts them asks for authorization first."""

    @route("/admin/revocations", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def in_force() -> Response[bytes]:
        return _answer({"in_force": revocation.in_force()})

    @route("/admin/revocations/tokens", http_method=_POST, status_code=200, request_max_body_size=MAX_BODY_BYTES)
    async def tokens(request: AnyRequest) -> Response[bytes]:
        asked = await _read(request, ListOfTokens)
        try:
            done = await revocation.listed(asked.tokens, ended_by(request))
        except Interrupted as interrupted:
            changed(request, f"{interrupted}{_because(asked.reason)}")
            return _refusal(503, "temporarily_unavailable", str(interrupted), {"retry-after": "1"})
        counts = ", ".join(f"{name} {count}" for name, count in msgspec.structs.asdict(done).items())
        changed(request, f"revoked a list of {len(asked.tokens)} tokens ({counts}){_because(asked.reason)}")
        return _answer(done)

    @route("/admin/revocations/client", http_method=_POST, status_code=200)
    async def client(request: AnyRequest) -> Response[bytes]:
        asked = await _read(request, OfClient)
        return await everything(request, RevocationScope.CLIENT, asked.client_id, asked)

    @route("/admin/revocations/subject", http_method=_POST, status_code=200)
    async def subject(request: AnyRequest) -> Response[bytes]:
        asked = await _read(request, OfSubject)
        return await everything(request, RevocationScope.SUBJECT, asked.subject, asked)

    @route("/admin/revocations/before", http_method=_POST, status_code=200)
    async def before(request: AnyRequest) -> Response[bytes]:
        return await everything(request, RevocationScope.EVERYTHING, "", await _read(request, BeforeInstant))

    async def everything(
        request: AnyRequest, scope: RevocationScope, value: str, asked: OfClient | OfSubject | BeforeInstant
    ) -> Response[bytes]:
        done = await revocation.all_before(scope, value, asked.before)
        whose = f" of the {scope.value} {value!r}" if value else ""
        changed(request, f"revoked all tokens{whose} issued before {done.before}{_because(asked.reason)}")
        return _answer(done)

    return (in_force, tokens, client, subject, before)


def refused(_request: AnyRequest, refusal: Refused) -> Response[bytes]:
    """The answer to what cannot be meant."""
    return _refusal(refusal.status, "invalid_request", str(refusal))


async def _read(request: AnyRequest, form: type[_Body]) -> _Body:
    """The body. Raises Refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused("the body must be application/json", 415)
    try:
        return msgspec.json.decode(await request.body(), type=form)
    except msgspec.DecodeError as error:
        # What msgspec says names fields and types, and repeats no value.
        raise Refused(str(error)) from None
    except (UnicodeDecodeError, RecursionError):
        raise Refused("the body is not JSON in UTF-8") from None


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _answer(body: object) -> Response[bytes]:
    return Response(msgspec.json.encode(body), headers=_HEADERS)


def _refusal(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response[bytes]:
    body = msgspec.json.encode(ErrorBody(error, description))
    return Response(body, status_code=status, headers=_HEADERS | (headers or {}))
