"""A command that overtakes the creation of its customer waits for it a little, and is rejected only then."""

import time

from order_client import create_customer, new_id, order, subscription


def test_an_order_that_overtakes_its_customers_creation_is_applied(stage, listener, publisher):
    stage.start_worker().wait_until_ready()
    customer = new_id()
    publisher.command(order(customer, subscription({"ov-ssl": 1})))
    time.sleep(0.5)
    publisher.command(create_customer(customer))
    listener.event("subscription.ordered", customer)
    assert not listener.find("command.rejected", customer)


def test_an_order_for_a_customer_that_never_comes_is_rejected(stage, listener, publisher):
    stage.start_worker().wait_until_ready()
    customer = new_id()
    began = time.monotonic()
    publisher.command(order(customer, subscription({"ov-ssl": 1})), reply_to=listener.reply_queue, correlation_id="1")
    rejected = listener.reply("1")
    assert rejected.type == "command.rejected" and rejected.data["code"] == "customer_unknown"
    assert rejected.data["sequence"] == 0
    assert 1 < time.monotonic() - began < 15
