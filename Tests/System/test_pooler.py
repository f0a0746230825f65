"""A pooler between worker and database breaks the locks that partitions are owned by: it is recognised and refused."""

import os
import signal
import subprocess
import time
from urllib.parse import unquote, urlsplit

from order_stage import free_port

PGBOUNCER = "/usr/sbin/pgbouncer"


def start_pooler(stage, port: int) -> subprocess.Popen:
    url = urlsplit(stage.worker_database_url)
    folder = stage.folder / "pgbouncer"
    folder.mkdir()
    (folder / "users").write_text(f'"{unquote(url.username)}" "{unquote(url.password)}"\n')
    (folder / "settings").write_text(
        f"""[databases]
{stage.name} = host={url.hostname} port={url.port} dbname={stage.name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
ignore_startup_parameters = options, extra_float_digits
unix_socket_dir =
"""
    )
    command = [PGBOUNCER, str(folder / "settings")]
    if os.geteuid() == 0:  # it doesn't run as root
        for path in (stage.folder, folder, folder / "users", folder / "settings"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_pooler_in_transaction_mode_that_ignores_options_is_refused_in_words(stage):
    port = free_port()
    pooler = start_pooler(stage, port)
    try:
        url = urlsplit(stage.worker_database_url)
        pooled = url._replace(netloc=f"{url.netloc.rsplit('@', 1)[0]}@127.0.0.1:{port}").geturl()
        limit = time.monotonic() + 10
        while pooler.poll() is None and time.monotonic() < limit:
            try:
                stage.servers.database(pooled).close()
                break
            except Exception:
                time.sleep(0.1)
        assert pooler.poll() is None, "pgbouncer doesn't run"
        worker = stage.start_worker(DATABASE_URL=pooled)
        assert worker.wait(20) == 78, worker.tail()
        assert "pooler" in worker.tail()
        # No lock stays behind in the pool.
        assert stage.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                           "(SELECT oid FROM pg_database WHERE datname = current_database())") == [(0,)]
    finally:
        pooler.send_signal(signal.SIGTERM)
        pooler.wait(10)
