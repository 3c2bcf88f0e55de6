"""The clients file: from YAML to clients.

Rules:
- Unknown keys, keys and ids given twice, and settings without effect are mistakes, not ignored.
- Every mistake is reported with its file and line, all at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from app.config.client_entry import ClientDefaults, ClientReader
from app.config.client_secrets import SecretsReader
from app.config.problems import Problem
from app.config.yaml_reader import YamlReader
from app.model.clients import Client

VERSION: Final = "1"
SUFFIXES: Final = (".yaml", ".yml", ".json")
"""Of the files that are read in a folder (JSON is YAML)."""
_MAX_BYTES: Final = 16 * 1024 * 1024


class FileContent(msgspec.Struct, frozen=True):
    """What one file says."""

    clients: tuple[tuple[str, Client], ...]
    """Each with its place, ``file:line``."""
    secret_files: tuple[Path, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def read_clients_file(path: Path, defaults: ClientDefaults, environ: Mapping[str, str]) -> FileContent:
    """Read one file; an unreadable one is a problem, not an exception."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        problem = Problem(str(path), f"cannot be read ({error.strerror})")
        return FileContent((), (), (problem,), ())
    if len(content) > _MAX_BYTES:
        return FileContent((), (), (Problem(str(path), "holds more than 16 MiB"),), ())
    return parse_clients(content, str(path), path.parent, defaults, environ)


def parse_clients(
    content: bytes, file: str, folder: Path, defaults: ClientDefaults, environ: Mapping[str, str]
) -> FileContent:
    """Parse the content of a clients file.

    Args:
        file: Its name in messages.
        folder: What relative names of secret files start from.
        environ: Where ``env`` entries are looked up.
    """
    reader = YamlReader(file)
    secrets = SecretsReader(reader, folder, environ)
    clients: list[tuple[str, Client]] = []
    root = reader.document(content)
    fields = reader.mapping(root, "the file", ("version", "clients")) if root is not None else None
    if fields is not None and root is not None:
        if "version" not in fields:
            reader.report(root, "the file has no version", f"version: {VERSION}")
        elif fields["version"].text != VERSION:
            reader.report(fields["version"], "this version of the file is not known", VERSION)
        elif "clients" not in fields:
            reader.report(root, "the file has no clients")
        elif fields["clients"].tag != "seq":
            reader.report(fields["clients"], "clients must be a list")
        else:
            for index, node in enumerate(fields["clients"].items):
                client = ClientReader(reader, secrets, defaults, f"clients[{index}]").client(node)
                if client is not None:
                    clients.append((f"{file}:{node.line}", client))
    problems = sorted(reader.problems, key=lambda problem: int(problem.where.rpartition(":")[2]))
    return FileContent(tuple(clients), tuple(secrets.files), tuple(problems), tuple(secrets.warnings))
