"""Store methods may be started outside of any task, as endpoints do; what they wait for are plain futures."""

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any

import pytest

from app.storage.interface import Rotation, TokenStore
from tests.conformance.backend import Backend
from tests.conformance.issued import new_grant, new_ref

pytestmark = pytest.mark.anyio


def drive(step: Coroutine[Any, Any, object], done: asyncio.Future[object], sent: object = None) -> None:
    """Step a coroutine from callbacks of the loop alone."""
    assert inspect.iscoroutine(step)
    try:
        awaited = step.send(sent)
    except StopIteration as finished:
        done.set_result(finished.value)
    except BaseException as error:  # noqa: BLE001 - handed on
        done.set_exception(error)
    else:
        assert asyncio.isfuture(awaited)
        assert not isinstance(awaited, asyncio.Task)
        awaited.add_done_callback(lambda _: drive(step, done))


async def outside_of_tasks(step: Coroutine[Any, Any, object]) -> object:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[object] = loop.create_future()
    loop.call_soon(drive, step, done)
    return await done


async def test_every_method_runs_outside_of_tasks(backend: Backend, store: TokenStore) -> None:
    now = backend.clock()
    grant = new_grant(now)
    successor = new_grant(now, family=grant.family)
    jwt, until = new_ref(), int(now) + 60
    steps: list[tuple[Coroutine[Any, Any, object], object]] = [
        (store.save(grant.issuance), None),
        (store.find_access_token(grant.access), grant.access_record),
        (store.find_refresh_token(grant.refresh), grant.refresh_record),
        (store.rotate(grant.refresh, grant.used(now), successor.issuance), Rotation.ROTATED),
        (store.revoke_access_token(grant.access), None),
        (store.revoke_jwt(jwt, until), None),
        (store.is_jwt_revoked(jwt, grant.family), True),
        (store.revoke_family(grant.family, until), None),
        (store.remember_once(new_ref().digest, until), True),
        (store.count_live_tokens(), 0),
    ]
    for step, answer in steps:
        assert await outside_of_tasks(step) == answer
