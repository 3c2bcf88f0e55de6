"""Pictures of the operators' page, of a running service under a little load (``make pictures``).

python -m tools.pictures           writes docs/images/admin-light.png and admin-dark.png
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SCHEMES = {"dark": 0, "light": 1}
"""Blink's numbers for ``prefers-color-scheme``."""
LOAD_SECONDS = 12.0


def browser_command(program: str, profile: Path, *arguments: str) -> list[str]:
    """Chromium without a window, with a profile of its own and no word to anybody else."""
    return [
        program,
        "--headless=new",
        "--no-sandbox",  # containers give it no namespaces, and it sees pages of ours alone
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        *arguments,
    ]


def main() -> int:
    """Write the pictures; 1 without a browser."""
    program = shutil.which("chromium")
    if program is None:
        print("chromium is needed: sudo apt-get install -y --no-install-recommends chromium", file=sys.stderr)
        return 1
    sys.path.insert(0, str(ROOT))
    from tests.programs.service_calls import ServiceCalls  # noqa: PLC0415 - needs the path of above
    from tests.programs.service_clients import AUDITOR, BASIC, JWT, REFRESHER, write_clients  # noqa: PLC0415
    from tests.programs.service_process import ServiceProcess  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("picture")
        settings = {
            "CLIENTS_FILE": str(write_clients(folder / "clients.yaml")),
            "ADMIN_TOKEN_FILE": str(folder / "token"),
        }
        process = ServiceProcess(folder, settings)
        try:
            service = ServiceCalls(process)
            until = time.monotonic() + LOAD_SECONDS
            while time.monotonic() < until:
                for client in (BASIC, JWT, REFRESHER):
                    service.introspect(AUDITOR, service.access_token(client))
            service.http.post("/oauth/token", auth=(BASIC.id, "wrong"), data={"grant_type": "client_credentials"})
            url = process.admin_url.replace("//", "//admin:picture@") + "/admin/"
            for scheme, number in SCHEMES.items():
                picture = IMAGES / f"admin-{scheme}.png"
                shot = (
                    f"--blink-settings=preferredColorScheme={number}",
                    f"--screenshot={picture}",
                    "--window-size=1180,1500",
                )
                subprocess.run(
                    browser_command(program, folder / scheme, *shot, url), capture_output=True, timeout=60, check=True
                )
                print(f"{picture.relative_to(ROOT)}: written")
        finally:
            process.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
