"""``secret:``, a ring document in a Kubernetes Secret, read and written through the API server.

For the CronJob that rotates, and for installations that do not mount the Secret. Pods that do mount it use ``file:``
and need no API token.

Rules:
- A write is a merge patch with the ``resourceVersion`` that was read, so the API server refuses it if anything
  changed; other entries, labels and annotations of the Secret stay as they are.
- This module is imported only where it is used: the ``kubernetes`` package costs 0.6 s and 57 MB.
- RBAC needed on the one Secret: ``get``, for writing ``patch``, and ``create`` in the namespace if it may be absent.
"""

import asyncio
import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import config
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from app.keys.errors import RingDocumentError, SourceDenied, SourceError, SourceUnreachable
from app.keys.sources.file import DOCUMENT_NAME
from app.keys.sources.interface import Stored

POLL_SECONDS = 10.0
TIMEOUT_SECONDS = (3.0, 10.0)
"""For connecting, and for the answer."""
_PASSING = (408, 409, 429)
"""Refusals that may not be repeated when asked again."""
_LABELS = {"app.kubernetes.io/name": "auth-service", "app.kubernetes.io/component": "keyring"}


class SecretSource:
    """One document in the entry ``keyring.json`` of one Secret."""

    kind = "secret"
    must_be_sealed = False
    volatile = False
    settle_seconds = 0.0
    writable = True

    def __init__(
        self, namespace: str, name: str, *, kubeconfig: Path | None = None, poll_seconds: float = POLL_SECONDS
    ) -> None:
        """``kubeconfig``: None for the pod's own account, or outside a cluster for what ``KUBECONFIG`` says."""
        self._namespace = namespace
        self._name = name
        self._kubeconfig = kubeconfig
        self._poll_seconds = poll_seconds
        self._opened: Any = None

    def describe(self) -> str:
        return f"secret://{self._namespace}/{self._name}"

    async def read(self) -> Stored | None:
        secret = await asyncio.to_thread(self._get)
        return None if secret is None else self._document_of(secret)

    async def write(self, body: bytes, replaces: Stored | None) -> bool:
        return await asyncio.to_thread(self._write, body, replaces)

    async def watch(self, changed: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            changed()

    async def close(self) -> None:
        if self._opened is not None:
            self._opened.api_client.rest_client.pool_manager.clear()
            self._opened = None

    def _get(self) -> Any:
        api = self._api()
        return self._call(
            "read",
            {404: None},
            api.read_namespaced_secret,
            self._name,
            self._namespace,
            _request_timeout=TIMEOUT_SECONDS,
        )

    def _document_of(self, secret: Any) -> Stored | None:
        text = (secret.data or {}).get(DOCUMENT_NAME)
        if text is None:
            return None
        try:
            body = b64decode(text if isinstance(text, bytes) else text.encode(), validate=True)
        except binascii.Error:
            raise RingDocumentError(f"{self.describe()}: the entry {DOCUMENT_NAME} is not base64") from None
        return Stored(body, str(secret.metadata.resource_version).encode())

    def _write(self, body: bytes, replaces: Stored | None) -> bool:
        data = {DOCUMENT_NAME: b64encode(body).decode("ascii")}
        if replaces is not None:
            return self._patch(data, replaces.token.decode())
        secret = self._get()
        if secret is None:
            return self._create(data)
        if self._document_of(secret) is not None:
            return False
        return self._patch(data, str(secret.metadata.resource_version))

    def _create(self, data: dict[str, str]) -> bool:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": self._name, "labels": _LABELS},
            "data": data,
        }
        made = self._call(
            "created",
            {409: False},
            self._api().create_namespaced_secret,
            self._namespace,
            body,
            _request_timeout=TIMEOUT_SECONDS,
        )
        return made is not False

    def _patch(self, data: dict[str, str], resource_version: str) -> bool:
        body = {"metadata": {"resourceVersion": resource_version}, "data": data}
        made = self._call(
            "written",
            {409: False, 404: False},
            self._api().patch_namespaced_secret,
            self._name,
            self._namespace,
            body,
            _content_type="application/merge-patch+json",
            _request_timeout=TIMEOUT_SECONDS,
        )
        return made is not False

    def _call(
        self, done: str, expected: dict[int, Any], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """The function's result, or what ``expected`` has for a status. The library's errors quote whole responses,
        so none of their text is passed on."""
        try:
            return function(*args, **kwargs)
        except ApiException as error:
            status = error.status or 0
            if status in expected:
                return expected[status]
            message = f"{self.describe()} cannot be {done}: the API server answered {status}"
            refused = 400 <= status < 500 and status not in _PASSING
            raise (SourceDenied if refused else SourceUnreachable)(message) from None
        except (HTTPError, OSError):
            raise SourceUnreachable(f"{self.describe()} cannot be {done}: no answer from the API server") from None

    def _api(self) -> Any:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Any:
        configuration = Configuration()
        try:
            if self._kubeconfig is not None:
                config.load_kube_config(str(self._kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                load_default(configuration)
        except config.ConfigException as error:
            raise SourceDenied(f"{self.describe()}: no way to the API server: {error}") from None
        except OSError as error:
            raise SourceError(f"{self.describe()}: no way to the API server: {error.strerror}") from None
        configuration.retries = 0
        return CoreV1Api(ApiClient(configuration))


def load_default(configuration: Configuration) -> None:
    """Reach the API server as the pod's own account, or outside a cluster as ``KUBECONFIG`` says."""
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
