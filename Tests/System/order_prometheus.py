"""A real Prometheus that scrapes workers every two seconds, with the alerts' waits scaled down to what a test can bear."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

from order_faults import wait_until
from order_stage import REPOSITORY, free_port

ALERTS = REPOSITORY / "deploy" / "prometheus" / "alerts.yaml"


def scaled(rules: str) -> str:
    """The same rules with short waits: seconds for minutes, and no more than a minute of history."""
    rules = re.sub(r"for: \d+[mh]", "for: 1s", rules)
    rules = rules.replace("[5m]", "[10s]")
    rules = re.sub(r"\[1[05]m\]", "[60s]", rules)
    # Bounds that only time reaches; the tests make all others come true at once.
    for bound, short in [("> 120", "> 15"), ("reconnects_total[60s])) > 10", "reconnects_total[60s])) > 3")]:
        assert bound in rules
        rules = rules.replace(bound, short)
    return rules


class Prometheus:
    def __init__(self, folder: Path, *workers, rules: str | None = None):
        program = shutil.which("prometheus")
        assert program, "prometheus is missing: deploy/local/install test"
        targets = [worker.http.removeprefix("http://") for worker in workers]
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        configuration = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
            "scrape_configs": [{"job_name": "order-worker", "static_configs": [{"targets": targets}]}],
        }
        if rules is not None:
            (folder / "alerts.yaml").write_text(rules)
            configuration["rule_files"] = ["alerts.yaml"]
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        self.log = folder / "prometheus.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        wait_until(lambda: self._answers() or self._ended(), 60, "Prometheus is ready")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def _ended(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        return False

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as response:
                return response.status == 200
        except OSError:
            return False

    def get(self, path: str, **parameters):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[tuple[dict, float]]:
        """An expression's series now: labels and value."""
        return [(item["metric"], float(item["value"][1])) for item in self.get("query", query=expression)["result"]]

    def fired(self) -> set[str]:
        """The alerts that have fired since the beginning."""
        return {labels["alertname"] for labels, _ in self.query('count_over_time(ALERTS{alertstate="firing"}[1h])')}
