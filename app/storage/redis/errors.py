"""What Redis refuses, as the errors of the storage interface.

Rules:
- No text of Redis' own goes into an error: an unknown command's reply quotes its arguments.
- An answer that means "this server cannot serve us now" also ends the connection it came on, so that the next one is
  made to whoever is the master then.
"""

from app.storage.interface import StoreError, StoreFull, StoreUnavailable


class ScriptMissing(StoreUnavailable):
    """The server does not have the script: it must be sent whole."""

    kind = "script_missing"


class Redirected(StoreUnavailable):
    """Another node of the cluster has the slot (MOVED), or has this key already while it takes the slot over (ASK)."""

    kind = "redirected"

    def __init__(self, *, ask: bool, host: str, port: int) -> None:
        super().__init__("the slot is served by another node of the cluster")
        self.ask = ask
        self.host = host
        self.port = port


class StoreRefused(StoreUnavailable):
    """Redis does not let us in: wrong or missing credentials, or an ACL without what is needed."""

    kind = "refused"


_UNAVAILABLE = {
    "BUSY": "Redis is busy with a script",
    "CLUSTERDOWN": "the Redis cluster does not serve this slot",
    "LOADING": "Redis is loading its data",
    "MASTERDOWN": "the Redis replica has lost its master",
    "MISCONF": "Redis cannot persist its data and refuses writes",
    "NOREPLICAS": "Redis has too few replicas and refuses writes",
    "READONLY": "Redis is a read-only replica",
    "TRYAGAIN": "the Redis cluster is moving this slot",
    "UNKILLABLE": "Redis is busy with a script",
}
_REFUSED = {
    "NOAUTH": "Redis asks for credentials and none are configured",
    "NOPERM": "the Redis user may not run a command or reach a key that the service needs",
    "WRONGPASS": "Redis refused the user name or password",
}

ENDS_THE_CONNECTION = frozenset({"LOADING", "MASTERDOWN", "READONLY", "NOAUTH", "WRONGPASS"})
"""Codes after which the server is not the one to talk to, or not yet."""


def again(reason: StoreError) -> StoreError:
    """The same error to raise once more: one that is raised twice would carry both tracebacks, and grow."""
    copy = type(reason).__new__(type(reason), *reason.args)
    copy.__dict__.update(reason.__dict__)
    return copy


def error_code(reply: Exception) -> str:
    """The code that an error reply begins with."""
    return str(reply).partition(" ")[0]


def translate(reply: Exception) -> StoreError:
    """The error for an error reply."""
    code, _, rest = str(reply).partition(" ")
    if code == "OOM":
        return StoreFull("Redis has reached its maxmemory")
    if code == "NOSCRIPT":
        return ScriptMissing("Redis does not have the script")
    if code in {"MOVED", "ASK"}:
        return _redirected(code, rest)
    if code in _REFUSED:
        return StoreRefused(_REFUSED[code])
    if code in _UNAVAILABLE:
        return StoreUnavailable(_UNAVAILABLE[code])
    known = code if code.isascii() and code.isalpha() and len(code) <= 20 else "ERR"
    return StoreUnavailable(f"Redis refused a command ({known})")


def _redirected(code: str, rest: str) -> StoreError:
    address = rest.partition(" ")[2]
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return StoreUnavailable("Redis sent a redirection that cannot be read")
    return Redirected(ask=code == "ASK", host=host, port=int(port))
