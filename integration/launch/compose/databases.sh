#!/bin/sh
# Run once by the image of PostgreSQL, over an empty data folder: three databases, each with a plain
# role that owns it, as integration/launch/postgres.py makes them. Safe for nothing else.
set -eu

for name in kleis kratos keto; do
    variable="DATABASE_PASSWORD_$(echo "$name" | tr '[:lower:]' '[:upper:]')"
    # \getenv, so that no password is an argument that a list of processes shows.
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set "name=$name" --set "variable=$variable" \
        --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv password :variable
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

# Keto waits without limit for a locked table, its callers for two seconds.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --command "ALTER ROLE keto SET statement_timeout = '5s'"
