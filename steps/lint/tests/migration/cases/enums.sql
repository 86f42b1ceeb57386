=== a label is added
ALTER TYPE "Genre" ADD VALUE 'drama';
=> nothing
=== a label is added before another, if it is not there
ALTER TYPE "Genre" ADD VALUE IF NOT EXISTS 'drama' BEFORE 'essay';
=> nothing
=== a label gets another name
ALTER TYPE "Genre" RENAME VALUE 'novel' TO 'fiction';
=> error enum-value-removed "Genre"
=== a label gets another name there and back
ALTER TYPE "Genre" RENAME VALUE 'novel' TO 'fiction';
ALTER TYPE "Genre" RENAME VALUE 'fiction' TO 'novel';
=> nothing
=== exchanged for one that lacks a label
BEGIN;
CREATE TYPE "Genre_new" AS ENUM ('novel', 'essay');
ALTER TABLE "Book" ALTER COLUMN "genre" DROP DEFAULT;
ALTER TABLE "Book" ALTER COLUMN "genre" TYPE "Genre_new" USING ("genre"::text::"Genre_new");
ALTER TABLE "Loan" ALTER COLUMN "genres" TYPE "Genre_new"[] USING ("genres"::text::"Genre_new"[]);
ALTER TYPE "Genre" RENAME TO "Genre_old";
ALTER TYPE "Genre_new" RENAME TO "Genre";
DROP TYPE "Genre_old";
ALTER TABLE "Book" ALTER COLUMN "genre" SET DEFAULT 'novel';
COMMIT;
=> warning explicit-transaction
=> error enum-value-removed "Genre"
=== exchanged, with qualified names
CREATE TYPE "public"."Shelf_new" AS ENUM ('left');
ALTER TABLE "public"."Book" ALTER COLUMN "shelf" TYPE "public"."Shelf_new" USING ("shelf"::text::"public"."Shelf_new");
ALTER TYPE "public"."Shelf" RENAME TO "Shelf_old";
ALTER TYPE "public"."Shelf_new" RENAME TO "Shelf";
DROP TYPE "public"."Shelf_old";
=> error enum-value-removed "Shelf"
=== exchanged for the same labels in another order
CREATE TYPE "Shelf_new" AS ENUM ('right', 'left');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf_new" USING ("shelf"::text::"Shelf_new");
ALTER TYPE "Shelf" RENAME TO "Shelf_old";
ALTER TYPE "Shelf_new" RENAME TO "Shelf";
DROP TYPE "Shelf_old";
=> nothing
=== exchanged for more labels
CREATE TYPE "Shelf_new" AS ENUM ('left', 'middle', 'right');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf_new" USING ("shelf"::text::"Shelf_new");
ALTER TYPE "Shelf" RENAME TO "Shelf_old";
ALTER TYPE "Shelf_new" RENAME TO "Shelf";
DROP TYPE "Shelf_old";
=> nothing
=== reordered while a column is dropped
CREATE TYPE "Shelf_new" AS ENUM ('right', 'left');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf_new" USING ("shelf"::text::"Shelf_new");
ALTER TYPE "Shelf" RENAME TO "Shelf_old";
ALTER TYPE "Shelf_new" RENAME TO "Shelf";
DROP TYPE "Shelf_old";
ALTER TABLE "Book" DROP COLUMN "isbn";
=> error drop-column "Book"."isbn"
=== a label is mapped to another while it goes
CREATE TYPE "Genre_new" AS ENUM ('fiction', 'poetry', 'essay');
ALTER TABLE "Book" ALTER COLUMN "genre" DROP DEFAULT;
ALTER TABLE "Book" ALTER COLUMN "genre" TYPE "Genre_new" USING (CASE "genre"::text WHEN 'novel' THEN 'fiction' ELSE "genre"::text END::"Genre_new");
ALTER TYPE "Genre" RENAME TO "Genre_old";
ALTER TYPE "Genre_new" RENAME TO "Genre";
DROP TYPE "Genre_old";
ALTER TABLE "Book" ALTER COLUMN "genre" SET DEFAULT 'fiction';
=> error enum-value-removed "Genre"
=== the rows are converted first
UPDATE "Book" SET "shelf" = 'left' WHERE "shelf" = 'right';
CREATE TYPE "Shelf_new" AS ENUM ('left');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf_new" USING ("shelf"::text::"Shelf_new");
ALTER TYPE "Shelf" RENAME TO "Shelf_old";
ALTER TYPE "Shelf_new" RENAME TO "Shelf";
DROP TYPE "Shelf_old";
=> warning update-rows "Book"."shelf"
=> error enum-value-removed "Shelf"
=== through a second column that takes the name
CREATE TYPE "Place" AS ENUM ('left');
ALTER TABLE "Book" ADD COLUMN "place" "Place";
UPDATE "Book" SET "place" = (CASE WHEN "shelf" = 'left' THEN 'left' END)::"Place";
ALTER TABLE "Book" DROP COLUMN "shelf";
ALTER TABLE "Book" RENAME COLUMN "place" TO "shelf";
DROP TYPE "Shelf";
ALTER TYPE "Place" RENAME TO "Shelf";
=> error enum-value-removed "Shelf"
=> warning change-type "Book"."shelf"
=== through a second column, nothing lost
CREATE TYPE "Place" AS ENUM ('left', 'right', 'top');
ALTER TABLE "Book" ADD COLUMN "place" "Place";
UPDATE "Book" SET "place" = "shelf"::text::"Place";
ALTER TABLE "Book" DROP COLUMN "shelf";
ALTER TABLE "Book" RENAME COLUMN "place" TO "shelf";
DROP TYPE "Shelf";
ALTER TYPE "Place" RENAME TO "Shelf";
=> warning change-type "Book"."shelf"
=== another enum takes the column, and lacks a label
CREATE TYPE "Side" AS ENUM ('left');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Side" USING "shelf"::text::"Side";
=> error enum-value-removed "Book"."shelf"
=== the type gets another name
ALTER TYPE "Genre" RENAME TO "BookGenre";
=> warning rename-type "Genre"
=== the type goes, with its columns
DROP TYPE "Shelf" CASCADE;
=> error drop-column "Book"."shelf"
=> warning drop-object "Shelf"
=== a type made by the file goes
CREATE TYPE "Mood" AS ENUM ('good');
DROP TYPE "Mood";
=> nothing
=== a label that an earlier migration added is removed
ALTER TYPE "Shelf" ADD VALUE 'top';
---
CREATE TYPE "Shelf_new" AS ENUM ('left', 'right');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf_new" USING ("shelf"::text::"Shelf_new");
ALTER TYPE "Shelf" RENAME TO "Shelf_old";
ALTER TYPE "Shelf_new" RENAME TO "Shelf";
DROP TYPE "Shelf_old";
=> error enum-value-removed "Shelf"
=== a label is added and becomes a default at once
ALTER TYPE "Genre" ADD VALUE 'drama';
ALTER TABLE "Book" ALTER COLUMN "genre" SET DEFAULT 'drama';
=> error new-label-used "Genre"
=== a label is added and written at once
ALTER TYPE "Genre" ADD VALUE 'drama';
UPDATE "Book" SET "genre" = 'drama' WHERE "title" LIKE 'Act%';
=> error new-label-used "Genre"
=> warning update-rows "Book"."genre"
=== a label is added and used in an index
ALTER TYPE "Shelf" ADD VALUE 'top';
CREATE INDEX "Book_top" ON "Book"("title") WHERE "shelf" = 'top';
=> error new-label-used "Shelf"
=== a label is added and the same word is written elsewhere
ALTER TYPE "Genre" ADD VALUE 'drama';
INSERT INTO "Author" ("name") VALUES ('drama');
=> nothing
=== a label is added, committed, then used
BEGIN;
ALTER TYPE "Genre" ADD VALUE 'drama';
COMMIT;
ALTER TABLE "Book" ALTER COLUMN "genre" SET DEFAULT 'drama';
=> warning explicit-transaction
=== a label is added in one migration and used in the next
ALTER TYPE "Genre" ADD VALUE 'drama';
---
ALTER TABLE "Book" ALTER COLUMN "genre" SET DEFAULT 'drama';
=> nothing
=== a label of a type the file makes may be used
CREATE TYPE "Mood" AS ENUM ('good');
ALTER TYPE "Mood" ADD VALUE 'bad';
ALTER TABLE "Book" ADD COLUMN "mood" "Mood" NOT NULL DEFAULT 'bad';
=> nothing
=== through text, the type dropped and made again without a label
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE TEXT;
DROP TYPE "Shelf";
CREATE TYPE "Shelf" AS ENUM ('left');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf" USING "shelf"::"Shelf";
=> error enum-value-removed "Shelf"
=== through text, the type made again with the same labels
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE TEXT;
DROP TYPE "Shelf";
CREATE TYPE "Shelf" AS ENUM ('right', 'left');
ALTER TABLE "Book" ALTER COLUMN "shelf" TYPE "Shelf" USING "shelf"::"Shelf";
=> nothing
