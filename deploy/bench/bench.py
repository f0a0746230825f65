"""Measures the worker against what broker and database do for clients without any rules, in one run.

Called by `run`, which starts the servers and builds; see there for the options. One process publishes, the worker under test
applies, and everything is told by the database and the broker themselves.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time

import pika
import psycopg2

from load import BENCH_QUEUE, Publisher, commands, customer_id, latency, mixed

HERE = pathlib.Path(__file__).parent
DATA = pathlib.Path(os.environ["ORDER_WORKER_LOCAL_DATA"])
ADMIN = os.environ["ADMIN_DATABASE_URL"]
HERTZ = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- Processor time


def ticks(process):
    """User and system time of a process and of the children that it has waited for."""
    try:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:15])


def database_ticks():
    main = next(DATA.glob("postgresql-*/postmaster.pid")).read_text().split()[0]
    children = subprocess.run(["pgrep", "-P", main], capture_output=True, text=True).stdout.split()
    return sum(ticks(process) for process in [main, *children])


def broker_ticks():
    return sum(ticks(process) for process in os.environ["BENCH_BROKER_PROCESSES"].split())


# ---- The system under test


class System:
    """A database of its own, the broker's queues emptied, and the worker."""

    def __init__(self, name, binary):
        self.binary, self.worker = binary, None
        self.url = ADMIN.rsplit("/", 1)[0] + "/" + name
        owner = os.environ["DATABASE_URL"].split("//")[1].split(":")[0]
        admin = psycopg2.connect(ADMIN)
        admin.autocommit = True
        admin.cursor().execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.cursor().execute(f"CREATE DATABASE {name} OWNER {owner}")
        admin.close()
        worker_url = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + name
        self.environment = {**os.environ, "DATABASE_URL": worker_url, "HTTP_PORT": "0",
                            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "warning")}
        for command in (["migrate"], ["topology", "apply"], ["catalog", "apply", "deploy/sample/catalog.json"]):
            subprocess.run([self.binary, *command], env=self.environment, check=True, stdout=subprocess.DEVNULL)
        self.connection = psycopg2.connect(self.url)
        self.connection.autocommit = True
        self.queues = [f"orders.{number:02d}" for number in range(self.value("SELECT partitions FROM topology"))]

    def value(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        return cursor.fetchone()[0]

    def script(self, file, **values):
        variables = [argument for name, value in values.items() for argument in ("-v", f"{name}={value}")]
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *variables, "-f", HERE / file, self.url], check=True)

    def start(self):
        log = (DATA / "worker.log").open("a")
        self.worker = subprocess.Popen([self.binary, "run"], env=self.environment, stderr=log, stdout=log)

    def stop(self):
        if self.worker:
            self.worker.send_signal(signal.SIGTERM)
            if self.worker.wait(60):
                sys.exit(f"The worker ended with status {self.worker.returncode}: see {DATA}/worker.log")
            self.worker = None

    def wait(self, condition, seconds, what):
        """Asks rarely and cheaply: what asks often is measured too."""
        end = time.monotonic() + seconds
        while not self.value(f"SELECT {condition}"):
            if self.worker.poll() is not None or time.monotonic() > end:
                sys.exit(f"{what} did not finish: see {DATA}/worker.log")
            time.sleep(0.5)

    def written(self):
        """Bytes of the write-ahead log so far, of tables with what belongs to them, and of indexes."""
        cursor = self.connection.cursor()
        cursor.execute("""
            SELECT pg_current_wal_lsn() - '0/0'::pg_lsn, sum(pg_table_size(oid)), sum(pg_indexes_size(oid))
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'""")
        return [float(number) for number in cursor.fetchone()]


def drain(queue):
    """Empties what the events come to, so that it isn't slower from run to run."""
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["ADMIN_AMQP_URL"]))
    channel = connection.channel()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, "order.events", "#")
    channel.queue_purge(queue)
    connection.close()


# ---- Measuring


