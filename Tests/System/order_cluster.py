"""Servers that can fail over: three RabbitMQ nodes, and a PostgreSQL primary with a synchronous standby, on loopback.

Each server is a process group of its own that can be killed, frozen and started again. All of it ends with this process,
however that ends: a watchdog kills what is left and removes the data.
"""

import glob
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
from contextlib import closing
from pathlib import Path

import psycopg2

from order_stage import Servers, order_worker_binary

HOST = "127.0.0.1"
# How long anything may take that has to happen, on a machine that has much else to do.
PATIENCE = 180


def free_ports(count: int) -> list[int]:
    """So many free ports in a row, below the range that Linux hands out to clients."""
    first = int(os.environ.get("ORDER_WORKER_LOCAL_PORT", "27610")) + 20
    while first + count < 32768:
        taken = 0
        for port in range(first, first + count):
            with closing(socket.socket()) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind((HOST, port))
                except OSError:
                    taken = port
        if not taken:
            return list(range(first, first + count))
        first = taken + 1
    raise RuntimeError(f"there are no {count} free ports in a row on {HOST}")


def wait_for(condition, what, seconds: float = PATIENCE):
    limit = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > limit:
            raise RuntimeError(f"not within {seconds:.0f} s: {what() if callable(what) else what}")
        time.sleep(0.1)


def children_of(process: int) -> list[int]:
    found = []
    for path in glob.glob(f"/proc/{process}/task/*/children"):
        try:
            found += [int(child) for child in Path(path).read_text().split()]
        except OSError:
            pass
    return found


class Server:
    """A server's process and those below it."""

    def __init__(self, cluster: "DatabasePair", name: str):
        self.cluster = cluster
        self.name = name
        self.log = cluster.folder / "log" / f"{name}.log"
        self.process: subprocess.Popen | None = None
        self.is_frozen = False

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self, command: list[str], environment: dict) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.cluster.folder / "processes" / str(self.process.pid)).touch()

    def _all(self) -> list[int]:
        """The process and all below it, the uppermost first, so that none is started anew meanwhile."""
        found = [self.process.pid]
        for process in found:
            found += children_of(process)
        return found

    def _signal(self, number: int, processes: list[int]) -> None:
        for process in processes:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """As if the machine had lost its power."""
        if not self.running:
            return
        processes = self._all()
        self._signal(signal.SIGKILL, processes)
        self.process.wait(30)
        wait_for(lambda: not any(alive(process) for process in processes), f"the end of {self.name}", 30)
        self.is_frozen = False

    def freeze(self) -> None:
        """As if the network to it were cut: it is there, and answers nothing."""
        self.is_frozen = True
        self._signal(signal.SIGSTOP, self._all())

    def thaw(self) -> None:
        if self.running:
            self._signal(signal.SIGCONT, self._all())
        self.is_frozen = False

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Has it end in order."""
        if self.running:
            self._signal(number, [self.process.pid])
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Broker(Server):
    """A RabbitMQ node."""

    def __init__(self, cluster: "Cluster", number: int, ports: list[int]):
        super().__init__(cluster, f"rabbitmq-{number}")
        self.amqp_port, self.management_port, self.erlang_port = ports
        self.node = f"order-worker-{cluster.tag}-{number}@localhost"
        self.folder = cluster.folder / self.name

    def environment(self) -> dict:
        none = str(self.folder / "none")
        distribution = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": f"{self.cluster.rabbitmq_programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.folder), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.cluster.epmd_port), "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": self.node, "RABBITMQ_USE_LONGNAME": "false",
            "RABBITMQ_CONF_ENV_FILE": none, "RABBITMQ_ADVANCED_CONFIG_FILE": none + ".config",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"), "RABBITMQ_LOG_BASE": str(self.log.parent),
            "RABBITMQ_LOGS": str(self.log), "RABBITMQ_DIST_PORT": str(self.erlang_port),
            # A node that doesn't answer is taken for gone after some seconds, not after a minute.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{distribution} -kernel net_ticktime 8 +S 1:1 +sbwt none",
            "RABBITMQ_CTL_ERL_ARGS": distribution,
        }

    def prepare(self) -> None:
        self.folder.mkdir()
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(self.cluster.cookie)
        cookie.chmod(0o400)
        (self.folder / "enabled_plugins").write_text("[rabbitmq_consistent_hash_exchange,rabbitmq_management].\n")
        nodes = "\n".join(
            f"cluster_formation.classic_config.nodes.{number} = {broker.node}"
            for number, broker in enumerate(self.cluster.brokers, 1)
        )
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = {HOST}:{self.amqp_port}\n"
            f"management.tcp.ip = {HOST}\nmanagement.tcp.port = {self.management_port}\n"
            f"load_definitions = {self.cluster.folder / 'definitions.json'}\n"
            "cluster_formation.peer_discovery_backend = classic_config\n"
            f"{nodes}\n"
            "cluster_partition_handling = pause_minority\n"
        )

    def start(self) -> None:
        self.launch([f"{self.cluster.rabbitmq_programs}/rabbitmq-server"], self.environment())

    def command(self, program: str, *arguments: str) -> None:
        """One of RabbitMQ's own command lines, such as rabbitmq-queues."""
        done = subprocess.run(
            [f"{self.cluster.rabbitmq_programs}/{program}", *arguments], env=self.environment(), cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        )
        if done.returncode:
            raise RuntimeError(f"{program} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")

    @property
    def listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.amqp_port), 1).close()
            return self.running and not self.is_frozen
        except OSError:
            return False

    @property
    def management_url(self) -> str:
        return f"http://admin:{self.cluster.passwords['admin']}@{HOST}:{self.management_port}"

    def url(self, user: str) -> str:
        return f"amqp://{user}:{self.cluster.passwords[user]}@{HOST}:{self.amqp_port}/orders"


