=== text becomes limited
ALTER TABLE "Book" ALTER COLUMN "title" TYPE VARCHAR(80);
=> error narrow-type "Book"."title"
=== a limit is lowered
ALTER TABLE "Book" ALTER COLUMN "isbn" SET DATA TYPE VARCHAR(13);
=> error narrow-type "Book"."isbn"
=== a limit is raised
ALTER TABLE "Book" ALTER COLUMN "isbn" SET DATA TYPE VARCHAR(40);
=> nothing
=== a limit is taken away
ALTER TABLE "Book" ALTER COLUMN "isbn" SET DATA TYPE TEXT;
=> nothing
=== bigint to integer
ALTER TABLE "Book" ALTER COLUMN "pages" TYPE INTEGER;
=> error narrow-type "Book"."pages"
=== integer to bigint rewrites the table
ALTER TABLE "Book" ALTER COLUMN "rating" TYPE BIGINT;
=> warning change-type "Book"."rating"
=== integer, written in another way
ALTER TABLE "Book" ALTER COLUMN "rating" TYPE int4;
=> nothing
=== the time of day is lost
ALTER TABLE "Book" ALTER COLUMN "printed" TYPE DATE;
=> error narrow-type "Book"."printed"
=== a time becomes yes or no
ALTER TABLE "Book" ALTER COLUMN "printed" TYPE BOOLEAN USING ("printed" IS NOT NULL);
=> error narrow-type "Book"."printed"
=== a time gets a zone
ALTER TABLE "Book" ALTER COLUMN "printed" TYPE TIMESTAMPTZ(3);
=> warning change-type "Book"."printed"
=== fewer digits behind the point
ALTER TABLE "Book" ALTER COLUMN "price" TYPE NUMERIC(10,1);
=> error narrow-type "Book"."price"
=== more digits before the point
ALTER TABLE "Book" ALTER COLUMN "price" TYPE NUMERIC(12,2);
=> nothing
=== numeric without limits
ALTER TABLE "Book" ALTER COLUMN "price" TYPE NUMERIC;
=> nothing
=== money as floating point
ALTER TABLE "Book" ALTER COLUMN "price" TYPE DOUBLE PRECISION;
=> error narrow-type "Book"."price"
=== an array becomes one value
ALTER TABLE "Book" ALTER COLUMN "tags" TYPE TEXT USING "tags"[1];
=> error narrow-type "Book"."tags"
=== one value becomes an array
ALTER TABLE "Book" ALTER COLUMN "title" TYPE TEXT[] USING ARRAY["title"];
=> warning change-type "Book"."title"
=== text becomes a number
ALTER TABLE "Book" ALTER COLUMN "title" TYPE INTEGER USING "title"::integer;
=> error narrow-type "Book"."title"
=== case no longer counts under a unique index
ALTER TABLE "Book" ALTER COLUMN "title" TYPE CITEXT;
=> warning change-type "Book"."title"
=> warning unique-on-existing "Book"("title")
=== case no longer counts, and nothing is unique
ALTER TABLE "Author" ALTER COLUMN "name" TYPE CITEXT;
=> warning change-type "Author"."name"
=== an enum becomes text
ALTER TABLE "Book" ALTER COLUMN "genre" TYPE TEXT;
=> warning change-type "Book"."genre"
=== text becomes an enum
CREATE TYPE "Reader" AS ENUM ('adult', 'child');
ALTER TABLE "Loan" ALTER COLUMN "reader" TYPE "Reader" USING "reader"::"Reader";
=> warning change-type "Loan"."reader"
=== a new column's type is free
ALTER TABLE "Book" ADD COLUMN "edition" BIGINT;
ALTER TABLE "Book" ALTER COLUMN "edition" TYPE SMALLINT;
=> nothing
=== the type changes there and back
ALTER TABLE "Book" ALTER COLUMN "rating" TYPE BIGINT;
ALTER TABLE "Book" ALTER COLUMN "rating" TYPE INTEGER;
=> nothing
=== a column no migration made
ALTER TABLE "Elsewhere" ALTER COLUMN "x" TYPE INTEGER;
=> warning change-type "Elsewhere"."x"
=== text becomes JSON
ALTER TABLE "Book" ALTER COLUMN "title" TYPE JSONB USING "title"::jsonb;
=> warning change-type "Book"."title"
