"""Which source of keys a URI names."""

from pathlib import Path
from urllib.parse import urlsplit

from app.keys.errors import KeyUsageError
from app.keys.memory import MemorySource
from app.keys.sources.file import FileSource
from app.keys.sources.interface import KeySource
from app.keys.sources.redis_address import RedisAddress

FORMS = "memory:, file:///path, secret://namespace/name or redis:"


def source_from_uri(uri: str, *, redis: RedisAddress | None) -> KeySource:
    """The source that ``KEYS_SOURCE`` or ``--source`` names; nothing is opened yet.

    ``redis``: how to reach Redis, for ``redis:``. Raises KeyUsageError that tells what is allowed.
    """
    parts = urlsplit(uri)
    path = parts.path.strip("/")
    if uri == "memory:":
        return MemorySource()
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return FileSource(Path(uri.removeprefix("file://")))
    if parts.scheme == "secret" and parts.netloc and path and "/" not in path:
        from app.keys.sources.secret import SecretSource  # noqa: PLC0415 - its library costs 57 MB

        return SecretSource(parts.netloc, path)
    if uri == "redis:":
        if redis is None:
            raise KeyUsageError("keys in redis: need Redis, and REDIS_URL is not set")
        from app.keys.sources.redis import RedisSource  # noqa: PLC0415 - its library costs memory, too

        return RedisSource(redis)
    raise KeyUsageError(f"{uri!r:.200} is not a source of keys; allowed are {FORMS}")
