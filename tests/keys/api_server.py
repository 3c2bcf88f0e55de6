"""A fake of the Kubernetes API server, over real HTTP: Secrets with ``resourceVersion``, and nothing else.

It behaves as kube-apiserver does where the source relies on it: a patch with an outdated ``resourceVersion`` is a 409,
creating what exists is a 409, the rest of a Secret survives a merge patch, and a wrong token is a 401. The end-to-end
tests run the same source against the real one.
"""

import base64
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ApiServer:
    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.lock = threading.Lock()
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = 100
        self.answer_with: int | None = None
        """Answer everything with this status instead."""
        self.requests: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.handle(self)

            def do_POST(self) -> None:
                server.handle(self)

            def do_PATCH(self) -> None:
                server.handle(self)

            def log_message(self, *arguments: object) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def put(self, namespace: str, name: str, body: bytes) -> None:
        """Write the document as ``kubectl`` would."""
        with self.lock:
            held = self.secrets.get((namespace, name)) or {"metadata": {"name": name}, "data": {}}
            held["data"] = {**held["data"], "keyring.json": base64.b64encode(body).decode()}
            self._store(namespace, name, held)

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length") or 0))
        with self.lock:
            self.requests.append(request.command)
            status, answer = self._answer(request, json.loads(body) if body else None)
        encoded = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(encoded)))
        request.end_headers()
        request.wfile.write(encoded)

    def _answer(self, request: BaseHTTPRequestHandler, body: Any) -> tuple[int, dict[str, Any]]:
        if self.answer_with is not None:
            return _failure(self.answer_with)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _failure(401)
        parts = request.path.partition("?")[0].strip("/").split("/")
        if parts[:3] != ["api", "v1", "namespaces"] or parts[4] != "secrets":
            return _failure(404)
        namespace, name = parts[3], parts[5] if len(parts) > 5 else (body or {})["metadata"]["name"]
        held = self.secrets.get((namespace, name))
        if request.command == "GET":
            return (200, held) if held else _failure(404)
        if request.command == "POST":
            return _failure(409) if held else (201, self._store(namespace, name, body))
        if request.command == "PATCH":
            if request.headers.get("content-type") != "application/merge-patch+json":
                return _failure(415)
            if held is None:
                return _failure(404)
            if body["metadata"]["resourceVersion"] != held["metadata"]["resourceVersion"]:
                return _failure(409)
            return 200, self._store(namespace, name, {**held, "data": {**held.get("data", {}), **body["data"]}})
        return _failure(405)

    def _store(self, namespace: str, name: str, secret: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**secret.get("metadata", {}), "namespace": namespace, "resourceVersion": str(self.version)}
        made = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", **secret, "metadata": metadata}
        self.secrets[namespace, name] = made
        return made


def _failure(status: int) -> tuple[int, dict[str, Any]]:
    return status, {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status, "message": "canary-text"}
