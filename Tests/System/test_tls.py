"""TLS to both servers, with an authority made on the spot: what is right works, and each thing that is wrong is named."""

import os
import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from order_stage import free_port


class Authority:
    """Signs certificates, each a pair of files."""

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        self.name = name
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", self.key, "-out", self.certificate,
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    def sign(self, name: str, subject: str, alternative: str | None = None, expired: bool = False):
        """Gives the paths of a certificate and its key."""
        certificate, key, request = (self.folder / f"{self.name}-{name}.{end}" for end in ("pem", "key", "csr"))
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={subject}", "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "keyUsage=digitalSignature\n")
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-extfile", extensions, "-out", certificate, "-days", "-1" if expired else "1",
        )
        return certificate, key


class Certificates:
    def __init__(self, folder: Path):
        self.own = Authority(folder, "own")
        self.other = Authority(folder, "other")
        names = "DNS:localhost,IP:127.0.0.1"
        self.good = self.own.sign("good", "localhost", names)
        self.name_only = self.own.sign("name-only", "localhost", "DNS:localhost")
        self.elsewhere = self.own.sign("elsewhere", "elsewhere", "DNS:elsewhere.example,IP:127.0.0.9")
        self.expired = self.own.sign("expired", "localhost", names, expired=True)
        self.stranger = self.other.sign("stranger", "localhost", names)
        self.client = self.own.sign("client", "worker")


@pytest.fixture(scope="module")
def certificates():
    # PostgreSQL's user has to reach them too.
    folder = Path(tempfile.mkdtemp(prefix="order-worker-tls-"))
    folder.chmod(0o711)
    try:
        yield Certificates(folder)
    finally:
        shutil.rmtree(folder)


# ---- The broker


