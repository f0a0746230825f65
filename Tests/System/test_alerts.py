"""Metrics and alerts, as those who watch from outside have them: what is named exists, and each alert fires for its fault."""

import re
import shutil
import subprocess
import time
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest
import yaml

from order_client import Command, create_customer, new_id, now, order, subscription
from order_faults import answered, rename, wait_until
from order_prometheus import ALERTS, Prometheus, scaled
from order_stage import REPOSITORY

RUNBOOK = REPOSITORY / "deploy" / "RUNBOOK.md"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in RULES]
PATIENCE = 150
# PostgreSQL's name for the lock of the elected clock.
CLOCK_LOCK = 0x6F77636C


def promtool(*arguments) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is missing: deploy/local/install test"
    done = subprocess.run([program, *map(str, arguments)], cwd=ALERTS.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metric_names(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:order_worker|process)_[a-z_]+", expression))


def described(page: str) -> dict[str, str]:
    """The metrics that a page of metrics describes, with their types."""
    helped = set(re.findall(r"^# HELP (\S+) \S", page, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    assert helped == set(types), "HELP and TYPE go together"
    return types


def series(types: dict[str, str]) -> set[str]:
    """The names under which they are asked for."""
    return {name for name, kind in types.items() if kind != "histogram"} | {
        name + suffix for name, kind in types.items() if kind == "histogram" for suffix in ("_bucket", "_sum", "_count")
    }


def test_the_alerts_rules_are_sound_and_pass_their_unit_tests():
    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts.test.yaml")
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


def test_every_alert_has_a_unit_test_and_its_section_in_the_runbook():
    tested = re.findall(r"^  - name: (\w+) fires$", (ALERTS.parent / "alerts.test.yaml").read_text(), re.MULTILINE)
    sections = re.findall(r"^## (OrderWorker\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert len(set(NAMES)) == len(NAMES)
    assert sorted(tested) == sorted(NAMES)
    assert sorted(sections) == sorted(NAMES)
    for rule in RULES:
        assert rule["annotations"]["runbook_url"] == f"deploy/RUNBOOK.md#{rule['alert'].lower()}"
    for section in re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        if section.startswith("OrderWorker"):
            for part in ("**Means:**", "**Look at:**", "**Do:**", "**It worked when**"):
                assert part in section, section.splitlines()[0]


def test_every_metric_of_alerts_and_runbook_exists_and_every_metric_is_described(stage, publisher, listener):
    worker = stage.start_worker().wait_until_ready()
    customer = new_id()
    publisher.command(create_customer(customer))
    listener.event("customer.created", customer)
    _, page = worker.get("/metrics")
    types = described(page)
    for line in page.splitlines():
        if not line.startswith("#"):
            assert re.match(r"[a-z_]+", line).group() in series(types), f"not described: {line}"
    for name, kind in types.items():
        assert (kind == "counter") == name.endswith("_total"), name
    for rule in RULES:
        assert metric_names(rule["expr"]) <= series(types), rule["alert"]
    assert metric_names(RUNBOOK.read_text()) <= set(types) | series(types)
    for stem in ("read", "load", "decide", "store", "publish", "acknowledge"):
        assert f'order_worker_stage_duration_seconds_count{{stage="{stem}"}}' in page
    # Process, readiness and build are there whatever happens.
    assert worker.metric("order_worker_ready") == 1
    assert worker.metric("order_worker_build_info") == 1
    assert worker.metric("process_resident_memory_bytes") > 1 << 20


@pytest.fixture
def soon_expired(stage):
    """A certificate that is valid for two days more."""
    path = stage.folder / "authority.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-days", "2",
         "-keyout", str(stage.folder / "authority.key"), "-out", str(path)],
        check=True, capture_output=True,
    )
    return path


class Trouble:
    """Faults on real servers, each of which somebody has to be told of."""

    def __init__(self, stage, publisher):
        self.stage = stage
        self.publisher = publisher
        self.customer = new_id()
        # One that nothing is sent for later: that would settle what is due.
        self.idle = new_id()

    def publish(self, *commands: Command):
        for command in commands:
            self.publisher.command(command)
        wait_until(lambda: answered(self.stage, commands) == len(commands), PATIENCE, "they are answered")

    def old_and_rejected_commands(self):
        """An order of an hour ago, refusals, and a message that nobody can read."""
        create = create_customer(new_id())
        create.time = now() - timedelta(hours=1)
        again = []
        for _ in range(25):
            command = create_customer(self.customer)
            command.time = create.time
            again.append(command)
        self.publish(create, *again)
        self.publisher.send(b"{", self.publisher_properties(), new_id())

    @staticmethod
    def publisher_properties():
        import pika

        return pika.BasicProperties(user_id="publisher", delivery_mode=2, content_type="application/json")

    def due_and_false_books(self):
        """An invoice that should have been closed an hour ago, and one that doesn't add up."""
        self.sql(
            "UPDATE invoices SET due_at = now() - interval '1 hour', total = total + 1 WHERE customer_id = %s", self.idle
        )

    def leftover_and_quarantine(self, partition: int):
        """What a crash left unpublished an hour ago, and an event that the broker doesn't take."""
        event = (
            "(partition, event_id, type, time, customer_id, data{more}) SELECT %s, (lpad(to_hex(((extract(epoch FROM now())"
            " - 3600) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid, 'customer.updated', now(), %s, '{{}}'{values}"
        )
        self.sql("INSERT INTO outbox " + event.format(more="", values=""), partition, self.customer)
        self.sql(
            "INSERT INTO quarantine " + event.format(more=", reason", values=", 'too large'"), partition, new_id()
        )

    def sql(self, statement: str, *parameters):
        with closing(self.stage.servers.database(self.stage.database_admin_url)) as database:
            cursor = database.cursor()
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(statement, parameters)

    def remove(self, path: str):
        self.stage.servers.management("DELETE", path)


def test_each_alert_fires_for_its_fault(stage, publisher, soon_expired, clock_ahead):
    trouble = Trouble(stage, publisher)
    # No worker can be the elected clock while this session is.
    with closing(stage.servers.database(stage.database_admin_url)) as rival:
        cursor = rival.cursor()
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", (CLOCK_LOCK,))
        assert cursor.fetchone() == (True,)
        worker = stage.start_worker(
            DATABASE_URL=f"{stage.database_url}?sslmode=disable&sslrootcert={soon_expired}"
        ).wait_until_ready()
        # Told another number of partitions than there are it serves none, and its clock is 5 s ahead.
        useless = stage.start_worker(PARTITIONS="4", LD_PRELOAD=clock_ahead(5))
        with Prometheus(stage.folder, worker, useless, rules=scaled(ALERTS.read_text())) as prometheus:

            def fire(*names: str):
                assert set(names) <= set(NAMES)
                limit = time.monotonic() + PATIENCE
                while missing := set(names) - prometheus.fired():
                    assert time.monotonic() < limit, f"not within {PATIENCE} s: {missing}"
                    time.sleep(0.5)

            wait_until(
                lambda: prometheus.query('order_worker_queue_messages{queue="orders.dead"} == 0')
                and prometheus.query("order_worker_commands_total"),
                PATIENCE, "the first figures are there",
            )
            for customer in (trouble.customer, trouble.idle):
                trouble.publish(create_customer(customer), order(customer, subscription({"ov-ssl": 2}, "P1M")))
            trouble.old_and_rejected_commands()
            fire(
                "OrderWorkerAuditMissing", "OrderWorkerCertificateExpires", "OrderWorkerClockSkew", "OrderWorkerNotReady",
                "OrderWorkerClockWithoutLeader", "OrderWorkerCommandsLate", "OrderWorkerRejectionsJump",
                "OrderWorkerDeadLettersRise",
            )

            trouble.due_and_false_books()
            stage.command_line("audit", expect=1)
            partition = stage.query("SELECT partition FROM customers WHERE customer_id = %s", trouble.customer)[0][0]
            trouble.leftover_and_quarantine(partition)
            trouble.remove(f"exchanges/{stage.name}/order.events")
            trouble.remove(f"queues/{stage.name}/orders.{(partition + 1) % 8:02d}")
            stage.command_line("pause", "--partition", str((partition + 2) % 8))
            publisher.command(rename(trouble.customer, 1))
            fire(
                "OrderWorkerBooksUnsound", "OrderWorkerClockLags", "OrderWorkerOutboxOld", "OrderWorkerQuarantine",
                "OrderWorkerNothingApplied", "OrderWorkerPartitionWaits", "OrderWorkerReconnectLoop",
                "OrderWorkerPaused",
            )

            worker.kill()
            fire("OrderWorkerPartitionUnowned")
            trouble.sql("ALTER TABLE audits RENAME TO others")
            fire("OrderWorkerFiguresStale")
            useless.kill()
            wait_until(
                lambda: prometheus.query('ALERTS{alertname="OrderWorkerAbsent",alertstate="firing"}'), PATIENCE,
                "OrderWorkerAbsent fires",
            )
            assert prometheus.fired() == set(NAMES)
            for alert in prometheus.get("alerts")["alerts"]:
                assert "error" not in alert["annotations"]["description"], alert
