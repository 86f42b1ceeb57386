=== a foreign key over rows that exist
ALTER TABLE "Loan" ADD CONSTRAINT "f" FOREIGN KEY ("reader") REFERENCES "Book"("id");
=> warning add-constraint "Loan"
=== a foreign key that is not yet enforced on old rows
ALTER TABLE "Loan" ADD CONSTRAINT "f" FOREIGN KEY ("reader") REFERENCES "Book"("id") NOT VALID;
=> nothing
=== a foreign key on a new nullable column
ALTER TABLE "Loan" ADD COLUMN "authorId" INTEGER;
ALTER TABLE "Loan" ADD CONSTRAINT "f" FOREIGN KEY ("authorId") REFERENCES "Author"("id");
=> nothing
=== a foreign key on a new column that is filled
ALTER TABLE "Loan" ADD COLUMN "authorId" INTEGER;
UPDATE "Loan" SET "authorId" = 1;
ALTER TABLE "Loan" ADD CONSTRAINT "f" FOREIGN KEY ("authorId") REFERENCES "Author"("id");
=> warning add-constraint "Loan"
=== a foreign key of a new table
CREATE TABLE "Room" ("id" INTEGER PRIMARY KEY, "bookId" TEXT NOT NULL);
ALTER TABLE "Room" ADD CONSTRAINT "f" FOREIGN KEY ("bookId") REFERENCES "Book"("id");
=> nothing
=== a foreign key is made again with another action
ALTER TABLE "Book" DROP CONSTRAINT "Book_authorId_fkey";
ALTER TABLE "Book" ADD CONSTRAINT "Book_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "Author"("id") ON DELETE CASCADE;
=> warning behaviour-change "Book"
=== a foreign key is made again under another name with another action on update
ALTER TABLE "Book" DROP CONSTRAINT "Book_authorId_fkey", ADD CONSTRAINT "writer" FOREIGN KEY ("authorId") REFERENCES "Author"("id") ON DELETE SET NULL ON UPDATE CASCADE;
=> warning behaviour-change "Book"
=== a foreign key is made again as it was
ALTER TABLE "Book" DROP CONSTRAINT "Book_authorId_fkey";
ALTER TABLE "Book" ADD CONSTRAINT "Book_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "Author"("id") ON DELETE SET NULL;
=> nothing
=== a foreign key goes
ALTER TABLE "Book" DROP CONSTRAINT "Book_authorId_fkey";
=> note drop-constraint "Book"
=> note lock-timeout "Book"
=== a foreign key goes because its column goes
ALTER TABLE "Book" DROP CONSTRAINT "Book_authorId_fkey";
ALTER TABLE "Book" DROP COLUMN "authorId";
=> error drop-column "Book"."authorId"
=== a constraint no migration made goes
ALTER TABLE "Book" DROP CONSTRAINT IF EXISTS "who_knows";
=> warning drop-unique "Book"
=== a check over rows that exist
ALTER TABLE "Book" ADD CONSTRAINT "c" CHECK ("pages" > 0);
=> warning add-constraint "Book"
=== a check that is not yet enforced
ALTER TABLE "Book" ADD CONSTRAINT "c" CHECK ("pages" > 0) NOT VALID;
=> nothing
=== it is validated by the next migration
ALTER TABLE "Book" ADD CONSTRAINT "c" CHECK ("pages" > 0) NOT VALID;
---
ALTER TABLE "Book" VALIDATE CONSTRAINT "c";
=> warning add-constraint "Book"
=== a check on a new column
ALTER TABLE "Book" ADD COLUMN "edition" INTEGER CHECK ("edition" > 0);
=> nothing
=== an exclusion over rows that exist
ALTER TABLE "Book" ADD CONSTRAINT "x" EXCLUDE USING gist ("printed" WITH =);
=> warning add-constraint "Book"
=== a check on a new table
CREATE TABLE "Room" ("id" INTEGER PRIMARY KEY, "seats" INTEGER, CHECK ("seats" > 0));
=> nothing
=== a check for what the column says already
ALTER TABLE "Book" ADD CONSTRAINT "c" CHECK ("title" IS NOT NULL);
=> nothing
