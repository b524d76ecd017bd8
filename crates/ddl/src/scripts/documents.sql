CREATE COLLECTION c (id int PRIMARY KEY, name text) WITH (history = '7 days', fillfactor = 80);
CREATE COLLECTION c;
-- ERROR 42P07: relation "c" already exists
CREATE COLLECTION d;
CREATE TABLE e (a int) WITH (open);
CREATE TABLE f (a int) WITH (open = maybe);
-- ERROR 22023: invalid value for boolean option "open": maybe
CREATE TABLE f (a int) WITH (history = 'soon');
-- ERROR 22023: invalid value for option "history": "soon"
-- HINT: Give a length of time of at most 100 years, such as '7 days'.
CREATE TABLE f (a int) WITH (histry = '7 days');
-- ERROR 22023: unrecognized parameter "histry"
CREATE TABLE f (a int);
ALTER TABLE f SET (open = true, history = '1 hour');
ALTER TABLE f SET (open = false);
ALTER TABLE f SET (open);
ALTER TABLE f RESET (open, history);
ALTER TABLE f SET (history = '-1 day');
-- ERROR 22023: invalid value for option "history": "-1 day"
-- HINT: Give a length of time of at most 100 years, such as '7 days'.
CREATE INDEX ON c (name);
DROP COLLECTION c, d, e;
DROP TABLE f;
