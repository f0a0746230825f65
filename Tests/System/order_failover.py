"""A load on servers that fail over, what befalls them meanwhile, and a table of what came of it."""

import random
import signal
import threading
import time
from collections import defaultdict
from contextlib import closing, suppress
from dataclasses import dataclass

import psycopg2
from pika.exceptions import UnroutableError

from order_client import Listener, Publisher
from order_cluster import PATIENCE, Cluster, wait_for
from order_load import Load
from order_stage import Stage, Worker, queue_of


class EventListener(Listener):
    """Takes outcomes from `order.events`, where none gets lost, and not from the replies, which a failure may cost.

    Its queues outlive the node that they were made on.
    """

    QUEUE_ARGUMENTS = {"x-queue-type": "quorum"}

    def __init__(self, url: str):
        super().__init__(url)
        # The events whose place in the queue is known: those that the broker delivered for the first time.
        self.in_order: list = []

    def _event(self, channel, method, properties, body):
        super()._event(channel, method, properties, body)
        with self.changed:
            event = self.events[-1]
            if not method.redelivered:
                self.in_order.append(event)
            if properties.correlation_id:
                self.replies[properties.correlation_id].append(event)

    def _reply(self, channel, method, properties, body):
        channel.basic_ack(method.delivery_tag)


class PatientPublisher(Publisher):
    """Sends again whatever the broker doesn't take, until it does: a queue without a majority refuses or says nothing."""

    FINAL = ()

    def __init__(self, url: str, returned: list):
        super().__init__(url, patience=PATIENCE)
        self.returned = returned

    def refused(self, error: Exception) -> None:
        if isinstance(error, UnroutableError):
            self.returned.append(error)


class FailoverLoad(Load):
    """A load in bursts that knows how far behind the outcomes are, and counts what went wrong."""

    # Seconds from burst to burst.
    BURST = 0.5

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        # Commands that no queue was there for; they were sent again.
        self.returned: list = []

    def publisher(self) -> Publisher:
        return PatientPublisher(self.stage.publisher_url, self.returned)

    def _keep_pace(self, due: float) -> None:
        ahead = due - time.monotonic()
        if ahead > self.BURST:
            time.sleep(ahead)

    def start(self, rate: float, duplicates: float = 0.1) -> "FailoverLoad":
        self.rate = rate
        self.began = time.monotonic()
        return super().start(rate, duplicates)

    @property
    def answered(self) -> int:
        return len(self.listener.replies)

    def waiting(self) -> int:
        """Commands that should have an outcome by now if nothing stood still, those that couldn't be published included."""
        due = min(self.commands, int((time.monotonic() - self.began) * self.rate))
        return max(0, due - self.answered)

    def in_flight(self) -> int:
        """Commands that the broker has taken and that have no outcome yet."""
        return max(0, self.sent - self.answered)

    def wait_for_burst(self) -> None:
        """Until commands are under way, for a short time at most."""
        limit = time.monotonic() + 4 * self.BURST
        while self.in_flight() < 5 and time.monotonic() < limit:
            time.sleep(0.001)

    @property
    def is_at_full_speed(self) -> bool:
        return self.waiting() <= max(8, self.rate / 2)

    def settle(self, seconds: float = PATIENCE) -> None:
        """Has the publishers stop, and waits for the outcomes of all that was published."""
        self.stopped.set()
        for thread in self._running:
            thread.join(seconds)
        if self.errors:
            raise self.errors[0]
        limit = time.monotonic() + seconds
        while self.outcomes_missing() and time.monotonic() < limit:
            time.sleep(0.2)

    def lost(self) -> int:
        return len(self.outcomes_missing())

    def doubled(self) -> int:
        """Commands with more than one outcome, and outcomes that the database doesn't have."""
        recorded = dict(self.stage.query("SELECT id, outcome_id::text FROM inbox"))
        with self.listener.changed:
            outcomes = {command: {event.id for event in events} for command, events in self.listener.replies.items()}
        return sum(len(ids) > 1 or ids != {recorded.get(command)} for command, ids in outcomes.items())

    def out_of_order(self) -> int:
        """Customers whose commands were applied, or whose events came, in another order than they were sent in."""
        with self.listener.changed:
            first = {command: events[0] for command, events in self.listener.replies.items()}
            arrived, seen = defaultdict(list), set()
            for event in self.listener.in_order:
                if event.id not in seen:
                    seen.add(event.id)
                    arrived[event.data["customerId"]].append(event.data["sequence"])
        wrong = 0
        for history in self.histories:
            applied = [first[command.id].data["sequence"] for command in history.sent if command.id in first]
            wrong += applied != sorted(applied) or arrived[history.customer] != sorted(arrived[history.customer])
        return wrong

    def verify(self, seconds: float = 120) -> None:
        # What comes to the listener a second time, because its own connection broke, comes out of order.
        with self.listener.changed:
            self.listener.events.sort(key=lambda event: event.data["sequence"])
        super().verify(seconds)


