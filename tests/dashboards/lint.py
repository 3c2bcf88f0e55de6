"""The seventeen rules of Grafana's dashboard-linter (grafana/dashboard-linter, ``lint/rules.go``), without exclusions.

Each is written anew from what the linter's documentation and tests say, under its name there; where ours is stricter it
says so. A rule takes a dashboard and returns what is wrong with it.
"""

from collections.abc import Callable, Mapping

from tests.dashboards import lint_boards, lint_queries
from tests.dashboards.boards import Board

Rule = Callable[[Board], list[str]]

RULES: Mapping[str, Rule] = {
    "template-datasource-rule": lint_boards.template_datasource,
    "template-job-rule": lint_boards.template_job,
    "template-instance-rule": lint_boards.template_instance,
    "template-label-promql-rule": lint_boards.template_label_promql,
    "template-on-time-change-reload-rule": lint_boards.template_on_time_change_reload,
    "panel-datasource-rule": lint_boards.panel_datasource,
    "panel-title-description-rule": lint_boards.panel_title_description,
    "panel-units-rule": lint_boards.panel_units,
    "panel-no-targets-rule": lint_boards.panel_no_targets,
    "target-logql-rule": lint_queries.target_logql,
    "target-logql-auto-rule": lint_queries.target_logql_auto,
    "target-promql-rule": lint_queries.target_promql,
    "target-rate-interval-rule": lint_queries.target_rate_interval,
    "target-job-rule": lint_queries.target_job,
    "target-instance-rule": lint_queries.target_instance,
    "target-counter-agg-rule": lint_queries.target_counter_agg,
    "uneditable-dashboard-rule": lint_boards.uneditable_dashboard,
}
