"""Brokers and databases that fail over lose and double nothing. The long form is deploy/fault/run."""

import contextlib
import re
import shlex

import pytest

from order_client import Publisher, create_customer, new_id, order, subscription
from order_cluster import Cluster, DatabasePair, wait_for
from order_failover import EventListener, Failover, line, title
from order_stage import Stage


@pytest.mark.timeout(900)
def test_what_the_standby_never_had_is_not_announced(servers):
    with contextlib.closing(DatabasePair(servers)) as pair:
        primary, standby = pair.start().databases
        stage = Stage(pair)
        try:
            worker = stage.set_up().start_worker().wait_until_ready(60)
            with EventListener(stage.consumer_url) as listener, Publisher(stage.publisher_url) as publisher:
                first = create_customer(new_id())
                publisher.command(first, correlation_id=first.id)
                listener.reply(first.id, 60)
                wait_for(lambda: stage.query("SELECT count(*) FROM outbox") == [(0,)], "nothing is left to do")
                standby.kill()
                second = order(first.customer, subscription({"ov-ssl": 1}))
                publisher.command(second, correlation_id=second.id)
                count = f"SELECT count(*)::int FROM inbox WHERE id = '{second.id}'"
                # What waits first may be another commit: the next crash finds the command's.
                for _ in range(5):
                    wait_for(lambda: waiting_commits(primary), "a commit waits for the standby")
                    primary.kill()
                    primary.start()
                    wait_for(lambda: primary.is_primary, "the primary is back")
                    if primary.query(count, stage.name) == (1,):
                        break
                assert primary.query(count, stage.name) == (1,), "a commit that wasn't answered is there after a crash"
                # The worker comes back and finds what was left in the outbox.
                wait_for(
                    lambda: waiting_commits(primary) or listener.replies.get(second.id),
                    lambda: f"the worker is back:\n{worker.tail()}",
                )
                assert not listener.replies.get(second.id), "it was announced before it was safe"
                primary.kill()
                standby.start()
                standby.promote()
                assert standby.query(count, stage.name) == (0,)
                primary.follow(standby)
                event = listener.reply(second.id, 120)
                recorded = "SELECT outcome_id::text FROM inbox WHERE id = %s"
                assert stage.query(recorded, second.id) == [(event.id,)]
                assert len({event.id for event in listener.replies[second.id]}) == 1
            stage.command_line("audit")
        finally:
            stage.close()


def waiting_commits(primary) -> bool:
    """Whether a worker's session waits for the standby."""
    statement = "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'order_worker'"
    row = primary.query(statement)
    return bool(row and row[0])


def queues_with_too_few_members_are_named(cluster):
    """As after nodes have joined a broker that had the queues already; and what `doctor` says to do about it helps."""
    stage = Stage(cluster)
    try:
        management = {"RABBITMQ_MANAGEMENT_URL": cluster.brokers[0].management_url}
        stage.set_up()
        wait_for(lambda: not stage.command_line("topology", "check", expect=None, **management).returncode, "all is well")
        broker, absent = cluster.brokers[0], cluster.brokers[2].node
        broker.command("rabbitmq-queues", "delete_member", "--vhost", stage.name, "orders.03", absent)

        def complaint():
            text = stage.command_line("doctor", expect=None, **management).stdout
            return text if "orders.03 has 2 members on 3 nodes" in text else None

        advice = wait_for(complaint, "doctor names the queue")
        (mend,) = re.findall(r"rabbitmq-queues (grow .*)$", advice, re.MULTILINE)
        broker.command("rabbitmq-queues", *shlex.split(mend))
        wait_for(lambda: not stage.command_line("topology", "check", expect=None, **management).returncode, "all is well")
    finally:
        stage.close()


@pytest.mark.timeout(900)
def test_a_broker_cluster_and_a_database_that_fail_over_lose_and_double_nothing(seed, full):
    faults = ["leader_and_primary_killed", "two_brokers_frozen_briefly", "worker_and_primary_killed", "connections_closed"]
    if full:
        faults = [*faults, "two_brokers_killed", "leader_stopped", "primary_frozen_and_replaced", "sessions_ended"]
    with contextlib.closing(Cluster()) as cluster:
        cluster.start()
        queues_with_too_few_members_are_named(cluster)
        with contextlib.closing(Failover(cluster, seed)) as failover:
            load = failover.begin(commands=4000, rate=20, customers=80)
            print(title())
            for fault in faults:
                print(line(failover.inject(fault), load.began))
            lost, doubled, out_of_order = failover.end()
            print(f"{load.sent} commands: lost {lost}, doubled {doubled}, customers out of order {out_of_order}")
            assert (lost, doubled, out_of_order) == (0, 0, 0)
            assert not load.returned, "a command found no queue"
            for worker in failover.workers:
                assert worker.running
