"""Sending a command again does no harm and gives the same outcome; its id belongs to its content."""

import threading

from order_client import Publisher, create_customer, new_id, order, subscription


def test_the_same_message_a_hundred_times_through_two_workers_has_one_effect(stage, listener):
    for worker in [stage.start_worker(), stage.start_worker()]:
        worker.wait_until_ready()
    customer = new_id()
    command = create_customer(customer)
    correlations = [new_id() for _ in range(100)]
    errors = []
    start = threading.Barrier(20)

    def send(share):
        try:
            with Publisher(stage.publisher_url) as publisher:
                messages = [
                    command.message(reply_to=listener.reply_queue, correlation_id=correlation) for correlation in share
                ]
                start.wait(30)
                for body, properties in messages:
                    publisher.send(body, properties, customer)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=send, args=(correlations[number::20],)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors

    listener.wait(lambda: len(listener.replies) >= 100, 60, lambda: f"{100 - len(listener.replies)} of 100 outcomes")
    assert set(listener.replies) == set(correlations)
    outcomes = {event.id for events in listener.replies.values() for event in events}
    assert len(outcomes) == 1
    assert {event.type for events in listener.replies.values() for event in events} == {"customer.created"}
    assert {event.id for event in listener.events} == outcomes
    assert stage.query("SELECT customer_id::text FROM customers") == [(customer,)]
    assert stage.query("SELECT count(*) FROM inbox") == [(1,)]


def test_an_id_used_again_for_another_command_is_rejected_and_the_first_is_untouched(stage, listener, publisher):
    stage.start_worker().wait_until_ready()
    customer = new_id()
    created = create_customer(customer)
    first = order(customer, subscription({"ov-ssl": 10}))
    second = order(customer, subscription({"ov-ssl": 11}), id=first.id)

    def ask(command):
        correlation = new_id()
        publisher.command(command, reply_to=listener.reply_queue, correlation_id=correlation)
        return listener.reply(correlation)

    assert ask(created).type == "customer.created"
    ordered = ask(first)
    assert ordered.type == "subscription.ordered"
    rejected = ask(second)
    assert rejected.type == "command.rejected"
    assert rejected.data["code"] == "command_id_reused"
    assert rejected.id != ordered.id
    # Sent once more, the first still gets its own outcome, and the other is refused again.
    assert ask(first).id == ordered.id
    assert ask(second).type == "command.rejected"
    assert stage.query("SELECT quantity FROM inventory") == [(10,)]
    assert len(stage.query("SELECT 1 FROM transactions")) == 1
    # The same id from another source is another command.
    elsewhere = order(customer, subscription({"ov-ssl": 12}), id=first.id, source="https://acme.example/other")
    assert ask(elsewhere).type == "subscription.ordered"
