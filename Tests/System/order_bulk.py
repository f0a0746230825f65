"""Publishes thousands of messages in seconds: one connection, many publishes under way, each of them confirmed."""

from collections.abc import Iterable
from dataclasses import dataclass

import pika


@dataclass
class Message:
    """A message on its way to the exchange `orders`."""

    routing_key: str
    properties: pika.BasicProperties
    body: bytes


class BulkPublisher:
    """Publishes messages in their order; `run` returns once the broker has confirmed each of them."""

    WINDOW = 1_000

    def __init__(self, url: str, messages: Iterable[Message]):
        self.parameters = pika.URLParameters(url)
        self.messages = iter(messages)
        self.published = 0
        self.unconfirmed: set[int] = set()
        self.lowest = 1
        self.finished = False
        self.trouble: list[str] = []
        self.error: Exception | None = None
        self.channel = None
        self.connection = pika.SelectConnection(
            self.parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda connection, error: self._end(f"no connection: {error!r}"),
            on_close_callback=lambda connection, reason: self._closed(reason),
        )

    def run(self) -> int:
        """Publishes everything; gives the number of messages."""
        self.connection.ioloop.start()
        if self.error:
            raise self.error
        assert not self.trouble, self.trouble
        assert self.finished and not self.unconfirmed, f"{len(self.unconfirmed)} messages weren't confirmed"
        return self.published

    def _opened(self, channel):
        self.channel = channel
        channel.add_on_close_callback(lambda channel, reason: self._closed(reason))
        channel.add_on_return_callback(lambda channel, method, properties, body: self._end(f"returned: {method}"))
        channel.confirm_delivery(self._confirmed, callback=lambda _: self._publish())

    def _publish(self):
        while len(self.unconfirmed) < self.WINDOW:
            try:
                message = next(self.messages, None)
            except Exception as error:  # raised again where run was called
                self.error = error
                return self._end("the messages can't be made")
            if message is None:
                self.finished = True
                if not self.unconfirmed:
                    self.connection.close()
                return
            self.channel.basic_publish(
                "orders", message.routing_key, message.body, message.properties, mandatory=True)
            self.published += 1
            self.unconfirmed.add(self.published)

    def _confirmed(self, frame):
        method = frame.method
        if not isinstance(method, pika.spec.Basic.Ack):
            self.trouble.append(f"the broker took message {method.delivery_tag} not: {method}")
        first = self.lowest if method.multiple else method.delivery_tag
        self.unconfirmed.difference_update(range(first, method.delivery_tag + 1))
        if method.multiple:
            self.lowest = method.delivery_tag + 1
        if self.finished:
            if not self.unconfirmed and self.connection.is_open:
                self.connection.close()
        else:
            self._publish()

    def _closed(self, reason):
        if not self.finished or self.unconfirmed:
            self.trouble.append(f"after {self.published} messages: {reason!r}")
        self._end(None)

    def _end(self, trouble):
        if trouble:
            self.trouble.append(trouble)
        if self.connection.is_open:
            self.connection.close()
        elif self.connection.is_closed:
            self.connection.ioloop.stop()