def evaluate(expression: str) -> str:
    done = subprocess.run(
        [os.environ["RABBITMQCTL"], "eval", expression], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Listener:
    """A listener for TLS on the broker, beside the one that it has."""

    def __init__(self, certificates: Certificates, certificate, wants_client: bool = False):
        self.port = free_port()
        evaluate(
            f'rabbit_networking:start_ssl_listener({{"127.0.0.1", {self.port}}}, [{{certfile, "{certificate[0]}"}}, '
            f'{{keyfile, "{certificate[1]}"}}, {{cacertfile, "{certificates.own.certificate}"}}, {{verify, verify_peer}}, '
            f"{{fail_if_no_peer_cert, {str(wants_client).lower()}}}], 2)."
        )

def broker(stage, port: int, host: str = "localhost", credentials: str | None = None) -> str:
    parts = urlsplit(stage.amqp_url)
    return f"amqps://{credentials or f'{parts.username}:{parts.password}'}@{host}:{port}{parts.path}"


def check_broker(stage, url: str, status: int, *words: str, **settings):
    done = stage.command_line("topology", "check", expect=status, AMQP_URL=url, **settings)
    for word in words:
        assert word in done.stderr, done.stderr
    assert urlsplit(stage.amqp_url).password not in done.stderr
    return done


def test_a_broker_with_a_good_certificate_is_accepted_by_name_and_by_address(stage, certificates):
    authorities = {"AMQP_TLS_CA_FILE": str(certificates.own.certificate)}
    both = Listener(certificates, certificates.good)
    check_broker(stage, broker(stage, both.port), 0, **authorities)
    check_broker(stage, broker(stage, both.port, "127.0.0.1"), 0, **authorities)
    named = Listener(certificates, certificates.name_only)
    check_broker(stage, broker(stage, named.port), 0, **authorities)
    check_broker(stage, broker(stage, named.port, "127.0.0.1"), 69, "another host than '127.0.0.1'", **authorities)
    check_broker(stage, broker(stage, named.port, "127.0.0.1"), 0, AMQP_TLS_SERVER_NAME="localhost", **authorities)
    worker = stage.start_worker(AMQP_URL=broker(stage, both.port), **authorities).wait_until_ready()
    worker.terminate()
    assert worker.wait(30) == 0


def test_what_is_wrong_with_a_brokers_certificate_is_told_apart(stage, certificates):
    authorities = {"AMQP_TLS_CA_FILE": str(certificates.own.certificate)}
    for certificate, words in [
        (certificates.elsewhere, "another host than 'localhost'"),
        (certificates.expired, "has expired"),
        (certificates.stranger, f"isn't signed by an authority in {certificates.own.certificate}"),
    ]:
        listener = Listener(certificates, certificate)
        check_broker(stage, broker(stage, listener.port), 69, words, **authorities)
    # The system's authorities don't know ours.
    listener = Listener(certificates, certificates.good)
    check_broker(stage, broker(stage, listener.port), 69, "isn't signed by an authority in")
    # The port without TLS, and one where nobody listens.
    plain = urlsplit(stage.amqp_url).port
    check_broker(stage, broker(stage, plain), 69, "TLS", **authorities)
    check_broker(stage, broker(stage, free_port()), 69, "connection refused", **authorities)


def test_a_broker_that_wants_a_client_certificate_gets_it_and_knows_the_user_by_it(stage, certificates):
    authorities = {"AMQP_TLS_CA_FILE": str(certificates.own.certificate)}
    own = {
        "AMQP_TLS_CERTIFICATE_FILE": str(certificates.client[0]),
        "AMQP_TLS_KEY_FILE": str(certificates.client[1]),
    }
    listener = Listener(certificates, certificates.good, wants_client=True)
    check_broker(stage, broker(stage, listener.port), 69, "certificate", **authorities)
    check_broker(stage, broker(stage, listener.port), 0, **authorities, **own)

    # EXTERNAL: the login is the certificate's common name, and the URL has no password.
    before = evaluate("application:get_env(rabbit, auth_mechanisms).").strip()
    evaluate(
        "{ok, Folders} = application:get_env(rabbit, plugins_dir),"
        '[code:add_pathz(P) || F <- string:tokens(Folders, ":"),'
        ' P <- filelib:wildcard(F ++ "/rabbitmq_auth_mechanism_ssl-*/ebin")],'
        "_ = application:load(rabbitmq_auth_mechanism_ssl),"
        "application:set_env(rabbit, ssl_cert_login_from, common_name),"
        # The mechanism looks whether the certificates are verified, in the options of the broker's own listener.
        "application:set_env(rabbit, ssl_options, [{verify, verify_peer}, {fail_if_no_peer_cert, true}]),"
        "rabbit_registry:register(auth_mechanism, <<\"EXTERNAL\">>, rabbit_auth_mechanism_ssl),"
        "application:set_env(rabbit, auth_mechanisms, ['PLAIN', 'AMQPLAIN', 'EXTERNAL'])."
    )
    try:
        check_broker(stage, broker(stage, listener.port, credentials="worker"), 0, **authorities, **own)
        worker = stage.start_worker(
            AMQP_URL=broker(stage, listener.port, credentials="worker"), **authorities, **own
        ).wait_until_ready()
        worker.terminate()
        assert worker.wait(30) == 0
    finally:
        assert before.startswith("{ok,"), before
        evaluate(
            f"{{ok, M}} = {before}, application:set_env(rabbit, auth_mechanisms, M), "
            "application:set_env(rabbit, ssl_options, [])."
        )


def test_mistakes_in_the_settings_for_tls_are_named(stage, certificates):
    url = broker(stage, 1)
    check_broker(stage, url, 78, "AMQP_TLS_CA_FILE", "/nonexistent", AMQP_TLS_CA_FILE="/nonexistent")
    own = {"AMQP_TLS_CERTIFICATE_FILE": str(certificates.client[0])}
    check_broker(stage, url, 78, "AMQP_TLS_KEY_FILE", **own)
    check_broker(stage, stage.amqp_url, 78, "amqps://", AMQP_TLS_CA_FILE=str(certificates.own.certificate))


# ---- The database


@pytest.fixture
def secured(stage, certificates):
    """Has the database's server offer TLS with a certificate that the test chooses."""

    def secure(certificate):
        for path in certificate:
            if os.geteuid() == 0:
                shutil.chown(path, "postgres")
        with closing(stage.servers.database()) as admin, admin.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET ssl_cert_file = '{certificate[0]}'")
            cursor.execute(f"ALTER SYSTEM SET ssl_key_file = '{certificate[1]}'")
            cursor.execute("ALTER SYSTEM SET ssl = on")
            cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.5)")

    yield secure
    with closing(stage.servers.database()) as admin, admin.cursor() as cursor:
        for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
            cursor.execute(f"ALTER SYSTEM RESET {name}")
        cursor.execute("SELECT pg_reload_conf(), pg_sleep(0.5)")


def database(stage, host: str = "localhost", **options) -> str:
    parts = urlsplit(stage.database_url)
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"postgresql://{parts.username}:{parts.password}@{host}:{parts.port}{parts.path}?{query}"


def test_the_databases_certificate_is_verified(stage, certificates, secured):
    verified = {"sslmode": "verify-full", "sslrootcert": certificates.own.certificate}
    secured(certificates.good)
    stage.command_line("migrate", "--status", DATABASE_URL=database(stage, **verified))
    stage.command_line("migrate", "--status", DATABASE_URL=database(stage, "127.0.0.1", **verified))
    for certificate, words in [
        (certificates.elsewhere, 'does not match host name "localhost"'),
        (certificates.expired, "has expired"),
        (certificates.stranger, "isn't signed by an authority"),
    ]:
        secured(certificate)
        done = stage.command_line("migrate", "--status", expect=69, DATABASE_URL=database(stage, **verified))
        assert words in done.stderr, done.stderr
        assert "sslrootcert" in done.stderr


def test_a_database_without_tls_is_refused_where_it_is_asked_for(stage):
    done = stage.command_line("migrate", "--status", expect=69, DATABASE_URL=database(stage, sslmode="require"))
    assert "server does not support SSL" in done.stderr
    assert "sslmode=disable" in done.stderr
