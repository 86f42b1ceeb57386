=== a column a view reads is dropped
ALTER TABLE "Book" DROP COLUMN "lent";
=> error drop-column "Book"."lent"
=> error view-in-the-way "LentBook"
=== a column a view does not read is dropped
ALTER TABLE "Book" DROP COLUMN "pages";
=> error drop-column "Book"."pages"
=== a table a view reads is dropped
DROP TABLE "Book";
=> error drop-table "Book"
=> error view-in-the-way "LentBook"
=== with CASCADE the view goes too
ALTER TABLE "Book" DROP COLUMN "lent" CASCADE;
=> error drop-column "Book"."lent"
=> warning cascade
=> warning drop-object "LentBook"
=== a table and, with CASCADE, its view
DROP TABLE "Book" CASCADE;
=> error drop-table "Book"
=> warning drop-object "LentBook"
=== a column a view reads gets a wider type, which is harmless without the view
CREATE VIEW "Isbn" AS SELECT b."isbn" FROM "Book" b;
---
ALTER TABLE "Book" ALTER COLUMN "isbn" TYPE VARCHAR(40);
=> error view-in-the-way "Isbn"
=== the same with the view out of the way
CREATE VIEW "Isbn" AS SELECT b."isbn" FROM "Book" b;
---
DROP VIEW "Isbn";
ALTER TABLE "Book" ALTER COLUMN "isbn" TYPE VARCHAR(40);
CREATE VIEW "Isbn" AS SELECT b."isbn" FROM "Book" b;
=> nothing
=== a materialized view is in the way as well
CREATE MATERIALIZED VIEW "Prices" AS SELECT "id", sum("price") AS "total" FROM "Book" GROUP BY "id";
---
ALTER TABLE "Book" ALTER COLUMN "price" TYPE NUMERIC(12,2);
=> error view-in-the-way "Prices"
=== a star is every column there was when the view was made
CREATE VIEW "All" AS SELECT * FROM "Loan";
ALTER TABLE "Loan" ADD COLUMN "late" VARCHAR(3);
---
ALTER TABLE "Loan" ALTER COLUMN "late" TYPE VARCHAR(9);
ALTER TABLE "Loan" ALTER COLUMN "reader" TYPE VARCHAR;
=> error view-in-the-way "All"
=== a view over two tables, by names that may be either's
CREATE VIEW "Both" AS SELECT b."isbn", l."reader" FROM "Book" b JOIN "Loan" l ON l."bookId" = b."id";
---
ALTER TABLE "Book" ALTER COLUMN "isbn" TYPE VARCHAR(40);
=> warning view-in-the-way "Both"
=== a view of a view
CREATE VIEW "Outer" AS SELECT "id" FROM "LentBook";
---
DROP VIEW "LentBook";
=> error view-in-the-way "Outer"
=> warning drop-object "LentBook"
=== both at once, in any order
CREATE VIEW "Outer" AS SELECT "id" FROM "LentBook";
---
DROP VIEW "LentBook", "Outer";
=> warning drop-object "LentBook"
=> warning drop-object "Outer"
=== a view goes on reading a column that has another name
ALTER TABLE "Book" RENAME COLUMN "lent" TO "away";
ALTER TABLE "Book" DROP COLUMN "away";
=> error drop-column "Book"."lent"
=> error view-in-the-way "LentBook"
=== a view gets one more column
CREATE OR REPLACE VIEW "LentBook" AS SELECT "id", "title" FROM "Book" WHERE "lent";
=> nothing
=== a replaced view loses a column, which is refused
CREATE OR REPLACE VIEW "LentBook" AS SELECT "title" FROM "Book" WHERE "lent";
=> error view-column "LentBook"
=== a view is made again and loses a column
DROP VIEW "LentBook";
CREATE VIEW "LentBook" AS SELECT "title" FROM "Book" WHERE "lent";
=> warning view-column "LentBook"
=== a view is made again and gives the column another name
DROP VIEW "LentBook";
CREATE VIEW "LentBook" AS SELECT "id" AS "book" FROM "Book" WHERE "lent";
=> warning view-column "LentBook"
=== a view is made again with the names of its columns before the query
DROP VIEW "LentBook";
CREATE VIEW "LentBook" ("id", "name") AS SELECT b."id", b."title" FROM "Book" b;
=> nothing
=== a view the file makes may come and go
CREATE VIEW "Draft" AS SELECT "isbn" FROM "Book";
DROP VIEW "Draft";
ALTER TABLE "Book" ALTER COLUMN "isbn" TYPE VARCHAR(40);
=> nothing
