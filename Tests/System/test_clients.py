"""Clients and libraries of others: what they send, in their own types, is taken, and what comes back they read."""

import asyncio
import json
import os
import subprocess
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import aio_pika
import pika
import pytest
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.v1.event import CloudEvent

from order_checks import assert_order_is_right, backdated
from order_client import STRUCTURED, Command, Event, create_customer, new_id, now, order, subscription

CLIENTS = Path(__file__).parent / "clients"
MODES = ["plain", "cloudEvents:", "cloudEvents_", "structured"]
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def assert_invoice_is_right(event, total):
    assert event.data["state"] == "open"
    assert event.data["total"] == {"amount": total, "currency": "USD"}
    assert sum(line["amount"]["amount"] for line in event.data["lines"]) == total


def assert_is_booked_once(stage, command, total):
    """One row in the inbox with the command's own time, however it travelled, and its transactions once."""
    ((effective_at,),) = stage.query("SELECT effective_at FROM inbox WHERE id = %s", command.id)
    assert abs(effective_at - command.time) < timedelta(seconds=1)
    subscriptions = [item["subscriptionId"] for item in command.data["subscriptions"]]
    booked = stage.query("SELECT sum(amount) FROM transactions WHERE subscription_id = ANY(%s::uuid[])", subscriptions)
    assert booked == [(total,)]


# aio-pika


def aio_pika_message(command: Command, mode: str, **properties) -> aio_pika.Message:
    """The command as an aio-pika program would write it: times as datetime, headers of any type.

    aio-pika gives each message without a message_id a random one, so that it has to be set in every mode.
    """
    headers = {"attempt": 1, "sampled": True, "ratio": 0.5, "sent": now(), "tags": ["a", 2], "shop": {"till": 7}}
    body = command.data
    properties = {"message_id": command.id, "content_type": "application/json", **properties}
    if mode == "structured":
        body = command.envelope()
        properties["content_type"] = STRUCTURED
    elif mode == "plain":
        properties.update(type=command.type, app_id=command.source, timestamp=command.time)
    else:
        attributes = {"specversion": "1.0", "id": command.id, "source": command.source, "type": command.type}
        headers.update({mode + name: value for name, value in attributes.items()})
        headers[mode + "time"] = command.time
    return aio_pika.Message(
        json.dumps(body).encode(),
        headers=headers,
        content_encoding="utf-8",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        priority=4,
        expiration=timedelta(minutes=10),
        **properties,
    )


def read_aio_pika(message: aio_pika.abc.AbstractIncomingMessage) -> Event:
    return Event.read(message.routing_key, pika.BasicProperties(headers=message.headers), message.body)


@pytest.mark.parametrize("mode", MODES)
def test_aio_pika_orders_and_listens(mode, running):
    customer = new_id()
    creation = create_customer(customer)
    wanted = order(customer, subscription({"ov-ssl": 25, "ev-ssl": 5}, startDate=backdated(running, 10)))

    async def run():
        publisher = await aio_pika.connect_robust(running.publisher_url)
        consumer = await aio_pika.connect_robust(running.consumer_url)
        async with publisher, consumer:
            channel = await consumer.channel()
            events = await channel.declare_queue(f"events.aio-pika.{new_id()}", exclusive=True)
            await events.bind("order.events", "#")

            channel = await publisher.channel(publisher_confirms=True, on_return_raises=True)
            orders = await channel.get_exchange("orders", ensure=False)
            replies = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
            replied = asyncio.Queue()
            await replies.consume(replied.put, no_ack=True)
            outcomes = []
            for command in (creation, wanted):
                message = aio_pika_message(
                    command, mode, user_id="publisher", reply_to=replies.name, correlation_id=command.id
                )
                await orders.publish(message, routing_key=customer, mandatory=True)
                outcome = await asyncio.wait_for(replied.get(), 30)
                assert outcome.correlation_id == command.id
                outcomes.append(outcome)

            announced = []
            async with events.iterator(timeout=30) as messages:
                async for message in messages:
                    async with message.process():
                        if read_aio_pika(message).data["customerId"] == customer:
                            announced.append(message)
                    if announced and announced[-1].type == "invoice.updated":
                        return outcomes, announced

    outcomes, announced = asyncio.run(run())
    assert [message.type for message in outcomes] == ["customer.created", "subscription.ordered"]
    assert [message.routing_key for message in announced] == [
        "customer.created",
        "subscription.ordered",
        "invoice.updated",
    ]
    for message in outcomes + announced:
        event = read_aio_pika(message)
        assert (message.message_id, message.type, message.app_id) == (event.id, event.type, event.attributes["source"])
        assert message.content_type == "application/json"
        assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        assert abs(message.timestamp - datetime.fromisoformat(event.attributes["time"])) < timedelta(seconds=1)
    assert [message.message_id for message in outcomes] == [message.message_id for message in announced[:2]]
    total = assert_order_is_right(running, read_aio_pika(outcomes[1]), wanted)
    assert_invoice_is_right(read_aio_pika(announced[2]), total)
    assert_is_booked_once(running, wanted, total)


