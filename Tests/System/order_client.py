"""A publisher and a listener as any other party would write them: pika, and the documented contract, nothing else."""

import json
import random
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone

import pika
from pika.exceptions import AMQPError

SOURCE = "https://acme.example/tests"
STRUCTURED = "application/cloudevents+json"


# Those who publish for the partners of the sample catalog.
USERS = ["publisher", "nordwind", "sakura", "gulf"]


def new_id() -> str:
    return str(uuid.uuid4())


class ReplyQueue(str):
    """A listener's reply queue, of which there is one for each user: outcomes may be sent to no other's."""

    def of(self, user: str | None) -> str:
        return self.replace("publisher", user) if user in USERS else self


def broker_parameters(url: str, heartbeat: int | None = None) -> list[pika.URLParameters]:
    """One or several brokers of a cluster, in a random order."""
    parameters = [pika.URLParameters(part) for part in url.split(",")]
    for one in parameters:
        one.heartbeat = heartbeat
        if len(parameters) > 1:
            # A node that is there and doesn't answer must not hide the others for long.
            one.heartbeat, one.socket_timeout, one.stack_timeout, one.blocked_connection_timeout = 6, 3, 5, 60
    random.shuffle(parameters)
    return parameters


def now() -> datetime:
    return datetime.now(timezone.utc)


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Command:
    """A command, independent of how it travels."""

    type: str
    data: dict
    id: str = field(default_factory=new_id)
    source: str = SOURCE
    time: datetime = field(default_factory=now)

    @property
    def customer(self) -> str:
        return self.data["customerId"]

    def envelope(self) -> dict:
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": rfc3339(self.time),
            "datacontenttype": "application/json",
            "data": self.data,
        }

    def message(self, mode: str = "structured", user: str | None = "publisher", **properties):
        """The body and properties in one of the accepted modes: structured, cloudEvents:, cloudEvents_ or plain."""
        common = {"delivery_mode": 2, "user_id": user, **properties}
        if isinstance(common.get("reply_to"), ReplyQueue):
            common["reply_to"] = common["reply_to"].of(common["user_id"])
        if mode == "structured":
            body = self.envelope()
            common.setdefault("content_type", STRUCTURED)
        elif mode == "plain":
            body = self.data
            common = {
                "content_type": "application/json",
                "message_id": self.id,
                "type": self.type,
                "timestamp": int(self.time.timestamp()),
                "app_id": self.source,
                **common,
            }
        else:
            body = self.data
            attributes = {"specversion": "1.0", "id": self.id, "source": self.source, "type": self.type}
            attributes["time"] = rfc3339(self.time)
            headers = {mode + name: value for name, value in attributes.items()}
            common = {"content_type": "application/json", **common, "headers": {**headers, **common.get("headers", {})}}
        return json.dumps(body, ensure_ascii=False).encode(), pika.BasicProperties(**common)


def create_customer(customer: str, name: str = "Harbor Logistics, Inc.", **changes) -> Command:
    data = {
        "customerId": customer,
        "companyName": name,
        "address": {
            "line1": "1200 Harbor Drive",
            "city": "Boston",
            "postalCode": "02110",
            "stateOrProvince": "MA",
            "country": "US",
        },
        "administrativeResponsibility": "partnerAdministered",
    }
    return Command("customer.create", {**data, **changes})


def order(customer: str, *subscriptions: dict, **changes) -> Command:
    return Command("subscription.order", {"customerId": customer, "subscriptions": list(subscriptions)}, **changes)


def subscription(inventory: dict, term: str = "P1Y", product: str = "enterprise-pki", **changes) -> dict:
    items = [{"certificateType": name, "quantity": quantity} for name, quantity in inventory.items()]
    return {"subscriptionId": new_id(), "product": product, "term": term, "inventory": items, **changes}


class Publisher:
    """Publishes to `orders` with confirms; what wasn't confirmed is sent again, over a new connection if need be."""

    # A message returned or refused is a fault of the test or the broker, not of the connection.
    FINAL: tuple = (pika.exceptions.UnroutableError, pika.exceptions.NackError)

    def __init__(self, url: str, patience: float = 60):
        self.parameters = broker_parameters(url, heartbeat=30)
        self.patience = patience
        self.connection = None
        self.channel = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.connection and self.connection.is_open:
                self.connection.close()
        except AMQPError:
            pass

    def refused(self, error: Exception) -> None:
        """Called before a message is sent again."""

    def send(self, body: bytes, properties: pika.BasicProperties, routing_key: str) -> None:
        limit = time.monotonic() + self.patience
        while True:
            try:
                if self.connection is None or not self.connection.is_open:
                    self.connection = pika.BlockingConnection(self.parameters)
                    self.channel = self.connection.channel()
                    self.channel.confirm_delivery()
                self.channel.basic_publish("orders", routing_key, body, properties, mandatory=True)
                return
            except (AMQPError, OSError) as error:
                if isinstance(error, self.FINAL) or time.monotonic() > limit:
                    raise
                self.refused(error)
                self.connection = None
                random.shuffle(self.parameters)
                time.sleep(0.2)

    def command(self, command: Command, mode: str = "structured", **properties) -> None:
        self.send(*command.message(mode, **properties), command.customer)


