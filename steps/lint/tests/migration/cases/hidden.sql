=== a drop in a DO block
DO $$ BEGIN
  IF EXISTS (SELECT 1 FROM information_schema.columns WHERE column_name = 'isbn') THEN
    ALTER TABLE "Book" DROP COLUMN IF EXISTS "isbn" CASCADE;
  END IF;
END $$;
=> error drop-column "Book"."isbn"
=> warning cascade
=== a table dropped in a loop
DO $do$ DECLARE r record; BEGIN
  FOR r IN SELECT 1 LOOP DROP TABLE "Loan"; END LOOP;
END $do$;
=> error drop-table "Loan"
=== a drop in an exception handler
DO $$ BEGIN PERFORM 1; EXCEPTION WHEN others THEN DROP TABLE "Loan"; END $$;
=> error drop-table "Loan"
=== a unique index over random values, all in a DO block
DO $$ BEGIN
  ALTER TABLE "Book" ADD COLUMN "code" TEXT;
  UPDATE "Book" SET "code" = substr(md5(random()::text), 1, 4);
  CREATE UNIQUE INDEX "Book_code_key" ON "Book"("code");
END $$;
=> warning unique-on-existing "Book"("code")
=== a type that is made only once
DO $$ BEGIN CREATE TYPE "Mood" AS ENUM ('good'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;
=> nothing
=== SQL made at run time
DO $$ BEGIN EXECUTE 'DROP TABLE ' || quote_ident('Loan'); END $$;
=> warning dynamic-sql
=== SQL made at run time in a loop
DO $$ DECLARE t text; BEGIN FOR t IN SELECT 'Loan' LOOP EXECUTE format('TRUNCATE %I', t); END LOOP; END $$;
=> warning dynamic-sql
=== renames that are run as text
ALTER TABLE "Loan" RENAME TO "Lending";
DO $$ BEGIN EXECUTE 'ALTER INDEX "Loan_pkey" RENAME TO "Lending_pkey"'; END $$;
=> error rename-table "Loan"
=> warning dynamic-sql
=== a function that drops, only defined
CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS $$ DROP TABLE "Loan" $$;
=> error drop-table "Loan"
=== a function made by an earlier migration is run
CREATE FUNCTION tidy() RETURNS void LANGUAGE sql AS $$ SELECT 1 $$;
---
SELECT tidy();
=> warning runs-function "tidy"
=== a function nobody knows is run
SELECT app.cleanup(30);
=> warning runs-function "app"."cleanup"
=== a procedure is called
CALL tidy();
=> warning runs-function "tidy"
=== a trigger on a table that exists
CREATE TRIGGER touch BEFORE UPDATE ON "Book" FOR EACH ROW EXECUTE FUNCTION touched();
=> warning behaviour-change
=== row security is switched on
ALTER TABLE "Book" ENABLE ROW LEVEL SECURITY;
=> warning behaviour-change
=== rights are taken
REVOKE ALL ON "Book" FROM app;
=> warning behaviour-change
=== a block in a language that cannot be read
DO LANGUAGE plpython3u $$ plpy.execute("DROP TABLE x") $$;
=> warning dynamic-sql
=== a prepared statement
PREPARE p AS DELETE FROM "Loan";
EXECUTE p;
=> warning dynamic-sql
=== a statement without a rule
ALTER DATABASE app SET work_mem = '1GB';
=> warning unknown-statement
=== another search path
SET search_path = audit;
DROP TABLE entry;
=> error drop-table "entry"
=> warning unknown-statement
