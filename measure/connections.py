#!/usr/bin/env python3
"""What connections cost that do nothing: memory, and the latency of those that work.

    measure/connections.py BINARY PORT [OPTION OF hyrax start ...]

1,000 silent connections and 300 half-open start-ups beside a session that reads by key, three times in turns without and with; then
2,000 idle sessions that have run a query. Wants psycopg and 3,000 file descriptors. Where the options ask for passwords,
HYRAX_INITIAL_PASSWORD must be set.
"""

import os, socket, subprocess, sys, tempfile, time

import psycopg

ROWS = 10_000
SILENT, HALF_OPEN, IDLE = 1_000, 300, 2_000
# The length of a start-up message of 64 bytes, of which no more than its head follows.
HALF_MESSAGE = b"\0\0\0\x40\0\3\0\0user"


def start(binary, port, options, folder):
    addresses = [f"--{name}=127.0.0.1:{port + at}" for at, name in enumerate(("sql", "http", "peer"))]
    arguments = [binary, "start", "--data", f"{folder}/data", *addresses, "--max-connections", str(IDLE + 100), *options]
    return subprocess.Popen(arguments, stdout=open(f"{folder}/log", "w"), stderr=subprocess.STDOUT)


def connect(port):
    password = os.environ.get("HYRAX_INITIAL_PASSWORD", "")
    return psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres password='{password}'", autocommit=True)


def first(node, port):
    while True:
        try:
            return connect(port)
        except psycopg.OperationalError:
            if node.poll() is not None:
                sys.exit(f"the node ended with {node.returncode}")
            time.sleep(0.05)


def reads(cursor, seconds):
    """(median, 99th percentile) of reads by key, ms."""
    took, end, at = [], time.monotonic() + seconds, 0
    while time.monotonic() < end:
        at = (at + 7_919) % ROWS
        begun = time.perf_counter()
        cursor.execute("SELECT v FROM t WHERE id = %s", (at,), prepare=True).fetchone()
        took.append((time.perf_counter() - begun) * 1e3)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def silent(cursor, port):
    reads(cursor, 2)
    for _ in range(3):
        alone = reads(cursor, 5)
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(SILENT + HALF_OPEN)]
        for half in held[SILENT:]:
            half.send(HALF_MESSAGE)
        time.sleep(0.5)
        among = reads(cursor, 5)
        for connection in held:
            connection.close()
        time.sleep(1)
        told = "p50 {:.3f} ms, p99 {:.3f} ms; among silent ones p50 {:.3f} ms, p99 {:.3f} ms".format(*alone, *among)
        print(f"alone {told}: p99 x {among[1] / alone[1]:.2f}")


def idle(node, port):
    def memory():
        with open(f"/proc/{node.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024

    before, held = memory(), []
    for _ in range(IDLE):
        held.append(connect(port))
        held[-1].execute("SELECT 1")
    time.sleep(3)
    print(f"{IDLE} idle sessions: {before:.1f} MB before, {memory():.1f} MB with them: {memory() - before:.1f} MB")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    binary, port, options = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        node = start(binary, port, options, folder)
        try:
            cursor = first(node, port).cursor()
            cursor.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
            cursor.execute(f"INSERT INTO t SELECT g, g FROM generate_series(0, {ROWS - 1}) g")
            silent(cursor, port)
            idle(node, port)
        finally:
            node.terminate()
            node.wait()


main()
