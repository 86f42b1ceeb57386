//! Rule `schema-drift`.

use super::project::Project;

const SCHEMA: &str = "datasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n\
model Task {\n  id    Int    @id @default(autoincrement())\n  title String\n  notes String?\n}\n";
const INIT: &str = "CREATE TABLE \"Task\" (\"id\" SERIAL NOT NULL, \"title\" TEXT NOT NULL, \"notes\" TEXT, CONSTRAINT \"Task_pkey\" PRIMARY KEY (\"id\"));\n";

fn project(schema: &str) -> Project {
    let project = Project::new();
    project.write("prisma/migrations/1_init/migration.sql", INIT);
    project.write("prisma/schema.prisma", schema);
    project
}

#[test]
fn a_schema_that_the_migrations_make_is_silent_and_what_they_lack_is_an_error_at_its_line() {
    let same = project(SCHEMA);
    let (code, text) = same.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(0), "{text}");
    let more = SCHEMA.replace("  notes", "  due DateTime?\n  notes")
        + "model Label {\n  name String @id\n}\n";
    let project = project(&more);
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "error[schema-drift]: the column \"Task\".\"due\" is in schema.prisma, and the migrations lack it",
        " --> prisma/schema.prisma:8:3\n",
        "8 |   due DateTime?\n",
        "ALTER TABLE \"Task\" ADD COLUMN \"due\" timestamp(3);",
        "error[schema-drift]: the table \"Label\" (1 columns) is in schema.prisma, and the migrations lack it",
        "2 errors, 0 warnings",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (_, json) = project.lint(&["prisma/migrations", "--format", "json"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    assert_eq!(all.len(), 2, "{json}");
    assert_eq!(all[0]["file"], "prisma/schema.prisma");
    assert_eq!(all[0]["rule"], "schema-drift");
    assert_eq!(all[0]["digest"].as_str().map(str::len), Some(64));
    let (_, sarif) = project.lint(&["prisma/migrations", "--format", "sarif"]);
    assert!(
        sarif.contains("\"uri\": \"prisma/schema.prisma\""),
        "{sarif}"
    );
    let (_, words) = project.lint(&["--explain", "schema-drift"]);
    assert!(
        words.contains("npx prisma migrate dev --create-only"),
        "{words}"
    );
}

#[test]
fn a_team_may_turn_it_off_or_accept_one_and_a_broken_schema_is_no_silence() {
    let more = SCHEMA.replace("  notes", "  due DateTime?\n  notes");
    let project = project(&more);
    let accept = "[[lint.ignore]]\nrule = \"schema-drift\"\nmigration = \"schema.prisma\"\nobject = '\"Task\".\"due\"'\nreason = \"made by hand\"\n";
    project.write("flow.toml", accept);
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 suppressed with a reason"), "{text}");
    project.write("prisma/schema.prisma", "model Task {\n  id\n}\n");
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("prisma/schema.prisma: line 2"), "{text}");
    project.write("flow.toml", "[lint.level]\nschema-drift = \"off\"\n");
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(0), "{text}");
}
