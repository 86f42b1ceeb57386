=== a column is dropped
ALTER TABLE "Book" DROP COLUMN "isbn";
=> error drop-column "Book"."isbn"
=== dropped without the word COLUMN
ALTER TABLE "Book" DROP "isbn";
=> error drop-column "Book"."isbn"
=== two dropped among other actions
ALTER TABLE "Book" DROP COLUMN "isbn", ADD COLUMN "ean" INTEGER, DROP COLUMN "pages";
=> error drop-column "Book"."isbn"
=> error drop-column "Book"."pages"
=== dropped on a line of its own
ALTER TABLE "Book"
    ADD COLUMN "ean" INTEGER,

    DROP
    COLUMN
    "isbn";
=> error drop-column "Book"."isbn"
=== dropped by its qualified table
ALTER TABLE public."Book" DROP COLUMN "isbn";
=> error drop-column "Book"."isbn"
=== dropped from a table of another schema
ALTER TABLE audit.entry DROP COLUMN what;
=> error drop-column "audit"."entry"."what"
=== dropped with CASCADE
ALTER TABLE "Book" DROP COLUMN "isbn" CASCADE;
=> error drop-column "Book"."isbn"
=> warning cascade
=== dropped if it exists, and it does
ALTER TABLE "Book" DROP COLUMN IF EXISTS "isbn";
=> error drop-column "Book"."isbn"
=== dropped if it exists, and no migration made it
ALTER TABLE "Book" DROP COLUMN IF EXISTS "colour";
=> warning drop-column "Book"."colour"
=== dropped from a table if that exists
ALTER TABLE IF EXISTS "Book" DROP COLUMN "isbn";
=> error drop-column "Book"."isbn"
=== added and dropped in one file
ALTER TABLE "Book" ADD COLUMN "work" INTEGER;
UPDATE "Book" SET "work" = "rating" + 1;
ALTER TABLE "Book" DROP COLUMN "work";
=> nothing
=== added by the migration before and dropped now
ALTER TABLE "Book" ADD COLUMN "work" INTEGER;
---
ALTER TABLE "Book" DROP COLUMN "work";
=> error drop-column "Book"."work"
=== dropped and made anew
ALTER TABLE "Book" DROP COLUMN "rating", ADD COLUMN "rating" INTEGER;
=> error drop-column "Book"."rating"
=== dropped and made anew as a required column
ALTER TABLE "Book" DROP COLUMN "shelf", ADD COLUMN "shelf" TEXT NOT NULL;
=> error drop-column "Book"."shelf"
=> error required-column "Book"."shelf"
=== replaced by a generated column of the same name
ALTER TABLE "Book" DROP COLUMN "lent";
ALTER TABLE "Book" ADD COLUMN "lent" BOOLEAN GENERATED ALWAYS AS ("rating" > 5) STORED;
=> error drop-column "Book"."lent"
=> error view-in-the-way "LentBook"
=> warning table-rewrite "Book"
=== a rename as a generator writes it
ALTER TABLE "Book" DROP COLUMN "pages", ADD COLUMN "pageCount" BIGINT;
=> error drop-column "Book"."pages"
=== a rename
ALTER TABLE "Book" RENAME COLUMN "pages" TO "pageCount";
=> error rename-column "Book"."pages"
=== a rename without the word COLUMN
ALTER TABLE "Book" RENAME "pages" TO "pageCount";
=> error rename-column "Book"."pages"
=== renamed there and back
ALTER TABLE "Book" RENAME "pages" TO "x";
ALTER TABLE "Book" RENAME "x" TO "pages";
=> nothing
=== two columns change names
ALTER TABLE "Book" RENAME "pages" TO "x";
ALTER TABLE "Book" RENAME "rating" TO "pages";
ALTER TABLE "Book" RENAME "x" TO "rating";
=> error rename-column "Book"."pages"
=> error rename-column "Book"."rating"
=== a new column gets another name before anyone sees it
ALTER TABLE "Book" ADD COLUMN "x" INTEGER;
ALTER TABLE "Book" RENAME COLUMN "x" TO "edition";
=> nothing
=== a rename together with another action is refused by PostgreSQL
ALTER TABLE "Book" DROP COLUMN "isbn", RENAME COLUMN "pages" TO "x";
=> error syntax-error
=> error drop-column "Book"."isbn"
=> error rename-column "Book"."pages"
=== only a constraint is renamed
ALTER TABLE "Book" RENAME CONSTRAINT "Book_pkey" TO "Book_id_pkey";
=> nothing
=== only an index is renamed
ALTER INDEX "Book_title_key" RENAME TO "Book_by_title";
=> nothing
=== a nullable column
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER;
=> nothing
=== a column with a default
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER NOT NULL DEFAULT 1;
=> nothing
=== the same column twice, if it is not there
ALTER TABLE "Book" ADD COLUMN IF NOT EXISTS "isbn" TEXT NOT NULL;
=> nothing
=== a required column
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER NOT NULL;
=> error required-column "Book"."edition"
=== a required column, if it is not there
ALTER TABLE "Book" ADD COLUMN IF NOT EXISTS "edition" INTEGER NOT NULL;
=> error required-column "Book"."edition"
=== required, NOT NULL written before other words
ALTER TABLE "Book" ADD "edition" INTEGER NOT NULL CHECK ("edition" > 0);
=> error required-column "Book"."edition"
=== required, its default is NULL
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER NOT NULL DEFAULT NULL;
=> error required-column "Book"."edition"
=== required on a new table
CREATE TABLE "Room" ("id" INTEGER PRIMARY KEY);
ALTER TABLE "Room" ADD COLUMN "name" TEXT NOT NULL;
=> nothing
=== required on a table the migration empties
DELETE FROM "Loan";
ALTER TABLE "Loan" ADD COLUMN "due" DATE NOT NULL;
=> error delete-all "Loan"
=> warning required-column "Loan"."due"
=== added nullable, filled, tightened
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER;
UPDATE "Book" SET "edition" = 1;
ALTER TABLE "Book" ALTER COLUMN "edition" SET NOT NULL;
=> warning required-column "Book"."edition"
=== added nullable and tightened without being filled
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER;
ALTER TABLE "Book" ALTER COLUMN "edition" SET NOT NULL;
=> error required-column "Book"."edition"
=== added with a default that is then taken away
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "Book" ALTER COLUMN "edition" DROP DEFAULT;
=> warning required-column "Book"."edition"
=== the default of an old required column is taken away
ALTER TABLE "Book" ALTER COLUMN "lent" DROP DEFAULT;
=> warning drop-default "Book"."lent"
=== the default of an old nullable column is taken away
ALTER TABLE "Book" ALTER COLUMN "rating" SET DEFAULT 1;
---
ALTER TABLE "Book" ALTER COLUMN "rating" DROP DEFAULT;
=> nothing
=== a default is set to NULL, which is none
ALTER TABLE "Book" ALTER COLUMN "lent" SET DEFAULT NULL;
=> warning drop-default "Book"."lent"
=== a default is exchanged
ALTER TABLE "Book" ALTER COLUMN "lent" DROP DEFAULT;
ALTER TABLE "Book" ALTER COLUMN "lent" SET DEFAULT true;
=> nothing
=== identity is taken away
ALTER TABLE "Loan" ALTER COLUMN "id" DROP IDENTITY;
=> warning drop-default "Loan"."id"
=== a column may now be NULL
ALTER TABLE "Book" ALTER COLUMN "title" DROP NOT NULL;
=> note drop-not-null "Book"."title"
=> note lock-timeout "Book"
=== copied to another name, then the old one dropped
ALTER TABLE "Book" ADD COLUMN "pageCount" BIGINT;
UPDATE "Book" SET "pageCount" = "pages";
ALTER TABLE "Book" DROP COLUMN "pages";
=> error drop-column "Book"."pages"
=== a change of type by hand through a second column
ALTER TABLE "Book" ADD COLUMN "pages_text" TEXT;
UPDATE "Book" SET "pages_text" = "pages"::text;
ALTER TABLE "Book" DROP COLUMN "pages";
ALTER TABLE "Book" RENAME COLUMN "pages_text" TO "pages";
=> warning change-type "Book"."pages"
=== the same, of a required column
ALTER TABLE "Book" ADD COLUMN "genre_text" TEXT;
UPDATE "Book" SET "genre_text" = "genre"::text;
ALTER TABLE "Book" ALTER COLUMN "genre_text" SET NOT NULL;
ALTER TABLE "Book" DROP COLUMN "genre";
ALTER TABLE "Book" RENAME COLUMN "genre_text" TO "genre";
=> warning change-type "Book"."genre"
=> warning required-column "Book"."genre"
