"""The load for the benchmark: publishes commands, and times the way from a command to its outcome.

  load.py customers COUNT            one customer.create each, confirmed
  load.py orders COUNT CUSTOMERS     that many subscription.order for random customers, confirmed
  load.py latency RATE SECONDS CUSTOMERS   orders at a steady rate, with reply_to; prints p50, p99 and maximum
"""
import json
import os
import random
import sys
import time
import uuid

import pika

URL = os.environ["PUBLISHER_AMQP_URL"]
USER = pika.URLParameters(URL).credentials.username


def customer_id(number):
    return f"018f0000-0000-7000-8000-{number:012x}"


def properties(kind, **more):
    return pika.BasicProperties(
        message_id=str(uuid.uuid4()), type=kind, app_id="bench", user_id=USER, content_type="application/json",
        delivery_mode=2, **more)


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


def publish_all(kind, bodies):
    """Publishes without a round trip each, then one confirmed message's worth of waiting: tx would be slower."""
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    count = 0
    for body in bodies:
        channel.basic_publish("orders", body["customerId"], json.dumps(body).encode(), properties(kind))
        count += 1
        if count % 20000 == 0:
            print(f"  {count} published", file=sys.stderr, flush=True)
    # Closing waits for the broker, which handles what came before in order.
    connection.close()


def latency(rate, seconds, customers):
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    sent, took = {}, []

    def outcome(_channel, _method, answer, _body):
        began = sent.pop(answer.correlation_id, None)
        if began is not None:
            took.append(time.monotonic() - began)

    channel.basic_consume("amq.rabbitmq.reply-to", outcome, auto_ack=True)
    start = time.monotonic()
    total = int(rate * seconds)
    for number in range(total):
        due = start + number / rate
        while (left := due - time.monotonic()) > 0:
            connection.process_data_events(time_limit=left)
        body = order(customers)
        key = str(number)
        sent[key] = time.monotonic()
        channel.basic_publish("orders", body["customerId"], json.dumps(body).encode(),
                              properties("subscription.order", reply_to="amq.rabbitmq.reply-to", correlation_id=key))
    deadline = time.monotonic() + 30
    while sent and time.monotonic() < deadline:
        connection.process_data_events(time_limit=0.05)
    connection.close()
    if sent:
        sys.exit(f"{len(sent)} of {total} orders had no outcome within 30 s")
    took.sort()
    at = lambda share: took[min(len(took) - 1, int(len(took) * share))] * 1000
    print(f"p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms, maximum {took[-1] * 1000:.1f} ms")


random.seed(int(os.environ.get("SEED", "1")))
mode, *numbers = sys.argv[1:]
numbers = [int(number) for number in numbers]
if mode == "customers":
    publish_all("customer.create", (customer(number) for number in range(numbers[0])))
elif mode == "orders":
    publish_all("subscription.order", (order(numbers[1]) for _ in range(numbers[0])))
elif mode == "latency":
    latency(*numbers)
else:
    sys.exit(__doc__)
