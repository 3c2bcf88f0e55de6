#!/usr/bin/env python3
"""What a container image is made of, as CycloneDX 1.6: the base's packages, the interpreter, and Python's packages.

    docker run --rm -i --entrypoint python IMAGE -I - --name IMAGE < tools/image_sbom.py > image.cdx.json
    kubectl exec -i POD -- python -I - --name IMAGE < tools/image_sbom.py > image.cdx.json
    python tools/image_sbom.py --root UNPACKED --name IMAGE > image.cdx.json

Rules:
- It runs inside the image that it describes, so it needs nothing but the standard library, and asks nobody.
- What it lists is what is installed, by the package managers' own records; not what somebody meant to install.
- The same image gives the same bytes: no time, and a serial number made of the content.
"""

import argparse
import email.parser
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]


def deb_packages(root: Path, system: dict[str, str]) -> Iterator[Component]:
    """Installed Debian packages, by dpkg's status file, or its folder of files in distroless images."""
    dpkg = root / "var" / "lib" / "dpkg"
    files = [path for path in (dpkg / "status", *sorted(dpkg.glob("status.d/*"))) if path.is_file()]
    parser = email.parser.HeaderParser()
    for file in files:
        for paragraph in file.read_text(errors="replace").split("\n\n"):
            entry = parser.parsestr(paragraph)
            if not entry["Package"] or "installed" not in (entry["Status"] or "installed").split():
                continue
            name, version = entry["Package"], entry["Version"]
            distribution = f"{system.get('ID', 'debian')}-{system.get('VERSION_ID', '')}".rstrip("-")
            purl = f"pkg:deb/{system.get('ID', 'debian')}/{quote(name)}@{quote(version, safe='')}"
            purl += f"?arch={entry['Architecture']}&distro={distribution}"
            yield {"type": "library", "name": name, "version": version, "purl": purl}


def package_folders(root: Path) -> Iterator[Path]:
    """The folders where Python looks for packages, without a walk through the kernel's file systems."""
    for folder, names, _ in os.walk(root):
        if Path(folder) == root:
            names[:] = [name for name in names if name not in ("proc", "sys", "dev")]
        yield from (Path(folder, name) for name in names if name in ("site-packages", "dist-packages"))
        names[:] = [name for name in names if name not in ("site-packages", "dist-packages")]


def python_packages(root: Path) -> Iterator[Component]:
    """Python's packages, wherever they are installed, by their metadata."""
    for folder in sorted(package_folders(root)):
        for metadata in sorted(folder.glob("*.dist-info/METADATA")):
            entry = email.parser.HeaderParser().parsestr(metadata.read_text(errors="replace"))
            name, version = entry["Name"], entry["Version"]
            purl = f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version, safe='')}"
            made = {"type": "library", "name": name, "version": version, "purl": purl}
            if entry["License-Expression"]:
                made["licenses"] = [{"expression": entry["License-Expression"]}]
            made["properties"] = [{"name": "location", "value": "/" + str(folder.relative_to(root))}]
            yield made


def interpreters(root: Path) -> Iterator[Component]:
    """CPython as the official images build it, outside of the package manager."""
    for header in sorted(root.glob("usr/local/include/python3*/patchlevel.h")):
        for line in header.read_text().splitlines():
            if line.startswith("#define PY_VERSION "):
                version = line.split('"')[1]
                yield {
                    "type": "application",
                    "name": "cpython",
                    "version": version,
                    "purl": f"pkg:generic/cpython@{quote(version)}",
                    "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
                }


def operating_system(root: Path) -> dict[str, str]:
    """The entries of os-release; empty for an image that has none."""
    file = root / "etc" / "os-release"
    lines = file.read_text().splitlines() if file.is_file() else []
    return {key: value.strip("\"'") for key, mark, value in (line.partition("=") for line in lines) if mark}


def describe(root: Path, name: str, base: str) -> dict[str, Any]:
    """The bill of materials of the image whose files are below ``root``."""
    system = operating_system(root)
    found = [*deb_packages(root, system), *interpreters(root), *python_packages(root)]
    if system:
        found.append({"type": "operating-system", "name": system["ID"], "version": system.get("VERSION_ID", "")})
    unique: dict[str, Component] = {}
    for made in found:
        unique.setdefault(made.get("purl") or f"{made['name']}@{made['version']}", made)
    components = [{**made, "bom-ref": reference} for reference, made in sorted(unique.items())]
    image, _, tag = name.partition("@")[0].rpartition(":") if ":" in name.rsplit("/", 1)[-1] else (name, "", "")
    subject: Component = {"type": "container", "bom-ref": "image", "name": image or name}
    if tag:
        subject["version"] = tag
    if base:
        subject["properties"] = [{"name": "org.opencontainers.image.base.name", "value": base}]
    content = json.dumps([subject, components], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="What an image is made of, as CycloneDX.")
    parser.add_argument("--root", type=Path, default=Path("/"), help="the image's files (default: /, inside of it)")
    parser.add_argument("--name", required=True, help="the image's name and tag")
    parser.add_argument("--base", default="", help="the image that it was built from")
    arguments = parser.parse_args()
    made = describe(arguments.root, arguments.name, arguments.base)
    if not made["components"]:
        print(f"{arguments.root}: there are no packages; is it the root of an image?", file=sys.stderr)
        return 1
    json.dump(made, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
