"""The topology as an operator meets it: damaged, with policies of others, grown, and with the names of before."""

import time
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pika

from order_client import Publisher, create_customer, new_id
from order_stage import queue_of


@contextmanager
def channel_of(url: str):
    with closing(pika.BlockingConnection(pika.URLParameters(url))) as connection:
        yield connection.channel()


def wait_until(condition, seconds: float, what: str):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def policy(stage, name: str, pattern: str, **definition) -> None:
    stage.servers.management(
        "PUT",
        f"policies/{stage.name}/{name}",
        {"pattern": pattern, "definition": {key.replace("_", "-"): value for key, value in definition.items()}},
    )


def put_aside(stage, count: int) -> None:
    """Has something lie in the dead letters."""
    with channel_of(stage.admin_url) as channel:
        channel.confirm_delivery()
        for number in range(count):
            channel.basic_publish("", "orders.dead", b"{", pika.BasicProperties(delivery_mode=2, message_id=str(number)))


def partition_of(stage, customer: str) -> int:
    """Where a customer's commands lie now."""
    depths = stage.queue_depths()
    return next(number for number in range(8) if depths.get(queue_of(number), 0) > 0)


def test_seen_11_dead_letters_are_not_looked_at_under_a_policy_that_counts_looks(stage):
    put_aside(stage, 3)
    assert len(stage.command_line("deadletters", "list", "--json").stdout.splitlines()) == 3
    policy(stage, "three-strikes", ".*", delivery_limit=3)
    for _ in range(6):
        done = stage.command_line("deadletters", "list", expect=1)
        assert "three-strikes" in done.stderr
    stage.command_line("deadletters", "replay", "--all", expect=1)
    assert stage.queue_depths()["orders.dead"] == 3
    for command in ("doctor",), ("topology", "check"):
        done = stage.command_line(*command, expect=1)
        assert "three-strikes" in done.stdout and "sets delivery-limit of orders.dead to 3" in done.stdout

    stage.servers.management("DELETE", f"policies/{stage.name}/three-strikes")
    assert len(stage.command_line("deadletters", "list", "--json").stdout.splitlines()) == 3


def test_seen_11_policies_by_which_queues_or_what_they_hold_vanish_are_named(stage):
    policy(stage, "tidy", "^orders", expires=3_600_000, message_ttl=60_000, max_length=1000)
    for command in ("doctor",), ("topology", "check"):
        done = stage.command_line(*command, expect=1)
        for queue in (queue_of(0), queue_of(7), "orders.dead", "orders.unrouted"):
            for key in ("expires", "message-ttl", "max-length"):
                assert f"The policy tidy sets {key} of {queue} to" in done.stdout
    stage.servers.management("DELETE", f"policies/{stage.name}/tidy")
    stage.command_line("doctor", expect=0)


def test_where_policies_cannot_be_seen_doctor_and_check_say_so(stage):
    for environment in {"RABBITMQ_MANAGEMENT_URL": ""}, {"RABBITMQ_MANAGEMENT_URL": "http://a:b@127.0.0.1:1"}:
        for command in ("doctor",), ("topology", "check"):
            assert "couldn't be seen" in stage.command_line(*command, **environment).stdout


def test_bindings_that_are_missing_or_lead_elsewhere_are_named_and_restored(stage):
    with channel_of(stage.admin_url) as channel:
        channel.exchange_unbind(queue_of(2), "orders", "1")
        channel.queue_declare("stray", durable=True)
        channel.queue_bind("stray", "orders", "1")
        done = stage.command_line("topology", "check", expect=1)
        assert "isn't bound to the exchange orders.02" in done.stdout
        assert "stray" in done.stdout
        channel.queue_delete("stray")
    stage.command_line("topology", "apply")
    stage.command_line("topology", "check")


def test_commands_for_a_deleted_queue_are_kept_and_applied_once_it_is_restored(stage, listener, publisher):
    customer = new_id()
    publisher.command(create_customer(customer))
    partition = partition_of(stage, customer)
    with channel_of(stage.admin_url) as channel:
        channel.queue_delete(queue_of(partition))
    customers = [new_id() for _ in range(40)]
    for other in customers:
        publisher.command(create_customer(other))
    unrouted = stage.queue_depths()["orders.unrouted"]
    assert unrouted > 0, "none of the forty came for that partition"
    done = stage.command_line("doctor", expect=1)
    assert f"The queue {queue_of(partition)} doesn't exist" in done.stdout

    stage.command_line("topology", "apply")
    assert stage.queue_depths()["orders.unrouted"] == 0
    stage.start_worker().wait_until_ready()
    for other in customers:
        listener.event("customer.created", other)
    stage.command_line("doctor", expect=0)


