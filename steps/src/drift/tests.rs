//! The steps, with a real repository and a real server.

mod folders;
mod language;

use flow_engine::driver::Stop;
use flow_engine::planner::Arg;
use flow_engine::record::ParkReason;
use flow_engine::registry::Registry;
use flow_engine::run::Run;
use std::sync::Arc;

use super::*;
use crate::code::tests::git;
use crate::means::psql::{Database, Pg};
use crate::means::reach::testing::{Bench, Say, failure, output, plan};
use crate::means::signature::roster::People;
use crate::pg::tests::cluster;
use flow_lint::drift::beside;
use flow_lint::migration::from_pairs;

fn registry() -> Registry {
    Registry::default()
        .with::<SchemaDrift>()
        .with::<DeployedDrift>()
}

const SCHEMA: &str = r#"datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
enum Status {
  OPEN
  DONE
}
model Project {
  id    String @id @default(cuid())
  name  String @unique
  tasks Task[]
}
model Task {
  id        Int      @id @default(autoincrement())
  title     String   @db.VarChar(80)
  notes     String?
  status    Status   @default(OPEN)
  tags      String[] @default(["a", "b, c"])
  price     Decimal  @default(1.5)
  at        DateTime @default(now())
  projectId String
  project   Project  @relation(fields: [projectId], references: [id], onDelete: Cascade)

  @@index([projectId, at(sort: Desc)])
}
"#;

/// What Prisma writes for it, and what only SQL can say.
const INIT: &str = r#"CREATE TYPE "Status" AS ENUM ('OPEN', 'DONE');
CREATE TABLE "Project" ("id" TEXT NOT NULL, "name" TEXT NOT NULL, CONSTRAINT "Project_pkey" PRIMARY KEY ("id"));
CREATE TABLE "Task" (
    "id" SERIAL NOT NULL,
    "title" VARCHAR(80) NOT NULL,
    "notes" TEXT,
    "status" "Status" NOT NULL DEFAULT 'OPEN',
    "tags" TEXT[] DEFAULT ARRAY['a', 'b, c']::TEXT[],
    "price" DECIMAL(65,30) NOT NULL DEFAULT 1.5,
    "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "projectId" TEXT NOT NULL,
    CONSTRAINT "Task_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "Project_name_key" ON "Project"("name");
CREATE INDEX "Task_projectId_at_idx" ON "Task"("projectId", "at" DESC);
ALTER TABLE "Task" ADD CONSTRAINT "Task_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "Task" ADD CONSTRAINT "price_is_positive" CHECK ("price" > 0);
CREATE INDEX "open_tasks" ON "Task"("title") WHERE "status" = 'OPEN';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamp BEFORE UPDATE ON "Task" FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE POLICY own ON "Task" USING (true);
ALTER TABLE "Task" ENABLE ROW LEVEL SECURITY;
"#;

const HISTORY: &str = "CREATE TABLE _prisma_migrations (id text, migration_name text, checksum text, finished_at timestamptz, \
    rolled_back_at timestamptz, started_at timestamptz DEFAULT now(), logs text);";

fn applied(schema: &str, name: &str) -> String {
    format!("INSERT INTO \"{schema}\"._prisma_migrations VALUES ('1', '{name}', 'x', now(), NULL);")
}

struct Rig {
    dir: tempfile::TempDir,
    own: &'static str,
    db: Database,
    pg: Pg,
}

impl Rig {
    /// A commit with this schema and these migrations, and a database in which `sql` was run in a schema of this name.
    async fn new(own: &'static str, schema: &str, migrations: &[&str], sql: &str) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet"]);
        for (at, sql) in migrations.iter().enumerate() {
            let folder = dir.path().join(format!("prisma/migrations/{at:03}"));
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("migration.sql"), sql).unwrap();
        }
        std::fs::write(dir.path().join("prisma/schema.prisma"), schema).unwrap();
        git(dir.path(), &["add", "."]);
        git(dir.path(), &["commit", "-qm", "x"]);
        let sql =
            format!("CREATE SCHEMA IF NOT EXISTS \"{own}\"; SET search_path = \"{own}\"; {sql}");
        let (pg, db) = cluster::for_a_step(&sql).await;
        Rig { dir, own, db, pg }
    }

    async fn more(&self, sql: &str) {
        let sql = format!("SET search_path = \"{}\"; {sql}", self.own);
        self.pg.query(&sql).await.unwrap();
    }

    fn of(&self) -> Statements {
        Statements {
            repo: self.dir.path().to_str().unwrap().into(),
            commit: git(self.dir.path(), &["rev-parse", "HEAD"]),
            migrations: "prisma/migrations".into(),
            schema: "prisma/schema.prisma".into(),
            own: self.own.into(),
        }
    }

    fn before(&self) -> SchemaDrift {
        SchemaDrift {
            of: self.of(),
            db: self.db.clone(),
            waiver_role: "tech-lead".into(),
        }
    }

    fn after(&self, before: DriftReport) -> DeployedDrift {
        DeployedDrift {
            of: self.of(),
            db: self.db.clone(),
            waiver_role: "tech-lead".into(),
            before: Arg::Value(before),
        }
    }
}

