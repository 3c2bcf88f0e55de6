"""Foreign code: the linter's security rules find what they are for, and the bill of materials is whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.test_locks import locked

ROOT = Path(__file__).parents[2]
FLAWS = {
    "S602": "import subprocess\n\nsubprocess.run(TEXT, shell=True, check=False)\n",
    "S307": "eval(TEXT)\n",
    "S506": "import yaml\n\nyaml.load(TEXT)\n",
    "S301": "import pickle\n\npickle.loads(TEXT)\n",
    "S324": "import hashlib\n\nhashlib.md5(TEXT)\n",
    "S501": "import httpx\n\nhttpx.get(TEXT, verify=False)\n",
    "S103": "import os\n\nos.chmod(TEXT, 0o777)\n",
    "S104": 'ADDRESS = "0.0.0.0"\n',
    "S311": "import random\n\nrandom.random()\n",
    "S314": "import xml.etree.ElementTree as ET\n\nET.fromstring(TEXT)\n",
    "S701": "import jinja2\n\njinja2.Environment(autoescape=False)\n",
}


@pytest.mark.parametrize("rule", FLAWS)
def test_a_flaw_in_the_service_s_code_does_not_pass_the_linter(rule: str) -> None:
    """The rules are bandit's (ruff's "S")."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "json", "--stdin-filename", "app/flaw.py", "-"]
    done = subprocess.run(command, cwd=ROOT, input=FLAWS[rule], capture_output=True, text=True, check=False)
    assert rule in {found["code"] for found in json.loads(done.stdout)}


def test_the_bill_of_materials_has_every_locked_package_and_its_hashes(tmp_path: Path) -> None:
    """What ``make sbom`` writes (CycloneDX)."""
    file = tmp_path / "bom.json"
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "requirements.lock"]
    command += ["--pyproject", "pyproject.toml", "--output-format", "JSON", "--output-file", str(file)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    bom = json.loads(file.read_text())
    assert bom["bomFormat"] == "CycloneDX"
    listed = {part["name"]: part["version"] for part in bom["components"]}
    assert listed == {name: str(version) for name, version in locked("requirements.lock").items()}
    for part in bom["components"]:
        hashes = [each["alg"] for reference in part["externalReferences"] for each in reference.get("hashes", ())]
        assert "SHA-256" in hashes, part["name"]


@pytest.mark.parametrize(
    ("lock", "code", "said"),
    [
        ("msgspec==0.22.0 --hash=sha256:" + "0" * 64, 0, "NOT DONE"),  # the database cannot be reached
        ("msgspec==0.22.0", 1, "FAILED"),  # no hash: what would be audited is not what would be installed
    ],
    ids=["out of reach", "without hashes"],
)
def test_an_audit_that_was_not_made_is_not_called_one(tmp_path: Path, lock: str, code: int, said: str) -> None:
    (tmp_path / "some.lock").write_text(lock + "\n")
    nowhere = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    command = [sys.executable, "tools/audit.py", str(tmp_path / "some.lock")]
    done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
