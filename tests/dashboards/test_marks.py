"""The marks of deploys, starts and rotations stand where these happened, and nowhere else: promtool evaluates them."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import RequireProgram
from tests.dashboards.live.answers import beginnings, filled_in
from tools.dashboards.catalogue import FOLDER

CHOSEN = {"cluster": ".*", "namespace": ".*", "job": "auth-service", "instance": ".+"}
_AGE = 'signing_key_age_seconds{job="auth-service",instance="a",algorithm="ES256"'
SERIES = {
    # Version 2 comes at minute 10 on a new pod; another job's version changes as well.
    'build_info{job="auth-service",instance="a",version="1"}': "1x30",
    'build_info{job="auth-service",instance="b",version="2"}': "_x10 1x20",
    'build_info{job="other",instance="c",version="9"}': "_x4 1x25",
    'process_start_time_seconds{job="auth-service",instance="a"}': "-9000x30",
    'process_start_time_seconds{job="auth-service",instance="b"}': "_x10 590x20",
    # Another key signs from minute 20 on.
    f'{_AGE},state="signing"}}': "86400+60x19 60+60x10",
    f'{_AGE},state="published"}}': "0+60x9 0+60x20",
}


@pytest.mark.parametrize(
    ("name", "labels", "at", "not_at"),
    [
        ("Deploys", '{job="auth-service",version="2"}', 10, (2, 12, 20)),
        ("Starts", '{instance="b",job="auth-service"}', 10, (2, 9, 12, 20)),
        ("Rotations", '{algorithm="ES256",job="auth-service"}', 20, (10, 19, 22)),
    ],
)
def test_a_mark_is_where_it_happened(
    require_program: RequireProgram,
    tmp_path: Path,
    *,
    name: str,
    labels: str,
    at: int,
    not_at: tuple[int, ...],
) -> None:
    board = json.loads((FOLDER / "auth-service-overview.json").read_text())
    (mark,) = [mark for mark in board["annotations"]["list"] if mark["name"] == name]
    expression = f"group by (job, instance, version, algorithm) ({filled_in(mark['expr'], CHOSEN, 3600)})"
    expected = [{"eval_time": f"{at}m", "expr": expression, "exp_samples": [{"labels": labels, "value": 1}]}]
    expected += [{"eval_time": f"{minute}m", "expr": expression, "exp_samples": []} for minute in not_at]
    input_series = [{"series": series, "values": values} for series, values in SERIES.items()]
    test = {"interval": "1m", "input_series": input_series, "promql_expr_test": expected}
    (tmp_path / "marks.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    command = [require_program("promtool"), "test", "rules", str(tmp_path / "marks.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_goes_on_for_a_while_is_one_mark() -> None:
    assert beginnings([]) == []
    assert beginnings([(10.0, 1.0), (12.0, 1.0), (14.0, 1.0), (60.0, 1.0), (62.0, 2.0)]) == [(10.0, 1.0), (60.0, 1.0)]