@dataclass
class Injection:
    """What befell the servers, and what came of it."""

    fault: str
    struck: float = 0
    in_flight: int = 0
    # Until the servers were whole again.
    lasted: float = 0
    # From the fault until outcomes came as fast as commands again.
    full_speed: float = 0


class Failover:
    """Servers, workers on them, and the faults."""

    def __init__(self, cluster: Cluster, seed: int, workers: int = 2):
        self.cluster = cluster
        self.random = random.Random(seed)
        self.seed = seed
        self.count = workers
        self.stage: Stage | None = None
        self.workers: list[Worker] = []
        self.injections: list[Injection] = []

    # ---- Rounds

    def begin(self, commands: int, rate: float, customers: int = 0) -> FailoverLoad:
        self.stage = Stage(self.cluster).set_up()
        self.workers = [self.stage.start_worker() for _ in range(self.count)]
        for worker in self.workers:
            worker.wait_until_ready(PATIENCE)
        self.listener = EventListener(self.stage.consumer_url).__enter__()
        self.load = FailoverLoad(self.stage, self.listener, self.random.randrange(1 << 32), commands, customers)
        return self.load.start(rate)

    def end(self) -> tuple[int, int, int]:
        """Lost, doubled, out of order; all the rest that a load's check looks at has to be right."""
        self.load.settle()
        result = (self.load.lost(), self.load.doubled(), self.load.out_of_order())
        if not any(result):
            self.load.verify()
        return result

    def close(self) -> None:
        if self.stage:
            self.listener.__exit__()
            stage, self.stage = self.stage, None
            # Servers that don't answer any more go away with what is on them.
            with suppress(OSError):
                stage.close()

    def inject(self, name: str) -> Injection:
        """One fault, until everything is whole again and at full speed, and has been so for two seconds."""
        self.injection = Injection(name)
        watch = threading.Thread(target=self._watch, args=(self.injection,), daemon=True)
        watch.start()
        getattr(self, name)()
        self.cluster.wait_until_whole()
        self.injection.lasted = time.monotonic() - self.injection.struck
        watch.join(PATIENCE)
        if self.load.errors:
            raise self.load.errors[0]
        if watch.is_alive():
            raise RuntimeError(
                f"not at full speed {PATIENCE} s after {name}: {self.load.waiting()} commands wait\n{self.stage.report()}"
            )
        self.injections.append(self.injection)
        return self.injection

    def strike(self) -> None:
        """Called by each fault once it knows its victims: in the middle of a burst of commands."""
        self.load.wait_for_burst()
        self.injection.in_flight = self.load.in_flight()
        self.injection.struck = time.monotonic()

    def _watch(self, injection: Injection) -> None:
        """Notes when outcomes last lagged behind the commands."""
        lagged = None
        while not self.load.errors:
            now = time.monotonic()
            if injection.struck:
                lagged = lagged or injection.struck
                if not self.load.is_at_full_speed:
                    lagged = now
                injection.full_speed = lagged - injection.struck
                if injection.lasted and now - lagged > 2:
                    return
            time.sleep(0.05)

    def pause(self, shortest: float, longest: float) -> None:
        time.sleep(self.random.uniform(shortest, longest))

    # ---- The broker

    def _brokers(self, count: int):
        """The node that leads a partition's queue first, then others."""
        leader = self.cluster.leader_of(self.stage.name, queue_of(self.random.randrange(8)))
        others = [broker for broker in self.cluster.brokers if broker is not leader]
        self.random.shuffle(others)
        return [leader, *others][:count]

    def _broken_brokers(self, count: int, shortest: float, longest: float) -> None:
        brokers = self._brokers(count)
        self.strike()
        for broker in brokers:
            broker.kill()
        self.pause(shortest, longest)
        for broker in brokers:
            broker.start()

    def leader_killed(self):
        self._broken_brokers(1, 1, 5)

    def two_brokers_killed(self):
        self._broken_brokers(2, 2, 8)

    def all_brokers_killed(self):
        self._broken_brokers(3, 1, 3)

    def leader_stopped(self):
        (broker,) = self._brokers(1)
        self.strike()
        broker.stop()
        self.pause(1, 3)
        broker.start()

    def brokers_restarted_in_turn(self):
        brokers = self._brokers(3)
        self.strike()
        for broker in brokers:
            broker.stop()
            broker.start()
            self.cluster.wait_until_whole()

    def _frozen_brokers(self, count: int, shortest: float, longest: float) -> None:
        brokers = self._brokers(count)
        self.strike()
        for broker in brokers:
            broker.freeze()
        self.pause(shortest, longest)
        for broker in brokers:
            broker.thaw()

    def two_brokers_frozen_briefly(self):
        self._frozen_brokers(2, 1, 3)

    def leader_frozen_briefly(self):
        self._frozen_brokers(1, 1, 5)

    def leader_frozen(self):
        # Longer than the others take to miss it.
        self._frozen_brokers(1, 12, 18)

    def two_brokers_frozen(self):
        self._frozen_brokers(2, 3, 15)

    def connections_closed(self):
        self.strike()
        self.stage.close_connections()

    # ---- The database

    def _replace(self, old) -> None:
        """Promotes the standby and makes what was the primary a standby of it."""
        new = self.cluster.other(old)
        new.promote()
        self.pause(0, 2)
        old.follow(new)

    def primary_killed(self):
        primary = self.cluster.primary
        self.strike()
        primary.kill()
        self._replace(primary)

    def primary_stopped(self):
        primary = self.cluster.primary
        self.strike()
        primary.stop(signal.SIGINT)
        self._replace(primary)

    def primary_frozen_and_replaced(self):
        primary = self.cluster.primary
        self.strike()
        primary.freeze()
        self.pause(1, 4)
        # Before another takes over, it is made sure of that this one won't come back.
        primary.kill()
        self._replace(primary)

    def primary_restarted(self):
        primary = self.cluster.primary
        self.strike()
        primary.kill()
        self.pause(0, 3)
        primary.start()

    def primary_frozen(self):
        primary = self.cluster.primary
        self.strike()
        primary.freeze()
        self.pause(1, 8)
        primary.thaw()

    def standby_killed(self):
        primary = self.cluster.primary
        standby = self.cluster.other(primary)
        self.strike()
        standby.kill()
        self.pause(1, 6)
        standby.start()

    def standby_frozen(self):
        standby = self.cluster.other(self.cluster.primary)
        self.strike()
        standby.freeze()
        self.pause(1, 8)
        standby.thaw()

    def primary_restarted_alone_then_killed(self):
        """The primary comes back without its standby: it shows what was never promised, and then it is gone for good."""
        primary = self.cluster.primary
        standby = self.cluster.other(primary)
        self.strike()
        standby.kill()
        # What is committed meanwhile waits for the standby.
        self.pause(1, 3)
        primary.kill()
        primary.start()
        wait_for(lambda: primary.is_primary, "the primary is back")
        self.pause(3, 8)
        primary.kill()
        standby.start()
        self._replace(primary)

    def sessions_ended(self):
        with closing(psycopg2.connect(self.cluster.primary.url("postgres", "postgres"))) as connection:
            connection.autocommit = True
            self.strike()
            connection.cursor().execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'order_worker'"
            )

    # ---- The workers

    def _worker(self) -> int:
        return self.random.randrange(len(self.workers))

    def worker_killed(self):
        victim = self._worker()
        self.strike()
        self.workers[victim].kill()
        self.workers[victim] = self.stage.start_worker()

    def workers_killed(self):
        self.strike()
        for worker in self.workers:
            worker.kill()
        self.workers = [self.stage.start_worker() for _ in self.workers]

    def worker_frozen(self):
        process = self.workers[self._worker()].process
        self.strike()
        process.send_signal(signal.SIGSTOP)
        self.pause(1, 6)
        process.send_signal(signal.SIGCONT)

    def worker_frozen_long(self):
        process = self.workers[self._worker()].process
        self.strike()
        process.send_signal(signal.SIGSTOP)
        # Longer than its sessions last.
        self.pause(22, 28)
        process.send_signal(signal.SIGCONT)

    def worker_replaced(self):
        victim = self._worker()
        self.strike()
        self.workers[victim].terminate()
        self.workers[victim].wait(60)
        self.workers[victim] = self.stage.start_worker()

    # ---- Several at once

    def leader_and_primary_killed(self):
        (broker,) = self._brokers(1)
        primary = self.cluster.primary
        self.strike()
        broker.kill()
        primary.kill()
        self._replace(primary)
        broker.start()

    def worker_and_primary_killed(self):
        primary = self.cluster.primary
        victim = self._worker()
        self.strike()
        self.workers[victim].kill()
        primary.kill()
        self._replace(primary)
        self.workers[victim] = self.stage.start_worker()

    def worker_killed_while_the_leader_is_frozen(self):
        (broker,) = self._brokers(1)
        victim = self._worker()
        self.strike()
        broker.freeze()
        self.pause(1, 3)
        self.workers[victim].kill()
        self.workers[victim] = self.stage.start_worker()
        self.pause(1, 3)
        broker.thaw()


