"""From the environment to the settings.

Rules:
- Every mistake is found in one go; nothing is guessed.
- An empty or blank value counts as not set: charts and compose files pass empty strings for what is not configured.
- A secret is never part of an error.
"""

import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from app.config.checks import check_files, check_settings, warn_about
from app.config.fields import SettingField, all_fields, secret_file_names
from app.config.listeners import ListenerSettings
from app.config.near_misses import unknown_names
from app.config.problems import ConfigurationError, Problem
from app.config.secret_files import read_secret_file
from app.config.settings import Settings
from app.config.values import Address
from app.model.secret_text import SecretText


class Loaded(msgspec.Struct, frozen=True):
    """Settings that may be used."""

    settings: Settings
    warnings: tuple[str, ...]
    """What the operator should know, a sentence each."""
    given: frozenset[str]
    """The names of the settings that the environment sets."""


def load_settings(environ: Mapping[str, str]) -> Loaded:
    """Read and check all settings.

    Raises:
        ConfigurationError: with every mistake that was found.
    """
    given = {name: text.strip() for name, text in environ.items() if text.strip()}
    problems: list[Problem] = []
    values: dict[str, dict[str, Any]] = {section: {} for section in Settings.__struct_fields__}
    for field in all_fields():
        if field.name in given:
            try:
                values[field.section][field.attribute] = _value(field, given[field.name])
            except ConfigurationError as error:
                problems += error.problems
    problems += _read_secret_files(given, values)
    _derive(values)
    settings = msgspec.structs.replace(
        Settings(), **{section: _section(section, fields) for section, fields in values.items()}
    )
    refused = {problem.where for problem in problems}
    problems += check_settings(settings, given.keys(), refused)
    problems += check_files(settings, refused)
    if problems:
        raise ConfigurationError(problems)
    warnings = (*unknown_names(environ), *warn_about(settings, given.keys()))
    return Loaded(settings, warnings, frozenset(field.name for field in all_fields() if field.name in given))


def _section(name: str, fields: dict[str, Any]) -> msgspec.Struct:
    section_type: type[msgspec.Struct] = Settings.__annotations__[name]
    return section_type(**fields)


def _value(field: SettingField, text: str) -> Any:
    """The field's value; raises ConfigurationError with a problem for each item that is wrong."""
    if not field.is_list:
        return _item(field, text, field.name)
    items: dict[Any, None] = {}
    problems: list[Problem] = []
    for item in re.split(r"[\s,]+", text):
        try:
            if item:
                items[_item(field, item, field.name)] = None
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return tuple(items)


def _item(field: SettingField, text: str, where: str) -> Any:
    given = None if field.is_secret else text
    if field.parse is not None:
        try:
            value = field.parse(text)
        except ValueError as error:
            raise ConfigurationError([Problem(where, str(error), given, field.allowed)]) from error
        return SecretText(value) if field.is_secret else value
    if field.is_secret:
        return SecretText(text)
    kind = Annotated[field.kind, field.meta] if field.kind in (int, float) else field.kind
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError([Problem(where, _in_words(field, text), given, field.allowed)]) from error


def _in_words(field: SettingField, text: str) -> str:
    """Why msgspec refused ``text``, in words of this product."""
    if field.kind in (int, float):
        try:
            number = msgspec.convert(text, field.kind, strict=False)
        except msgspec.ValidationError:
            number = math.nan
        if math.isnan(number):
            return "is not a whole number" if field.kind is int else "is not a number"
        return "is too small" if field.meta.ge is not None and number < field.meta.ge else "is too large"
    return "is not one of the values"


def _read_secret_files(given: Mapping[str, str], values: dict[str, dict[str, Any]]) -> Iterable[Problem]:
    """Fill in the secrets that are given as files."""
    by_name = {field.name: field for field in all_fields()}
    for name, file_name in secret_file_names().items():
        if file_name not in given:
            continue
        if name in given:
            yield Problem(name, f"is set together with {file_name}: set only one of them")
            continue
        field = by_name[name]
        try:
            values[field.section][field.attribute] = _item(
                field, read_secret_file(Path(given[file_name])), f"{file_name}={given[file_name]}"
            )
        except OSError as error:
            yield Problem(file_name, f"cannot be read ({os.strerror(error.errno or 0)})", given[file_name])
        except ValueError as error:
            yield Problem(file_name, str(error), given[file_name])
        except ConfigurationError as error:
            yield from error.problems


def _derive(values: dict[str, dict[str, Any]]) -> None:
    """Fill in what follows from other settings."""
    listeners, keys = values["listeners"], values["keys"]
    if "external_base_url" not in listeners and "tls_cert_file" in listeners and "bind_addr" not in listeners:
        listeners["bind_addr"] = ListenerSettings().bind_addr
    if "external_base_url" not in listeners and "bind_addr" in listeners:
        scheme = "https" if "tls_cert_file" in listeners else "http"
        listeners["external_base_url"] = f"{scheme}://{_reachable(listeners['bind_addr'])}"
    if "keys_file" in keys and "keys_source" not in keys:
        keys["keys_source"] = f"file://{Path.cwd() / keys['keys_file']}"


def _reachable(address: Address) -> Address:
    return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host), address.port)  # noqa: S104
