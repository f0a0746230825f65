"""Traces, as a collector gets them: OTLP over HTTP, read with OpenTelemetry's own schema."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from order_client import create_customer, new_id
from order_faults import answered, wait_until

PATIENCE = 60
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict] = []
        self.mistakes: list[str] = []

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            assert self.path == "/otlp/v1/traces", self.path
            assert self.headers["Content-Type"] == "application/json"
            # Unlike protobuf's own JSON, OTLP's has ids in hexadecimal.
            document = json.loads(body, object_hook=hexadecimal_to_base64)
            self.server.requests.append(json_format.ParseDict(document, ExportTraceServiceRequest()))
            self.server.headers.append(dict(self.headers))
        except Exception as error:  # the thread of a request fails no test
            self.server.mistakes.append(f"{error!r}: {body[:2000]!r}")
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def hexadecimal_to_base64(members: dict) -> dict:
    for name in ("traceId", "spanId", "parentSpanId"):
        if name in members:
            members[name] = base64.b64encode(bytes.fromhex(members[name])).decode()
    return members


@contextmanager
def collector():
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def attributes(span: Span) -> dict:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def test_a_command_is_traced_from_its_sender_through_batch_and_transaction_to_its_events(stage, publisher):
    with collector() as server:
        worker = stage.start_worker(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}/otlp/",
            OTEL_SERVICE_NAME="orders of a test",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test%20bench",
            OTEL_EXPORTER_OTLP_HEADERS="x-token=secret",
            LOG_LEVEL="debug",
            LOG_FORMAT="json",
        ).wait_until_ready()
        traced, untraced = create_customer(new_id()), create_customer(new_id())
        publisher.command(traced, headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "shop=1"})
        publisher.command(untraced)
        wait_until(lambda: answered(stage, [traced, untraced]) == 2, PATIENCE, "they are applied")

        def named(ending: str) -> list[Span]:
            return [span for span in server.spans if span.name.endswith(ending)]

        wait_until(
            lambda: len(named(" receive")) == 2 and sum(len(span.links) for span in named("batch")) == 2
            and len(named(" publish")) >= len(named("batch")),
            PATIENCE, "the spans are sent",
        )
        assert not server.mistakes
        (receive,) = [span for span in named(" receive") if attributes(span)["messaging.message.id"] == traced.id]
        assert receive.trace_id.hex() == TRACE
        assert receive.parent_span_id.hex() == PARENT
        assert receive.trace_state == "shop=1"
        assert receive.kind == Span.SPAN_KIND_CONSUMER
        assert attributes(receive)["order_worker.command.type"] == "customer.create"
        assert attributes(receive)["order_worker.customer.id"] == traced.customer
        (other,) = [span for span in named(" receive") if attributes(span)["messaging.message.id"] == untraced.id]
        assert other.trace_id.hex() != TRACE
        assert not other.parent_span_id

        # The batch links to each command's receipt; transaction and publishing are parts of the batch.
        links = {(link.trace_id, link.span_id): span for span in named("batch") for link in span.links}
        assert set(links) == {(span.trace_id, span.span_id) for span in (receive, other)}
        batch = links[receive.trace_id, receive.span_id]
        for ending, kind in (("transaction", Span.SPAN_KIND_CLIENT), (" publish", Span.SPAN_KIND_PRODUCER)):
            (part,) = [span for span in named(ending) if span.trace_id == batch.trace_id]
            assert part.parent_span_id == batch.span_id
            assert part.kind == kind
        for span in server.spans:
            assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano

        resource = {item.key: item.value.string_value for item in server.requests[0].resource_spans[0].resource.attributes}
        assert resource["service.name"] == "orders of a test"
        assert resource["deployment.environment.name"] == "test bench"
        assert server.headers[0]["x-token"] == "secret"

        # Log lines carry trace and span.
        lines = [json.loads(line) for line in worker.log.read_text().splitlines()]
        (line,) = [line for line in lines if line["message"] == "command" and line["id"] == traced.id]
        assert (line["trace"], line["span"]) == (TRACE, receive.span_id.hex())

        # The last spans are sent before the worker ends.
        last = create_customer(new_id())
        publisher.command(last)
        wait_until(lambda: answered(stage, [last]) == 1, PATIENCE, "it is applied")
        worker.terminate()
        assert worker.wait(30) == 0
        assert any(attributes(span)["messaging.message.id"] == last.id for span in named(" receive"))


def test_without_a_collector_spans_are_lost_and_nothing_else(stage, publisher):
    with collector() as server:
        port = server.server_port
    worker = stage.start_worker(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}").wait_until_ready()
    command = create_customer(new_id())
    publisher.command(command)
    wait_until(lambda: answered(stage, [command]) == 1, PATIENCE, "it is applied")
    wait_until(lambda: "spans can't be sent and are lost" in worker.tail(1000), PATIENCE, "the log tells it")
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_malformed_setting_of_tracing_stops_the_start_and_is_named(stage):
    for name, value in (
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ("OTEL_TRACES_SAMPLER", "dice"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", name: value}
        assert name in stage.command_line("run", expect=78, **environment).stderr
