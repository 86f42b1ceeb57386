=== a unique index over an old column
CREATE UNIQUE INDEX "Book_isbn_key" ON "Book"("isbn");
=> warning unique-on-existing "Book"("isbn")
=== a unique constraint over old columns
ALTER TABLE "Book" ADD CONSTRAINT "u" UNIQUE ("authorId", "isbn");
=> warning unique-on-existing "Book"("authorId", "isbn")
=== a unique index over an expression
CREATE UNIQUE INDEX "Author_lower" ON "Author"(lower("name"));
=> warning unique-on-existing
=== a unique index over some rows
CREATE UNIQUE INDEX "u" ON "Loan"("bookId") WHERE "reader" IS NOT NULL;
=> warning unique-on-existing "Loan"("bookId")
=== a unique index over a new nullable column
ALTER TABLE "Book" ADD COLUMN "slug" TEXT;
CREATE UNIQUE INDEX "Book_slug_key" ON "Book"("slug");
=> nothing
=== the same, NULLs being equal
ALTER TABLE "Book" ADD COLUMN "slug" TEXT;
CREATE UNIQUE INDEX "Book_slug_key" ON "Book"("slug") NULLS NOT DISTINCT;
=> warning unique-on-existing "Book"("slug")
=== over a new column that is filled
ALTER TABLE "Book" ADD COLUMN "slug" TEXT;
UPDATE "Book" SET "slug" = lower("title");
CREATE UNIQUE INDEX "Book_slug_key" ON "Book"("slug");
=> warning unique-on-existing "Book"("slug")
=== over a new column with a constant default
ALTER TABLE "Book" ADD COLUMN "slug" TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX "Book_slug_key" ON "Book"("slug");
=> warning unique-on-existing "Book"("slug")
=== over a serial column that is new
ALTER TABLE "Book" ADD COLUMN "nr" SERIAL UNIQUE;
=> warning table-rewrite "Book"
=== on a new table
CREATE TABLE "Room" ("id" INTEGER PRIMARY KEY, "name" TEXT UNIQUE);
CREATE UNIQUE INDEX "Room_x" ON "Room"("name", "id");
=> nothing
=== implied by an older key
CREATE UNIQUE INDEX "u" ON "Book"("title", "isbn");
=> nothing
=== after duplicates were removed, which only data can show
DELETE FROM "Book" a USING "Book" b WHERE a."isbn" = b."isbn" AND a."id" > b."id";
CREATE UNIQUE INDEX "Book_isbn_key" ON "Book"("isbn");
=> warning delete-rows "Book"
=> warning unique-on-existing "Book"("isbn")
=== a primary key moves to another column
ALTER TABLE "Loan" DROP CONSTRAINT "Loan_pkey";
ALTER TABLE "Loan" ADD PRIMARY KEY ("bookId");
=> warning drop-unique "Loan"("id")
=> warning unique-on-existing "Loan"("bookId")
=== a unique index becomes a primary key
CREATE TABLE "Tag" ("name" TEXT NOT NULL);
CREATE UNIQUE INDEX "Tag_name_key" ON "Tag"("name");
---
DROP INDEX "Tag_name_key";
ALTER TABLE "Tag" ADD CONSTRAINT "Tag_pkey" PRIMARY KEY ("name");
=> nothing
=== a unique index is dropped
DROP INDEX "Book_title_key";
=> warning drop-unique "Book"("title")
=== a unique index is dropped by its qualified name
DROP INDEX IF EXISTS "public"."Book_title_key";
=> warning drop-unique "Book"("title")
=== dropped and made again under another name
DROP INDEX "Book_title_key";
CREATE UNIQUE INDEX "Book_by_title" ON "Book"("title");
=> nothing
=== replaced by a wider key
DROP INDEX "Book_title_key";
CREATE UNIQUE INDEX "Book_title_author" ON "Book"("title", "authorId");
=> warning drop-unique "Book"("title")
=== a plain index is dropped
DROP INDEX "Book_rating_idx";
=> nothing
=== an index no migration made is dropped
DROP INDEX "nobody_knows";
=> warning drop-unique "nobody_knows"
=== an index no migration made is dropped if it is there
DROP INDEX IF EXISTS "nobody_knows";
=> warning drop-unique "nobody_knows"
=== built concurrently and then made a constraint
CREATE UNIQUE INDEX CONCURRENTLY "u" ON "Book"("isbn");
---
ALTER TABLE "Book" ADD CONSTRAINT "u" UNIQUE USING INDEX "u";
=> nothing
=== the same index again, if it is not there
CREATE UNIQUE INDEX IF NOT EXISTS "Book_title_key" ON "Book"("title");
=> nothing
