=== tightened without a word
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== three tightened in one statement
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL, ALTER "pages" SET NOT NULL, ALTER COLUMN "shelf" SET NOT NULL;
=> error set-not-null "Book"."pages"
=> error set-not-null "Book"."rating"
=> error set-not-null "Book"."shelf"
=== filled before in the same file
UPDATE "Book" SET "rating" = 1 WHERE "rating" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning set-not-null "Book"."rating"
=== filled after, which is too late
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
UPDATE "Book" SET "rating" = 1 WHERE "rating" IS NULL;
=> error set-not-null "Book"."rating"
=== filled by an earlier migration
UPDATE "Book" SET "rating" = 1 WHERE "rating" IS NULL;
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning set-not-null "Book"."rating"
=== filled two migrations ago
UPDATE "Book" SET "rating" = coalesce("rating", 1);
---
ALTER TABLE "Author" ADD COLUMN "born" DATE;
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning set-not-null "Book"."rating"
=== another column was filled
UPDATE "Book" SET "pages" = 1 WHERE "pages" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== the column of that name in another table was filled
ALTER TABLE "Author" ADD COLUMN "rating" INTEGER;
---
UPDATE "Author" SET "rating" = 1 WHERE "rating" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== filled with NULL
UPDATE "Book" SET "rating" = NULL WHERE "rating" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== the rows with NULL are deleted
DELETE FROM "Book" WHERE "rating" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning delete-rows "Book"
=> warning set-not-null "Book"."rating"
=== proved by a check that was validated before
ALTER TABLE "Book" ADD CONSTRAINT "r" CHECK ("rating" IS NOT NULL) NOT VALID;
---
ALTER TABLE "Book" VALIDATE CONSTRAINT "r";
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> nothing
=== the check is not validated
ALTER TABLE "Book" ADD CONSTRAINT "r" CHECK ("rating" IS NOT NULL) NOT VALID;
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== an unrelated check is validated
ALTER TABLE "Book" ADD CONSTRAINT "p" CHECK ("pages" IS NOT NULL) NOT VALID;
---
ALTER TABLE "Book" VALIDATE CONSTRAINT "p";
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== the check says something else about the column
ALTER TABLE "Book" ADD CONSTRAINT "p" CHECK ("rating" > 0 OR "rating" IS NULL);
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> error set-not-null "Book"."rating"
=== check, validation and tightening in one file
ALTER TABLE "Book" ADD CONSTRAINT "r" CHECK ("rating" IS NOT NULL) NOT VALID;
ALTER TABLE "Book" VALIDATE CONSTRAINT "r";
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning add-constraint "Book"
=> warning set-not-null "Book"."rating"
=== the proof was dropped before it was used
ALTER TABLE "Book" ADD CONSTRAINT "r" CHECK ("rating" IS NOT NULL);
---
ALTER TABLE "Book" DROP CONSTRAINT "r";
---
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning set-not-null "Book"."rating"
=== loosened and tightened again
ALTER TABLE "Book" ALTER "title" DROP NOT NULL, ALTER "title" SET NOT NULL;
=> nothing
=== it was NOT NULL already
ALTER TABLE "Book" ALTER COLUMN "title" SET NOT NULL;
=> nothing
=== a block refuses to go on while there is NULL
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM "Book" WHERE "rating" IS NULL) THEN
    RAISE EXCEPTION 'books without a rating';
  END IF;
END $$;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL;
=> warning set-not-null "Book"."rating"
=== a block guards one column of two
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM "Book" WHERE "rating" IS NULL) THEN
    RAISE EXCEPTION 'books without a rating';
  END IF;
END $$;
ALTER TABLE "Book" ALTER COLUMN "rating" SET NOT NULL, ALTER COLUMN "pages" SET NOT NULL;
=> error set-not-null "Book"."pages"
=> warning set-not-null "Book"."rating"
=== a new primary key forbids NULL as well
CREATE TABLE "Tag" ("name" TEXT);
---
ALTER TABLE "Tag" ADD PRIMARY KEY ("name");
=> error set-not-null "Tag"."name"
=> warning unique-on-existing "Tag"("name")
=== NULL has been allowed again since it was filled
UPDATE "Book" SET "lent" = false WHERE "lent" IS NULL;
ALTER TABLE "Book" ALTER COLUMN "lent" DROP NOT NULL;
---
ALTER TABLE "Book" ALTER COLUMN "lent" SET NOT NULL;
=> error set-not-null "Book"."lent"
=== a column with a default that was always there
ALTER TABLE "Book" ADD COLUMN "copies" INTEGER DEFAULT 1;
---
ALTER TABLE "Book" ALTER COLUMN "copies" SET NOT NULL;
=> warning set-not-null "Book"."copies"
