CREATE ROLE catalog_a;
CREATE ROLE catalog_a;
-- ERROR 42710: role "catalog_a" already exists
CREATE USER catalog_b IN ROLE catalog_a PASSWORD 'x';
CREATE ROLE pg_x;
-- ERROR 42939: role name "pg_x" is reserved
-- DETAIL: Role names starting with "pg_" are reserved.
CREATE ROLE catalog_c CONNECTION LIMIT -5;
-- ERROR 22023: invalid connection limit: -5
ALTER ROLE nosuch LOGIN;
-- ERROR 42704: role "nosuch" does not exist
ALTER ROLE catalog_a CREATEDB NOLOGIN;
ALTER ROLE catalog_a RENAME TO catalog_b;
-- ERROR 42710: role "catalog_b" already exists
GRANT catalog_a TO catalog_b;
-- NOTICE 00000: role "catalog_b" is already a member of role "catalog_a"
GRANT catalog_b TO catalog_a;
-- ERROR 0LP01: role "catalog_b" is a member of role "catalog_a"
GRANT catalog_a TO catalog_a;
-- ERROR 0LP01: role "catalog_a" is a member of role "catalog_a"
GRANT catalog_a TO catalog_b WITH ADMIN OPTION;
GRANT nosuch TO catalog_a;
-- ERROR 42704: role "nosuch" does not exist
REVOKE catalog_b FROM catalog_a;
-- WARNING 01000: role "catalog_a" is not a member of role "catalog_b"
CREATE TABLE catalog_t (a int, b int);
CREATE SEQUENCE catalog_s;
GRANT SELECT ON catalog_t TO catalog_a;
GRANT SELECT ON nosuch TO catalog_a;
-- ERROR 42P01: relation "nosuch" does not exist
GRANT SELECT ON catalog_t TO nosuch;
-- ERROR 42704: role "nosuch" does not exist
GRANT USAGE ON catalog_t TO catalog_a;
-- ERROR 0LP01: invalid privilege type USAGE for table
GRANT FLY ON catalog_t TO catalog_a;
-- ERROR 42601: unrecognized privilege type "fly"
GRANT SELECT (a), UPDATE (b) ON catalog_t TO catalog_b;
GRANT SELECT (nosuch) ON catalog_t TO catalog_b;
-- ERROR 42703: column "nosuch" of relation "catalog_t" does not exist
GRANT DELETE (a) ON catalog_t TO catalog_b;
-- ERROR 0LP01: invalid privilege type DELETE for column
GRANT ALL ON ALL TABLES IN SCHEMA public TO catalog_a;
GRANT ALL ON ALL TABLES IN SCHEMA nosuch TO catalog_a;
-- ERROR 3F000: schema "nosuch" does not exist
GRANT USAGE ON SEQUENCE catalog_s TO catalog_a;
GRANT INSERT ON SEQUENCE catalog_s TO catalog_a;
-- ERROR 0LP01: invalid privilege type INSERT for sequence
GRANT SELECT, INSERT ON catalog_s TO catalog_a;
-- WARNING 0LP01: sequence "catalog_s" only supports USAGE, SELECT, and UPDATE privileges
GRANT USAGE ON SEQUENCE catalog_t TO catalog_a;
-- ERROR 42809: "catalog_t" is not a sequence
GRANT SELECT ON SCHEMA public TO catalog_a;
-- ERROR 0LP01: invalid privilege type SELECT for schema
GRANT USAGE ON SCHEMA nosuch TO catalog_a;
-- ERROR 3F000: schema "nosuch" does not exist
GRANT SELECT ON catalog_t TO PUBLIC WITH GRANT OPTION;
-- ERROR 0LP01: grant options can only be granted to roles
GRANT CONNECT ON DATABASE nosuch TO catalog_a;
-- ERROR 3D000: database "nosuch" does not exist
DROP ROLE catalog_a;
-- ERROR 2BP01: role "catalog_a" cannot be dropped because some objects depend on it
-- DETAIL: privileges for table catalog_t
--   privileges for sequence catalog_s
REVOKE ALL ON catalog_t, catalog_s FROM catalog_a;
DROP ROLE nosuch;
-- ERROR 42704: role "nosuch" does not exist
DROP ROLE IF EXISTS nosuch;
-- NOTICE 00000: role "nosuch" does not exist, skipping
DROP ROLE catalog_b;
-- ERROR 2BP01: role "catalog_b" cannot be dropped because some objects depend on it
-- DETAIL: privileges for column a of table catalog_t
--   privileges for column b of table catalog_t
DROP OWNED BY catalog_b;
REVOKE ALL ON catalog_t FROM catalog_b;
ALTER TABLE catalog_t OWNER TO catalog_b;
DROP ROLE catalog_b;
-- ERROR 2BP01: role "catalog_b" cannot be dropped because some objects depend on it
-- DETAIL: owner of table catalog_t
REASSIGN OWNED BY catalog_b TO postgres;
DROP ROLE catalog_b, catalog_a;
DROP ROLE postgres;
-- ERROR 55006: current user cannot be dropped
CREATE SCHEMA pg_x;
-- ERROR 42939: unacceptable schema name "pg_x"
-- DETAIL: The prefix "pg_" is reserved for system schemas.
CREATE SCHEMA catalog_x;
CREATE SCHEMA catalog_x;
-- ERROR 42P06: schema "catalog_x" already exists
CREATE SCHEMA IF NOT EXISTS catalog_x;
-- NOTICE 42P06: schema "catalog_x" already exists, skipping
CREATE SCHEMA catalog_y AUTHORIZATION nosuch;
-- ERROR 42704: role "nosuch" does not exist
ALTER SCHEMA catalog_x RENAME TO public;
-- ERROR 42P06: schema "public" already exists
ALTER SCHEMA nosuch RENAME TO catalog_y;
-- ERROR 3F000: schema "nosuch" does not exist
ALTER SCHEMA catalog_x RENAME TO catalog_y;
DROP SCHEMA catalog_x, catalog_y;
-- ERROR 3F000: schema "catalog_x" does not exist
DROP SCHEMA catalog_y;
DROP TABLE catalog_t;
DROP SEQUENCE catalog_s;
CREATE DATABASE postgres;
-- ERROR 42P04: database "postgres" already exists
DROP DATABASE nosuch;
-- ERROR 3D000: database "nosuch" does not exist
DROP DATABASE IF EXISTS nosuch;
-- NOTICE 00000: database "nosuch" does not exist, skipping
ALTER DATABASE nosuch RENAME TO x;
-- ERROR 3D000: database "nosuch" does not exist
CREATE DATABASE catalog_d TEMPLATE nosuch;
-- ERROR 3D000: template database "nosuch" does not exist
CREATE DATABASE catalog_d ENCODING 'nosuch';
-- ERROR 42704: nosuch is not a valid encoding name
CREATE DATABASE catalog_d fly = 1;
-- ERROR 42601: option "fly" not recognized
CREATE ROLE catalog_a;
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_a GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA nosuch GRANT SELECT ON TABLES TO PUBLIC;
-- ERROR 3F000: schema "nosuch" does not exist
ALTER DEFAULT PRIVILEGES GRANT USAGE ON TABLES TO PUBLIC;
-- ERROR 0LP01: invalid privilege type USAGE for relation
DROP ROLE catalog_a;
-- ERROR 2BP01: role "catalog_a" cannot be dropped because some objects depend on it
-- DETAIL: owner of default privileges on new relations belonging to role catalog_a
ALTER DEFAULT PRIVILEGES FOR ROLE catalog_a REVOKE SELECT ON TABLES FROM PUBLIC;
DROP ROLE catalog_a;
CREATE SCHEMA catalog_z CREATE TABLE t (a int PRIMARY KEY) CREATE INDEX i ON t (a);
DROP SCHEMA catalog_z;
-- ERROR 2BP01: cannot drop schema catalog_z because other objects depend on it
-- DETAIL: table catalog_z.t depends on schema catalog_z
-- HINT: Use DROP ... CASCADE to drop the dependent objects too.
ALTER SCHEMA catalog_z RENAME TO catalog_y;
DROP SCHEMA catalog_y CASCADE;
-- NOTICE 00000: drop cascades to table catalog_y.t
