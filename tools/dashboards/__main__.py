"""Writes dashboards/*.json: run by ``make dashboards``; a test compares the files.

python -m tools.dashboards            # write
python -m tools.dashboards --check    # exit 1 if a file is out of date
"""

import sys

from tools.dashboards.catalogue import FOLDER, files


def main() -> int:
    """Write, or compare."""
    wanted = files()
    if "--check" in sys.argv:
        return int(any(not path.is_file() or path.read_text() != text for path, text in wanted.items()))
    FOLDER.mkdir(exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
