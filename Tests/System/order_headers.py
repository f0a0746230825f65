"""AMQP headers of every kind, also such as pika can neither write nor read by itself."""

import random
import struct
from contextlib import contextmanager
from dataclasses import dataclass

import pika.data


@dataclass(frozen=True)
class Field:
    """A header's value as it goes over the wire: the letter of its kind, and its bytes."""

    kind: bytes
    payload: bytes = b""


def number(kind: str, layout: str, value) -> Field:
    return Field(kind.encode(), struct.pack(">" + layout, value))


def text(value: bytes) -> Field:
    """A string, of any bytes."""
    return Field(b"S", struct.pack(">I", len(value)) + value)


def nested(levels: int, tables: bool) -> Field:
    """Arrays or tables in each other, so deep that whoever reads them by recursion needs a large stack."""
    inner = b"\x00V" if tables else b"V"
    size, parts = len(inner), [inner]
    for _ in range(levels):
        opening = (b"\x00F" if tables else b"A") + struct.pack(">I", size)
        parts.append(opening)
        size += len(opening)
    whole = b"".join(reversed(parts))
    return Field(whole[1:2], whole[2:]) if tables else Field(whole[:1], whole[1:])


@contextmanager
def any_headers():
    """While it lasts, pika writes a ``Field`` as it is, and reads as None what is too deep or too large for it."""
    write, read = pika.data.encode_value, pika.data.decode_value

    def encode_value(pieces, value):
        if not isinstance(value, Field):
            return write(pieces, value)
        pieces.append(value.kind + value.payload)
        return 1 + len(value.payload)

    def decode_value(encoded, offset):
        kind = encoded[offset : offset + 1]
        try:
            return read(encoded, offset)
        except RecursionError:
            return None, offset + 5 + struct.unpack_from(">I", encoded, offset + 1)[0]
        except (ValueError, OverflowError, OSError, ArithmeticError):  # NaN as an integer, a date after the year 9999
            return None, offset + {b"f": 5, b"D": 6}.get(kind, 9)

    pika.data.encode_value, pika.data.decode_value = encode_value, decode_value
    try:
        yield
    finally:
        pika.data.encode_value, pika.data.decode_value = write, read


def forged_death(queue: str, **changes) -> dict:
    """A note such as the broker makes of a message that it has dead-lettered."""
    death = {"queue": queue, "reason": "expired", "count": 1, "exchange": "orders", "routing-keys": ["x"]}
    return {**death, **changes}


# Neither NaN nor infinity: with those the broker closes the publisher's connection.
EVERY_KIND = [
    number("b", "b", -128), number("B", "B", 255), number("s", "h", -(2**15)), number("u", "H", 2**16 - 1),
    number("I", "i", -(2**31)), number("i", "I", 2**32 - 1), number("l", "q", -(2**63)), number("l", "q", 2**63 - 1),
    number("f", "f", 3.4e38), number("f", "f", 1e-45), number("d", "d", -1.7e308), number("d", "d", 5e-324),
    number("t", "B", 1), number("t", "B", 77),
    number("T", "Q", 0), number("T", "Q", 2**63), number("T", "Q", 2**64 - 1), Field(b"D", b"\xff\xff\xff\xff\xff"),
    Field(b"D", b"\x00\x80\x00\x00\x00"), Field(b"V"), text(b""), text(b"\xff\xfe\x00\x1b[31m"), text(b"x" * 5_000),
    Field(b"x", struct.pack(">I", 3) + b"\x00\xff\x80"), [], {}, [[], {}, [1, "a", None]],
    {"a": {"b": {"c": [True, {"d": b"\x00"}]}}}, {"": ""}, nested(40, False), nested(40, True),
]

NAMES = ["", "a", "x" * 255, "ä" * 127, b"\xff\xfe", "a\x00b", "\x1b[2J", "traceparent", "tracestate", "x-delay",
         "x-match", "cloudEvents:", "cloudEvents_", "ce-", "cloudEvents:subject", "cloudEvents_dataschema", "ce-ID"]


def odd_headers(chosen: random.Random, own_queues: list[str]) -> dict:
    """Headers that change nothing about what a message is, as they aren't the attributes of a CloudEvent."""
    kind = chosen.randrange(12)
    if kind < 4:
        names = chosen.sample(NAMES, chosen.randint(1, 4)) + [f"h{chosen.randrange(10**6)}"]
        return {name: chosen.choice(EVERY_KIND) for name in names}
    if kind == 4:
        return {f"h{index}": field for index, field in enumerate(EVERY_KIND)}
    if kind == 5:
        ids = "a" * 32 + "-" + "b" * 16
        trace = ["", "00-", "rubbish", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", 7, None, f"ff-{ids}-01",
                 f"00-{ids.upper()}-01", f"00-{ids}" + "-01" * 100]
        state = ["x" * 10_000, "a=\x00", b"\xff", [1]]
        return {"traceparent": chosen.choice(trace), "tracestate": chosen.choice(state)}
    if kind == 6:
        return {
            "x-order-worker-user": chosen.choice(["publisher", "worker", "", 7, "x" * 1_000]),
            "x-order-worker-attempts": chosen.choice([10**9, -1, "2", number("l", "q", 2**63 - 1)]),
            "x-order-worker-reason": "internal_error",
            "x-order-worker-routing-key": "forged",
            "x-order-worker-headers-left-out": True,
        }
    if kind == 7:
        # Taken for the broker's own, the first two would have it drop a message or fail, when it passes the message on.
        forged = [
            [forged_death(queue) for queue in own_queues],
            [forged_death("orders.retry", count="many")] * 2,
            ["not a table"],
            "not an array",
            [forged_death("orders.retry", time=number("T", "Q", 2**64 - 1), **{"routing-keys": "none"})],
        ]
        return {"x-death": chosen.choice(forged), "x-first-death-queue": 7, "x-first-death-reason": "forged"}
    if kind == 8:
        return {"CC": ["a" * 36, "orders.00"], "BCC": ["b", "orders.dead"]}
    if kind == 9:
        return {"x-delivery-count": chosen.choice([10**6, "many"]), "x-death-count": None, "x-stream-offset": "first"}
    if kind == 10 and chosen.random() < 0.2:
        return {f"h{index:03}": "x" * chosen.choice((0, 0, 80)) for index in range(1_000)}
    if kind == 11:
        return {"nested": nested(chosen.randint(2, 90), chosen.random() < 0.5)}
    return {}
