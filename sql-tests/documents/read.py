"""Reads the documents that run.sh has loaded through psycopg: types as they arrive, missing fields as None, patches."""

import sys

import psycopg
from psycopg.types.json import Jsonb

host, port = sys.argv[1:3]
with psycopg.connect(host=host, port=port, user="postgres", dbname="postgres") as connection:
    row = connection.execute("SELECT id, sensor, place, missing, _doc FROM reading WHERE id = %s", (77,)).fetchone()
    assert row[:4] == (77, 77, {"city": "city77", "floor": 5}, None), row
    assert row[4]["note"] == "reading 77" and row[4]["place"]["city"] == "city77", row

    found = connection.execute("SELECT count(*) FROM reading WHERE sensor = %s", (500,)).fetchone()
    assert found == (200,), found
    found = connection.execute("SELECT count(*) FROM reading WHERE place.city = %s::text", ("Oslo",)).fetchone()
    assert found == (200,), found

    with connection.cursor() as cursor:
        cursor.execute("UPDATE reading SET tags = %s, place.floor = %s WHERE id = %s RETURNING tags, place",
                       (Jsonb(["a", "b"]), 99, 77))
        assert cursor.fetchone() == (["a", "b"], {"city": "city77", "floor": 99})
    connection.execute("INSERT INTO reading DOCUMENT %s", (Jsonb({"id": -1, "sensor": 12.5, "deep": {"er": None}}),))
    row = connection.execute("SELECT sensor, deep.er, deep.er IS NULL, note FROM reading WHERE id = -1").fetchone()
    assert row == (12.5, None, False, None), row

    with connection.cursor(name="all") as cursor:
        cursor.execute("SELECT _doc FROM reading")
        count = sum(1 for (document,) in cursor if "sensor" in document)
    assert count == 200_001, count
