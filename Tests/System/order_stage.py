"""A stage of its own for each test: a virtual host, a database, and the worker processes on them."""

import base64
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pika
import psycopg2

from order_client import broker_parameters, new_id
from order_pricing import Catalog

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE_CATALOG = REPOSITORY / "deploy" / "sample" / "catalog.json"
PARTITIONS = 8


def queue_of(partition: int) -> str:
    """The queue of a partition, and the exchange before it."""
    return f"orders.{partition:02d}"


def with_path(url: str, path: str) -> str:
    """The URL, or the URLs of a cluster's brokers, with another path."""
    parts = re.split(r",(?=amqps?://)", url)
    return ",".join(urlsplit(part)._replace(path="/" + quote(path, safe="")).geturl() for part in parts)


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def order_worker_binary() -> Path:
    binary = Path(os.environ.get("ORDER_WORKER_BIN") or REPOSITORY / ".build/debug/order-worker")
    if not binary.exists():
        raise RuntimeError(f"{binary} is missing: swift build, or set ORDER_WORKER_BIN")
    return binary


class Servers:
    """The private RabbitMQ and PostgreSQL, as the environment names them."""

    NEEDED = (
        "AMQP_URL",
        "DATABASE_URL",
        "OWNER_DATABASE_URL",
        "READER_DATABASE_URL",
        "PUBLISHER_AMQP_URL",
        "CONSUMER_AMQP_URL",
        "READER_AMQP_URL",
        "READER_MANAGEMENT_URL",
        "ADMIN_AMQP_URL",
        "RABBITMQ_MANAGEMENT_URL",
        "ADMIN_DATABASE_URL",
    )

    def __init__(self):
        missing = [name for name in self.NEEDED if not os.environ.get(name)]
        if missing:
            raise RuntimeError(
                f"{', '.join(missing)} not set. Run deploy/local/test, or first:"
                ' deploy/local/up && eval "$(deploy/local/env)"'
            )
        self.urls = {name: os.environ[name] for name in self.NEEDED}
        self.binary = order_worker_binary()
        self.vhost = unquote(urlsplit(self.urls["AMQP_URL"]).path[1:]) or "/"

    def management(self, method: str, path: str, body=None):
        """Calls RabbitMQ's management API; gives the decoded answer, if there is one."""
        return self.call_management(self.urls["RABBITMQ_MANAGEMENT_URL"], method, path, body)

    @staticmethod
    def call_management(address: str, method: str, path: str, body=None):
        url = urlsplit(address)
        request = urllib.request.Request(
            f"{url.scheme}://{url.hostname}:{url.port}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        credentials = f"{unquote(url.username)}:{unquote(url.password)}".encode()
        request.add_header("Authorization", "Basic " + base64.b64encode(credentials).decode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            content = response.read()
        return json.loads(content) if content else None

    def drop_database(self, name: str) -> None:
        limit = time.monotonic() + 60
        with closing(self.database()) as database:
            while True:
                try:
                    database.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                    return
                except psycopg2.errors.ObjectInUse:
                    # PostgreSQL waits five seconds for the sessions that it ends: too little on a busy machine.
                    assert time.monotonic() < limit, f"somebody stays in the database {name}"

    def database(self, url: str | None = None):
        connection = psycopg2.connect(url or self.urls["ADMIN_DATABASE_URL"], connect_timeout=10)
        connection.autocommit = True
        return connection


class Worker:
    """An `order-worker run` process."""

    def __init__(self, stage: "Stage", number: int, environment: dict):
        self.http = f"http://127.0.0.1:{environment['HTTP_PORT']}"
        self.log = stage.folder / f"worker-{number}.log"
        self.started = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(stage.servers.binary), "run"],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of an HTTP request to the worker; status 0 if nobody answers."""
        try:
            with urllib.request.urlopen(self.http + path, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait_until_ready(self, seconds: float = 30) -> "Worker":
        limit = time.monotonic() + seconds
        while self.get("/readyz")[0] != 200:
            assert self.running, f"the worker ended with status {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < limit, f"the worker isn't ready after {seconds} s:\n{self.tail()}"
            time.sleep(0.05)
        return self

    def metric(self, name: str) -> float:
        """The sum of all of a metric's series; 0 if the worker doesn't answer or has none."""
        _, text = self.get("/metrics")
        values = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? ([0-9.eE+-]+)", text, re.MULTILINE)
        return sum(map(float, values))

    def partitions(self) -> int:
        return int(self.metric("order_worker_partitions_owned"))

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def tail(self, lines: int = 40) -> str:
        text = self.log.read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])


class Stage:
    """A fresh virtual host and database with the topology, the schema and the sample catalog, and workers on them."""

    def __init__(self, servers: Servers):
        self.servers = servers
        self.name = "test_" + new_id()[:8]
        self.workers: list[Worker] = []
        self.accounts: list[str] = []
        self.catalog = Catalog(SAMPLE_CATALOG)
        self._folder = tempfile.TemporaryDirectory(prefix="order-worker-test-")
        self.folder = Path(self._folder.name)

        servers.management("PUT", f"vhosts/{self.name}", {})
        for permission in servers.management("GET", f"vhosts/{quote(servers.vhost, safe='')}/permissions"):
            rights = {key: permission[key] for key in ("configure", "write", "read")}
            if permission["user"] == "consumer":
                # The tests' listener also reads the replies, of whichever publisher.
                rights = {key: f"{right}|^replies\\." for key, right in rights.items()}
            servers.management("PUT", f"permissions/{self.name}/{quote(permission['user'], safe='')}", rights)
        owner = urlsplit(servers.urls["OWNER_DATABASE_URL"]).username
        with closing(servers.database()) as database:
            database.cursor().execute(f'CREATE DATABASE {self.name} OWNER "{owner}"')
        self.amqp_url = with_path(servers.urls["AMQP_URL"], self.name)
        self.publisher_url = with_path(servers.urls["PUBLISHER_AMQP_URL"], self.name)
        self.consumer_url = with_path(servers.urls["CONSUMER_AMQP_URL"], self.name)
        self.admin_url = with_path(servers.urls["ADMIN_AMQP_URL"], self.name)
        # The worker's role, as everywhere but where the tables' owner is needed: for migrate and catalog apply, and for
        # the tests' own statements.
        self.worker_database_url = with_path(servers.urls["DATABASE_URL"], self.name)
        self.reader_database_url = with_path(servers.urls["READER_DATABASE_URL"], self.name)
        self.database_url = with_path(servers.urls["OWNER_DATABASE_URL"], self.name)
        self.worker_role = urlsplit(self.worker_database_url).username
        self.reader_role = urlsplit(self.reader_database_url).username
        self.grants = ["--grant-worker", self.worker_role, "--grant-reader", self.reader_role]
        if self.worker_role == urlsplit(self.database_url).username:
            self.grants = []  # one role for all
        self.database_admin_url = with_path(servers.urls["ADMIN_DATABASE_URL"], self.name)

    def set_up(self) -> "Stage":
        self.command_line("migrate", *self.grants)
        self.command_line("topology", "apply")
        self.command_line("catalog", "apply", str(SAMPLE_CATALOG))
        return self

    def environment(self, **changes) -> dict:
        return {
            "AMQP_URL": self.amqp_url,
            "DATABASE_URL": self.worker_database_url,
            "HTTP_PORT": str(free_port()),
            **changes,
        }

    def command_line(self, *arguments: str, expect: int | None = 0, seconds: float = 90, input=None, **environment):
        """Runs the order-worker's command line; fails unless it ends with the expected status (None: any)."""
        if arguments[0] in ("migrate", "catalog"):
            environment = {"DATABASE_URL": self.database_url, **environment}
        done = subprocess.run(
            [str(self.servers.binary), *arguments],
            env={**os.environ, **self.environment(**environment)},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f"order-worker {' '.join(arguments)} ended with status {done.returncode}, not {expect}:\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def start_worker(self, **environment) -> Worker:
        worker = Worker(self, len(self.workers) + 1, self.environment(**environment))
        self.workers.append(worker)
        return worker

    def publisher_for(self, partner: str) -> str:
        """The URL of an account that publishes for another partner of the catalog; the account is made for it."""
        user = self.catalog.partners[partner]["publishers"][0]
        password = secrets.token_hex(16)
        self.servers.management("PUT", f"users/{user}", {"password": password, "tags": ""})
        self.accounts.append(user)
        self.servers.management(
            "PUT", f"permissions/{self.name}/{user}", {"configure": "^$", "write": "^orders$", "read": "^$"}
        )
        url = urlsplit(self.publisher_url)
        return url._replace(netloc=f"{user}:{password}@{url.hostname}:{url.port}").geturl()

    def query(self, statement: str, *parameters) -> list[tuple]:
        with closing(self.servers.database(self.database_url)) as database, database.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall()

    def queue_depths(self) -> dict[str, int]:
        """Messages in the worker's own queues, ready or delivered and not yet acknowledged."""
        connection = pika.BlockingConnection(broker_parameters(self.admin_url))
        try:
            names = [queue["name"] for queue in self.servers.management("GET", f"queues/{self.name}?columns=name")]
            channel = connection.channel()
            return {
                name: channel.queue_declare(name, passive=True).method.message_count
                for name in names
                if name.startswith("orders.")
            }
        finally:
            connection.close()

    def close_connections(self) -> int:
        """Has the broker close every connection to this virtual host; gives their number."""
        connections = self.servers.management("GET", f"vhosts/{self.name}/connections?columns=name")
        for connection in connections:
            try:
                self.servers.management("DELETE", f"connections/{quote(connection['name'], safe='')}")
            except urllib.error.HTTPError as error:
                if error.code != 404:  # gone by itself meanwhile
                    raise
        return len(connections)

    def report(self) -> str:
        return "\n\n".join(
            f"---- {worker.log.name}, {'running' if worker.running else f'status {worker.process.returncode}'}\n"
            f"{worker.tail()}"
            for worker in self.workers[-4:]
        )

    def close(self) -> None:
        for worker in self.workers:
            if worker.running:
                worker.kill()
        for account in self.accounts:
            self.servers.management("DELETE", f"users/{account}")
        self.servers.management("DELETE", f"vhosts/{self.name}")
        self.servers.drop_database(self.name)
        self._folder.cleanup()
