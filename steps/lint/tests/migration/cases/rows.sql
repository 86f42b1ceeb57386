=== every row goes
TRUNCATE "Loan";
=> error truncate "Loan"
=== every row goes, and those that refer to it
TRUNCATE TABLE "Author", "Book" RESTART IDENTITY CASCADE;
=> error truncate "Author"
=> error truncate "Book"
=== DELETE without WHERE
DELETE FROM "Loan";
=> error delete-all "Loan"
=== DELETE with a WHERE that selects everything
DELETE FROM "Loan" WHERE 1 = 1;
=> error delete-all "Loan"
=== DELETE of some rows
DELETE FROM "Loan" WHERE "reader" = '';
=> warning delete-rows "Loan"
=== a comment stands before DELETE
-- start over
DELETE FROM "Loan"; -- WHERE "id" = 1
=> error delete-all "Loan"
=== DELETE in a CTE
WITH gone AS (DELETE FROM "Loan" WHERE "reader" = '' RETURNING *) SELECT count(*) FROM gone;
=> warning delete-rows "Loan"
=== UPDATE without WHERE
UPDATE "Book" SET "rating" = 1;
=> error update-all "Book"."rating"
=== UPDATE of a new column without WHERE
ALTER TABLE "Book" ADD COLUMN "slug" TEXT;
UPDATE "Book" SET "slug" = lower("title");
=> nothing
=== UPDATE of NULLs only
UPDATE "Book" SET "rating" = 1 WHERE "rating" IS NULL;
=> nothing
=== UPDATE of NULLs and more
UPDATE "Book" SET "rating" = 1 WHERE "rating" IS NULL OR "rating" < 1;
=> warning update-rows "Book"."rating"
=== UPDATE of NULLs in one column and everything in another
UPDATE "Book" SET "rating" = 1, "pages" = 1 WHERE "rating" IS NULL;
=> warning update-rows "Book"."rating", "Book"."pages"
=== UPDATE to NULL
UPDATE "Book" SET "isbn" = NULL WHERE "isbn" = '';
=> warning update-rows "Book"."isbn"
=== rows are inserted
INSERT INTO "Author" ("name") VALUES ('Unknown') ON CONFLICT DO NOTHING;
=> nothing
=== rows are inserted or overwritten
INSERT INTO "Author" ("id", "name") VALUES (1, 'Unknown') ON CONFLICT ("id") DO UPDATE SET "name" = EXCLUDED."name";
=> warning update-rows "Author"
=== rows are written in the query that makes a table
WITH added AS (INSERT INTO "Author" ("name") VALUES ('x') RETURNING "id") SELECT * FROM added;
=> nothing
=== rows of a table the file makes
CREATE TABLE "Work" ("id" INTEGER);
DELETE FROM "Work"; UPDATE "Work" SET "id" = 1; TRUNCATE "Work";
=> nothing
=== UPDATE of every row through a subquery
UPDATE "Book" SET "rating" = (SELECT 5);
=> error update-all "Book"."rating"
=== UPDATE from another table
UPDATE "Book" b SET "title" = a."name" FROM "Author" a WHERE a."id" = b."authorId";
=> warning update-rows "Book"."title"
