"""Reading a YAML file with the line of everything in it, all mistakes at once.

Built on PyYAML's stream of events rather than on its documents, because
- every value keeps its line, and a key given twice is seen;
- nesting is bounded (libyaml's own composer recurses without bound);
- Python runs between the events, so that a reload in a thread never holds the interpreter lock for long: composing
  the file of 2,000 clients in one C call stops the event loop for 0.2 s.

Rules:
- A reading method returns None after it reported why the value cannot be used; the caller goes on.
- A message repeats keys and the names of fields, never a value: any value may be a misplaced secret. A key that does
  not look like a mistyped name may be one too.
"""

import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec
import yaml

from app.config.problems import Problem, did_you_mean

_MAX_DEPTH: Final = 20
_MAX_ITEMS: Final = 1000
"""Items of a list inside a client; aliases could otherwise multiply a small file."""
_LIKE_A_NAME: Final = re.compile(r"[A-Za-z_<]{1,32}")
_PREFIX: Final = "tag:yaml.org,2002:"
_Choice = TypeVar("_Choice", bound=StrEnum)
# libyaml is twenty times faster; PyYAML's own parser stands in where it was built without.
_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Node(msgspec.Struct):
    """A value of the file."""

    line: int
    """Counted from 1."""
    tag: str
    """``str``, ``int``, ``bool``, ``null``, ``seq``, ``map``, …"""
    text: str = ""
    items: list["Node"] = []
    """Of a sequence; of a mapping: key, value, key, value, …"""


class YamlReader:
    """Reads one file; what is wrong is collected in ``problems``."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def report(self, node: Node | int, what: str, allowed: str | None = None) -> None:
        line = node if isinstance(node, int) else node.line
        self.problems.append(Problem(f"{self.file}:{line}", what, None, allowed))

    def document(self, content: bytes) -> Node | None:
        """The root of the file's only document."""
        try:
            roots = list(_compose(yaml.parse(content, Loader=_Loader)))
        except _Unsupported as unsupported:
            self.report(unsupported.line, str(unsupported))
            return None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            # Quoted parts may be a secret that YAML took for syntax.
            problem = re.sub(r"'[^']{2,}'", "'…'", error.problem or "not understood")
            self.report(mark.line + 1 if mark else 1, f"is not YAML: {problem}")
            return None
        except yaml.YAMLError:
            self.report(1, "is not YAML: contains characters that YAML does not allow")
            return None
        if len(roots) != 1:
            self.report(1, "is empty" if not roots else "holds more than one document")
            return None
        return roots[0]

    def mapping(
        self, node: Node, what: str, known: Collection[str], *, repeat_keys: bool = True
    ) -> dict[str, Node] | None:
        """The values of a mapping by key; keys that are unknown or given twice are reported.

        ``repeat_keys`` is False where even an unknown key may be a misplaced secret.
        """
        if node.tag != "map":
            self.report(node, f"{what} must be a mapping")
            return None
        fields: dict[str, Node] = {}
        for key, value in zip(node.items[::2], node.items[1::2], strict=True):
            name = key.text
            if key.tag in ("map", "seq") or name not in known:
                hint = did_you_mean(name, tuple(known))
                shown = f" {name!r}" if repeat_keys and _LIKE_A_NAME.fullmatch(name) else ""
                self.report(key, f"{what} has an unknown key{shown}{hint}", ", ".join(known))
            elif name in fields:
                self.report(key, f"{what} has {name} twice")
            else:
                fields[name] = value
        return fields

    def items(self, node: Node, what: str) -> list[Node] | None:
        if node.tag != "seq":
            self.report(node, f"{what} must be a list")
            return None
        if len(node.items) > _MAX_ITEMS:
            self.report(node, f"{what} has more than {_MAX_ITEMS} items")
            return None
        return node.items

    def text(self, node: Node, what: str) -> str | None:
        if node.tag == "str" and node.text:
            return node.text
        quote = node.tag not in ("map", "seq", "null", "str")
        self.report(node, f"{what} must be text" + (": put it in quotes" if quote else ""))
        return None

    def texts(self, node: Node, what: str) -> list[tuple[Node, str]]:
        """The items of a list of different texts."""
        read: dict[str, Node] = {}
        for index, item in enumerate(self.items(node, what) or ()):
            text = self.text(item, f"{what}[{index}]")
            if text is not None and text in read:
                self.report(item, f"{what}[{index}] is there already")
            elif text is not None:
                read[text] = item
        return [(item, text) for text, item in read.items()]

    def whole_number(self, node: Node, what: str, least: int, most: int) -> int | None:
        # Not YAML's own integers: 010 would be eight, 1:30 ninety.
        if node.tag == "int" and re.fullmatch(r"0|[1-9][0-9]{0,15}", node.text) and least <= int(node.text) <= most:
            return int(node.text)
        self.report(node, f"{what} is wrong", f"a whole number from {least} to {most}")
        return None

    def truth(self, node: Node, what: str) -> bool | None:
        if node.tag == "bool" and node.text.lower() in ("true", "false"):
            return node.text.lower() == "true"
        self.report(node, f"{what} is wrong", "true, false")
        return None

    def choice(self, node: Node, what: str, choices: type[_Choice]) -> _Choice | None:
        try:
            return choices(node.text)
        except ValueError:
            self.report(node, f"{what} is wrong", ", ".join(choices))
            return None


class _Unsupported(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def _compose(events: Iterator[Any]) -> Iterator[Node]:
    """The root node of each document."""
    anchors: dict[str, Node] = {}
    open_nodes: list[tuple[Node, str | None]] = []
    for event in events:
        line = event.start_mark.line + 1
        done: tuple[Node, str | None] | None = None
        if isinstance(event, yaml.ScalarEvent):
            done = Node(line, _scalar_tag(event), event.value), event.anchor
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise _Unsupported(line, "an alias names no anchor before it")
            done = anchors[event.anchor], None
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_nodes) >= _MAX_DEPTH:
                raise _Unsupported(line, "is nested too deeply")
            kind = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
            open_nodes.append((Node(line, kind if _is_plain(event.tag, kind) else "other", items=[]), event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            done = open_nodes.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            anchors = {}
        if done is None:
            continue
        node, anchor = done
        if anchor is not None:
            anchors[anchor] = node
        if open_nodes:
            open_nodes[-1][0].items.append(node)
        else:
            yield node


def _is_plain(tag: str | None, kind: str) -> bool:
    return tag in (None, "!", _PREFIX + kind)


def _scalar_tag(event: Any) -> str:
    if event.tag not in (None, "!"):
        return event.tag.removeprefix(_PREFIX) if event.tag.startswith(_PREFIX) else "other"
    if not event.implicit[0]:
        return "str"
    resolvers = yaml.SafeLoader.yaml_implicit_resolvers.get(event.value[:1], ())
    for tag, pattern in resolvers:
        if pattern.match(event.value):
            return str(tag).removeprefix(_PREFIX)
    return "str"
