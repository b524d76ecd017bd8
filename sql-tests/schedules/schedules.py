#!/usr/bin/env python3
"""Schedules of two and three sessions drawn by lot, step by step side by side with PostgreSQL 15.

    schedules.py --postgres 5432 --hyrax 5433 --level "read committed" --seeds 1-200
    schedules.py … --kind tables          # LOCK TABLE, DDL, TRUNCATE, advisory locks, MERGE instead of rows alone
    schedules.py … --seeds 17-17 --all    # one seed, every step shown

A schedule is a seed: the same one on both servers. A step sends one statement in one session and waits until each session
that is busy has answered or waits for another (pg_blocking_pids); a session that waits is sent its next statement when it
has its answer. Compared are, per step: who answered what (rows as a set, errors by SQLSTATE) and who waits; at the end, the
tables. After the first difference a schedule is over. Differences that docs/isolation.md names are counted by name (`KNOWN`).

Needs psycopg 3 and a superuser `postgres` on 127.0.0.1 of both. Ends with 1 if anything differed.
"""
import argparse, queue, random, sys, threading, time
import psycopg

STEP_SECONDS = 20      # without an answer and without a wait: it hangs
SETTLED_SECONDS = 0.06 # a wait that lasts so long is one


def tables(dice):
    """Two tables with all that rows can be held by: keys, a unique column, a foreign key of a kind drawn by lot."""
    action = dice.choice(["", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE"])
    deferred = dice.choice(["", " DEFERRABLE INITIALLY DEFERRED", ""])
    return [
        "DROP TABLE IF EXISTS c, t, n", "CREATE SEQUENCE IF NOT EXISTS s1",
        "CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v int NOT NULL)",
        f"CREATE TABLE c (id int PRIMARY KEY, t_id int REFERENCES t{action}{deferred}, n int)",
        "CREATE INDEX ON t (v)", "CREATE INDEX ON c (t_id)",
        "INSERT INTO t VALUES (1, 10, 1), (2, 20, 1), (3, 30, 2), (4, 40, 3)",
        "INSERT INTO c VALUES (1, 1, 0), (2, 1, 5), (3, 2, 7)",
    ]


def savepoints():
    return ["SAVEPOINT s", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"]


def of_rows(dice):
    k, k2, u, v = dice.randint(1, 6), dice.randint(1, 6), dice.randint(1, 6) * 10, dice.randint(0, 4)
    mode = dice.choice(["UPDATE", "SHARE", "NO KEY UPDATE", "KEY SHARE"])
    wait = dice.choice(["", "", "", " NOWAIT", " SKIP LOCKED"])
    return dice.choice(savepoints() + [
        f"SELECT * FROM t WHERE id = {k}", f"SELECT * FROM t WHERE v >= {v} ORDER BY id", "SELECT sum(v), count(*) FROM t",
        f"SELECT * FROM c WHERE t_id = {k} ORDER BY id",
        f"SELECT id, v FROM t WHERE id = {k} FOR {mode}{wait}", f"SELECT id, v FROM t WHERE v = {v} ORDER BY id FOR {mode}{wait}",
        f"SELECT id FROM c WHERE t_id = {k} ORDER BY id FOR {mode}{wait}", f"SELECT id, v FROM t ORDER BY id LIMIT 1 FOR {mode}{wait}",
        f"SELECT t.id, c.id FROM t JOIN c ON c.t_id = t.id WHERE t.id = {k} ORDER BY c.id FOR {mode} OF t{wait}",
        f"UPDATE t SET v = v + 1 WHERE id = {k}", f"UPDATE t SET v = v + 1 WHERE id = {k}", f"UPDATE t SET v = v WHERE id = {k}",
        f"UPDATE t SET v = v + 10 WHERE v = {v}", f"UPDATE t SET v = v - 1 WHERE v > {v} RETURNING id, v",
        f"UPDATE t SET u = {u} WHERE id = {k}", f"UPDATE t SET u = u, id = id, v = {v} WHERE id = {k}", f"UPDATE t SET id = {k2} WHERE id = {k}",
        f"UPDATE t SET v = v + (SELECT count(*) FROM c WHERE t_id = t.id) WHERE id = {k} RETURNING *",
        f"INSERT INTO t VALUES ({k}, {u}, {v})", f"INSERT INTO t VALUES ({k}, {u}, {v}) ON CONFLICT DO NOTHING RETURNING *",
        f"INSERT INTO t VALUES ({k}, {u}, {v}) ON CONFLICT (id) DO UPDATE SET v = t.v + 100 RETURNING *",
        f"INSERT INTO t VALUES ({k}, {u}, {v}) ON CONFLICT (u) DO UPDATE SET v = excluded.v + t.v WHERE t.v < 3 RETURNING *",
        f"DELETE FROM t WHERE id = {k}", f"DELETE FROM t WHERE v = {v} RETURNING id", f"DELETE FROM c WHERE t_id = {k}",
        f"INSERT INTO c VALUES ({dice.randint(4, 9)}, {k}, {v})", f"UPDATE c SET t_id = {k} WHERE id = {dice.randint(1, 5)}",
        f"UPDATE c SET n = n + 1 WHERE t_id = {k}", "SET CONSTRAINTS ALL IMMEDIATE",
    ])


def of_tables(dice):
    k, v, a = dice.randint(1, 5), dice.randint(0, 4), dice.randint(1, 2)
    table, column = dice.choice([("t", "v"), ("t", "v"), ("c", "n")])
    mode = dice.choice(["ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE",
                        "EXCLUSIVE", "ACCESS EXCLUSIVE"])
    advisory = ["lock", "lock_shared", "unlock", "unlock_shared", "xact_lock", "xact_lock_shared"]
    tried = ["lock", "lock_shared", "xact_lock"]
    return dice.choice(savepoints() + [f"SELECT pg_advisory_{f}({a})" for f in advisory] + [f"SELECT pg_try_advisory_{f}({a})" for f in tried] + [
        f"LOCK TABLE {table} IN {mode} MODE", f"LOCK TABLE {table} IN {mode} MODE", f"LOCK TABLE {table} IN {mode} MODE NOWAIT",
        f"SELECT * FROM {table} ORDER BY 1", f"SELECT * FROM {table} WHERE id = {k} FOR UPDATE", f"SELECT * FROM {table} WHERE id = {k} FOR KEY SHARE",
        f"UPDATE {table} SET {column} = {column} + 1 WHERE id = {k}", f"UPDATE {table} SET {column} = {column} + 1 WHERE id = {k}",
        f"INSERT INTO t VALUES ({dice.randint(5, 9)}, {dice.randint(5, 9)}0, {v})", f"DELETE FROM {table} WHERE id = {k}",
        "TRUNCATE c" if table == "c" else "TRUNCATE t, c",
        f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS x int DEFAULT 7", f"ALTER TABLE {table} DROP COLUMN IF EXISTS x",
        f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT 5",
        f"CREATE INDEX IF NOT EXISTS i_{table} ON {table} ({column})", f"DROP INDEX IF EXISTS i_{table}",
        "CREATE TABLE IF NOT EXISTS n (id int PRIMARY KEY, m int)", "INSERT INTO n VALUES (1, 1)", "SELECT * FROM n", "DROP TABLE IF EXISTS n",
        f"MERGE INTO t USING (VALUES ({k}, {v})) AS s (i, w) ON t.id = s.i WHEN MATCHED AND t.v > 3 THEN DELETE"
        " WHEN MATCHED THEN UPDATE SET v = t.v + s.w WHEN NOT MATCHED THEN INSERT VALUES (s.i, s.i * 10, s.w)",
        f"UPDATE t SET v = t.v + c.n FROM c WHERE c.t_id = t.id AND c.id = {k}", f"DELETE FROM c USING t WHERE t.id = c.t_id AND t.v = {v}",
        f"WITH w AS (UPDATE t SET v = v + 1 WHERE id = {k} RETURNING id, v) SELECT * FROM w", "SELECT nextval('s1') > 0",
    ])


def schedule(seed, level, kind):
    """(sessions, set-up, [(session, statement)]): blocks that begin, do something and end."""
    dice = random.Random(seed)
    statement = {"rows": of_rows, "tables": of_tables}[kind]
    count, setup, steps = dice.choice([2, 2, 2, 3]), tables(dice), []
    inside = [0] * count
    for _ in range(dice.randint(8, 22)):
        who = dice.randrange(count)
        if inside[who] == 0 and dice.random() < 0.8:
            steps.append((who, f"BEGIN ISOLATION level {level}"))
            inside[who] = 1
        elif inside[who] > 2 and dice.random() < 0.3:
            steps.append((who, dice.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])))
            inside[who] = 0
        else:
            steps.append((who, statement(dice)))
            inside[who] += inside[who] > 0
    return count, setup, steps + [(who, "COMMIT") for who in range(count) if inside[who]]


def connect(port, database):
    return psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname=database, autocommit=True, prepare_threshold=None)


