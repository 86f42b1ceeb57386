//! The texts of the rules.

use super::{Explanation, RuleId};

const CHECKLIST: &str = "release protocol, phase 1: schema compatibility";
const MANUAL: &str = "PostgreSQL manual";

macro_rules! explanation {
    ($title:literal, $why:literal, $fix:literal, $bad:literal, $good:literal, $source:expr) => {
        &Explanation {
            title: $title,
            why: $why,
            fix: $fix,
            bad: $bad,
            good: $good,
            source: $source,
        }
    };
}

#[expect(clippy::too_many_lines, reason = "a table: one entry per rule")]
pub(super) fn of(rule: RuleId) -> &'static Explanation {
    match rule {
        RuleId::DropColumn => explanation!(
            "a column is dropped",
            "Its values are lost, and the version that still runs during the release (and the one a rollback returns to) selects it by name.",
            "Stop using the column in one release; drop it in a later one, after a verified backup.",
            r#"ALTER TABLE "Task" DROP COLUMN "notes";"#,
            r#"ALTER TABLE "Task" ADD COLUMN "remarks" TEXT; -- DROP COLUMN "notes" follows in a later release"#,
            CHECKLIST
        ),
        RuleId::DropTable => explanation!(
            "a table is dropped",
            "Its rows are lost, and the running version still queries it.",
            "Stop using the table in one release; drop it in a later one, after a verified backup.",
            r#"DROP TABLE IF EXISTS "Task";"#,
            r#"CREATE TEMP TABLE "work" ("id" INTEGER); DROP TABLE "work";"#,
            CHECKLIST
        ),
        RuleId::DropContainer => explanation!(
            "a schema, a database or everything a role owns is dropped",
            "Every table in it goes at once, and nothing in the statement says which.",
            "Drop the tables one by one, each after it is no longer used.",
            r"DROP SCHEMA app CASCADE;",
            r"CREATE SCHEMA app;",
            CHECKLIST
        ),
        RuleId::RenameColumn => explanation!(
            "a column is renamed",
            "The running version selects and writes the old name: every such query fails the moment the migration commits.",
            "Keep the name in the database and map it (Prisma: @map), or add the new column, copy, and drop the old one later.",
            r#"ALTER TABLE "Task" RENAME "notes" TO "remarks";"#,
            r#"ALTER TABLE "Task" RENAME CONSTRAINT "Task_pkey" TO "Task_id_pkey";"#,
            CHECKLIST
        ),
        RuleId::RenameTable => explanation!(
            "a table is renamed or moved to another schema",
            "The running version queries the old name.",
            "Keep the name in the database and map it (Prisma: @@map).",
            r#"ALTER TABLE "Task" RENAME TO "Job";"#,
            r#"ALTER INDEX "Task_title_key" RENAME TO "Task_title_unique";"#,
            CHECKLIST
        ),
        RuleId::RenameType => explanation!(
            "a type is renamed",
            "Clients that cast by type name (Prisma does for enums) fail until they are replaced.",
            "Keep the name in the database and map it (Prisma: @@map on the enum).",
            r#"ALTER TYPE "Status" RENAME TO "TaskStatus";"#,
            r#"ALTER TYPE "Status" ADD VALUE 'paused';"#,
            CHECKLIST
        ),
        RuleId::SetNotNull => explanation!(
            "an existing column no longer takes NULL",
            "The migration fails if one row holds NULL, and the running version's writes of NULL fail afterwards.",
            "Backfill first, prove that no NULL is left, and tighten the column in a release after the one that stopped writing NULL.",
            r#"ALTER TABLE "Task" ALTER COLUMN "notes" SET NOT NULL;"#,
            r#"UPDATE "Task" SET "notes" = '' WHERE "notes" IS NULL; -- SET NOT NULL follows in a later release"#,
            CHECKLIST
        ),
        RuleId::RequiredColumn => explanation!(
            "a new column is NOT NULL and has no default",
            "On a table with rows the migration fails; where rows are filled first, the running version's INSERTs fail because they do not name the column.",
            "Add the column as nullable or with a default.",
            r#"ALTER TABLE "Task" ADD COLUMN "owner" TEXT NOT NULL;"#,
            r#"ALTER TABLE "Task" ADD COLUMN "owner" TEXT NOT NULL DEFAULT '';"#,
            CHECKLIST
        ),
        RuleId::EnumValueRemoved => explanation!(
            "an enum loses a label",
            "Rows that hold it make the migration fail, and the running version still writes and reads it.",
            "Only add labels. To retire one, stop writing it, convert the rows, and remove it in a later release.",
            r#"CREATE TYPE "Status_new" AS ENUM ('open');
ALTER TABLE "Task" ALTER COLUMN "status" DROP DEFAULT;
ALTER TABLE "Task" ALTER COLUMN "status" TYPE "Status_new" USING ("status"::text::"Status_new");
ALTER TYPE "Status" RENAME TO "Status_old";
ALTER TYPE "Status_new" RENAME TO "Status";
DROP TYPE "Status_old";
ALTER TABLE "Task" ALTER COLUMN "status" SET DEFAULT 'open';"#,
            r#"ALTER TYPE "Status" ADD VALUE 'paused';"#,
            CHECKLIST
        ),
        RuleId::UniqueOnExisting => explanation!(
            "a unique key over columns that hold data",
            "The migration fails if two rows agree, and the running version's inserts may start to fail.",
            "Look for duplicates in the real data first (the release does), and resolve them.",
            r#"CREATE UNIQUE INDEX "Task_notes_key" ON "Task"("notes");"#,
            r#"ALTER TABLE "Task" ADD COLUMN "code" TEXT; CREATE UNIQUE INDEX "Task_code_key" ON "Task"("code");"#,
            CHECKLIST
        ),
        RuleId::DropUnique => explanation!(
            "a unique key is dropped",
            "Upserts (ON CONFLICT) that name these columns fail, duplicates become possible, and the key cannot come back once there are some.",
            "Drop it only after no running version relies on it.",
            r#"DROP INDEX "Task_title_key";"#,
            r#"DROP INDEX "Task_title_key"; CREATE UNIQUE INDEX "Task_title_unique" ON "Task"("title");"#,
            MANUAL
        ),
        RuleId::Truncate => explanation!(
            "a table is emptied",
            "Every row is lost (with CASCADE also those of tables that refer to it).",
            "Data does not leave in a migration: delete it deliberately, after a verified backup.",
            r#"TRUNCATE TABLE "Task";"#,
            r#"CREATE TEMP TABLE "work" ("id" INTEGER); TRUNCATE "work";"#,
            CHECKLIST
        ),
        RuleId::DeleteAll => explanation!(
            "DELETE without a condition",
            "Every row is lost.",
            "Name the rows that must go, in a WHERE clause a reviewer can check.",
            r#"DELETE FROM "Task";"#,
            r#"SELECT count(*) FROM "Task";"#,
            CHECKLIST
        ),
        RuleId::DeleteRows => explanation!(
            "rows are deleted",
            "The row counts before and after the release will differ, and the rows return only from a backup.",
            "Confirm with the owner of the data that exactly these rows must go.",
            r#"DELETE FROM "Task" WHERE "notes" IS NULL;"#,
            r#"SELECT count(*) FROM "Task" WHERE "notes" IS NULL;"#,
            CHECKLIST
        ),
        RuleId::UpdateAll => explanation!(
            "UPDATE of an existing column without a condition",
            "The old value of every row is lost.",
            "Write into a new column, or name the rows in a WHERE clause.",
            r#"UPDATE "Task" SET "notes" = '';"#,
            r#"ALTER TABLE "Task" ADD COLUMN "remarks" TEXT; UPDATE "Task" SET "remarks" = "notes";"#,
            CHECKLIST
        ),
        RuleId::UpdateRows => explanation!(
            "values of existing rows are overwritten",
            "The old values return only from a backup.",
            "Confirm that exactly these rows must change; filling what is NULL needs no confirmation.",
            r#"UPDATE "Task" SET "notes" = '' WHERE "id" < 100;"#,
            r#"UPDATE "Task" SET "notes" = '' WHERE "notes" IS NULL;"#,
            CHECKLIST
        ),
        RuleId::NarrowType => explanation!(
            "a column's new type cannot hold every old value",
            "Values that do not fit make the migration fail or are cut silently, and the running version writes values that no longer fit.",
            "Add a column of the new type, copy, check, and drop the old one later.",
            r#"ALTER TABLE "Task" ALTER COLUMN "size" SET DATA TYPE INTEGER;"#,
            r#"ALTER TABLE "Task" ADD COLUMN "size_small" INTEGER;"#,
            "PostgreSQL manual, chapter Data Types: ranges of the numeric, character and date/time types"
        ),
        RuleId::ChangeType => explanation!(
            "a column's type changes",
            "The table is rewritten under an exclusive lock unless the types are binary compatible, and the running version may not know the new type.",
            "Add a column of the new type, copy, and drop the old one later.",
            r#"ALTER TABLE "Task" ALTER COLUMN "notes" SET DATA TYPE JSONB USING "notes"::jsonb;"#,
            r#"ALTER TABLE "Task" ALTER COLUMN "notes" SET DATA TYPE TEXT;"#,
            MANUAL
        ),
        RuleId::DropDefault => explanation!(
            "a required column loses its default",
            "INSERTs of the running version that leave the column out fail.",
            "Keep the default until no running version relies on it.",
            r#"ALTER TABLE "Task" ALTER COLUMN "status" DROP DEFAULT;"#,
            r#"ALTER TABLE "Task" ALTER COLUMN "status" SET DEFAULT 'closed';"#,
            CHECKLIST
        ),
        RuleId::AddConstraint => explanation!(
            "a constraint over rows that exist",
            "The migration fails if one row violates it, and the running version's writes may start to fail.",
            "Add it NOT VALID, repair the rows, and VALIDATE it in a later migration.",
            r#"ALTER TABLE "Task" ADD CONSTRAINT "Task_size_check" CHECK ("size" > 0);"#,
            r#"ALTER TABLE "Task" ADD CONSTRAINT "Task_size_check" CHECK ("size" > 0) NOT VALID;"#,
            MANUAL
        ),
        RuleId::DropConstraint => explanation!(
            "a foreign key or a check is gone",
            "Rows it kept out can be written, and ON DELETE CASCADE or SET NULL no longer happens.",
            "Make sure that no version that runs during the release relies on it.",
            r#"ALTER TABLE "Task" DROP CONSTRAINT "Task_parent_fkey";"#,
            r#"ALTER TABLE "Task" DROP CONSTRAINT "Task_parent_fkey"; ALTER TABLE "Task" ADD CONSTRAINT "Task_parent_fkey" FOREIGN KEY ("parent") REFERENCES "Task"("id");"#,
            MANUAL
        ),
        RuleId::DropNotNull => explanation!(
            "a column may be NULL that never was",
            "Code that reads it without a check fails on the first NULL that is written.",
            "Release the code that handles NULL first (the release looks for code that does not).",
            r#"ALTER TABLE "Task" ALTER COLUMN "title" DROP NOT NULL;"#,
            r#"ALTER TABLE "Task" ADD COLUMN "subtitle" TEXT;"#,
            CHECKLIST
        ),
        RuleId::Cascade => explanation!(
            "CASCADE on a drop",
            "Everything that depends on the object goes along: views, foreign keys, defaults, columns. The statement does not say which.",
            "Drop what depends on it by name, then drop it without CASCADE; PostgreSQL lists what is left.",
            r#"DROP VIEW "OpenTask" CASCADE;"#,
            r#"DROP VIEW "OpenTask";"#,
            MANUAL
        ),
        RuleId::TableRewrite => explanation!(
            "a table is rewritten as a whole",
            "Nothing can read or write it until every row is written anew; on a large table that is an outage.",
            "Add the column without a value, set the default for new rows, fill old rows in batches.",
            r#"ALTER TABLE "Task" ADD COLUMN "key" UUID NOT NULL DEFAULT gen_random_uuid();"#,
            r#"ALTER TABLE "Task" ADD COLUMN "key" UUID; ALTER TABLE "Task" ALTER COLUMN "key" SET DEFAULT gen_random_uuid();"#,
            "PostgreSQL manual, ALTER TABLE, notes on rewriting"
        ),
        RuleId::IndexBlocksWrites => explanation!(
            "an index is built without CONCURRENTLY",
            "The table takes no writes until the index is built; on a large table that is minutes.",
            "Build it CONCURRENTLY, in a migration of its own.",
            r#"CREATE INDEX "Task_size_idx" ON "Task"("size");"#,
            r#"CREATE INDEX CONCURRENTLY "Task_size_idx" ON "Task"("size");"#,
            "PostgreSQL manual, CREATE INDEX, Building Indexes Concurrently"
        ),
        RuleId::WorkUnderLock => explanation!(
            "long work while a table is locked",
            "A lock is held until the migration ends: what could run beside the application keeps it waiting instead.",
            "Put the work into a migration of its own, before or after the one that alters the table.",
            r#"ALTER TABLE "Task" ADD COLUMN "due" DATE; UPDATE "Task" SET "due" = now() WHERE "due" IS NULL;"#,
            r#"UPDATE "Task" SET "notes" = '' WHERE "notes" IS NULL;"#,
            "PostgreSQL manual, Explicit Locking: locks are held until the end of the transaction"
        ),
        RuleId::LockTimeout => explanation!(
            "a lock is waited for without a limit",
            "ALTER TABLE waits behind the longest query that uses the table, and every later query waits behind ALTER TABLE.",
            "Set lock_timeout, and run the migration again when it was reached.",
            r#"ALTER TABLE "Task" ADD COLUMN "due" DATE;"#,
            r#"SET lock_timeout = '5s'; ALTER TABLE "Task" ADD COLUMN "due" DATE;"#,
            "PostgreSQL manual, Client Connection Defaults: lock_timeout"
        ),
        RuleId::DropObject => explanation!(
            "a view, function, trigger, type or other object is dropped",
            "Whatever uses it fails, or silently no longer happens.",
            "Drop it only after no running version relies on it.",
            r#"DROP VIEW "OpenTask";"#,
            r#"DROP VIEW "OpenTask"; CREATE VIEW "OpenTask" AS SELECT "id", "title" FROM "Task";"#,
            MANUAL
        ),
        RuleId::ViewInTheWay => explanation!(
            "a view reads what is dropped or given another type",
            "PostgreSQL refuses the statement while the view is there, so the migration fails; with CASCADE the view goes too.",
            "Drop the view before and make it again after, in the same migration.",
            r#"ALTER TABLE "Task" ALTER COLUMN "id" TYPE BIGINT;"#,
            r#"DROP VIEW "OpenTask"; ALTER TABLE "Task" ALTER COLUMN "id" TYPE BIGINT; CREATE VIEW "OpenTask" AS SELECT "id" FROM "Task" WHERE "status" = 'open';"#,
            MANUAL
        ),
        RuleId::ViewColumn => explanation!(
            "a view loses a column",
            "The running version may read the column; CREATE OR REPLACE VIEW, which must keep every column in its place, is refused.",
            "Keep the column until no running version reads it, or make a second view.",
            r#"DROP VIEW "OpenTask"; CREATE VIEW "OpenTask" AS SELECT "title" FROM "Task" WHERE "status" = 'open';"#,
            r#"CREATE OR REPLACE VIEW "OpenTask" AS SELECT "id", "title" FROM "Task" WHERE "status" = 'open';"#,
            MANUAL
        ),
        RuleId::BehaviourChange => explanation!(
            "triggers, rules, row security, rights or the action of a foreign key change",
            "The same statements of the running version do something else, see fewer rows, or are refused.",
            "Review the change against every version that runs during the release.",
            r#"ALTER TABLE "Task" ENABLE ROW LEVEL SECURITY;"#,
            r#"GRANT SELECT ON "Task" TO reader;"#,
            MANUAL
        ),
        RuleId::DynamicSql => explanation!(
            "SQL that is made at run time",
            "What it will do cannot be proved from its text.",
            "Write the statements out.",
            "DO $$ BEGIN EXECUTE 'DROP TABLE ' || quote_ident('Task'); END $$;",
            r#"DO $$ BEGIN ALTER TABLE "Task" ADD COLUMN "due" DATE; END $$;"#,
            MANUAL
        ),
        RuleId::RunsFunction => explanation!(
            "a statement runs a function",
            "A function can do anything; the text of the migration does not say what.",
            "Write the statements out, or have a reviewer read the function.",
            "SELECT cleanup_tasks();",
            r#"SELECT setval(pg_get_serial_sequence('"Task"', 'id'), 100);"#,
            MANUAL
        ),
        RuleId::ExplicitTransaction => explanation!(
            "the file controls its own transactions",
            "If a later statement fails, what was committed stays: the migration is half applied and neither the old nor the new version fits.",
            "Split the file: each migration is then applied as a whole or not at all.",
            r#"BEGIN; ALTER TABLE "Task" ADD COLUMN "due" DATE; COMMIT;"#,
            r#"ALTER TABLE "Task" ADD COLUMN "due" DATE;"#,
            MANUAL
        ),
        RuleId::ConcurrentlyInTransaction => explanation!(
            "CONCURRENTLY together with other statements",
            "Several statements sent at once run in one transaction, and PostgreSQL refuses CONCURRENTLY in a transaction: the migration fails.",
            "Give the statement a migration of its own.",
            r#"CREATE INDEX CONCURRENTLY "a" ON "Task"("notes"); CREATE INDEX "b" ON "Task"("size");"#,
            r#"CREATE INDEX CONCURRENTLY "a" ON "Task"("notes");"#,
            "PostgreSQL manual, CREATE INDEX and the protocol's simple query"
        ),
        RuleId::NewLabelUsed => explanation!(
            "an enum label is added and used in one transaction",
            "PostgreSQL refuses to use a label before the transaction that adds it is committed (55P04): the migration fails.",
            "Add the label in one migration and use it in the next.",
            r#"ALTER TYPE "Status" ADD VALUE 'paused'; ALTER TABLE "Task" ALTER COLUMN "status" SET DEFAULT 'paused';"#,
            r#"ALTER TYPE "Status" ADD VALUE 'paused'; -- the default follows in the next migration"#,
            "PostgreSQL manual, ALTER TYPE, notes"
        ),
        RuleId::EditedMigration => explanation!(
            "a migration was changed or removed after it was applied",
            "Databases that applied it keep the old effect, new ones get the new effect, and `prisma migrate deploy` says nothing of it. A file that is gone may have been squashed into another one: then it is a warning.",
            "Restore the file as it was applied, and put the change into a new migration.",
            "-- the text of an applied migration is edited, or its folder is removed or renamed",
            "-- a new migration follows the applied ones",
            CHECKLIST
        ),
        RuleId::MadeTwice => explanation!(
            "a table, column, type, index or key is made that is there already",
            "PostgreSQL refuses the second one (42P07, 42701, 42710) and the deployment stops there; with IF NOT EXISTS nothing happens, and what it was to add is missing.",
            "Remove the second one (a migration folder that was copied?), or tell Prisma that it is in: npx prisma migrate resolve --applied NAME.",
            r#"CREATE TABLE "Task" ("id" SERIAL PRIMARY KEY);"#,
            r#"CREATE TABLE "Job" ("id" SERIAL PRIMARY KEY);"#,
            MANUAL
        ),
        RuleId::SchemaDrift => explanation!(
            "schema.prisma and the migrations do not say the same",
            "The client is generated from schema.prisma, the database is made by the migrations: a table or column that only one of them has fails when it is used, and what else differs behaves otherwise than the code expects.",
            "Write the missing migration (npx prisma migrate dev --create-only), or correct schema.prisma.",
            "-- schema.prisma has a field `notes` of a model, and no migration adds the column",
            "-- npx prisma migrate dev --create-only finds nothing to do",
            "Prisma's own comparison (prisma migrate diff), as far as text can tell"
        ),
        RuleId::SyntaxError => explanation!(
            "PostgreSQL would refuse the file",
            "The migration fails at deployment.",
            "Correct the SQL.",
            r#"ALTER TABLE "Task" ADD COLUMN "a" TEXT ADD COLUMN "b" TEXT;"#,
            r#"ALTER TABLE "Task" ADD COLUMN "a" TEXT, ADD COLUMN "b" TEXT;"#,
            MANUAL
        ),
        RuleId::CannotCheck => explanation!(
            "a part that could not be read",
            "Nothing is known of what it does.",
            "Simplify it, or have a reviewer read it.",
            "DO $$ BEGIN this is no statement; END $$;",
            "DO $$ BEGIN NULL; END $$;",
            "this checker's own limits"
        ),
        RuleId::UnknownStatement => explanation!(
            "a statement that is not known to be harmless",
            "The checker has no rule for it, so it claims nothing.",
            "Have a reviewer read it.",
            "ALTER SYSTEM SET work_mem = '1GB';",
            r#"COMMENT ON TABLE "Task" IS 'work to do';"#,
            "this checker's own limits"
        ),
        RuleId::Suppression => explanation!(
            "a suppression that suppresses nothing",
            "It names no rule, gives no reason, or what it was for is gone; the next finding there would vanish unseen.",
            "Write `-- flow:ignore RULE reason` before the statement, or remove it.",
            "-- flow:ignore drop-column nobody reads it\nSELECT 1;",
            r#"ALTER TABLE "Task" DROP COLUMN "notes"; -- flow:ignore drop-column not read since the release of May"#,
            "this checker's own limits"
        ),
        RuleId::ReplayDiffers => explanation!(
            "a replay shows something else than the text check says",
            "One of the two is wrong about this migration, so neither can be relied on for it.",
            "Believe the catalog: judge the change it shows. What the text check missed, or said for nothing, is a fault of the check.",
            "-- EXECUTE hides a DROP COLUMN; or a check is said to drop what is still there",
            "-- the text check names what the catalog shows",
            "catalog of PostgreSQL, compared by object ids and column numbers (flow lint --replay)"
        ),
        RuleId::ReplayFailed => explanation!(
            "a migration does not apply to the history before it",
            "The deployment would stop at it; what comes after it could not be replayed.",
            "Correct the SQL. What the history takes for granted (roles, schemas, extensions) belongs into --replay-setup.",
            "-- names a column that no earlier migration made, or a role that is not there",
            "-- every migration applies to an empty database, in order",
            "the server's own answer (flow lint --replay)"
        ),
    }
}