async fn run(step: impl flow_engine::step::Step) -> (Arc<Run>, Stop) {
    let plan = plan(
        |p| {
            p.step("schema/drift", step);
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    );
    let mut bench = Bench::new(registry);
    bench.people = Some(People::default());
    bench.start("r-one", plan).await
}

/// What a step waits for somebody to accept.
async fn asked(judge: impl flow_engine::step::Step) -> String {
    let (run, stop) = run(judge).await;
    assert_eq!(stop, Stop::WaitingForPeople);
    let (index, wait) = run.waiting().next().unwrap();
    assert_eq!(wait.who, "tech-lead");
    let command = crate::means::commands::of_wait(&run, index, wait);
    assert!(command.starts_with("flow waive r-one schema/drift "));
    wait.what.clone()
}

#[tokio::test]
async fn three_statements_that_agree_pass_in_any_schema_and_are_counted() {
    for own in ["public", "My App"] {
        let sql = format!("{INIT}{HISTORY}{}", applied(own, "000"));
        let rig = Rig::new(own, SCHEMA, &[INIT], &sql).await;
        let (done, _) = run(rig.before()).await;
        let report: DriftReport = output(&done, "schema/drift");
        assert_eq!(report.findings, []);
        assert_eq!(
            report.compared,
            [
                "schema.prisma and the migrations: 2 tables with 10 columns compared, 0 differences",
                "the database and the 1 migrations it has applied: 2 tables with 10 columns compared, 0 differences; by name only, because \
                 text does not tell what they say: 4 triggers, policies, checks and indexes with a condition",
            ]
        );
        let (done, _) = run(rig.after(report)).await;
        let report: DriftReport = output(&done, "schema/drift");
        assert_eq!(report.findings, []);
        assert_eq!(report.compared.len(), 2, "{report:?}");
    }
}

#[tokio::test]
async fn an_index_that_is_not_valid_is_no_difference() {
    let invalid = "CREATE INDEX \"left\" ON \"Task\" (\"notes\");\n\
                   UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"left\"'::regclass;\n";
    let sql = format!("{INIT}{HISTORY}{}{invalid}", applied("public", "000"));
    let rig = Rig::new("public", SCHEMA, &[INIT], &sql).await;
    let (done, _) = run(rig.before()).await;
    let report: DriftReport = output(&done, "schema/drift");
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn a_release_whose_migrations_lack_tables_and_columns_is_stopped_in_phase_1_by_name() {
    let schema = SCHEMA.replace(
        "  notes     String?\n",
        "  notes     String?\n  due       DateTime?\n  size      Int       @default(1)\n",
    ) + "model Comment {\n  id   Int    @id\n  text String\n}\nmodel Label {\n  name String @id\n}\n";
    let rig = Rig::new("public", &schema, &[INIT], &format!("{INIT}{HISTORY}")).await;
    let step = rig.before();
    let of = step.of.clone();
    let what = asked(step).await;
    assert!(
        what.starts_with("4 warnings; next: schema-drift prisma/schema.prisma:"),
        "{what}"
    );
    let sides = commit::of_commit(&of).await.unwrap();
    let declared = sides.read("public").unwrap().unwrap();
    let files = from_pairs([("000".to_owned(), INIT.to_owned())]).unwrap();
    let compared = schema_and_migrations(&declared, &files, "public");
    let told: Vec<String> = findings(&compared, &sides, false)
        .iter()
        .map(|each| {
            format!(
                "{} {}\n{}",
                each.level.as_str(),
                each.message,
                each.sql.clone().unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[tokio::test]
async fn what_production_has_beside_its_migrations_is_found_before_and_what_a_deploy_did_after() {
    let sql = format!("{INIT}{HISTORY}{}", applied("public", "000"));
    let outside = [
        (
            "ALTER TABLE \"Task\" ADD COLUMN \"extra\" TEXT;",
            "the column \"Task\".\"extra\" is in the database",
        ),
        (
            "ALTER TABLE \"Task\" DROP COLUMN \"notes\";",
            "the column \"Task\".\"notes\" is in the migrations, and the database lacks it",
        ),
        (
            "CREATE INDEX odd ON \"Task\"(\"title\");",
            "the index \"odd\" of \"Task\" (\"title\") is in the database",
        ),
        ("DROP INDEX open_tasks;", "the index \"open_tasks\""),
        (
            "ALTER TABLE \"Task\" ALTER \"price\" SET DEFAULT 2;",
            "has the default 1.5 in the migrations and the default 2",
        ),
        (
            "ALTER TABLE \"Task\" DROP CONSTRAINT price_is_positive;",
            "the constraint \"price_is_positive\"",
        ),
        (
            "DROP TRIGGER stamp ON \"Task\";",
            "the trigger \"stamp\" on \"Task\" is in the migrations",
        ),
        (
            "CREATE POLICY other ON \"Task\" USING (false);",
            "the policy \"other\" on \"Task\" is in the database",
        ),
        (
            "ALTER TABLE \"Task\" DISABLE ROW LEVEL SECURITY;",
            "row-level security (enabled) of \"Task\" is in the migrations, and the database lacks it",
        ),
        (
            "ALTER TABLE \"Project\" ENABLE ROW LEVEL SECURITY;",
            "row-level security (enabled) of \"Project\" is in the database",
        ),
        (
            "ALTER TABLE \"Task\" FORCE ROW LEVEL SECURITY;",
            "row-level security (forced) of \"Task\" is in the database",
        ),
        (
            "ALTER TABLE \"Task\" DROP CONSTRAINT \"Task_projectId_fkey\";",
            "the foreign key \"Task\"(projectId)",
        ),
        (
            "ALTER TYPE \"Status\" ADD VALUE 'LATE';",
            "the value \"LATE\" of the enum \"Status\" is in the database",
        ),
    ];
    for (change, expected) in outside {
        let rig = Rig::new("public", SCHEMA, &[INIT], &sql).await;
        rig.more(change).await;
        for what in [
            asked(rig.before()).await,
            asked(rig.after(DriftReport::default())).await,
        ] {
            assert!(what.starts_with("1 warnings; "), "{change}: {what}");
            assert!(what.contains(expected), "{change}: {what}");
        }
    }
}

#[tokio::test]
async fn what_was_accepted_before_the_deploy_is_not_asked_for_again_and_anything_new_is() {
    let sql = format!("{INIT}{HISTORY}{}", applied("public", "000"));
    let rig = Rig::new("public", SCHEMA, &[INIT], &sql).await;
    rig.more("CREATE INDEX odd ON \"Task\"(\"title\");").await;
    let catalog = read(&rig.pg).await.unwrap();
    let files = from_pairs([("000".to_owned(), INIT.to_owned())]).unwrap();
    let compared = catalog_and_migrations(
        &catalog,
        &files,
        &flow_lint::drift::External::default(),
        "public",
    );
    let accepted = DriftReport {
        findings: findings(&compared, &Sides::default(), true),
        ..DriftReport::default()
    };
    assert_eq!(accepted.findings.len(), 1);
    let (done, _) = run(rig.after(accepted.clone())).await;
    let report: DriftReport = output(&done, "schema/drift");
    assert_eq!((report.findings.len(), report.waivers.len()), (1, 0));
    rig.more("CREATE INDEX odder ON \"Task\"(\"notes\");").await;
    let what = asked(rig.after(accepted)).await;
    assert!(
        what.starts_with("1 warnings; ") && what.contains("odder"),
        "{what}"
    );
}

#[tokio::test]
async fn migrations_that_are_pending_are_not_looked_for_in_production() {
    let more = "ALTER TABLE \"Task\" ADD COLUMN \"due\" DATE;";
    let schema = SCHEMA.replace("  notes ", "  due DateTime? @db.Date\n  notes ");
    let sql = format!("{INIT}{HISTORY}{}", applied("public", "000"));
    let rig = Rig::new("public", &schema, &[INIT, more], &sql).await;
    let (done, _) = run(rig.before()).await;
    assert_eq!(output::<DriftReport>(&done, "schema/drift").findings, []);
    let what = asked(rig.after(DriftReport::default())).await;
    assert!(
        what.contains("the column \"Task\".\"due\" is in the migrations"),
        "{what}"
    );
    rig.more(more).await;
    let (done, _) = run(rig.after(DriftReport::default())).await;
    assert_eq!(output::<DriftReport>(&done, "schema/drift").findings, []);
}

#[tokio::test]
async fn a_schema_that_cannot_be_read_fails_with_its_line_and_one_that_is_not_there_is_said() {
    let rig = Rig::new("public", "model Task {\n  id\n}\n", &[INIT], "").await;
    let (done, stop) = run(rig.before()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let said = failure(&done, "schema/drift").message;
    assert!(said.contains("prisma/schema.prisma: line 2"), "{said}");
    let mut elsewhere = rig.before();
    elsewhere.of.schema = "prisma/other.prisma".into();
    let (done, _) = run(elsewhere).await;
    let report: DriftReport = output(&done, "schema/drift");
    assert!(
        report.compared[0].contains("no schema.prisma"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_table_that_prisma_config_leaves_to_others_is_no_difference_on_any_side() {
    let model = "model Account {\n  id Int @id\n}\n";
    let schema = format!("{SCHEMA}{model}");
    let sql = format!(
        "{INIT}{HISTORY}{} CREATE TABLE \"Account\" (id uuid PRIMARY KEY, email text);",
        applied("public", "000")
    );
    let rig = Rig::new("public", &schema, &[INIT], &sql).await;
    let what = asked(rig.before()).await;
    assert!(what.contains("\"Account\""), "{what}");
    let config = "export default { experimental: { externalTables: true }, tables: { external: ['public.Account'] } }";
    std::fs::write(rig.dir.path().join("prisma.config.ts"), config).unwrap();
    git(rig.dir.path(), &["add", "."]);
    git(rig.dir.path(), &["commit", "-qm", "external"]);
    for done in [
        run(rig.before()).await,
        run(rig.after(DriftReport::default())).await,
    ] {
        let (done, stop) = done;
        let report: DriftReport = output(&done, "schema/drift");
        assert_eq!(report.findings, [], "{stop:?}");
    }
    let folder = rig.dir.path().join("prisma/migrations");
    let sides = beside(&folder, None).await.unwrap();
    assert!(sides.external.tables.contains("public.Account"));
}
