"""LogQL as far as a dashboard of this service would need it: what is not this is refused.

    query     = log | aggregation [by (...)] (query) | range "(" log "[" duration "]" ")" | query operator number
    log       = "{" matchers "}" { line filter | parser | label filter }

Loki's own grammar has more (``pkg/logql/syntax``); a query beyond this one would have to bring its part along.
"""

import re

_STRING = r'(?:"(?:[^"\\]|\\.)*"|`[^`]*`)'
_MATCHER = rf"\w+ *(?:=~|!~|!=|=) *{_STRING}"
_COMPARISON = rf"\w+ *(?:==|=~|!=|!~|>=|<=|=|>|<) *(?:{_STRING}|[0-9.]+\w*)"
_STAGE = rf"(?:\|=|!=|\|~|!~) *{_STRING}|\| *(?:json|logfmt|unpack)|\| *{_COMPARISON}"
_LOG = re.compile(rf"\{{ *{_MATCHER}(?: *, *{_MATCHER})* *\}}(?: *(?:{_STAGE}))*")
_RANGE = re.compile(
    r"(?:rate|count_over_time|bytes_rate|bytes_over_time|absent_over_time) *"
    r"\((?P<log>.+)\[(?P<window>\$__auto|\d+[smhd])\] *\)"
)
_AGGREGATION = re.compile(r"(?:sum|min|max|avg|count)(?: *(?:by|without) *\([\w, ]+\))? *\((?P<inner>.+)\)")
_SCALED = re.compile(r"(?P<inner>.+) *[*/+-] *[0-9.]+")


class LogQLError(ValueError):
    """It is not LogQL, or more of it than is known here."""


def parse_logql(text: str) -> list[str]:
    """The windows of its ranges, as they are written. Raises LogQLError."""
    text = text.strip()
    if _LOG.fullmatch(text):
        return []
    over_time = _RANGE.fullmatch(text)
    if over_time and _LOG.fullmatch(over_time["log"].strip()):
        return [over_time["window"]]
    for form in (_AGGREGATION, _SCALED):
        if found := form.fullmatch(text):
            return parse_logql(found["inner"])
    raise LogQLError(f"not LogQL: {text}")