def test_the_clock_sends_on_what_lies_unrouted_with_its_publisher(stage, listener, publisher):
    customer = new_id()
    publisher.command(create_customer(customer))
    partition = partition_of(stage, customer)
    arguments = stage.servers.management("GET", f"queues/{stage.name}/{queue_of(partition)}")["arguments"]
    customers = [new_id() for _ in range(40)]
    with channel_of(stage.admin_url) as channel:
        channel.queue_delete(queue_of(partition))
        for other in customers:
            publisher.command(create_customer(other))
        assert stage.queue_depths()["orders.unrouted"] > 0
        # Restored by hand: nobody has sent on what waits.
        channel.queue_declare(queue_of(partition), durable=True, arguments=arguments)
        channel.queue_bind(queue_of(partition), queue_of(partition), "")
    stage.start_worker().wait_until_ready()
    for other in customers:
        assert listener.event("customer.created", other)
    assert stage.query("SELECT DISTINCT publisher FROM inbox WHERE type = 'customer.create'") == [
        (urlsplit(stage.publisher_url).username,)
    ]
    wait_until(lambda: stage.queue_depths()["orders.unrouted"] == 0, 20, "nothing is left unrouted")


def test_partitions_are_added_while_workers_and_publishers_go_on(stage, listener):
    worker = stage.start_worker().wait_until_ready()
    customers = [new_id() for _ in range(100)]
    with Publisher(stage.publisher_url) as publisher:
        for customer in customers[:50]:
            publisher.command(create_customer(customer))
        done = stage.command_line("topology", "apply", "--partitions", "12")
        assert "made queue orders.11" in done.stdout
        for customer in customers[50:]:
            publisher.command(create_customer(customer))
    assert stage.query("SELECT partitions FROM topology") == [(12,)]
    worker.terminate()
    worker.wait(30)
    stage.start_worker(PARTITIONS="12").wait_until_ready()
    for customer in customers:
        listener.event("customer.created", customer)
    stage.command_line("topology", "check")


def test_seen_13_a_number_of_partitions_that_the_topology_does_not_have_is_named(stage):
    for command in ("doctor",), ("topology", "check"):
        done = stage.command_line(*command, expect=1, PARTITIONS="4")
        assert "4" in done.stdout and "8" in done.stdout and "partitions" in done.stdout
    # Workers go by the database where nothing else is said.
    stage.command_line("topology", "check")


def test_fewer_partitions_are_refused_while_something_is_in_the_surplus_ones(stage, publisher):
    customers = [new_id() for _ in range(40)]
    for customer in customers:
        publisher.command(create_customer(customer))
    done = stage.command_line("topology", "apply", "--partitions", "2", expect=78)
    assert "orders.0" in done.stderr
    assert stage.query("SELECT partitions FROM topology") == [(8,)]
    stage.command_line("topology", "check")
    assert sum(stage.queue_depths().values()) == 40


def test_a_topology_with_the_names_of_before_is_moved_with_what_lies_in_it(stage, listener, publisher):
    with channel_of(stage.admin_url) as channel:
        arguments = stage.servers.management("GET", f"queues/{stage.name}/{queue_of(0)}")["arguments"]
        for number in range(8):
            channel.queue_delete(queue_of(number))
            channel.exchange_delete(queue_of(number))
            channel.queue_declare(f"orders.{number}", durable=True, arguments=arguments)
            channel.queue_bind(f"orders.{number}", "orders", "1")
    with closing(stage.servers.database(stage.database_url)) as database:
        database.cursor().execute("DELETE FROM topology")
    customers = [new_id() for _ in range(60)]
    for customer in customers:
        publisher.command(create_customer(customer))
    for customer in customers:
        publisher.command(create_customer(customer))
    assert "orders.0" in stage.command_line("topology", "check", expect=1).stdout
    done = stage.command_line("topology", "apply")
    assert "moved what was in orders.0" in done.stdout
    depths = stage.queue_depths()
    assert not [name for name in depths if len(name) == len("orders.0")]
    assert sum(depths[queue_of(number)] for number in range(8)) == 120
    stage.command_line("topology", "check")
    stage.start_worker().wait_until_ready()
    for customer in customers:
        listener.event("customer.created", customer)
        assert listener.event("command.rejected", customer).data["code"] == "customer_exists"
