"""The load of the benchmark: commands, how they are published, and how long it takes until their events are there."""
import json
import os
import random
import time
import uuid

import pika

URL = os.environ["PUBLISHER_AMQP_URL"]
USER = pika.URLParameters(URL).credentials.username
# Where the events go, as in life: a durable quorum queue for all of them.
BENCH_QUEUE = "bench.events"


def customer_id(number):
    return f"018f0000-0000-7000-8000-{number:012x}"


def customer(number):
    return {
        "customerId": customer_id(number), "companyName": f"Bench Customer {number}",
        "address": {"line1": "1 Main Street", "city": "Springfield", "postalCode": "12345",
                    "stateOrProvince": "NY", "country": "US"},
        "administrativeResponsibility": "customerAdministered", "customerAdminEmail": f"admin{number}@example.com"}


def order(customers):
    return {
        "customerId": customer_id(random.randrange(customers)),
        "subscriptions": [{"subscriptionId": str(uuid.uuid4()), "product": "enterprise-pki", "term": "P1Y",
                           "autoRenewal": True,
                           "inventory": [{"certificateType": "ov-ssl", "quantity": random.randint(1, 50)},
                                         {"certificateType": "ev-ssl", "quantity": random.randint(1, 9)}]}]}


def commands(kind, count, customers):
    """That many orders: type, body, message id."""
    return ((kind, order(customers), str(uuid.uuid4())) for _ in range(count))


def mixed(database, count, customers):
    """A day's mixture, of subscriptions that are there: each is changed at most once, so that nothing is refused."""
    cursor = database.cursor()
    cursor.execute(
        """SELECT customer_id::text, subscription_id::text, transaction_id::text, certificate_type FROM transactions
           WHERE type = 'order' AND certificate_type = 'ov-ssl' AND command_source <> 'history' ORDER BY random() LIMIT %s""",
        (count,))
    there = iter(cursor.fetchall())
    # Customers that are created number on from those that are there.
    new, sent = customers, []
    for _ in range(count):
        share = random.random()
        if share < 0.05:
            new += 1
            command = ("customer.create", customer(new))
        elif share < 0.60:
            command = ("subscription.order", order(customers))
        elif share < 0.64 and sent:
            yield random.choice(sent[-1000:])
            continue
        else:
            who, subscription, transaction, kind = next(there)
            about = {"customerId": who, "subscriptionId": subscription}
            if share < 0.84:
                command = ("inventory.add", {**about, "inventory": [{"certificateType": kind, "quantity": 3}]})
            elif share < 0.90:
                command = ("renewal-inventory.set",
                           {**about, "renewalInventory": [{"certificateType": kind, "quantity": 7}]})
            elif share < 0.96:
                command = ("subscription.suspend", about)
            else:
                command = ("refund.process",
                           {"customerId": who, "refunds": [{"transactionId": transaction, "quantity": 1}]})
        sent.append((*command, str(uuid.uuid4())))
        yield sent[-1]
        if command[0] == "subscription.suspend":
            yield "subscription.enable", command[1], str(uuid.uuid4())


class Publisher:
    """Publishes without waiting; closing waits for the broker, which handles what came before in order."""

    def __enter__(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(URL))
        self.channel = self.connection.channel()
        return self

    def send(self, kind, body, message, **more):
        self.channel.basic_publish(
            "orders", body["customerId"], json.dumps(body).encode(),
            pika.BasicProperties(message_id=message, type=kind, app_id="bench", user_id=USER,
                                 content_type="application/json", delivery_mode=2, **more))

    def __exit__(self, *_):
        self.connection.close()


def latency(rate, seconds, customers):
    """Orders at a steady rate: from publishing to the durable event and to the reply, in milliseconds."""
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["ADMIN_AMQP_URL"]))
    listener = connection.channel()
    sent, took = {}, {"event": [], "reply": []}

    def arrived(what):
        def outcome(_channel, method, properties, _body):
            began = sent.get(properties.correlation_id)
            if began is not None and properties.type != "invoice.updated":
                took[what].append((time.monotonic() - began) * 1000)
        return outcome

    listener.basic_consume(BENCH_QUEUE, arrived("event"), auto_ack=True)
    with Publisher() as publisher:
        publisher.channel.basic_consume("amq.rabbitmq.reply-to", arrived("reply"), auto_ack=True)
        start, total = time.monotonic(), int(rate * seconds)

        def listen(until):
            while time.monotonic() < until:
                connection.process_data_events(time_limit=0)
                publisher.connection.process_data_events(time_limit=0)
                time.sleep(0.0002)

        for number in range(total):
            listen(start + number / rate)
            key = f"latency-{number}"
            kind, body, message = next(commands("subscription.order", 1, customers))
            sent[key] = time.monotonic()
            publisher.send(kind, body, message, reply_to="amq.rabbitmq.reply-to", correlation_id=key)
        deadline = time.monotonic() + 30
        while min(len(times) for times in took.values()) < total and time.monotonic() < deadline:
            listen(time.monotonic() + 0.05)
    connection.close()
    result = {}
    for what, times in took.items():
        if len(times) < total:
            raise SystemExit(f"{total - len(times)} of {total} orders had no {what} within 30 s")
        times.sort()
        at = lambda share: times[min(len(times) - 1, int(len(times) * share))]
        result[what] = {"p50": at(0.5), "p99": at(0.99), "max": times[-1]}
    return result
