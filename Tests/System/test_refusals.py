"""What the database refuses, for good or for now: one bad command harms no other, and what passes is waited for."""

import time
from contextlib import closing

from order_client import create_customer, new_id, order, subscription


def change(stage, *statements: str) -> None:
    """Changes the stage's database as its owner."""
    with closing(stage.servers.database(stage.database_url)) as database, database.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
        for statement in statements:
            cursor.execute(statement)


def test_a_command_that_the_database_refuses_is_put_aside_and_harms_no_other(stage, listener, publisher):
    change(stage, "ALTER TABLE inventory ADD CONSTRAINT unlucky CHECK (quantity <> 13)")
    customer = new_id()
    commands = [create_customer(customer)]
    commands += [order(customer, subscription({"ov-ssl": quantity})) for quantity in range(1, 26)]
    # All in the queue before a worker comes: they are one batch, which the database refuses.
    for command in commands:
        publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
    worker = stage.start_worker().wait_until_ready()
    outcomes = {command.id: listener.reply(command.id) for command in commands}
    refused = commands[13]
    assert outcomes[refused.id].data["code"] == "internal_error"
    assert {outcomes[c.id].type for c in commands[1:] if c is not refused} == {"subscription.ordered"}
    assert stage.query("SELECT count(*) FROM inbox") == [(25,)]
    assert stage.queue_depths()["orders.dead"] == 1
    assert worker.metric("order_worker_lane_restarts_total") == 0

    # Once an operator has mended what was wrong, the command can be given again.
    change(stage, "ALTER TABLE inventory DROP CONSTRAINT unlucky")
    stage.command_line("deadletters", "replay", "--all")
    listener.wait(
        lambda: listener.replies[refused.id][-1].type == "subscription.ordered", 20, "the outcome of the replayed order")
    assert stage.query("SELECT count(*) FROM subscriptions") == [(25,)]
    stage.command_line("audit")


def test_what_cannot_be_stored_for_now_is_kept_and_tried_again(stage, listener, publisher):
    worker = stage.start_worker().wait_until_ready()
    change(
        stage,
        "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER disk_full BEFORE INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION disk_full()",
    )
    command = create_customer(new_id())
    publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
    time.sleep(2)
    assert command.id not in listener.replies
    change(stage, "DROP TRIGGER disk_full ON outbox")
    assert listener.reply(command.id).type == "customer.created"
    # It was never given back to the queue, which counts how often that happens.
    assert worker.metric("order_worker_lane_restarts_total") == 0
    assert stage.queue_depths()["orders.dead"] == 0


def test_a_worker_takes_nothing_while_its_database_takes_no_changes(stage, listener, publisher):
    change(stage, f"ALTER DATABASE {stage.name} SET default_transaction_read_only = on")
    command = create_customer(new_id())
    publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
    worker = stage.start_worker()
    limit = time.monotonic() + 20
    while "takes no changes" not in worker.get("/readyz")[1]:
        assert time.monotonic() < limit, worker.tail()
        time.sleep(0.1)
    assert command.id not in listener.replies
    change(stage, f"ALTER DATABASE {stage.name} RESET default_transaction_read_only")
    worker.wait_until_ready()
    assert listener.reply(command.id).type == "customer.created"
