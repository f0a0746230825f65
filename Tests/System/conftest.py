"""Fixtures of the black-box tests: the real servers, a stage for each test, and the worker's log where a test fails."""

import os
import random
import shutil
import subprocess

import pytest

from order_client import Listener, Publisher, create_customer, new_id
from order_faults import answered, partitions_of, wait_until
from order_stage import PARTITIONS, Servers, Stage


@pytest.fixture(scope="session")
def servers() -> Servers:
    try:
        return Servers()
    except RuntimeError as error:
        pytest.exit(str(error), returncode=3)


@pytest.fixture(scope="session")
def full() -> bool:
    """True where the long forms of the tests are asked for."""
    return os.environ.get("ORDER_WORKER_TEST_FULL") == "1"


@pytest.fixture
def stage(servers):
    """A stage of the test's own, without workers yet."""
    stage = Stage(servers)
    try:
        yield stage.set_up()
    finally:
        stage.close()


@pytest.fixture
def listener(stage):
    with Listener(stage.consumer_url) as listener:
        yield listener
        assert not listener.unreadable()


@pytest.fixture
def publisher(stage):
    with Publisher(stage.publisher_url) as publisher:
        yield publisher


@pytest.fixture
def customers(stage, publisher):
    """A worker, and customers in every partition."""
    stage.start_worker().wait_until_ready()
    made = [create_customer(new_id()) for _ in range(80)]
    for command in made:
        publisher.command(command)
    wait_until(lambda: answered(stage, made) == len(made), 30, "the customers are made")
    assert len(set(partitions_of(stage).values())) == PARTITIONS
    return [command.customer for command in made]


CLOCK_AHEAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) time->tv_sec += SECONDS;
    return result;
}
"""


@pytest.fixture
def clock_ahead(stage):
    """Makes a library that sets a process's clock ahead."""
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "a C compiler is needed"

    def make(seconds: int) -> str:
        library = stage.folder / f"ahead-{seconds}.so"
        subprocess.run(
            [compiler, "-shared", "-fPIC", f"-DSECONDS={seconds}", "-x", "c", "-", "-o", str(library), "-ldl"],
            input=CLOCK_AHEAD, text=True, check=True,
        )
        return str(library)

    return make


@pytest.fixture(scope="module")
def running(servers):
    """A stage that a module's tests share, with a worker, for tests that disturb neither."""
    stage = Stage(servers)
    try:
        stage.set_up().start_worker().wait_until_ready()
        yield stage
    finally:
        stage.close()


@pytest.fixture(scope="module")
def shared_listener(running):
    with Listener(running.consumer_url) as listener:
        yield listener
        assert not listener.unreadable()


@pytest.fixture
def shared_publisher(running):
    with Publisher(running.publisher_url) as publisher:
        yield publisher


@pytest.fixture
def seed(request) -> int:
    """A new one each run, printed where the test fails; ORDER_WORKER_TEST_SEED repeats it."""
    chosen = int(os.environ.get("ORDER_WORKER_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"repeat with ORDER_WORKER_TEST_SEED={chosen}")
    return chosen


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for name in ("stage", "running"):
            stage = getattr(item, "funcargs", {}).get(name)
            if isinstance(stage, Stage):
                report.sections.append((f"workers of {stage.name}", stage.report()))
