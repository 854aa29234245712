#!/bin/bash
# Run by the image of PostgreSQL when its volume is empty: one user and one database each for Airflow and for feedback.
set -euo pipefail

# psql quotes the values itself; on the standard input, because -c does not know variables. Passwords are read from
# the environment by psql, so that no process list shows them.
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv airflow_password POSTGRES_AIRFLOW_PASSWORD
\getenv feedback_password POSTGRES_FEEDBACK_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE feedback LOGIN PASSWORD :'feedback_password';
CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE feedback OWNER feedback;
REVOKE CONNECT ON DATABASE airflow FROM PUBLIC;
REVOKE CONNECT ON DATABASE feedback FROM PUBLIC;
SQL
