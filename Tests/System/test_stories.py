"""What operators ask and do: a command's story, all of a customer, outcomes once more, a pause, another log level."""

import json
import signal

import pytest

from order_client import create_customer, new_id, order, subscription
from order_faults import answered, rename, wait_until

PATIENCE = 60


def publish(stage, publisher, *commands):
    for command in commands:
        publisher.command(command)
    wait_until(lambda: answered(stage, commands) == len(commands), PATIENCE, "they are answered")


@pytest.fixture
def orders(stage, publisher):
    """A customer that was created, ordered, and was then refused something."""
    stage.start_worker().wait_until_ready()
    customer = new_id()
    commands = [
        create_customer(customer),
        order(customer, subscription({"ov-ssl": 3, "ev-ssl": 1})),
        create_customer(customer),
    ]
    publish(stage, publisher, *commands)
    return commands


def test_a_commands_whole_story_is_told_by_its_id(stage, publisher, orders):
    created, ordered, refused = orders
    told = stage.command_line("command", ordered.id).stdout
    partition = stage.query("SELECT partition FROM customers WHERE customer_id = %s", ordered.customer)[0][0]
    for words in (
        f"subscription.order {ordered.id}", ordered.source, "publisher", "partner acme", ordered.customer,
        f"by partition {partition}", "catalog version 1", "subscription.ordered", "order 3 ov-ssl", "order 1 ev-ssl",
        "is published", "invoice ",
    ):
        assert words in told, f"{words} is missing in:\n{told}"

    story = json.loads(stage.command_line("command", refused.id, "--json").stdout)
    assert story["deadLetters"] == []
    (command,) = story["commands"]
    assert command["outcome"]["type"] == "command.rejected"
    assert command["outcome"]["data"]["code"] == "customer_exists"
    assert command["data"] == refused.data
    assert command["announcement"] == "published"
    assert command["catalogVersion"] == 1
    assert command["transactions"] == []

    # Another command has the same id, from another source.
    again = rename(created.customer, 1)
    again.id, again.source = created.id, created.source + "/others"
    publish_count = stage.query("SELECT count(*) FROM inbox")[0][0]
    publisher.command(again)
    wait_until(
        lambda: stage.query("SELECT count(*) FROM inbox")[0][0] == publish_count + 1, PATIENCE, "it is applied"
    )
    both = json.loads(stage.command_line("command", created.id, "--json").stdout)["commands"]
    assert [command["type"] for command in both] == ["customer.create", "customer.update"]
    (one,) = json.loads(stage.command_line("command", created.id, "--json", "--source", again.source).stdout)["commands"]
    assert one["source"] == again.source

    assert "Nothing is known" in stage.command_line("command", new_id(), expect=1).stderr


def test_a_dead_letter_is_part_of_its_commands_story(stage, publisher):
    stage.start_worker().wait_until_ready()
    wrong = create_customer(new_id())
    wrong.data["country"] = 7
    publisher.command(wrong)
    wait_until(lambda: stage.queue_depths()["orders.dead"] == 1, PATIENCE, "it is dead-lettered")
    story = json.loads(stage.command_line("command", wrong.id, "--json").stdout)
    assert story["commands"] == []
    assert [letter["id"] for letter in story["deadLetters"]] == [wrong.id]
    assert "schema_violation" in stage.command_line("command", wrong.id).stdout
    assert stage.queue_depths()["orders.dead"] == 1


def test_all_of_a_customer_is_shown_in_one_look_and_exported(stage, orders):
    created, ordered, _ = orders
    shown = stage.command_line("customer", created.customer, "--commands").stdout
    for words in (
        created.customer, "Harbor Logistics, Inc.", "SUBSCRIPTIONS", "INVOICES", "TRANSACTIONS", "COMMANDS", ordered.id,
    ):
        assert words in shown
    export = json.loads(stage.command_line("customer", created.customer, "--json", "--commands").stdout)
    assert export["customer"]["companyName"] == "Harbor Logistics, Inc."
    assert export["customer"]["partnerId"] == "acme"
    assert export["waiting"] == {"events": 0, "quarantined": 0, "parkedCommands": 0}
    assert len(export["subscriptions"]) == 1
    assert len(export["invoices"]) == 1
    assert sorted(line["certificateType"] for line in export["transactions"]) == ["ev-ssl", "ov-ssl"]
    assert [command["id"] for command in export["commands"]] == [command.id for command in orders]
    without = json.loads(stage.command_line("customer", created.customer, "--json").stdout)
    assert "commands" not in without
    assert "There is no customer" in stage.command_line("customer", new_id(), expect=1).stderr


