"""The operator's commands: safe to repeat, and clear about what is wrong."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from contextlib import closing

import pika
import pytest

from order_stage import PARTITIONS, SAMPLE_CATALOG, Stage, queue_of


def test_setting_up_twice_changes_nothing(stage):
    tables = stage.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    stage.set_up()
    assert stage.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == tables
    prices = stage.query("SELECT count(*) FROM prices")
    stage.command_line("catalog", "apply", str(SAMPLE_CATALOG), "--dry-run")
    assert stage.query("SELECT count(*) FROM prices") == prices


def test_topology_makes_single_active_consumer_quorum_queues_and_check_says_what_differs(stage):
    queues = {queue["name"]: queue for queue in stage.servers.management("GET", f"queues/{stage.name}")}
    for number in range(PARTITIONS):
        queue = queues[queue_of(number)]
        assert queue["arguments"]["x-queue-type"] == "quorum"
        assert queue["arguments"]["x-single-active-consumer"] is True
        assert queue["durable"]
    assert "orders.dead" in queues
    exchanges = {item["name"]: item for item in stage.servers.management("GET", f"exchanges/{stage.name}")}
    assert exchanges["orders"]["type"] == "x-consistent-hash"
    assert exchanges["order.events"]["type"] == "topic"

    stage.command_line("topology", "check", expect=0)
    with closing(pika.BlockingConnection(pika.URLParameters(stage.admin_url))) as connection:
        connection.channel().queue_delete("orders.03")
    done = stage.command_line("topology", "check", expect=None)
    assert done.returncode != 0
    assert "orders.03" in done.stdout + done.stderr


def test_doctor_is_content_with_a_sound_set_up_and_names_what_is_missing(servers, stage):
    stage.command_line("doctor", expect=0)
    bare = Stage(servers)
    try:
        done = bare.command_line("doctor", expect=None)
        assert done.returncode != 0
        assert "migrate" in done.stdout + done.stderr
        assert "topology apply" in done.stdout + done.stderr
    finally:
        bare.close()


def test_doctor_and_catalog_name_the_partner_whose_zone_this_machine_does_not_know(stage, tmp_path):
    assert stage.query(
        "UPDATE partners SET billing_zone = 'Atlantis/Capital' WHERE partner_id = 'sakura' RETURNING partner_id")
    done = stage.command_line("doctor", expect=1)
    assert "sakura" in done.stdout and "Atlantis/Capital" in done.stdout
    file = tmp_path / "catalog.json"
    file.write_text(SAMPLE_CATALOG.read_text().replace("Asia/Tokyo", "Atlantis/Capital"))
    checked = stage.command_line("catalog", "check", str(file), expect=1)
    assert "sakura" in checked.stdout and "Atlantis/Capital" in checked.stdout
    stage.command_line("catalog", "check", str(SAMPLE_CATALOG))
    applied = stage.command_line("catalog", "apply", str(file))
    assert "sakura" in applied.stdout and "Nothing to change" in applied.stdout
    # The others are served.
    stage.start_worker().wait_until_ready()


def test_a_malformed_setting_stops_the_start_and_is_named(stage):
    done = stage.command_line("run", expect=None, PARTITIONS="many", seconds=30)
    assert done.returncode not in (0, None)
    assert "partitions" in (done.stdout + done.stderr).lower()


def test_secrets_are_hidden_from_the_printed_configuration(stage):
    done = stage.command_line("run", "--print-config")
    for url in (stage.amqp_url, stage.worker_database_url):
        secret = url.split("@")[0].rsplit(":", 1)[1]
        assert secret not in done.stdout + done.stderr
    assert "127.0.0.1" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--partner", "nosuch"], "nosuch"),
        (["--reseller", "nosuch"], "nosuch"),
        (["--customer", "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"], "018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10"),
    ],
)
@pytest.mark.parametrize("kind", ["transactions", "invoices", "subscriptions", "upcoming"])
def test_a_report_of_somebody_unknown_is_refused(kind, arguments, named, stage):
    for form in ("table", "csv", "json"):
        done = stage.command_line("report", kind, "--format", form, *arguments, expect=1)
        assert named in done.stderr
        assert done.stdout == ""


def test_a_report_on_a_terminal_is_fitted_to_its_width(stage):
    for columns in (60, 80, 132):
        near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [str(stage.servers.binary), "report", "transactions"],
            env={**os.environ, **stage.environment()},
            stdin=subprocess.DEVNULL,
            stdout=far,
            stderr=subprocess.DEVNULL,
        )
        assert process.wait(30) == 0
        os.close(far)
        heading, *rest = os.read(near, 65536).decode().splitlines()
        os.close(near)
        assert len(heading) <= columns
        assert "cost" in heading and "customer" in heading
        assert any("Left out" in line and "transaction" in line for line in rest)