@pytest.mark.parametrize("mode", ["cloudEvents:", "cloudEvents_", "structured"])
def test_aio_pikas_random_message_id_is_not_the_events_id(mode, running, shared_listener):
    command = create_customer(new_id())

    async def run():
        async with await aio_pika.connect(running.publisher_url) as publisher:
            channel = await publisher.channel(on_return_raises=True)
            orders = await channel.get_exchange("orders", ensure=False)
            message = aio_pika_message(
                command,
                mode,
                message_id=None,
                user_id="publisher",
                reply_to=shared_listener.reply_queue,
                correlation_id=command.id,
            )
            await orders.publish(message, routing_key=command.customer)

    asyncio.run(run())
    outcome = shared_listener.reply(command.id)
    assert outcome.type == "customer.created", outcome.data


# The CloudEvents SDK


def published_as_it_is(message: amqp.AMQPMessage | rabbitmq.RabbitMQMessage) -> tuple[bytes, dict]:
    """What one of the SDK's two bindings to AMQP made, untouched: body and properties."""
    if isinstance(message, amqp.AMQPMessage):
        properties = {"content_type": message.properties.get("content-type"), "headers": message.application_properties}
        return message.application_data, properties
    return message.body, {"content_type": message.content_type, "headers": message.headers}


def published_with_timestamp(message: amqp.AMQPMessage) -> tuple[bytes, dict]:
    """The same with the time as the timestamp that it stands for: the SDK has AMQP 1.0's milliseconds in mind."""
    body, properties = published_as_it_is(message)
    milliseconds = properties["headers"]["cloudEvents_time"]
    properties["headers"]["cloudEvents_time"] = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return body, properties


def read_with_sdk(properties: pika.BasicProperties, body: bytes) -> CloudEvent:
    return amqp.from_amqp_event(amqp.AMQPMessage({"content-type": properties.content_type}, properties.headers, body))


@pytest.mark.parametrize("data", ["object", "bytes"])
@pytest.mark.parametrize(
    "to_message, published",
    [
        pytest.param(amqp.to_structured_event, published_as_it_is, id="amqp-structured"),
        pytest.param(amqp.to_binary_event, published_with_timestamp, id="amqp-binary-with-timestamp"),
        pytest.param(amqp.to_binary_event, published_as_it_is, id="amqp-binary"),
        pytest.param(rabbitmq.to_structured_event, published_as_it_is, id="rabbitmq-structured"),
        pytest.param(rabbitmq.to_binary_event, published_as_it_is, id="rabbitmq-binary"),
    ],
)
def test_what_the_cloudevents_sdk_makes_is_taken_and_what_comes_back_it_reads(
    to_message, published, data, running, shared_publisher
):
    customer = new_id()
    creation = create_customer(customer, "Müller & Søn “東京” 🏷")
    wanted = order(customer, subscription({"ov-ssl": 3}, "P2Y", startDate=backdated(running, 99)))
    with closing(pika.BlockingConnection(pika.URLParameters(running.publisher_url))) as connection:
        channel = connection.channel()
        queue = channel.queue_declare(f"replies.publisher.sdk.{new_id()}", exclusive=True).method.queue
        for command in (creation, wanted):
            attributes = {
                "id": command.id,
                "source": command.source,
                "type": command.type,
                "time": command.time.astimezone(timezone(timedelta(hours=-5))),
                "datacontenttype": "application/json",
                "subject": customer,
                "traceparent": TRACEPARENT,
                "attempt": 1,
                "sampled": True,
            }
            content = command.data if data == "object" else json.dumps(command.data).encode()
            body, properties = published(to_message(CloudEvent(attributes, content)))
            properties = pika.BasicProperties(
                user_id="publisher", delivery_mode=2, reply_to=queue, correlation_id=command.id, **properties
            )
            shared_publisher.send(body, properties, customer)
            _, properties, body = next(channel.consume(queue, auto_ack=True, inactivity_timeout=30))
            assert properties is not None, "no outcome within 30 s"
            event = read_with_sdk(properties, body)
            assert properties.correlation_id == command.id
            assert event.get_type() == {"customer.create": "customer.created"}.get(command.type, "subscription.ordered")

            assert event.get_specversion() == "1.0"
            assert event.get_id() == properties.message_id
            assert event.get_source() == properties.app_id
            assert abs(event.get_time() - command.time) < timedelta(seconds=30)
            assert event.get_subject() == customer
            assert event.get_datacontenttype() == "application/json"
            assert event.get_extension("traceparent").split("-")[1] == TRACEPARENT.split("-")[1]
            assert event.get_data()["customerId"] == customer
            if command is creation:
                assert event.get_data()["companyName"] == creation.data["companyName"]
    total = assert_order_is_right(running, Event.read("", properties, body), wanted)
    assert_is_booked_once(running, wanted, total)


