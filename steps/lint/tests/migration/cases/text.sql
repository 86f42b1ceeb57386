=== nothing
-- nothing to do
=> nothing
=== a drop in a comment
-- ALTER TABLE "Book" DROP COLUMN "isbn";
/* DROP TABLE "Loan"; /* and */ TRUNCATE "Book"; */
=> nothing
=== a drop in a string
INSERT INTO "Author" ("name") VALUES ('DROP TABLE "Loan"; --');
=> nothing
=== a drop in a dollar-quoted string
COMMENT ON TABLE "Book" IS $c$ DROP TABLE "Loan"; $c$;
=> nothing
=== a drop behind a string with a backslash
INSERT INTO "Author" ("name") VALUES (E'it\'s'); DROP TABLE "Loan";
=> error drop-table "Loan"
=== a string that ends in a backslash
INSERT INTO "Author" ("name") VALUES ('C:\'); DROP TABLE "Loan";
=> error drop-table "Loan"
=== a missing comma
ALTER TABLE "Book" ADD COLUMN "a" TEXT ADD COLUMN "b" TEXT;
=> error syntax-error
=== a missing bracket
CREATE TABLE "Room" ("id" INTEGER;
=> error syntax-error
=== a string without an end
SELECT 'open;
=> error syntax-error
=== a template that another program fills in
ALTER TABLE /* SCHEMA */."Book" ADD COLUMN "a" TEXT;
=> error syntax-error
=> warning unknown-statement
=== lower case and odd spaces
alter	table
"Book"drop/**/column"isbn"
=> error drop-column "Book"."isbn"
=== an escaped name
ALTER TABLE "Book" DROP COLUMN U&"\0069sbn";
=> error drop-column "Book"."isbn"
=== a name with a quote in it
ALTER TABLE "Book" ADD COLUMN "drop ""table""" TEXT;
=> nothing
=== settings at the top of a file
SET statement_timeout = '30s';
SET client_min_messages = warning;
SELECT pg_advisory_xact_lock(1);
=> nothing
=== rights are given, statistics gathered
GRANT SELECT ON "Book" TO reader;
ANALYZE "Book";
=> nothing
=== everything a generated migration adds
CREATE TYPE "Mood" AS ENUM ('good', 'bad');
CREATE TABLE "Diary" (
    "id" TEXT NOT NULL,
    "mood" "Mood" NOT NULL DEFAULT 'good',
    "bookId" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Diary_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "Diary_bookId_key" ON "Diary"("bookId");
CREATE INDEX "Book_pages_idx" ON "Book"("pages");
ALTER TABLE "Diary" ADD CONSTRAINT "Diary_bookId_fkey" FOREIGN KEY ("bookId") REFERENCES "Book"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Book" ADD COLUMN "blurb" TEXT, ADD COLUMN "copies" INTEGER NOT NULL DEFAULT 1;
=> nothing
