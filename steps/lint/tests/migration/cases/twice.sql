=== a migration's folder was copied
CREATE TABLE "Shop" ("id" TEXT PRIMARY KEY);
CREATE INDEX "Shop_id_idx" ON "Shop"("id");
---
CREATE TABLE "Shop" ("id" TEXT PRIMARY KEY);
CREATE INDEX "Shop_id_idx" ON "Shop"("id");
=> error made-twice "Shop"
=== a column is added twice
ALTER TABLE "Author" ADD COLUMN "name" TEXT;
=> error made-twice "Author"."name"
=== a type is made twice
CREATE TYPE "Genre" AS ENUM ('novel', 'poetry', 'essay');
=> error made-twice "Genre"
=== a constraint is made twice
ALTER TABLE "Author" ADD CONSTRAINT "Author_pkey" PRIMARY KEY ("id");
=> error made-twice "Author"."Author_pkey"
=== IF NOT EXISTS over a table that is smaller
CREATE TABLE IF NOT EXISTS "Author" ("id" SERIAL PRIMARY KEY, "born" DATE);
=> warning made-twice "Author"
=== IF NOT EXISTS over a table that has all of it
CREATE TABLE IF NOT EXISTS "Author" ("id" SERIAL PRIMARY KEY, "name" TEXT NOT NULL);
=> nothing
=== in a block that catches the error
DO $$ BEGIN CREATE TYPE "Genre" AS ENUM ('novel', 'poetry', 'essay'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;
=> nothing
=== dropped in between
DROP TABLE "Loan";
---
CREATE TABLE "Loan" ("id" TEXT PRIMARY KEY);
=> nothing
=== dropped by SQL that is not read
DO $$ BEGIN EXECUTE 'DROP TABLE "Loan"'; END $$;
---
CREATE TABLE "Loan" ("id" TEXT PRIMARY KEY);
=> warning made-twice "Loan"
