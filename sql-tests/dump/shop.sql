-- One of everything that pg_dump has to carry over (crates/server/tests/dump.rs).
CREATE SCHEMA shop;
CREATE SCHEMA "Odd name";
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'it''s gone');
CREATE TYPE shop.address AS (street text, zip varchar(10));
CREATE DOMAIN shop.email AS text DEFAULT 'none@example.org' CHECK (VALUE LIKE '%@%');
CREATE DOMAIN shop.amount AS numeric(12,2) NOT NULL CONSTRAINT positive CHECK (VALUE >= 0);
CREATE SEQUENCE shop.ticket AS int START 100 INCREMENT 5 MINVALUE 1 MAXVALUE 1000 CYCLE;
CREATE TABLE shop.customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name varchar(40) NOT NULL,
    mail shop.email UNIQUE,
    home shop.address,
    born date,
    score numeric(6,2) DEFAULT 0.0 NOT NULL,
    tags text[] DEFAULT '{}',
    loud text GENERATED ALWAYS AS (upper(name)) STORED
);
CREATE TABLE shop.orders (
    id serial PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES shop.customer ON DELETE CASCADE,
    state shop.state DEFAULT 'new' NOT NULL,
    placed timestamptz DEFAULT now(),
    ticket int DEFAULT nextval('shop.ticket'),
    net shop.amount,
    doc jsonb,
    CONSTRAINT sane CHECK (ticket < 1000000 OR state <> 'new'::shop.state)
);
CREATE TABLE shop.item (
    order_id int REFERENCES shop.orders DEFERRABLE INITIALLY DEFERRED,
    pos smallint,
    what text,
    PRIMARY KEY (order_id, pos),
    UNIQUE (what, pos)
);
CREATE TABLE "Odd name"."Table" ("select" int, "a ""b""" text);
CREATE TABLE shop.log (at timestamptz DEFAULT now(), who name DEFAULT current_user, id int, old text, new text);
CREATE INDEX orders_placed ON shop.orders (placed DESC NULLS LAST) WHERE state = 'new';
CREATE UNIQUE INDEX customer_lower ON shop.customer (lower(name), born) INCLUDE (score);
CREATE FUNCTION shop.plus(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a + b';
CREATE FUNCTION shop.total(wanted bigint) RETURNS numeric LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT sum(o.ticket)::numeric FROM shop.orders o WHERE o.customer_id = wanted; END;
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE RETURN n * 2 + shop.plus(0, 0);
CREATE FUNCTION shop.names() RETURNS TABLE (id bigint, name text) LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT c.id, c.name::text FROM shop.customer c ORDER BY c.name; END;
CREATE VIEW shop.totals AS
    SELECT c.name, sum(o.ticket) AS net, count(*) FILTER (WHERE o.state = 'paid') AS paid
    FROM shop.customer c LEFT JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.name HAVING count(*) > 0;
CREATE VIEW shop.rich AS SELECT * FROM shop.totals WHERE net > 100 WITH CASCADED CHECK OPTION;
CREATE VIEW shop.young AS SELECT id, name, born FROM shop.customer WHERE born > '2000-01-01' WITH LOCAL CHECK OPTION;
CREATE VIEW shop.calls AS SELECT n.id, shop.twice(n.id::int), o.what FROM shop.names() n JOIN shop.item o ON o.order_id = n.id;
CREATE VIEW shop.merged AS SELECT * FROM shop.orders JOIN (SELECT order_id AS id, pos FROM shop.item) i USING (id);
CREATE RECURSIVE VIEW shop.tree (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM tree WHERE n < 5;
CREATE MATERIALIZED VIEW shop.kept AS SELECT customer_id, count(*) FROM shop.orders GROUP BY 1;
CREATE INDEX kept_customer ON shop.kept (customer_id);
SET search_path = shop;
CREATE RULE changed AS ON UPDATE TO customer WHERE new.name <> old.name
    DO ALSO INSERT INTO log (id, old, new) VALUES (old.id, old.name, new.name);
CREATE RULE added AS ON INSERT TO young DO INSTEAD INSERT INTO customer (name, born) VALUES (new.name, new.born) RETURNING id, name, born;
CREATE RULE gone AS ON DELETE TO young DO INSTEAD (
    DELETE FROM orders USING item i WHERE orders.customer_id = old.id AND i.order_id = orders.id;
    UPDATE customer SET score = 0, tags = NULL WHERE id = old.id AND EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = old.id));
CREATE RULE copied AS ON INSERT TO item DO ALSO INSERT INTO log (id, new) SELECT new.pos, c.name FROM customer c WHERE c.id = new.order_id;
CREATE RULE told AS ON DELETE TO item DO ALSO NOTIFY items, 'gone';
CREATE RULE never AS ON DELETE TO log DO INSTEAD NOTHING;
ALTER TABLE log DISABLE RULE never;
RESET search_path;
COMMENT ON SCHEMA shop IS 'what''s sold';
COMMENT ON TABLE shop.customer IS 'who buys';
COMMENT ON COLUMN shop.customer.born IS 'may be unknown';
COMMENT ON VIEW shop.totals IS 'sums';
COMMENT ON FUNCTION shop.plus(int, int) IS 'adds';
COMMENT ON TYPE shop.state IS 'of an order';
COMMENT ON DOMAIN shop.email IS 'mail';
COMMENT ON SEQUENCE shop.ticket IS 'numbers';
COMMENT ON INDEX shop.orders_placed IS 'new ones';
COMMENT ON CONSTRAINT sane ON shop.orders IS 'no giants';
COMMENT ON RULE changed ON shop.customer IS 'names';
GRANT USAGE ON SCHEMA shop TO PUBLIC;
GRANT SELECT, INSERT ON shop.orders TO dump_seller WITH GRANT OPTION;
GRANT UPDATE (name, born) ON shop.customer TO dump_seller;
GRANT USAGE ON SEQUENCE shop.ticket TO dump_seller;
GRANT USAGE ON TYPE shop.state TO dump_seller;
REVOKE EXECUTE ON FUNCTION shop.plus(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.plus(int, int) TO dump_seller;
ALTER TABLE shop.log OWNER TO dump_seller;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO dump_seller;
INSERT INTO shop.customer (name, mail, home, born) VALUES
    ('Ada', 'ada@example.org', ROW('High St', '1'), '2001-12-10'), (E'tab\there', DEFAULT, NULL, NULL);
INSERT INTO shop.orders (customer_id, state, placed, net, doc) VALUES
    (1, 'paid', '2024-05-01 10:00+00', 10.5, '{"ref": "A-1"}'), (2, 'it''s gone', NULL, 3, NULL);
INSERT INTO shop.item VALUES (1, 1, 'pen'), (1, 2, NULL), (2, 1, E'back\\slash');
TRUNCATE shop.log;
INSERT INTO "Odd name"."Table" VALUES (1, 'x'), (NULL, NULL);
REFRESH MATERIALIZED VIEW shop.kept;
