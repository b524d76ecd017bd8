#!/bin/sh
# 200,000 documents with nested fields into an open collection, by COPY and by INSERT … DOCUMENT; filtered by an indexed field and
# by one that is not, patched, and read back by psql and, where Python has it, psycopg. Prints what each step took.
#
#   sql-tests/documents/run.sh [HOST [PORT]]          a server that runs, user and database postgres
#
# Makes and drops the collection `reading`.
set -eu
HOST=${1:-127.0.0.1}
PORT=${2:-5433}
HALF=100000
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

sql() { psql -X -q -v ON_ERROR_STOP=1 -h "$HOST" -p "$PORT" -U postgres -d postgres "$@"; }
say() { printf '%-64s' "$1"; }
now() { date +%s%N; }
took() { echo "$(( ($(now) - $1) / 1000000 )) ms"; }
# step TITLE STATEMENTS: runs them, says how long they took.
step() { say "$1"; start=$(now); sql -At -c "$2" >"$WORK/out"; took "$start"; }
# expect TITLE QUERY ANSWER
expect() {
    say "$1"
    start=$(now)
    answer=$(sql -At -c "$2")
    took "$start"
    if [ "$answer" != "$3" ]; then
        echo "  expected $3, got $answer"
        exit 1
    fi
}

# One document a line: sensor 0-999, a nested place, an array.
documents() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        for (i = from; i <= to; i++)
            printf "{\"id\": %d, \"sensor\": %d, \"place\": {\"city\": \"city%d\", \"floor\": %d}, \"samples\": [%d, %d, %d], \"note\": \"reading %d\"}\n",
                i, i % 1000, i % 97, i % 12, i, i * 2, i * 3, i
    }'
}

sql -c 'DROP TABLE IF EXISTS reading' 2>/dev/null
sql -c 'CREATE COLLECTION reading (id int PRIMARY KEY, note text)'

say "COPY reading (_doc): $HALF documents"
start=$(now)
documents 1 "$HALF" | sql -c 'COPY reading (_doc) FROM STDIN'
took "$start"

documents "$((HALF + 1))" "$((2 * HALF))" | awk -v q="'" '
    { rows = rows (rows == "" ? "" : ", ") q $0 q }
    NR % 1000 == 0 { print "INSERT INTO reading DOCUMENT " rows ";"; rows = "" }' >"$WORK/inserts.sql"
say "INSERT INTO reading DOCUMENT: $HALF documents, 1,000 a statement"
start=$(now)
sql -f "$WORK/inserts.sql"
took "$start"

step 'CREATE INDEX ON reading (sensor)' 'CREATE INDEX ON reading (sensor)'
step 'CREATE INDEX ON reading (place.city, place.floor)' 'CREATE INDEX ON reading (place.city, place.floor)'
step 'ANALYZE' 'ANALYZE reading'

expect 'count(*)' 'SELECT count(*) FROM reading' "$((2 * HALF))"
expect 'by an indexed field: sensor = 41' 'SELECT count(*), min(id), max(id) FROM reading WHERE sensor = 41' '200|41|199041'
expect 'by two nested indexed fields' "SELECT count(*) FROM reading WHERE place.city = 'city5' AND place.floor = 5" '172'
expect 'by a field without index: samples[1] = 2468' 'SELECT id FROM reading WHERE samples[1] = 2468' '1234'
expect 'in the order of an indexed field, ten' \
    'SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM (SELECT id FROM reading ORDER BY sensor DESC LIMIT 3) t WHERE id % 1000 = 999' \
    "$(sql -At -c 'SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM (SELECT id FROM reading ORDER BY sensor DESC LIMIT 3) t')"
expect 'a sum over a nested field' 'SELECT sum(place.floor::int) FROM reading' '1099992'
sql -At -c 'EXPLAIN (COSTS OFF) SELECT id, note FROM reading WHERE sensor = 41' | tee "$WORK/plan"
grep -q 'Index Scan using reading_sensor_idx' "$WORK/plan"
sql -At -c 'EXPLAIN (COSTS OFF) SELECT id FROM reading WHERE samples[1] = 2468'
sql -At -c 'EXPLAIN (COSTS OFF) SELECT id FROM reading ORDER BY sensor DESC LIMIT 3'

step 'patch 200 documents found by the index' "UPDATE reading SET place.city = 'Oslo', checked = true WHERE sensor = 41"
expect 'what was patched, by the other index' "SELECT count(*) FROM reading WHERE place.city = 'Oslo' AND checked = true" '200'
step 'patch one by its key' 'UPDATE reading SET place.floor = NULL, samples[0] = 7 WHERE id = 1'
expect 'what is left of it' "SELECT _doc - 'note' FROM reading WHERE id = 1" \
    '{"id": 1, "place": {"city": "city1"}, "sensor": 1, "samples": [7, 2, 3]}'
step 'patch 200,000: a field removed from each' 'UPDATE reading SET samples = NULL'
expect 'it is gone' 'SELECT count(*) FROM reading WHERE samples IS NOT NULL' '0'

PYTHON=${PYTHON:-python3}
if "$PYTHON" -c 'import psycopg' 2>/dev/null; then
    say 'psycopg reads, filters and patches'
    start=$(now)
    "$PYTHON" "$HERE/read.py" "$HOST" "$PORT"
    took "$start"
else
    echo 'psycopg is not there: not read by it'
fi
sql -c 'DROP TABLE reading'