def throughput(system, kind, count, load):
    """Applies what `load` puts into the full queues; how fast, at what cost, over time."""
    say(f"  loading {count} {kind} into the queues")
    drain(BENCH_QUEUE)
    first = system.value("SELECT now()")
    with Publisher() as publisher:
        for number, command in enumerate(load, 1):
            publisher.send(*command)
            if number % 20000 == 0:
                say(f"    {number} of {count}")
    system.connection.cursor().execute("CHECKPOINT")
    before = system.written()
    broker, database = broker_ticks(), database_ticks()
    say("  applying them")
    known = f"coalesce((SELECT sum(n_tup_ins) FROM pg_stat_user_tables WHERE relname LIKE 'inbox%'), 0)"
    base = system.value(f"SELECT {known}")
    system.start()
    began = time.time()
    system.wait(f"{known} - {base} >= {count}", 60 + count / 100, f"Applying {count} {kind}")
    system.wait("NOT EXISTS (SELECT FROM outbox)", 60, "Publishing the events")
    peak = int(pathlib.Path(f"/proc/{system.worker.pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    cost = {"worker": ticks(system.worker.pid), "database": database_ticks() - database, "broker": broker_ticks() - broker}
    after = system.written()
    cursor = system.connection.cursor()
    cursor.execute("SELECT extract(epoch FROM outcome_at)::float FROM inbox WHERE outcome_at >= %s ORDER BY 1", (first,))
    times = [row[0] for row in cursor.fetchall()]
    # Steady is what lies between the first tenth, with the start of the worker in it, and the last twentieth.
    low, high = len(times) // 10, len(times) * 19 // 20
    refused = system.value(
        f"SELECT count(*) FROM inbox WHERE outcome_type = 'command.rejected' AND outcome_at >= '{first}'")
    if refused:
        sys.exit(f"{refused} commands were rejected: the benchmark measures commands that are applied")
    over_time = {}
    for moment in times:
        second = int(moment - began)
        over_time[second] = over_time.get(second, 0) + 1
    return {
        "steady": (high - low) / (times[high - 1] - times[low]),
        "whole": len(times) / (times[-1] - began),
        "cpu": {name: value / HERTZ / len(times) * 1000 for name, value in cost.items()},
        "walBytes": (after[0] - before[0]) / len(times),
        "tableBytes": (after[1] - before[1]) / len(times),
        "indexBytes": (after[2] - before[2]) / len(times),
        "workerPeakMiB": peak,
        "overTime": [over_time.get(second, 0) for second in range(max(over_time) + 1)],
    }


def floor_program():
    program = DATA / "floor"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "librabbitmq", "libpq"], capture_output=True, text=True,
                           check=True).stdout.split()
    subprocess.run(["cc", "-O2", "-o", program, HERE / "floor.c", *flags], check=True)
    return program


def floor_arguments(system, count, sizes):
    url = pika.URLParameters(os.environ["ADMIN_AMQP_URL"])
    return [url.host, url.port, url.credentials.username, url.credentials.password, url.virtual_host, count, *sizes,
            *system.queues]


def broker_floor(system, program, orders, customers, sizes):
    say(f"The broker's floor: a bare client moves {orders} of the same messages")
    drain(BENCH_QUEUE)
    with Publisher() as publisher:
        for command in commands("subscription.order", orders, customers):
            publisher.send(*command)
    arguments = [str(argument) for argument in floor_arguments(system, orders, sizes)]
    return float(subprocess.run([program, "move", *arguments], capture_output=True, text=True, check=True).stdout)


