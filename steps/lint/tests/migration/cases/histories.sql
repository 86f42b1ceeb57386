=== an idempotent script that starts by dropping what was never there
DROP TABLE IF EXISTS "Comic";
DROP TYPE IF EXISTS "ComicKind";
CREATE TYPE "ComicKind" AS ENUM ('strip');
CREATE TABLE "Comic" ("id" INTEGER PRIMARY KEY, "kind" "ComicKind");
=> warning drop-object "ComicKind"
=> warning drop-table "Comic"
=== a table whose children keep pointing at it
DROP TABLE "Author" CASCADE;
=> error drop-table "Author"
=== organisation column: added, filled, tightened, a work column dropped
ALTER TABLE "Loan" ADD COLUMN "organisation" TEXT, ADD COLUMN "work" TEXT;
UPDATE "Loan" SET "work" = "reader", "organisation" = md5("reader");
ALTER TABLE "Loan" ALTER COLUMN "organisation" SET NOT NULL;
ALTER TABLE "Loan" DROP COLUMN "work";
=> warning required-column "Loan"."organisation"
=== type, table and column renamed together
ALTER TABLE "Loan" RENAME TO "Lending";
ALTER TYPE "Shelf" RENAME TO "Place";
ALTER TABLE "Lending" RENAME COLUMN "reader" TO "borrower";
ALTER TABLE "Lending" RENAME CONSTRAINT "Loan_pkey" TO "Lending_pkey";
=> error rename-column "Loan"."reader"
=> error rename-table "Loan"
=> warning rename-type "Shelf"
=== columns copied through text while an enum is exchanged by hand
ALTER TABLE "Book" ADD COLUMN "shelf_t" TEXT;
UPDATE "Book" SET "shelf_t" = "shelf"::text;
ALTER TABLE "Book" DROP COLUMN "shelf";
DROP TYPE "Shelf";
CREATE TYPE "Shelf" AS ENUM ('left', 'right', 'top');
ALTER TABLE "Book" ADD COLUMN "shelf" "Shelf";
UPDATE "Book" SET "shelf" = "shelf_t"::"Shelf";
ALTER TABLE "Book" DROP COLUMN "shelf_t";
=> warning change-type "Book"."shelf"
=== rows deleted, a column tightened, another dropped if it exists
DELETE FROM "Book" WHERE "authorId" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "authorId" SET NOT NULL;
ALTER TABLE "Book" DROP COLUMN IF EXISTS "isbn";
=> warning delete-rows "Book"
=> error drop-column "Book"."isbn"
=> warning set-not-null "Book"."authorId"
=== expand, then contract
ALTER TABLE "Book" ADD COLUMN "pageCount" BIGINT;
---
UPDATE "Book" SET "pageCount" = "pages" WHERE "pageCount" IS NULL;
---
ALTER TABLE "Book" DROP COLUMN "pages";
=> error drop-column "Book"."pages"
=== a column added by one migration is required by the next
ALTER TABLE "Book" ADD COLUMN "slug" TEXT;
---
UPDATE "Book" SET "slug" = "id" WHERE "slug" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "slug" SET NOT NULL;
CREATE UNIQUE INDEX "Book_slug_key" ON "Book"("slug");
=> warning set-not-null "Book"."slug"
=> warning unique-on-existing "Book"("slug")
=== a table that an earlier migration dropped is made again
DROP TABLE "Loan";
---
CREATE TABLE "Loan" ("id" INTEGER PRIMARY KEY, "x" TEXT NOT NULL);
ALTER TABLE "Loan" DROP COLUMN "x";
=> nothing
=== a column that was renamed is dropped under its new name
ALTER TABLE "Book" RENAME COLUMN "pages" TO "pageCount";
---
ALTER TABLE "Book" DROP COLUMN "pageCount";
=> error drop-column "Book"."pageCount"
=== a dropped column's type does not linger
DROP TYPE IF EXISTS "Shelf" CASCADE;
---
ALTER TABLE "Book" ADD COLUMN "shelf" TEXT;
=> nothing
=== an index of a dropped table is dropped
DROP TABLE "Loan";
DROP INDEX IF EXISTS "Loan_reader_idx";
=> error drop-table "Loan"
=> warning drop-unique "Loan_reader_idx"
=== a name of more than 63 bytes is cut
CREATE TABLE "a_table_with_a_name_that_goes_on_for_longer_than_postgresql_keeps_it" ("id" INTEGER);
---
DROP TABLE "a_table_with_a_name_that_goes_on_for_longer_than_postgresql_kee";
=> error drop-table
=== two spellings of the default schema
CREATE TABLE "public"."Room" ("id" INTEGER);
ALTER TABLE "Room" ADD COLUMN "x" TEXT;
ALTER TABLE public."Room" DROP COLUMN "x";
DROP TABLE "Room";
=> nothing
=== a new schema is cleared before it is filled
CREATE SCHEMA IF NOT EXISTS stats;
DROP TABLE IF EXISTS stats.run;
CREATE TABLE stats.run (id int);
=> nothing
=== a schema that holds tables already is no new one
CREATE SCHEMA IF NOT EXISTS audit;
DROP TABLE IF EXISTS audit.run;
=> warning drop-table "audit"."run"
=== a unique column is renamed and its index made again
DROP INDEX "Book_title_key";
ALTER TABLE "Book" RENAME COLUMN "title" TO "name";
CREATE UNIQUE INDEX "Book_name_key" ON "Book"("name");
=> error rename-column "Book"."title"
=== an enum exchanged label by label through a second column
CREATE TYPE "Genre_new" AS ENUM ('novel', 'verse', 'essay');
ALTER TABLE "Book" ADD COLUMN "genre_new" "Genre_new";
UPDATE "Book" SET "genre_new" = 'novel' WHERE "genre" = 'novel';
UPDATE "Book" SET "genre_new" = 'verse' WHERE "genre" = 'poetry';
UPDATE "Book" SET "genre_new" = 'essay' WHERE "genre" = 'essay';
ALTER TABLE "Book" DROP COLUMN "genre";
ALTER TABLE "Book" RENAME COLUMN "genre_new" TO "genre";
ALTER TABLE "Book" ALTER COLUMN "genre" SET NOT NULL, ALTER COLUMN "genre" SET DEFAULT 'novel';
=> error enum-value-removed "Book"."genre"
