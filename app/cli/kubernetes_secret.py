"""Entries of one Kubernetes Secret, for commands that put what they make where pods find it.

Rules:
- The Secret must exist: RBAC can limit ``get`` and ``patch`` to a name, and ``create`` to none.
- A change is a merge patch with the ``resourceVersion`` that was read, so that of two at once one succeeds.
- Imported only where it is used: the ``kubernetes`` package costs 0.6 s.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes import config
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from app.keys.sources.secret import TIMEOUT_SECONDS, load_default

_ATTEMPTS = 10
"""How often a lost race is run again; each loss means that another one won."""
_DENIED = (401, 403, 404)


class SecretRefused(Exception):
    """The Secret cannot be used: it is not there, or may not be read or written."""


class SecretUnreachable(Exception):
    """The API server does not answer, or not now; trying again may help."""


def change_entries(
    namespace: str, name: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
) -> Mapping[str, str]:
    """Give ``change`` the Secret's entries as text, and write those that it returns; other entries stay.

    Returns what was written, empty if that was nothing new. Raises SecretRefused or SecretUnreachable; no message
    contains a value.
    """
    where = f"secret://{namespace}/{name}"
    api = _open(where)
    try:
        for _ in range(_ATTEMPTS):
            secret = _call(where, "read", api.read_namespaced_secret, name, namespace)
            held = {key: _text(where, key, value) for key, value in (secret.data or {}).items()}
            wanted = {key: value for key, value in change(held).items() if held.get(key) != value}
            if not wanted:
                return {}
            body = {
                "metadata": {"resourceVersion": secret.metadata.resource_version},
                "data": {key: b64encode(value.encode()).decode("ascii") for key, value in wanted.items()},
            }
            patch = api.patch_namespaced_secret
            if _call(where, "written", patch, name, namespace, body, _content_type="application/merge-patch+json"):
                return wanted
    finally:
        api.api_client.rest_client.pool_manager.clear()
    raise SecretUnreachable(f"{where}: it is being changed all the time")


def _text(where: str, key: str, value: str) -> str:
    try:
        return b64decode(value, validate=True).decode()
    except ValueError:
        raise SecretRefused(f"{where}: the entry {key} is not text") from None


def _call(where: str, done: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The function's result; None for a lost race. The library's errors quote whole responses: none of it goes on."""
    try:
        return function(*arguments, **options, _request_timeout=TIMEOUT_SECONDS)
    except ApiException as error:
        if error.status == 409:
            return None
        message = f"{where} cannot be {done}: the API server answered {error.status or 0}"
        raise (SecretRefused if error.status in _DENIED else SecretUnreachable)(message) from None
    except (HTTPError, OSError):
        raise SecretUnreachable(f"{where} cannot be {done}: no answer from the API server") from None


def _open(where: str) -> Any:
    configuration = Configuration()
    try:
        load_default(configuration)
    except (config.ConfigException, OSError) as error:
        raise SecretRefused(f"{where}: no way to the API server: {error}") from None
    configuration.retries = 0
    return CoreV1Api(ApiClient(configuration))
