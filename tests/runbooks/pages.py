"""The runbooks as tests read them: their parts, commands and queries."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs/runbooks"
PAGES = tuple(sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "README"))
SECTIONS = ("Meaning", "Impact", "First five minutes", "Decision tree", "Mitigation", "Rollback", "Escalation")
PROGRAMS = ("auth-service", "curl", "redis-cli", "helm", "kubectl", "chronyc", "promtool")
"""What the commands of runbooks may begin with."""
OF_A_NODE = ("chronyc",)
"""What asks a node's own time service, which the machine of a test need not have: it is not run."""
SEEN_BEGIN, SEEN_END = "<!-- seen:begin -->", "<!-- seen:end -->"
"""Between them stands what the commands said in live fire; ``make live-fire`` writes it."""

_SEEN = re.compile(rf"{SEEN_BEGIN}\n.*?{SEEN_END}\n", re.DOTALL)
_INLINE = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")


def written_text(page: Path) -> str:
    """A page without what live fire has put into it."""
    return _SEEN.sub("", page.read_text())


def blocks(page: Path, language: str) -> list[str]:
    """The lines of the fenced blocks of a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", written_text(page), re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def seen_lines(page: Path) -> list[str]:
    """What live fire has put into a page."""
    found = _SEEN.search(page.read_text())
    return found[0].splitlines() if found else []


def commands(page: Path) -> list[str]:
    """Every command of a page, in fenced blocks and in sentences, each once."""
    inline = (" ".join(command.split()) for command in _INLINE.findall(written_text(page)))
    return list(dict.fromkeys([*blocks(page, "sh"), *inline]))


def all_commands() -> dict[str, list[str]]:
    """Every command of all pages, with the pages that it stands on."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for command in commands(page):
            found.setdefault(command, []).append(page.stem)
    return found


def in_cluster(command: str) -> bool:
    """Whether a command needs a cluster."""
    return command.split(maxsplit=1)[0] in ("kubectl", "helm")
