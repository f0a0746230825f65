#!/bin/sh
# Run by the PostgreSQL image on its first start: the database, the role that owns it and migrates, the workers' own and a
# reader's, which get their rights by `order-worker migrate`. None is a superuser. Safe to repeat, for a volume of before:
#   docker compose exec postgres sh /docker-entrypoint-initdb.d/accounts.sh
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'END'
\set owner `cat /run/secrets/postgres-order-worker`
\set worker `cat /run/secrets/postgres-order-worker-run`
\set reader `cat /run/secrets/postgres-order-worker-read`
SELECT 'CREATE ROLE ' || role || ' LOGIN' FROM unnest(ARRAY['order_worker', 'order_worker_run', 'order_worker_read']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
ALTER ROLE order_worker PASSWORD :'owner';
ALTER ROLE order_worker_run PASSWORD :'worker';
ALTER ROLE order_worker_read PASSWORD :'reader';
SELECT 'CREATE DATABASE order_worker OWNER order_worker'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'order_worker') \gexec
REVOKE ALL ON DATABASE order_worker FROM PUBLIC;
END