# How often each comes, in relation to the others: those that are over soon more often.
WEIGHTS = {
    "leader_killed": 4, "two_brokers_killed": 3, "all_brokers_killed": 1, "leader_stopped": 2,
    "brokers_restarted_in_turn": 1, "leader_frozen_briefly": 5, "leader_frozen": 3, "two_brokers_frozen": 2,
    "two_brokers_frozen_briefly": 3, "connections_closed": 6, "primary_killed": 8, "primary_stopped": 4,
    "primary_frozen_and_replaced": 4,
    "primary_restarted": 6, "primary_frozen": 6, "standby_killed": 4, "standby_frozen": 4,
    "primary_restarted_alone_then_killed": 4, "sessions_ended": 6, "worker_killed": 8, "workers_killed": 4,
    "worker_frozen": 6, "worker_frozen_long": 1, "worker_replaced": 4, "leader_and_primary_killed": 2,
    "worker_and_primary_killed": 4, "worker_killed_while_the_leader_is_frozen": 2,
}


def title() -> str:
    return f"{'at':>7}  {'fault':<44}{'in flight':>10}{'lasted':>9}{'full speed':>12}"


def line(injection: Injection, began: float) -> str:
    return (
        f"{injection.struck - began:6.0f}s  {injection.fault.replace('_', ' '):<44}{injection.in_flight:>10}"
        f"{injection.lasted:>8.1f}s{injection.full_speed:>11.1f}s"
    )