class Session:
    """A session with a thread that sends its statements."""

    def __init__(self, port, database, level):
        self.connection = connect(port, database)
        self.connection.execute(f"SET default_transaction_isolation = '{level}'")
        self.connection.execute("SET deadlock_timeout = '20ms'")
        self.pid = self.connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        self.statements, self.answers, self.is_busy, self.later = queue.Queue(), queue.Queue(), False, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        for statement in iter(self.statements.get, None):
            try:
                cursor = self.connection.execute(statement)
                rows = sorted(map(repr, cursor.fetchall())) if cursor.description else None
                self.answers.put((cursor.statusmessage, rows))
            except psycopg.Error as error:
                self.answers.put(("ERROR", error.sqlstate or "lost"))

    def send(self, statement):
        self.is_busy = True
        self.statements.put(statement)

    def answer(self, seconds):
        try:
            answer = self.answers.get(timeout=seconds)
            self.is_busy = False
            return answer
        except queue.Empty:
            return None


class Play:
    """One schedule on one server."""

    def __init__(self, port, database, level, kind, seed):
        count, setup, self.steps = schedule(seed, level, kind)
        self.observer = connect(port, database)
        self.observer.execute("SET client_min_messages = error")
        for statement in setup:
            self.observer.execute(statement)
        self.sessions = [Session(port, database, level) for _ in range(count)]
        self.log = []

    def waits(self, session):
        return bool(self.observer.execute("SELECT cardinality(pg_blocking_pids(%s))", (session.pid,)).fetchone()[0])

    def settle(self):
        """Answers by session, once all that are busy wait for somebody."""
        answers, deadline = {}, time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            for who, session in enumerate(self.sessions):
                if session.is_busy and (answer := session.answer(0.004)):
                    answers[who] = answer
            busy = [session for session in self.sessions if session.is_busy]
            if all(map(self.waits, busy)):
                time.sleep(SETTLED_SECONDS if busy else 0)
                if all(session.answers.empty() and self.waits(session) for session in busy):
                    return answers
        return answers | {"hangs": True}

    def step(self, who, statement):
        self.sessions[who].send(statement)
        answers = self.settle()
        self.log.append((who, statement, answers, self.sessions[who].is_busy))
        return "hangs" not in answers

    def run(self):
        for who, statement in self.steps:
            self.sessions[who].later.append(statement)
            if not self.go_on(who):
                break
        while any(s.later and not s.is_busy for s in self.sessions) and all(map(self.go_on, range(len(self.sessions)))):
            pass
        self.end()
        return self.log

    def go_on(self, who):
        session = self.sessions[who]
        while session.later and not session.is_busy:
            if not self.step(who, session.later.pop(0)):
                return False
        return True

    def end(self):
        for session in self.sessions:
            session.statements.put(None)
            if session.is_busy:
                self.observer.execute("SELECT pg_terminate_backend(%s)", (session.pid,))
        found = "SELECT (SELECT array_agg(t ORDER BY id)::text FROM t), (SELECT array_agg(c ORDER BY id)::text FROM c)"
        self.log.append(("end", "", self.observer.execute(found).fetchone(), False))
        for session in self.sessions:
            session.connection.close()
        self.observer.close()


