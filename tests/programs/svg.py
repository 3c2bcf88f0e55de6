"""What a picture shows, read from its SVG: matplotlib's text, paths and markers."""

import re
import xml.etree.ElementTree as ET

_SPACE = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """All text, in order."""
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter(f"{_SPACE}text")]


def size(svg: str) -> tuple[float, float]:
    """Width and height of the view box."""
    _, _, width, height = map(float, str(ET.fromstring(svg).get("viewBox")).split())
    return width, height


def paths(svg: str, style: str) -> list[list[tuple[float, float]]]:
    """The points of each path, outside definitions, whose style has ``style`` in it."""
    root = ET.fromstring(svg)
    defined = {id(path) for definitions in root.iter(f"{_SPACE}defs") for path in definitions.iter(f"{_SPACE}path")}
    return [
        [(float(x), float(y)) for x, y in re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))]
        for path in root.iter(f"{_SPACE}path")
        if style in path.get("style", "") and id(path) not in defined
    ]


def markers(svg: str, style: str) -> list[tuple[float, float]]:
    """The places of the markers whose style has ``style`` in it."""
    return [
        (float(use.get("x", "")), float(use.get("y", "")))
        for use in ET.fromstring(svg).iter(f"{_SPACE}use")
        if style in use.get("style", "")
    ]
