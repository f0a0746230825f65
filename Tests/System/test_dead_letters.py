"""What can't be read goes unchanged to orders.dead with the reason, and the worker goes on."""

import json
import time

import pika
import pytest

from order_client import STRUCTURED, Command, create_customer, new_id


def dead_letter(stage, body: bytes, seconds: float = 20):
    """Takes the dead letter with this body; the queue holds nothing else where tests run one by one."""
    connection = pika.BlockingConnection(pika.URLParameters(stage.admin_url))
    try:
        channel = connection.channel()
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            method, properties, found = channel.basic_get("orders.dead", auto_ack=True)
            if method is None:
                time.sleep(0.05)
                continue
            assert found == body, f"another dead letter: {properties} {found[:200]!r}"
            return properties
        raise AssertionError(f"no dead letter within {seconds} s")
    finally:
        connection.close()


def reason(properties) -> str:
    values = [str(value) for name, value in properties.headers.items() if "reason" in name.lower()]
    assert values and all(values), f"no reason in the headers {properties.headers}"
    return " ".join(values)


def goes_on(running, publisher, listener):
    command = create_customer(new_id())
    publisher.command(command, reply_to=listener.reply_queue, correlation_id=command.id)
    assert listener.reply(command.id).type == "customer.created"
    assert running.workers[0].running


def plain(command: Command, **changes):
    body, properties = command.message("plain")
    for name, value in changes.items():
        setattr(properties, name, value)
    return body, properties


def sample():
    return create_customer("018f4c2e-6a1c-7c3e-9d55-0a4f7f2f9b10")


def with_data(**changes):
    command = sample()
    command.data.update(changes)
    return command.message("plain")


def structured(change):
    envelope = sample().envelope()
    change(envelope)
    return json.dumps(envelope).encode(), pika.BasicProperties(
        content_type=STRUCTURED, delivery_mode=2, user_id="publisher"
    )


UNREADABLE = {
    "not JSON": lambda: (b"customer.create, please", plain(sample())[1]),
    "empty": lambda: (b"", plain(sample())[1]),
    "cut off": lambda: (plain(sample())[0][:-20], plain(sample())[1]),
    "not UTF-8": lambda: (plain(sample())[0].replace(b"Boston", b"B\xff\xfeston"), plain(sample())[1]),
    "an array": lambda: (b"[" + plain(sample())[0] + b"]", plain(sample())[1]),
    "nested a million deep": lambda: (b"[" * 100_000 + b"]" * 100_000, plain(sample())[1]),
    "a duplicate key": lambda: (
        plain(sample())[0].replace(b'"companyName"', b'"companyName": "Other", "companyName"'),
        plain(sample())[1],
    ),
    "too large": lambda: with_data(companyName="x" * 5_000_000),
    "a misspelt member": lambda: with_data(companyname="Harbor"),
    "a wrong type": lambda: with_data(companyName=7),
    "a member missing": lambda: with_data(address={"line1": "1200 Harbor Drive"}),
    "an unknown type": lambda: plain(sample(), type="customer.explode"),
    "no type": lambda: plain(sample(), type=None),
    "no id": lambda: plain(sample(), message_id=None),
    "an empty id": lambda: structured(lambda envelope: envelope.update(id="")),
    "no specversion": lambda: structured(lambda envelope: envelope.pop("specversion")),
    "another specversion": lambda: structured(lambda envelope: envelope.update(specversion="3.0")),
    "a time that is none": lambda: structured(lambda envelope: envelope.update(time="yesterday")),
    "data that is a string": lambda: structured(lambda envelope: envelope.update(data="hello")),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_message_that_cannot_be_read_is_dead_lettered_unchanged(kind, running, shared_listener, shared_publisher):
    body, properties = UNREADABLE[kind]()
    shared_publisher.send(body, properties, sample().customer)
    dead = dead_letter(running, body)
    assert reason(dead)
    for name in ("content_type", "message_id", "type", "timestamp", "app_id"):
        assert getattr(dead, name) == getattr(properties, name), name
    assert not running.query("SELECT 1 FROM customers WHERE customer_id = %s", sample().customer)
    goes_on(running, shared_publisher, shared_listener)


@pytest.mark.parametrize("routing_key", ["", "orders", "0193e7a0-0000-7000-8000-000000000000"])
def test_a_misrouted_command_is_dead_lettered(routing_key, running, shared_listener, shared_publisher):
    command = create_customer(new_id())
    body, properties = command.message()
    shared_publisher.send(body, properties, routing_key)
    assert "rout" in reason(dead_letter(running, body)).lower()
    assert not running.query("SELECT 1 FROM customers WHERE customer_id = %s", command.customer)
    goes_on(running, shared_publisher, shared_listener)


def test_who_asked_for_an_answer_is_told_why_a_message_could_not_be_read(running, shared_listener, shared_publisher):
    command = create_customer(new_id())
    command.data["startdate"] = "2026-01-01"
    body, properties = command.message(reply_to=shared_listener.reply_queue, correlation_id=command.id)
    shared_publisher.send(body, properties, command.customer)
    rejected = shared_listener.reply(command.id)
    assert rejected.type == "command.rejected"
    assert rejected.data["code"] == "schema_violation"
    assert rejected.data["command"]["id"] == command.id
    assert any("startdate" in violation["pointer"] for violation in rejected.data["violations"])
    dead_letter(running, body)


def test_a_bad_message_among_good_ones_holds_up_none_of_them(running, shared_listener, shared_publisher):
    good = [create_customer(new_id()) for _ in range(50)]
    bad = []
    for number, command in enumerate(good):
        shared_publisher.command(command, reply_to=shared_listener.reply_queue, correlation_id=command.id)
        body = b"{bad %d" % number
        bad.append(body)
        shared_publisher.send(body, command.message("plain")[1], command.customer)
    for command in good:
        assert shared_listener.reply(command.id).type == "customer.created"
    connection = pika.BlockingConnection(pika.URLParameters(running.admin_url))
    try:
        channel = connection.channel()
        found = []
        limit = time.monotonic() + 20
        while len(found) < len(bad) and time.monotonic() < limit:
            method, properties, body = channel.basic_get("orders.dead", auto_ack=True)
            if method is None:
                time.sleep(0.05)
            else:
                assert reason(properties)
                found.append(body)
        assert sorted(found) == sorted(bad)
    finally:
        connection.close()