def database_floor(binary, customers, seconds, command_size, sizes):
    say(f"The database's floor: pgbench writes the same rows for {seconds} s")
    system = System("bench_floor", binary)
    system.script("customers.sql", customers=customers, history=0)
    script = DATA / "baseline.sql"
    script.write_text("\\set partition :client_id\n" + (HERE / "baseline.sql").read_text())
    variables = {"customers": customers, "command_size": command_size, "outcome_size": sizes[0], "invoice_size": sizes[1]}
    found = [str(path) for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/pgbench")] or ["pgbench"]
    answer = subprocess.run(
        [max(found), "-n", "-M", "prepared", "-c", "2", "-j", "1", "-T", str(seconds),
         *[argument for item in variables.items() for argument in ("-D", "{}={}".format(*item))], "-f", script, system.url],
        capture_output=True, text=True, env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"})
    if answer.returncode:
        sys.exit(answer.stderr)
    system.connection.close()
    return 200 * float(answer.stdout.split("tps = ")[1].split()[0])


def relay_latency(system, program, rate, seconds, customers, sizes):
    say(f"Latency of a bare relay at {rate} per second for {seconds} s")
    drain(BENCH_QUEUE)
    arguments = [str(argument) for argument in floor_arguments(system, int(rate * seconds), sizes)]
    relay = subprocess.Popen([program, "relay", *arguments], env={**os.environ, "DATABASE_URL": system.url},
                             stdout=subprocess.DEVNULL)
    time.sleep(1)
    result = latency(rate, seconds, customers)
    if relay.wait(60):
        sys.exit("The relay failed.")
    return result


def median(runs, *path):
    def value(run):
        for name in path:
            run = run[name]
        return run
    values = sorted(value(run) for run in runs)
    return statistics.median(values), values[0], values[-1]


def plot(file, runs):
    """Orders per second over the seconds of each run."""
    width, height, left, bottom = 720, 300, 60, 40
    most = max(max(run["overTime"]) for run in runs)
    longest = max(len(run["overTime"]) for run in runs)
    x = lambda second: left + second * (width - left - 20) / max(1, longest - 1)
    y = lambda rate: height - bottom - rate * (height - bottom - 20) / most
    lines = [
        f'<polyline fill="none" stroke="hsl({number * 67 % 360},60%,45%)" stroke-width="2" points="'
        + " ".join(f"{x(second):.1f},{y(rate):.1f}" for second, rate in enumerate(run["overTime"])) + '"/>'
        for number, run in enumerate(runs)]
    marks = [f'<text x="{left - 6}" y="{y(rate) + 4:.0f}" text-anchor="end">{rate:.0f}</text>'
             for rate in (0, most / 2, most)]
    marks += [f'<text x="{x(second):.0f}" y="{height - 20}" text-anchor="middle">{second} s</text>'
              for second in range(0, longest, max(1, longest // 8))]
    pathlib.Path(file).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
        f'<title>Orders applied per second, over time; a line for each run</title>{"".join(lines)}{"".join(marks)}</svg>\n')


def main():
    parser = argparse.ArgumentParser(prog="deploy/bench/run")
    parser.add_argument("--orders", type=int, default=40000)
    parser.add_argument("--customers", type=int, default=20000)
    parser.add_argument("--seconds", type=int, default=20, help="of each measurement of latency, and of pgbench")
    parser.add_argument("--runs", type=int, default=1, help="of the worker; medians and ranges are printed")
    parser.add_argument("--history", type=int, default=0, help="orders that each customer has had before")
    parser.add_argument("--mix", action="store_true", help="measures a day's mixture of commands, after the orders")
    parser.add_argument("--binary", required=True, help="the program (default: this tree's, built for release)")
    parser.add_argument("--against", help="another order-worker program: measured in turn, before each run of this one")
    parser.add_argument("--json", help="a file for all figures")
    parser.add_argument("--plot", help="a file for a picture of the rates over time (SVG)")
    options = parser.parse_args()
    random.seed(int(os.environ.get("SEED", "1")))

    runs, others, mixes = [], [], []
    for number in range(options.runs):
        for binary, results in ((options.against, others), (options.binary, runs)):
            if not binary:
                continue
            say(f"Run {number + 1} of {options.runs}: {binary}")
            system = System("bench", binary)
            say(f"  {options.customers} customers with {options.history} earlier orders each")
            system.script("customers.sql", customers=options.customers, history=options.history)
            results.append(throughput(system, "orders", options.orders,
                                      commands("subscription.order", options.orders, options.customers)))
            if options.mix and results is runs:
                system.stop()
                count = options.orders // 2
                mixes.append(throughput(system, "commands of a mixture", count, mixed(system.connection, count, options.customers)))
            say(f"  latency at 200 per second for {options.seconds} s")
            drain(BENCH_QUEUE)
            results[-1]["latency"] = latency(200, options.seconds, options.customers)
            system.stop()
    cursor = system.connection.cursor()
    cursor.execute("""
        SELECT avg(length(data))::int, avg(length(outcome_data))::int FROM inbox WHERE type = 'subscription.order'""")
    command_size, outcome_size = cursor.fetchone()
    sizes = [outcome_size, 700]
    program = floor_program()
    broker = broker_floor(system, program, options.orders, options.customers, sizes)
    relay = relay_latency(system, program, 200, options.seconds, options.customers, sizes)
    database = database_floor(options.binary, options.customers, options.seconds, command_size, sizes)
    combined = 1 / (1 / database + 1 / broker)

    figures = {"runs": runs, "against": others, "mix": mixes, "relay": relay,
               "floor": {"broker": broker, "database": database, "combined": combined}}
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    if options.plot:
        plot(options.plot, runs)

    def line(name, unit, *path, runs=runs, digits=0):
        middle, low, high = median(runs, *path)
        spread = f"   ({low:,.{digits}f} to {high:,.{digits}f})" if len(runs) > 1 else ""
        print(f"{name:<44}{middle:>10,.{digits}f} {unit}{spread}")

    print(f"\n{options.orders} orders for {options.customers} customers, {options.runs} run(s), median (range)\n")
    for title, results in (("", runs), (f"{options.against}: ", others), ("The mixture: ", mixes)):
        if not results:
            continue
        if title:
            print(f"\n{title}")
        line("Applied, steady", "per second", "steady", runs=results)
        line("Applied, from the start of the worker", "per second", "whole", runs=results)
        for name in ("worker", "database", "broker"):
            line(f"CPU of the {name}", "s per 1,000", "cpu", name, runs=results, digits=3)
        line("Tables", "bytes each", "tableBytes", runs=results)
        line("Indexes", "bytes each", "indexBytes", runs=results)
        line("Write-ahead log", "bytes each", "walBytes", runs=results)
        line("The worker's peak memory", "MiB", "workerPeakMiB", runs=results)
        if "latency" in results[0]:
            for to in ("event", "reply"):
                for share in ("p50", "p99"):
                    line(f"From publishing to {to}, {share}", "ms", "latency", to, share, runs=results, digits=2)
    print("\nFloors")
    print(f"{'Database: pgbench writes the same rows':<44}{database:>10,.0f} per second")
    print(f"{'Broker: a bare client moves the messages':<44}{broker:>10,.0f} per second")
    print(f"{'Both together':<44}{combined:>10,.0f} per second")
    for to in ("event", "reply"):
        for share in ("p50", "p99"):
            print(f"{f'A bare relay, to {to}, {share}':<44}{relay[to][share]:>10,.2f} ms")
    print("\nRatios")
    print(f"{'Steady to both floors together':<44}{median(runs, 'steady')[0] / combined:>10.2f}")
    print(f"{'Whole run to steady':<44}{median(runs, 'whole')[0] / median(runs, 'steady')[0]:>10.2f}")
    for share in ("p50", "p99"):
        print(f"{f'Latency to event, {share}, to the relay':<44}"
              f"{median(runs, 'latency', 'event', share)[0] / relay['event'][share]:>10.2f}")
    if others:
        print(f"{'Steady, to the other program':<44}{median(runs, 'steady')[0] / median(others, 'steady')[0]:>10.2f}")


main()
