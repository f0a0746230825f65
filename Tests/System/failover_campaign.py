"""Faults on servers that fail over, one after another, under load: see deploy/fault/run."""

import argparse
import random
import signal
import sys
import time

from order_cluster import Cluster
from order_failover import WEIGHTS, Failover, line, title


def arguments():
    parser = argparse.ArgumentParser(prog="deploy/fault/run", description=__doc__)
    parser.add_argument("--faults", type=int, default=60, help="how many there are in all (60)")
    parser.add_argument("--minutes", type=float, default=30, help="after this time none is begun (30)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rate", type=float, default=25, help="commands a second (25)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--round", type=int, default=25, help="faults between two checks of everything (25)")
    parser.add_argument("--only", action="append", choices=sorted(WEIGHTS), help="this kind of fault; may be repeated")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.stdout.reconfigure(line_buffering=True)
    kinds = options.only or list(WEIGHTS)
    print(f"seed {options.seed}; three brokers, a primary and its synchronous standby, {options.workers} workers, "
          f"{options.rate:g} commands a second")
    began = time.monotonic()
    ends = began + 60 * options.minutes
    cluster = Cluster()
    totals = [0, 0, 0]
    commands = 0
    failover = None
    try:
        cluster.start()
        failover = Failover(cluster, options.seed, options.workers)
        while len(failover.injections) < options.faults and time.monotonic() < ends:
            # More than are ever reached: the round's end stops the load.
            load = failover.begin(commands=int(options.rate * 60 * options.round), rate=options.rate,
                                  customers=int(options.rate * 20))
            failover.pause(1, 2)
            print("\n" + title())
            for _ in range(min(options.round, options.faults - len(failover.injections))):
                if time.monotonic() > ends:
                    break
                kind = failover.random.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
                try:
                    print(line(failover.inject(kind), began))
                except BaseException:
                    print(f"failed at: {kind}")
                    raise
                # It has been watched for two seconds already.
                failover.pause(0, 1)
            result = failover.end()
            commands += load.sent
            totals = [total + more for total, more in zip(totals, result)]
            print(f"{load.sent} commands: lost {result[0]}, doubled {result[1]}, out of order {result[2]}; "
                  f"{len(load.returned)} times no queue was there")
            if any(result):
                print(failover.stage.report())
                break
            failover.close()
    finally:
        if failover:
            failover.close()
        cluster.close()
    print(f"\n{cluster.reunited} times a broker had split off and was restarted, "
          f"{cluster.restarted} times all of them")
    print(f"{len(failover.injections)} faults, {commands} commands: lost {totals[0]}, doubled {totals[1]}, "
          f"customers out of order {totals[2]}")
    return 1 if any(totals) else 0


if __name__ == "__main__":
    sys.exit(main())
