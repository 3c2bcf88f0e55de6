#!/usr/bin/env python3
"""The schema and the page of the chart's values, both from the comments in ``chart/values.yaml``.

    python tools/chart_values.py            write chart/values.schema.json and chart/README.md
    python tools/chart_values.py --check    exit 1 if they are not what would be written

Rules:
- What stands above a key is its description; ``# @schema {…}`` adds to its JSON schema. Types come from the defaults.
- Nothing is open by accident: an object without keys and a list must say what they take, every other object is closed.
- ``{$ref: NAME}`` names one of ``chart/values.definitions.yaml``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "chart"
MARK = "@schema"
BEGIN, END = "<!-- values:begin -->", "<!-- values:end -->"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


class Value:
    """One key of the values: its path, default, description and schema."""

    def __init__(self, path: tuple[str, ...], default: Any, description: str, extra: dict[str, Any]) -> None:
        self.path = path
        self.default = default
        self.description = description
        self.extra = extra

    @property
    def is_group(self) -> bool:
        """Whether its keys are values of their own."""
        return isinstance(self.default, dict) and bool(self.default) and not self.is_open

    @property
    def is_open(self) -> bool:
        return "$ref" in self.extra or "additionalProperties" in self.extra

    def schema(self) -> dict[str, Any]:
        """Its schema, without those of its keys."""
        made: dict[str, Any] = {}
        reference = self.extra.get("$ref")
        if reference is not None:
            made["allOf"] = [_resolved({"$ref": reference})]
        elif self.default is not None and "type" not in self.extra:
            made["type"] = _TYPES[type(self.default)]
        rest = {key: _resolved(value) for key, value in self.extra.items() if key != "$ref"}
        made = {**made, **rest}
        if self.description:
            made["description"] = self.description
        if reference is None and made.get("type") == "array" and "items" not in made:
            raise ValueError(f"{'.'.join(self.path)}: a list must say what its items are")
        if reference is None and "type" not in made and "enum" not in made:
            raise ValueError(f"{'.'.join(self.path)}: null says no type; add one")
        if self.default == {} and not self.is_open:
            raise ValueError(f"{'.'.join(self.path)}: an empty object must say what it takes")
        return made


def read_values(text: str) -> list[Value]:
    """All values in the order of the file, groups before their keys."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines()
    found: list[Value] = []

    def walk(node: Any, path: tuple[str, ...], defaults: dict[str, Any]) -> None:
        for key, child in node.value:
            name = key.value
            description, extra = _comment_above(lines, key.start_mark.line, key.start_mark.column)
            value = Value((*path, name), defaults[name], description, extra)
            found.append(value)
            if value.is_group:
                walk(child, value.path, defaults[name])

    walk(root, (), yaml.safe_load(text))
    return found


def _comment_above(lines: list[str], line: int, column: int) -> tuple[str, dict[str, Any]]:
    begin = " " * column + "# "
    comment: list[str] = []
    while line > 0 and lines[line - 1].startswith(begin):
        line -= 1
        comment.insert(0, lines[line].removeprefix(begin).strip())
    extra: dict[str, Any] = {}
    words = []
    for text in comment:
        if text.startswith(MARK):
            extra.update(yaml.safe_load(text.removeprefix(MARK)))
        else:
            words.append(text)
    return " ".join(words), extra


def _resolved(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: f"#/definitions/{value}" if key == "$ref" and not value.startswith("#") else _resolved(value)
            for key, value in schema.items()
        }
    return [_resolved(item) for item in schema] if isinstance(schema, list) else schema


def make_schema(values: list[Value], definitions: dict[str, Any]) -> str:
    """``values.schema.json``, closed on every level."""
    root: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the auth-service chart",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
        "definitions": _resolved(definitions),
    }
    places: dict[tuple[str, ...], dict[str, Any]] = {(): root}
    for value in values:
        made = value.schema()
        if value.is_group:
            made = {**made, "additionalProperties": False, "properties": {}}
            places[value.path] = made
        places[value.path[:-1]]["properties"][value.path[-1]] = made
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def make_table(values: list[Value]) -> str:
    """The table of all values for the README."""
    rows = ["| value | default | what it does |", "|---|---|---|"]
    groups = {value.path: value.description for value in values if value.is_group and value.description}
    for value in values:
        if value.is_group:
            continue
        default = "" if value.default is None else f"`{json.dumps(value.default, ensure_ascii=False)}`"
        text = value.description
        if not text:
            text = groups.get(value.path[:-1], "") if value.path[-1] == "enabled" else ""
        allowed = value.extra.get("enum")
        if allowed:
            text += f"{' ' if text else ''}One of {', '.join(f'`{json.dumps(item)}`' for item in allowed)}."
        cells = [f"`{'.'.join(value.path)}`", default, text]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def generated(chart: Path) -> dict[Path, str]:
    """What the files should contain."""
    values = read_values((chart / "values.yaml").read_text())
    definitions = yaml.safe_load((chart / "values.definitions.yaml").read_text())
    readme = (chart / "README.md").read_text()
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page = f"{head}{BEGIN}\n{make_table(values)}{END}{tail}"
    return {chart / "values.schema.json": make_schema(values, definitions), chart / "README.md": page}


def main(arguments: list[str]) -> int:
    stale = [path for path, text in generated(CHART).items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} is not what chart/values.yaml says; run `make chart-docs`", file=sys.stderr)
        return 1 if stale else 0
    for path, text in generated(CHART).items():
        path.write_text(text)
    print("chart/values.schema.json, chart/README.md: " + ("written" if stale else "as they were"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
