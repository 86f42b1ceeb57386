=== a table is dropped
DROP TABLE "Loan";
=> error drop-table "Loan"
=== two tables in one statement
DROP TABLE "Loan", "Author" CASCADE;
=> error drop-table "Author"
=> error drop-table "Loan"
=== dropped if it exists, and it does
DROP TABLE IF EXISTS "public"."Loan";
=> error drop-table "Loan"
=== dropped if it exists, and no migration made it
DROP TABLE IF EXISTS "Ghost";
=> warning drop-table "Ghost"
=== dropped although no migration made it
DROP TABLE "Ghost";
=> error drop-table "Ghost"
=== dropped if it exists, then made
DROP TABLE IF EXISTS "Room";
CREATE TABLE "Room" ("id" INTEGER PRIMARY KEY);
=> warning drop-table "Room"
=== dropped and made anew
DROP TABLE "Loan";
CREATE TABLE "Loan" ("id" INTEGER PRIMARY KEY);
=> error drop-table "Loan"
=== made and dropped in one file
CREATE TABLE "Work" ("id" INTEGER);
INSERT INTO "Work" SELECT "rating" FROM "Book";
DROP TABLE "Work";
=> nothing
=== a temporary table
CREATE TEMPORARY TABLE work AS SELECT "id" FROM "Book";
DELETE FROM work;
DROP TABLE work;
=> nothing
=== a table made by SELECT INTO
SELECT "authorId", count(*) AS n INTO counted FROM "Book" GROUP BY 1;
DROP TABLE counted;
=> nothing
=== a schema, a table in it, and the table dropped first
CREATE SCHEMA IF NOT EXISTS stats;
CREATE TABLE stats.run (id int);
DROP TABLE IF EXISTS stats.run;
CREATE TABLE stats.run (id int, at timestamptz);
=> nothing
=== a table of that name in another schema
DROP TABLE audit.entry;
=> error drop-table "audit"."entry"
=== unquoted is another name
DROP TABLE IF EXISTS Loan;
=> warning drop-table "loan"
=== a rename
ALTER TABLE "Loan" RENAME TO "Lending";
=> error rename-table "Loan"
=== a rename and a view of the old name
ALTER TABLE "Loan" RENAME TO "Lending";
CREATE VIEW "Loan" AS SELECT * FROM "Lending";
=> error rename-table "Loan"
=== a table moves to another schema
ALTER TABLE "Loan" SET SCHEMA archive;
=> error rename-table "Loan"
=== a table is built anew and takes the name
CREATE TABLE "new_Loan" ("id" INTEGER PRIMARY KEY, "bookId" TEXT NOT NULL, "reader" TEXT NOT NULL, "genres" "Genre"[]);
INSERT INTO "new_Loan" SELECT * FROM "Loan";
DROP TABLE "Loan";
ALTER TABLE "new_Loan" RENAME TO "Loan";
=> error drop-table "Loan"
=== a schema is dropped
DROP SCHEMA audit CASCADE;
=> error drop-container
=== a table with the same name, if it is not there
CREATE TABLE IF NOT EXISTS "Book" ("id" INTEGER);
ALTER TABLE "Book" DROP COLUMN "isbn";
=> error drop-column "Book"."isbn"
=== a view is dropped
DROP VIEW "LentBook";
=> warning drop-object "LentBook"
=== a view is made again
DROP VIEW "LentBook";
CREATE VIEW "LentBook" AS SELECT "id", "title" FROM "Book" WHERE "lent";
=> nothing
=== a view is dropped with what depends on it
DROP VIEW "LentBook" CASCADE;
=> warning cascade
=> warning drop-object "LentBook"
=== an extension is dropped
DROP EXTENSION IF EXISTS citext;
=> warning drop-object "citext"
=== a trigger is dropped
DROP TRIGGER IF EXISTS touch ON "Book";
=> warning drop-object "touch"
=== a sequence is dropped
DROP SEQUENCE "Author_id_seq" CASCADE;
=> warning cascade
=> warning drop-default "Author"."id"
=> warning drop-object "Author_id_seq"
=== a function is replaced
DROP FUNCTION IF EXISTS total(integer);
CREATE FUNCTION total(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1';
=> nothing
=== a new table with everything
CREATE TABLE "Room" ("id" SERIAL PRIMARY KEY, "name" TEXT NOT NULL);
CREATE INDEX "Room_name_idx" ON "Room"("name");
ALTER TABLE "Room" ALTER COLUMN "name" DROP NOT NULL;
ALTER TABLE "Room" ALTER COLUMN "name" SET NOT NULL;
ALTER TABLE "Room" DROP COLUMN "name";
TRUNCATE "Room";
=> nothing
