CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE mood AS ENUM ();
-- ERROR 42710: type "mood" already exists
CREATE TABLE mood (a int);
-- ERROR 42710: type "mood" already exists
-- HINT: A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.
ALTER TYPE mood ADD VALUE 'ok';
-- ERROR 42710: enum label "ok" already exists
ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok';
-- NOTICE 42710: enum label "ok" already exists, skipping
ALTER TYPE mood ADD VALUE 'z' BEFORE 'nix';
-- ERROR 22023: "nix" is not an existing enum label
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
ALTER TYPE mood RENAME VALUE 'nix' TO 'z';
-- ERROR 22023: "nix" is not an existing enum label
ALTER TYPE mood RENAME VALUE 'meh' TO 'ok';
-- ERROR 42710: enum label "ok" already exists
ALTER TYPE nix ADD VALUE 'a';
-- ERROR 42704: type "nix" does not exist
CREATE TABLE td (a int, m mood, ms mood[]);
ALTER TYPE td RENAME TO tt;
-- ERROR 42809: td is a table's row type
-- HINT: Use ALTER TABLE instead.
DROP TYPE td;
-- ERROR 2BP01: cannot drop type td because table td requires it
-- HINT: You can drop table td instead.
DROP TYPE int4;
-- ERROR 2BP01: cannot drop type integer because it is required by the database system
DROP TYPE nix;
-- ERROR 42704: type "nix" does not exist
DROP TYPE IF EXISTS nix;
-- NOTICE 00000: type "nix" does not exist, skipping
DROP TYPE IF EXISTS nosch.nix;
-- NOTICE 00000: schema "nosch" does not exist, skipping
DROP DOMAIN mood;
-- ERROR 42809: "mood" is not a domain
DROP TYPE mood;
-- ERROR 2BP01: cannot drop type mood because other objects depend on it
-- DETAIL: column ms of table td depends on type mood[]
--   column m of table td depends on type mood
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
CREATE TYPE comp AS (a mood, b int);
CREATE TYPE comp AS (a int);
-- ERROR 42710: type "comp" already exists
CREATE TYPE twice AS (a int, a int);
-- ERROR 42701: column "a" specified more than once
ALTER TYPE comp ADD VALUE 'x';
-- ERROR 42809: comp is not an enum
ALTER TYPE comp ADD ATTRIBUTE c text;
CREATE TABLE tc (x comp);
ALTER TYPE comp ADD ATTRIBUTE d text;
-- ERROR 0A000: cannot alter type "comp" because column "tc.x" uses it
DROP TYPE comp;
-- ERROR 2BP01: cannot drop type comp because other objects depend on it
-- DETAIL: column x of table tc depends on type comp
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
CREATE DOMAIN d2 AS int UNIQUE;
-- ERROR 42601: unique constraints not possible for domains
CREATE DOMAIN d2 AS int DEFAULT 1 DEFAULT 2;
-- ERROR 42601: multiple default expressions
CREATE DOMAIN d2 AS int NULL NOT NULL;
-- ERROR 42601: conflicting NULL/NOT NULL constraints
CREATE DOMAIN posint AS int CONSTRAINT positive CHECK (VALUE > 0);
ALTER DOMAIN posint DROP CONSTRAINT nix;
-- ERROR 42704: constraint "nix" of domain "posint" does not exist
ALTER DOMAIN posint DROP CONSTRAINT IF EXISTS nix;
-- NOTICE 00000: constraint "nix" of domain "posint" does not exist, skipping
ALTER DOMAIN mood SET NOT NULL;
-- ERROR 42809: mood is not a domain
ALTER DOMAIN posint RENAME TO positive_int;
CREATE TABLE tp (a positive_int);
DROP DOMAIN positive_int;
-- ERROR 2BP01: cannot drop type positive_int because other objects depend on it
-- DETAIL: column a of table tp depends on type positive_int
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
DROP DOMAIN positive_int CASCADE;
-- NOTICE 00000: drop cascades to column a of table tp
DROP TYPE mood CASCADE;
-- NOTICE 00000: drop cascades to 3 other objects
-- DETAIL: drop cascades to column ms of table td
--   drop cascades to column m of table td
--   drop cascades to column a of composite type comp
