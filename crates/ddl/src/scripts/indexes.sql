CREATE TABLE t (a int, b text, c json);
CREATE INDEX ON t (a);
CREATE INDEX ON t (a);
CREATE INDEX ON t (a, b);
CREATE INDEX t_a_idx ON t (b);
-- ERROR 42P07: relation "t_a_idx" already exists
CREATE INDEX IF NOT EXISTS t_a_idx ON t (b);
-- NOTICE 42P07: relation "t_a_idx" already exists, skipping
CREATE INDEX ON t (nosuch);
-- ERROR 42703: column "nosuch" does not exist
CREATE INDEX ON t (c);
-- ERROR 42704: data type json has no default operator class for access method "btree"
-- HINT: You must specify an operator class for the index or define a default operator class for the data type.
CREATE INDEX ON nosuch (a);
-- ERROR 42P01: relation "nosuch" does not exist
CREATE INDEX ON t USING hash (a, b);
-- ERROR 0A000: access method "hash" does not support multicolumn indexes
CREATE UNIQUE INDEX ON t USING hash (a);
-- ERROR 0A000: access method "hash" does not support unique indexes
CREATE INDEX ON t USING nosuch (a);
-- ERROR 42704: access method "nosuch" does not exist
CREATE INDEX ON t (a nosuch_ops);
-- ERROR 42704: operator class "nosuch_ops" does not exist for access method "btree"
CREATE INDEX ON t (a text_ops);
-- ERROR 42804: operator class "text_ops" does not accept data type integer
CREATE INDEX ON t (b text_pattern_ops, b varchar_pattern_ops);
CREATE INDEX ON t (a COLLATE "C");
-- ERROR 42804: collations are not supported by type integer
CREATE INDEX ON t (a) WITH (nosuch = 1);
-- ERROR 22023: unrecognized parameter "nosuch"
CREATE UNIQUE INDEX u ON t (a) INCLUDE (b);
CREATE UNIQUE INDEX u2 ON t (a) INCLUDE (nosuch);
-- ERROR 42703: column "nosuch" does not exist
CREATE INDEX i4 ON t_a_idx (a);
-- ERROR 42809: "t_a_idx" is an index
CREATE VIEW v AS SELECT a FROM t;
CREATE INDEX ON v (a);
-- ERROR 42809: cannot create index on relation "v"
-- DETAIL: This operation is not supported for views.
DROP INDEX nosuch;
-- ERROR 42704: index "nosuch" does not exist
DROP INDEX IF EXISTS nosuch;
-- NOTICE 00000: index "nosuch" does not exist, skipping
DROP INDEX t;
-- ERROR 42809: "t" is not an index
-- HINT: Use DROP TABLE to remove a table.
DROP TABLE u;
-- ERROR 42809: "u" is not a table
-- HINT: Use DROP INDEX to remove an index.
DROP INDEX u, t_a_idx;
ALTER INDEX t_a_idx1 SET (fillfactor = 50);
ALTER INDEX t_a_idx1 SET (nosuch = 50);
-- ERROR 22023: unrecognized parameter "nosuch"
ALTER INDEX t_a_idx1 OWNER TO postgres;
ALTER INDEX t_a_idx1 SET SCHEMA public;
-- ERROR 42601: syntax error at or near "SCHEMA"
ALTER INDEX nosuch RENAME TO x;
-- ERROR 42P01: relation "nosuch" does not exist
ALTER INDEX IF EXISTS nosuch RENAME TO x;
-- NOTICE 00000: relation "nosuch" does not exist, skipping
COMMENT ON INDEX t_a_idx1 IS 'x';
COMMENT ON INDEX nosuch IS 'x';
-- ERROR 42P01: relation "nosuch" does not exist
COMMENT ON TABLE t_a_idx1 IS 'x';
-- ERROR 42809: "t_a_idx1" is not a table
COMMENT ON TABLE nosuch IS 'x';
-- ERROR 42P01: relation "nosuch" does not exist
COMMENT ON COLUMN t.nosuch IS 'x';
-- ERROR 42703: column "nosuch" of relation "t" does not exist
COMMENT ON COLUMN t.a IS 'x';
COMMENT ON CONSTRAINT nosuch ON t IS 'x';
-- ERROR 42704: constraint "nosuch" for table "t" does not exist
COMMENT ON VIEW t IS 'x';
-- ERROR 42809: "t" is not a view
TRUNCATE t, nosuch;
-- ERROR 42P01: relation "nosuch" does not exist
TRUNCATE v;
-- ERROR 42809: "v" is not a table
CREATE TABLE p (a int PRIMARY KEY);
CREATE TABLE q (a int REFERENCES p, b serial);
TRUNCATE p;
-- ERROR 0A000: cannot truncate a table referenced in a foreign key constraint
-- DETAIL: Table "q" references "p".
-- HINT: Truncate table "q" at the same time, or use TRUNCATE ... CASCADE.
TRUNCATE p, q RESTART IDENTITY;
TRUNCATE p CASCADE;
-- NOTICE 00000: truncate cascades to table "q"
DROP VIEW nosuch;
-- ERROR 42P01: view "nosuch" does not exist
DROP VIEW IF EXISTS nosuch;
-- NOTICE 00000: view "nosuch" does not exist, skipping
DROP VIEW t;
-- ERROR 42809: "t" is not a view
-- HINT: Use DROP TABLE to remove a table.
DROP TABLE v;
-- ERROR 42809: "v" is not a table
-- HINT: Use DROP VIEW to remove a view.
DROP TABLE t;
-- ERROR 2BP01: cannot drop table t because other objects depend on it
-- DETAIL: view v depends on table t
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
ALTER TABLE t DROP COLUMN a;
-- ERROR 2BP01: cannot drop column a of table t because other objects depend on it
-- DETAIL: view v depends on column a of table t
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
ALTER TABLE t DROP COLUMN a CASCADE;
-- NOTICE 00000: drop cascades to view v
DROP TABLE t, p, q;
DROP MATERIALIZED VIEW IF EXISTS m;
-- NOTICE 00000: materialized view "m" does not exist, skipping
DROP FUNCTION IF EXISTS f();
-- NOTICE 00000: function f() does not exist, skipping
DROP TYPE nosuch;
-- ERROR 42704: type "nosuch" does not exist
DROP TYPE IF EXISTS nosuch;
-- NOTICE 00000: type "nosuch" does not exist, skipping
DROP TRIGGER x ON nosuch;
-- ERROR 42P01: relation "nosuch" does not exist
DROP TRIGGER IF EXISTS x ON nosuch;
-- NOTICE 00000: relation "nosuch" does not exist, skipping
CREATE TABLE t (a int, b int, PRIMARY KEY (a) DEFERRABLE, UNIQUE (b) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE u (a int REFERENCES t);
-- ERROR 55000: cannot use a deferrable primary key for referenced table "t"
CREATE TABLE u (a int, CHECK (a > 0) DEFERRABLE);
-- ERROR 0A000: CHECK constraints cannot be marked DEFERRABLE
CREATE TABLE u (a int NOT NULL DEFERRABLE);
-- ERROR 42601: misplaced DEFERRABLE clause
CREATE TABLE u (a int UNIQUE NOT DEFERRABLE INITIALLY DEFERRED);
-- ERROR 42601: constraint declared INITIALLY DEFERRED must be DEFERRABLE
CREATE TABLE u (a int GENERATED ALWAYS AS (b + 1) STORED, b int);
ALTER TABLE u ALTER a SET DEFAULT 1;
-- ERROR 42601: column "a" of relation "u" is a generated column
ALTER TABLE u ALTER a DROP DEFAULT;
-- ERROR 42601: column "a" of relation "u" is a generated column
-- HINT: Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.
ALTER TABLE u ALTER b TYPE bigint;
-- ERROR 0A000: cannot alter type of a column used by a generated column
-- DETAIL: Column "b" is used by generated column "a".
ALTER TABLE u DROP COLUMN b;
-- ERROR 2BP01: cannot drop column b of table u because other objects depend on it
-- DETAIL: column a of table u depends on column b of table u
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
ALTER TABLE u ALTER a DROP EXPRESSION;
ALTER TABLE u DROP COLUMN b;
CREATE TABLE u2 (a int GENERATED ALWAYS AS (b + 1) STORED, b int GENERATED ALWAYS AS (a) STORED);
-- ERROR 42P17: cannot use generated column "b" in column generation expression
-- DETAIL: A generated column cannot reference another generated column.
CREATE TABLE u2 (a int DEFAULT 1 GENERATED ALWAYS AS (b + 1) STORED, b int);
-- ERROR 42601: both default and generation expression specified for column "a" of table "u2"
CREATE VIEW v AS SELECT a FROM t;
CREATE VIEW v AS SELECT b FROM t;
-- ERROR 42P07: relation "v" already exists
CREATE OR REPLACE VIEW v AS SELECT b FROM t;
-- ERROR 42P16: cannot change name of view column "a" to "b"
-- HINT: Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.
CREATE OR REPLACE VIEW t AS SELECT b FROM t;
-- ERROR 42809: "t" is not a view
CREATE VIEW v2 (x, y) AS SELECT b FROM t;
-- ERROR 42601: CREATE VIEW specifies more column names than columns
ALTER VIEW v RENAME TO v3;
ALTER VIEW v3 ADD COLUMN x int;
-- ERROR 42809: ALTER action ADD COLUMN cannot be performed on relation "v3"
-- DETAIL: This operation is not supported for views.
ALTER TABLE v3 ADD COLUMN x int;
-- ERROR 42809: ALTER action ADD COLUMN cannot be performed on relation "v3"
-- DETAIL: This operation is not supported for views.
ALTER VIEW t RENAME TO x;
-- ERROR 42809: "t" is not a view
ALTER VIEW v3 SET (nosuch = 1);
-- ERROR 22023: unrecognized parameter "nosuch"
ALTER TABLE t ALTER a TYPE bigint;
-- ERROR 0A000: cannot alter type of a column used by a view or rule
-- DETAIL: rule _RETURN on view v3 depends on column "a"
ALTER TABLE t DROP COLUMN b;
DROP TABLE t;
-- ERROR 2BP01: cannot drop table t because other objects depend on it
-- DETAIL: view v3 depends on table t
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
DROP TABLE t CASCADE;
-- NOTICE 00000: drop cascades to view v3
CREATE TABLE t AS SELECT a FROM u;
CREATE TABLE t AS SELECT a FROM u;
-- ERROR 42P07: relation "t" already exists
CREATE TABLE IF NOT EXISTS t AS SELECT a FROM u;
-- NOTICE 42P07: relation "t" already exists, skipping
CREATE MATERIALIZED VIEW m AS SELECT a FROM u WITH NO DATA;
REFRESH MATERIALIZED VIEW u;
-- ERROR 0A000: "u" is not a materialized view
REFRESH MATERIALIZED VIEW m;
DROP VIEW m;
-- ERROR 42809: "m" is not a view
-- HINT: Use DROP MATERIALIZED VIEW to remove a materialized view.
DROP TABLE u;
-- ERROR 2BP01: cannot drop table u because other objects depend on it
-- DETAIL: materialized view m depends on table u
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
DROP TABLE u CASCADE;
-- NOTICE 00000: drop cascades to materialized view m
DROP TABLE t;
CREATE TABLE t (a int);
CREATE TABLE t2 (x t, y t[]);
DROP TABLE t;
-- ERROR 2BP01: cannot drop table t because other objects depend on it
-- DETAIL: column y of table t2 depends on type t[]
--   column x of table t2 depends on type t
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
DROP TABLE t CASCADE;
-- NOTICE 00000: drop cascades to 2 other objects
-- DETAIL: drop cascades to column y of table t2
--   drop cascades to column x of table t2
ALTER TABLE t2 ADD COLUMN z t2;
-- ERROR 42P16: composite type t2 cannot be made a member of itself
DROP TABLE t2;