class Database(Server):
    """A PostgreSQL server: the primary, or a standby of it."""

    def __init__(self, cluster: "DatabasePair", number: int, port: int):
        super().__init__(cluster, f"postgresql-{number}")
        self.port = port
        self.folder = cluster.folder / self.name

    def _run(self, *command: str, input: str | None = None) -> None:
        done = subprocess.run(
            [*self.cluster.as_postgres, *command], env=self.cluster.postgresql_environment, cwd="/", input=input,
            capture_output=True, text=True, timeout=PATIENCE,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")

    def _empty(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        if self.cluster.as_postgres:
            shutil.chown(self.folder, "postgres", "postgres")

    def prepare(self) -> None:
        self._empty()
        programs = self.cluster.postgresql_programs
        self._run(
            f"{programs}/initdb", "--pgdata", str(self.folder), "--username", "postgres", "--auth", "trust",
            "--encoding", "UTF8", "--locale", "C.UTF-8",
        )
        password = self.cluster.passwords["postgres"]
        self._run(
            f"{programs}/postgres", "--single", "-D", str(self.folder), "postgres",
            input=f"ALTER ROLE postgres PASSWORD '{password}'\n",
        )
        lines = "\n".join(f"host {what} all {HOST}/32 scram-sha-256" for what in ("all", "replication"))
        self._run("tee", str(self.folder / "pg_hba.conf"), input=lines + "\n")

    def follow(self, primary: "Database") -> None:
        """Makes it a standby of that server, from a copy of it, and starts it."""
        self.kill()
        self._empty()
        self._run(
            f"{self.cluster.postgresql_programs}/pg_basebackup", "--pgdata", str(self.folder), "--write-recovery-conf",
            "--checkpoint", "fast", "--wal-method", "stream", "--dbname", primary.url("postgres", "postgres"),
        )
        self.start()

    def start(self) -> None:
        # Commits wait for the other server, whichever of the two is the primary.
        settings = {
            "listen_addresses": HOST, "port": self.port, "unix_socket_directories": "", "max_connections": 100,
            "shared_buffers": "64MB", "wal_keep_size": "256MB", "max_wal_size": "256MB", "synchronous_standby_names": "*",
            "wal_receiver_timeout": "5s", "wal_sender_timeout": "5s", "wal_retrieve_retry_interval": "200ms",
            "hot_standby": "on", "timezone": "UTC", "log_line_prefix": "%m [%p] %q%u@%d ", "autovacuum_naptime": "5s",
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        self.launch(
            [*self.cluster.as_postgres, f"{self.cluster.postgresql_programs}/postgres", "-D", str(self.folder), *options],
            self.cluster.postgresql_environment,
        )

    def url(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{self.cluster.passwords[user]}@{HOST}:{self.port}/{database}"

    def query(self, statement: str, database: str = "postgres"):
        """The first row, or None where the server doesn't answer."""
        try:
            with closing(psycopg2.connect(self.url("postgres", database), connect_timeout=2)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SET synchronous_commit = local; SET statement_timeout = '5s'")
                    cursor.execute(statement)
                    return cursor.fetchone()
        except psycopg2.Error:
            return None

    @property
    def is_primary(self) -> bool:
        return not self.is_frozen and self.running and self.query("SELECT NOT pg_is_in_recovery()") == (True,)

    @property
    def has_standby(self) -> bool:
        """Whether commits on it are answered."""
        return self.query("SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))") == (
            True,
        )

    def promote(self) -> None:
        wait_for(lambda: self.query("SELECT pg_promote(true, 60)"), f"{self.name} answers to be promoted")
        wait_for(lambda: self.is_primary, f"{self.name} is the primary")


class DatabasePair(Servers):
    """A primary and its synchronous standby; the broker is that of the other tests."""

    def __init__(self, servers: Servers | None = None):
        self.binary = order_worker_binary()
        self.tag = secrets.token_hex(4)
        self.passwords = {name: secrets.token_hex(16) for name in ("postgres", "order_worker")}
        versions = glob.glob("/usr/lib/postgresql/*/bin/postgres")
        newest = max(versions, key=lambda path: int(path.split("/")[4])) if versions else shutil.which("postgres")
        self.postgresql_programs = str(Path(newest).parent)
        self.postgresql_environment = {
            "PATH": f"{self.postgresql_programs}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"
        }
        # PostgreSQL doesn't run as root.
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        self.as_postgres = user if os.geteuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="order-worker-cluster-", dir="/var/tmp"))
        self.folder.chmod(0o711)
        for name in ("log", "processes"):
            (self.folder / name).mkdir()
        self._watch()
        self.ports = free_ports(12)
        self.databases = [Database(self, number, self.ports[number - 1]) for number in (1, 2)]
        self.urls = {
            **(servers.urls if servers else {}),
            # One role for all.
            **{name: self._database_url("order_worker", "order_worker")
               for name in ("DATABASE_URL", "OWNER_DATABASE_URL", "READER_DATABASE_URL")},
            "ADMIN_DATABASE_URL": self._database_url("postgres", "postgres"),
        }
        self.vhost = servers.vhost if servers else "orders"

    def _database_url(self, user: str, database: str) -> str:
        hosts = ",".join(f"{HOST}:{database.port}" for database in self.databases)
        return f"postgresql://{user}:{self.passwords[user]}@{hosts}/{database}?target_session_attrs=read-write"

    def _watch(self) -> None:
        """Has a process wait for this one's end, and then do away with whatever is left."""
        script = (
            'read -r line; for file in "$1"/processes/*; do kill -s KILL -- "-${file##*/}" 2>/dev/null; done; '
            'sleep 1; rm -rf "$1"'
        )
        self._watchdog = subprocess.Popen(
            ["sh", "-c", script, "watchdog", str(self.folder)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )

    @property
    def servers(self) -> list[Server]:
        return list(self.databases)

    def start(self) -> "DatabasePair":
        primary, standby = self.databases
        primary.prepare()
        primary.start()
        wait_for(lambda: primary.is_primary, f"the primary is up; see {primary.log}")
        standby.follow(primary)
        password = self.passwords["order_worker"]
        for statement in (
            f"CREATE ROLE order_worker LOGIN PASSWORD '{password}'", "CREATE DATABASE order_worker OWNER order_worker"
        ):
            with closing(psycopg2.connect(primary.url("postgres", "postgres"))) as connection:
                connection.autocommit = True
                connection.cursor().execute(statement)
        self.wait_until_whole()
        return self

    def wait_until_whole(self) -> None:
        """Until all servers are there and do what they should."""
        wait_for(lambda: self.primary and self.primary.has_standby, "the primary has a synchronous standby")

    @property
    def primary(self) -> Database | None:
        return next((database for database in self.databases if database.is_primary), None)

    def other(self, database: Database) -> Database:
        return next(other for other in self.databases if other is not database)

    def drop_database(self, name: str) -> None:
        """It goes with the servers, which may be broken by now."""

    def close(self) -> None:
        for server in self.servers:
            server.kill()
        self._watchdog.stdin.close()
        self._watchdog.wait(30)


class Cluster(DatabasePair):
    """Three brokers besides."""

    def __init__(self):
        super().__init__()
        self.cookie = secrets.token_hex(16).upper()
        folders = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin")
        self.rabbitmq_programs = next((path for path in folders if Path(path, "rabbitmq-server").exists()), None)
        if not self.rabbitmq_programs:
            raise RuntimeError("rabbitmq-server is missing: deploy/local/install servers")
        self.passwords |= {name: secrets.token_hex(16) for name in ("admin", "worker", "publisher", "consumer")}
        self.epmd = Server(self, "epmd")
        self.epmd_port = self.ports[2]
        self.brokers = [Broker(self, number, self.ports[3 * number : 3 * number + 3]) for number in (1, 2, 3)]
        # How often a broker had to be restarted because it had split off.
        self.reunited = 0
        # How often all three had to be, as they didn't become one cluster by themselves.
        self.restarted = 0

        def url(user: str) -> str:
            return ",".join(broker.url(user) for broker in self.brokers)

        self.urls |= {f"{user.upper()}_AMQP_URL": url(user) for user in ("publisher", "consumer", "admin")}
        self.urls["AMQP_URL"] = url("worker")
        self.urls["RABBITMQ_MANAGEMENT_URL"] = self.brokers[0].management_url

    @property
    def servers(self) -> list[Server]:
        return [*self.brokers, *self.databases, self.epmd]

    def start(self) -> "Cluster":
        self._definitions()
        epmd = [shutil.which("epmd"), "-address", HOST, "-port", str(self.epmd_port)]
        self.epmd.launch(epmd, {"PATH": "/usr/bin:/bin"})
        for broker in self.brokers:
            broker.prepare()
            broker.start()
        super().start()
        return self

    def _definitions(self) -> None:
        own, queues, replies = r"^orders?(\..*)?$", r"^(events\..*|amq\.gen.*)$", r"^replies\.publisher\..*$"
        rights = {
            "admin": (".*", ".*", ".*"),
            "worker": (own, r"^(orders?(\..*)?|amq\.default)$", own),
            "publisher": (replies, "^orders$", replies),
            "consumer": (queues, queues, r"^(events\..*|amq\.gen.*|order\.events)$"),
        }
        content = {
            "vhosts": [{"name": "orders"}],
            "users": [
                {"name": name, "password": self.passwords[name], "tags": "administrator" if name == "admin" else ""}
                for name in rights
            ],
            "permissions": [
                {"user": name, "vhost": "orders", "configure": configure, "write": write, "read": read}
                for name, (configure, write, read) in rights.items()
            ],
        }
        path = self.folder / "definitions.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content))

    def wait_until_whole(self) -> None:
        for _ in range(2):
            try:
                wait_for(lambda: self.is_united, self.brokers_state)
                break
            except RuntimeError:
                # As an operator would in the end.
                for broker in self.brokers:
                    broker.kill()
                for broker in self.brokers:
                    broker.start()
                self.restarted += 1
        wait_for(lambda: self.is_united, self.brokers_state)
        super().wait_until_whole()

    def brokers_state(self) -> str:
        states = [f"{broker.name} {'listens' if broker.listens else 'does not listen'}" for broker in self.brokers]
        try:
            nodes = self.management("GET", "nodes?columns=name,running,partitions")
        except OSError as error:
            nodes = repr(error)
        return f"the three brokers are one cluster: {', '.join(states)}; {nodes}"

    @property
    def is_united(self) -> bool:
        """Whether three brokers know each other. One that goes on apart from the others is restarted, as RabbitMQ with
        Mnesia needs it: a node that was away for a moment longer than the others took to miss it may not notice."""
        if not all(broker.listens for broker in self.brokers):
            return False
        try:
            nodes = self.management("GET", "nodes?columns=name,running,partitions")
        except OSError:
            return False
        apart = max(nodes, key=lambda node: len(node.get("partitions", [])))
        if apart.get("partitions"):
            broker = next(broker for broker in self.brokers if broker.node == apart["name"])
            broker.kill()
            broker.start()
            self.reunited += 1
            return False
        return len(nodes) == 3 and all(node["running"] for node in nodes)

    def leader_of(self, vhost: str, queue: str) -> Broker:
        """The node that leads a quorum queue, as a node that answers sees it."""

        def leader():
            try:
                node = self.management("GET", f"queues/{vhost}/{queue}").get("leader")
            except (OSError, urllib.error.URLError):
                return None
            return next((broker for broker in self.brokers if broker.node == node and broker.listens), None)

        return wait_for(leader, f"the queue {queue} has a leader")

    def management(self, method: str, path: str, body=None):
        """Calls the management API of the first node that answers."""
        trouble: Exception = OSError("no broker runs")
        for broker in self.brokers:
            if not broker.running or broker.is_frozen:
                continue
            try:
                return self.call_management(broker.management_url, method, path, body)
            except urllib.error.HTTPError as error:
                # A node that starts doesn't know everything yet.
                if error.code < 500 and error.code != 404:
                    raise
                trouble = error
            except OSError as error:
                trouble = error
        raise trouble