# Go and Java: their compilers are large, so that only `deploy/local/test --only clients` and `--full` ask for them.


def go(folder: Path) -> list[str]:
    """Builds the Go program with the libraries of the distribution, off line; gives the command to run."""
    program = folder / "client-go"
    settings = {
        "GOPATH": "/usr/share/gocode",
        "GO111MODULE": "off",
        "GOCACHE": str(folder / "go-cache"),
        "CGO_ENABLED": "0",
    }
    subprocess.run(["go", "build", "-o", program, CLIENTS / "client.go"], env={**os.environ, **settings}, check=True)
    return [str(program)]


def java(_: Path) -> list[str]:
    libraries = [f"/usr/share/java/{name}.jar" for name in ("amqp-client", "slf4j-api")]
    encoding = ["-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8"]
    return ["java", *encoding, "-cp", ":".join(libraries), str(CLIENTS / "Client.java")]


def read_printed(printed: dict) -> Event:
    """A message as the programs print it; what they made of properties and headers has to agree."""
    properties = pika.BasicProperties(headers=printed["headers"], message_id=printed["messageId"])
    event = Event.read(printed["routingKey"], properties, json.dumps(printed["data"]).encode())
    assert (printed["messageId"], printed["type"], printed["appId"]) == (event.id, event.type, "order-worker")
    times = [datetime.fromisoformat(text) for text in (printed["timestamp"], event.attributes["time"])]
    assert abs(times[0] - times[1]) < timedelta(seconds=1)
    return event


def orders_with_a_program(command_line, stage):
    done = subprocess.run(
        command_line,
        env={
            **os.environ,
            "PUBLISHER_AMQP_URL": stage.publisher_url,
            "CONSUMER_AMQP_URL": stage.consumer_url,
            "TZ": "Asia/Kolkata",  # times with an offset
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    asked = [line for line in lines if "outcome" in line]
    announced = [read_printed(line["event"]) for line in lines if "event" in line]
    assert [line["mode"] for line in asked] == [mode for mode in MODES for _ in range(4)]
    for mode in MODES:
        exchanges = []
        for line in asked:
            if line["mode"] == mode:
                sent = line["command"]
                time = datetime.fromisoformat(sent["time"])
                command = Command(sent["type"], sent["data"], sent["id"], sent["source"], time)
                exchanges.append((command, read_printed(line["outcome"])))
        (creation, created), (wanted, ordered), (_, repeated), (_, rejected) = exchanges
        customer = creation.customer
        assert created.type == "customer.created"
        assert created.data["companyName"] == creation.data["companyName"]
        assert ordered.type == "subscription.ordered"
        total = assert_order_is_right(stage, ordered, wanted)
        assert_is_booked_once(stage, wanted, total)
        assert (repeated.id, repeated.data) == (ordered.id, ordered.data)
        assert rejected.type == "command.rejected"
        assert rejected.data["code"] == "term_not_sold"

        # The repeated outcome was announced again, too: consumers tell events apart by their ids.
        events = list({event.id: event for event in announced if event.data["customerId"] == customer}.values())
        assert [(event.routing_key, event.type) for event in events] == [
            (name, name) for name in ("customer.created", "subscription.ordered", "invoice.updated", "command.rejected")
        ]
        assert [events[0].id, events[1].id, events[3].id] == [created.id, ordered.id, rejected.id]
        assert_invoice_is_right(events[2], total)


if os.environ.get("ORDER_WORKER_TEST_CLIENTS") == "1":

    @pytest.mark.parametrize("program", [go, java])
    def test_a_program_in_another_language_orders_and_listens(program, running, tmp_path):
        orders_with_a_program(program(tmp_path), running)
