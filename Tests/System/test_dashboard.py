"""The dashboard: each panel's expressions are sound, and have data while a worker works."""

import json

from order_client import create_customer, new_id, order, subscription
from order_faults import answered, wait_until
from order_prometheus import Prometheus
from order_stage import REPOSITORY
from test_alerts import described, metric_names, promtool, series

DASHBOARD = REPOSITORY / "deploy" / "grafana" / "order-worker.json"
EXPRESSIONS = [
    (panel["title"], target["expr"])
    for panel in json.loads(DASHBOARD.read_text())["panels"]
    for target in panel.get("targets", [])
]


def test_the_dashboards_panels_have_an_expression_each_and_places_of_their_own():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)
    assert all(panel["type"] == "row" or panel["targets"] for panel in panels)


def test_promtool_accepts_every_expression_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"panel_{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yaml")


def test_every_panel_has_data_while_a_worker_is_under_load(stage, publisher):
    worker = stage.start_worker().wait_until_ready()
    types = described(worker.get("/metrics")[1])
    for title, expression in EXPRESSIONS:
        assert metric_names(expression) <= series(types), title
    stage.command_line("audit")
    with Prometheus(stage.folder, worker) as prometheus:
        sent = []

        def work():
            customer = new_id()
            commands = [create_customer(customer), order(customer, subscription({"ov-ssl": 2}))]
            for command in commands:
                publisher.command(command)
            sent.extend(commands)

        def without_data() -> list[str]:
            work()
            return [
                f"{title}: {expression}"
                for title, expression in EXPRESSIONS
                # What isn't a number is drawn as nothing.
                if not any(value == value for _, value in prometheus.query(expression.replace("$__rate_interval", "1m")))
            ]

        wait_until(lambda: not without_data(), 60, f"panels without data: {without_data()}")
        wait_until(lambda: answered(stage, sent) == len(sent), 30, "all is applied")