def test_stored_outcomes_are_published_again_with_their_event_ids(stage, listener, orders):
    created, _, _ = orders
    ids = [event for (event,) in stage.query("SELECT outcome_id::text FROM inbox ORDER BY received_at, outcome_id")]

    def count(event_id: str) -> int:
        return sum(event.id == event_id for event in list(listener.events))

    def published(*wanted: int):
        wait_until(lambda: [count(event) for event in ids] == list(wanted), PATIENCE, f"{wanted} of {ids}")

    published(1, 1, 1)
    assert "1 published" in stage.command_line("events", "publish", "--event", ids[1]).stdout
    published(1, 2, 1)
    assert "3 published" in stage.command_line("events", "publish", "--customer", created.customer).stdout
    published(2, 3, 2)
    assert "3 published" in stage.command_line("events", "publish", "--since", "2020-01-01T00:00:00Z").stdout
    published(3, 4, 3)
    assert "0 published" in stage.command_line("events", "publish", "--event", new_id(), expect=1).stdout
    stage.command_line("events", "publish", expect=64)
    # Of a customer they come in order.
    sequence = [event.data["sequence"] for event in list(listener.events) if event.id in ids]
    assert sequence[-3:] == sorted(sequence[-3:])


def test_a_paused_partition_waits_and_the_others_go_on(stage, publisher, customers):
    (worker,) = stage.workers
    partitions = dict(stage.query("SELECT customer_id::text, partition FROM customers"))
    paused, other = partitions[customers[0]], next(p for p in partitions.values() if p != partitions[customers[0]])
    here = [customer for customer in customers if partitions[customer] == paused]
    there = [customer for customer in customers if partitions[customer] == other]
    assert f"partition {paused} is paused" in stage.command_line("pause", "--partition", str(paused)).stdout
    wait_until(lambda: f"partition {paused} is paused" in worker.get("/readyz")[1], PATIENCE, "readiness tells it")
    assert worker.get("/readyz")[0] == 200
    assert f"partition {paused} is paused" in stage.command_line("doctor").stdout

    waiting = [rename(customer, 1) for customer in here]
    for command in waiting:
        publisher.command(command)
    publish(stage, publisher, *[rename(customer, 1) for customer in there])
    assert answered(stage, waiting) == 0
    assert stage.queue_depths()[f"orders.{paused:02d}"] == len(waiting)
    wait_until(
        lambda: f'order_worker_partition_paused{{partition="{paused}"}} 1' in worker.get("/metrics")[1], PATIENCE,
        "metrics tell it",
    )
    assert f'state="paused"}} 1' in worker.get("/metrics")[1]

    # All, and those to come; one of them can't be resumed by itself.
    assert "every partition is paused" in stage.command_line("pause", "--all").stdout
    wait_until(lambda: f"partition {other} is paused" in worker.get("/readyz")[1], PATIENCE, "all are paused")
    assert "All partitions are paused" in stage.command_line("resume", "--partition", str(other), expect=1).stderr
    # A worker that starts meanwhile keeps to it.
    worker.terminate()
    worker.wait(30)
    worker = stage.start_worker().wait_until_ready()
    wait_until(lambda: f"partition {other} is paused" in worker.get("/readyz")[1], PATIENCE, "it is still paused")
    assert answered(stage, waiting) == 0

    assert "nothing is paused" in stage.command_line("resume", "--all").stdout
    wait_until(lambda: answered(stage, waiting) == len(waiting), PATIENCE, "what waited is applied")
    wait_until(lambda: "paused" not in worker.get("/readyz")[1], PATIENCE, "readiness tells it")
    stage.command_line("resume", "--all", expect=1)
    stage.command_line("pause", "--partition", "8", expect=1)
    stage.command_line("pause", expect=64)
    stage.command_line("audit")


def test_the_log_level_changes_while_the_worker_runs(stage, publisher):
    settings = stage.folder / "settings.json"
    settings.write_text('{"log": {"level": "info"}}')
    worker = stage.start_worker(CONFIG_FILE=str(settings), LOG_FORMAT="json").wait_until_ready()

    def lines(message: str) -> int:
        return sum(json.loads(line).get("message") == message for line in worker.log.read_text().splitlines())

    publish(stage, publisher, create_customer(new_id()))
    assert lines("command") == 0
    settings.write_text('{"log": {"level": "debug"}}')
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: lines("log level") == 1, PATIENCE, "the change is told")
    publish(stage, publisher, create_customer(new_id()))
    wait_until(lambda: lines("command") == 1, PATIENCE, "commands are logged")
    # What can't be read changes nothing, and stops nothing.
    settings.write_text("{")
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: lines("the log level stays") == 1, PATIENCE, "the mistake is told")
    publish(stage, publisher, create_customer(new_id()))
    wait_until(lambda: lines("command") == 2, PATIENCE, "commands are logged still")
    settings.write_text('{"log": {"level": "info"}}')
    worker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: lines("log level") == 2, PATIENCE, "the change back is told")
    publish(stage, publisher, create_customer(new_id()))
    assert lines("command") == 2
