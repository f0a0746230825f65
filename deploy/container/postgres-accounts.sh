#!/bin/sh
# Run by the PostgreSQL image on its first start: the worker's own account and database. It is no superuser.
set -eu
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<'END'
\set password `cat /run/secrets/postgres-order-worker`
CREATE ROLE order_worker LOGIN PASSWORD :'password';
CREATE DATABASE order_worker OWNER order_worker;
REVOKE ALL ON DATABASE order_worker FROM PUBLIC;
END