def has(step, what):
    return step is not None and what in repr(step)


def waits(step):
    return step is not None and step[3]


# Differences that are meant, from what PostgreSQL and Hyrax did at the first step where they differ (docs/isolation.md).
KNOWN = {
    "a deadlock's victim is another, or told later": lambda p, h, level: has(p, "40P01") or has(h, "40P01"),
    "a conflict that one of them sees and the other spares the client": lambda p, h, level: has(p, "40001") or has(h, "40001"),
    "a duplicate is told while its row is changed by another": lambda p, h, level: waits(p) and not waits(h) and (has(h, "23505") or has(h, "INSERT 0 0")),
    "DDL does not wait for readers, nor they for it": lambda p, h, level: waits(p) and not waits(h)
    and p[1].startswith(("ALTER", "DROP", "TRUNCATE", "CREATE", "SELECT", "DELETE FROM c USING", "UPDATE t SET v = t.v + c.n", "LOCK")),
    "DDL beside checks that are put off": lambda p, h, level: has(p, "55006"),
    "at SERIALIZABLE the key of an absent row is locked": lambda p, h, level: waits(h) and not waits(p) and level == "serializable",
}



def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--postgres", type=int, required=True)
    options.add_argument("--hyrax", type=int, required=True)
    options.add_argument("--level", default="read committed", choices=["read committed", "repeatable read", "serializable"])
    options.add_argument("--kind", default="rows", choices=["rows", "tables"])
    options.add_argument("--seeds", default="1-100")
    options.add_argument("--all", action="store_true", help="show every step of both")
    chosen = options.parse_args()
    level, (first, last) = chosen.level, map(int, chosen.seeds.split("-"))
    database = f"schedules_{level[:6].strip()}_{chosen.kind}_{first}".replace(" ", "_")
    for port in (chosen.postgres, chosen.hyrax):
        with connect(port, "postgres") as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {database}")
            admin.execute(f"CREATE DATABASE {database}")
    same, differ, known = 0, 0, dict.fromkeys(KNOWN, 0)
    for seed in range(first, last + 1):
        logs = [Play(port, database, level, chosen.kind, seed).run() for port in (chosen.postgres, chosen.hyrax)]
        if chosen.all:
            for name, log in zip(("PostgreSQL", "Hyrax"), logs):
                print(name, *log, sep="\n  ")
        pairs = [(p, h) for p, h in zip(*logs) if p != h]
        name = next((name for name, applies in KNOWN.items() if pairs and applies(*pairs[0], level)), None)
        same += not pairs
        if name:
            known[name] += 1
        elif pairs:
            differ += 1
            at = next(i for i, (p, h) in enumerate(zip(*logs)) if p != h)
            print(f"seed {seed}: {schedule(seed, level, chosen.kind)[1][3]}", *logs[1][:at], sep="\n  ")
            print(f"  PostgreSQL {pairs[0][0]}\n  Hyrax      {pairs[0][1]}", flush=True)
    print(f"{same} the same, {differ} differ", *(f"{count} {name}" for name, count in known.items() if count), sep="; ")
    sys.exit(1 if differ else 0)


main()