@dataclass
class Event:
    """An event as it arrived."""

    id: str
    type: str
    data: dict
    attributes: dict
    properties: pika.BasicProperties
    routing_key: str

    @classmethod
    def read(cls, routing_key: str, properties: pika.BasicProperties, body: bytes) -> "Event":
        attributes = {}
        for name, value in (properties.headers or {}).items():
            for prefix in ("cloudEvents:", "cloudEvents_"):
                if name.startswith(prefix):
                    attributes[name[len(prefix) :]] = value
        return cls(attributes["id"], attributes["type"], json.loads(body), attributes, properties, routing_key)


class Listener:
    """Collects all events from `order.events` through a queue of its own, and the outcomes that come to a reply queue.

    A broken connection is opened again; nothing is acknowledged before it is kept.
    """

    # Of the listener's own queues.
    QUEUE_ARGUMENTS: dict = {}

    def __init__(self, url: str):
        self.parameters = broker_parameters(url)
        name = new_id()[:8]
        self.event_queue = f"events.test.{name}"
        self.reply_queue = ReplyQueue(f"replies.publisher.{name}")
        self.events: list[Event] = []
        self.event_ids: set[str] = set()
        self.replies: dict[str, list[Event]] = defaultdict(list)
        self.trouble: list[str] = []
        self.changed = threading.Condition()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(30), f"the listener can't set up its queues: {self.trouble}"
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join(30)

    def _run(self):
        while not self._stopping.is_set():
            try:
                connection = pika.BlockingConnection(self.parameters)
                channel = connection.channel()
                replies = [self.reply_queue.of(user) for user in USERS]
                for queue in (self.event_queue, *replies):
                    channel.queue_declare(queue, durable=True, arguments=self.QUEUE_ARGUMENTS)
                channel.queue_bind(self.event_queue, "order.events", "#")
                channel.basic_qos(prefetch_count=500)
                channel.basic_consume(self.event_queue, self._event)
                for queue in replies:
                    channel.basic_consume(queue, self._reply)
                self._ready.set()
                while not self._stopping.is_set():
                    connection.process_data_events(time_limit=0.1)
                connection.close()
            except (AMQPError, OSError) as error:
                self.trouble.append(repr(error))
                random.shuffle(self.parameters)
                time.sleep(0.2)

    def _event(self, channel, method, properties, body):
        event = self._read(method.routing_key, properties, body)
        if event:
            with self.changed:
                self.events.append(event)
                self.event_ids.add(event.id)
                self.changed.notify_all()
        channel.basic_ack(method.delivery_tag)

    def _reply(self, channel, method, properties, body):
        event = self._read(method.routing_key, properties, body)
        if event:
            with self.changed:
                self.replies[properties.correlation_id].append(event)
                self.changed.notify_all()
        channel.basic_ack(method.delivery_tag)

    def _read(self, routing_key, properties, body):
        try:
            return Event.read(routing_key, properties, body)
        except Exception as error:  # kept for the test to fail on, as a thread can't
            with self.changed:
                self.trouble.append(f"unreadable event: {error!r}: {properties} {body[:500]!r}")
            return None

    def unreadable(self) -> list[str]:
        return [line for line in self.trouble if line.startswith("unreadable")]

    def wait(self, condition, seconds: float, what):
        """Waits until `condition()` gives something true, and returns it; `what` says, or a call tells, what is missing."""
        limit = time.monotonic() + seconds
        with self.changed:
            while True:
                result = condition()
                if result:
                    return result
                remaining = limit - time.monotonic()
                if remaining <= 0:
                    missing = what() if callable(what) else what
                    raise AssertionError(f"not within {seconds} s: {missing}; trouble: {self.trouble[-3:]}")
                self.changed.wait(min(remaining, 0.5))

    def reply(self, correlation: str, seconds: float = 30) -> Event:
        """The first outcome that came with this correlation id."""
        return self.wait(lambda: self.replies.get(correlation), seconds, f"the outcome for {correlation}")[0]

    def find(self, type: str, customer: str) -> list[Event]:
        with self.changed:
            return [event for event in self.events if event.type == type and event.data.get("customerId") == customer]

    def event(self, type: str, customer: str, seconds: float = 30) -> Event:
        """The first event of this type about this customer on `order.events`."""
        return self.wait(lambda: self.find(type, customer), seconds, f"{type} for {customer}")[0]
