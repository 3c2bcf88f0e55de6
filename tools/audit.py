"""Look up every locked package in the vulnerability database, or say plainly that this was not possible.

    python tools/audit.py requirements.lock requirements-dev.lock

Exit code 1 for a known vulnerability, and for an audit that failed for another reason than the network. A database out
of reach is not a reason to stop work, but it is no success either: the last line says that nothing was audited.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

_TIMEOUT_SECONDS = 180
# What requests, urllib3 and pip-audit write when the database does not answer; anything else is a real failure.
_OUT_OF_REACH = ("ConnectionError", "Connection error", "ConnectTimeout", "NewConnectionError", "ReadTimeout",
                 "NameResolutionError", "ServiceError", "ProxyError", "Max retries exceeded", "HTTPError")  # fmt: skip


def audit(lock: str) -> int:
    """Audit one lock file; 0 or 1 for the exit code."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", lock, "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"audit of {lock}: NOT DONE, the vulnerability database did not answer within {_TIMEOUT_SECONDS} s")
        return 0
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError, TypeError):
        if any(sign in done.stderr for sign in _OUT_OF_REACH):
            reason = done.stderr.strip().splitlines()[-1]
            print(f"audit of {lock}: NOT DONE, the vulnerability database cannot be reached from here ({reason})")
            return 0
        print(f"audit of {lock}: FAILED\n{done.stderr}")
        return 1
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        print(f"audit of {lock}: NOT DONE, the database that is reached from here knows none of the packages")
        return 0
    findings = [(package, flaw) for package in packages for flaw in package.get("vulns", [])]
    for package, flaw in findings:
        fixed_in = ", ".join(flaw["fix_versions"]) or "no release yet"
        print(f"{package['name']} {package['version']}: {flaw['id']}, fixed in {fixed_in}")
    if unknown:
        print(f"audit of {lock}: NOT DONE for {', '.join(unknown)}: the database does not know them")
    print(f"audit of {lock}: {len(packages) - len(unknown)} packages looked up, {len(findings)} known vulnerabilities")
    return 1 if findings else 0


def main(locks: Sequence[str]) -> int:
    """Audit all lock files."""
    return max([audit(lock) for lock in locks], default=2)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
