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
    project.write("flow.toml", &accept.replace("due", "gone"));
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(1), "{text}");
    let told =
        "for schema-drift in schema.prisma suppresses nothing: nothing there is found by that rule";
    assert!(
        text.contains(told) && text.contains("flow.toml:1"),
        "{text}"
    );
    project.write("prisma/schema.prisma", "model Task {\n  id\n}\n");
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("prisma/schema.prisma: line 2"), "{text}");
    project.write("flow.toml", "[lint.level]\nschema-drift = \"off\"\n");
    let (code, text) = project.lint(&["prisma/migrations"]);
    assert_eq!(code, Some(0), "{text}");
}

/// A schema in files below `prisma`, of which `models/b.prisma` says more than the migrations do.
fn in_files(first: &str) -> Project {
    let project = Project::new();
    let sql = "CREATE TABLE \"A\" (\"id\" INTEGER NOT NULL, CONSTRAINT \"A_pkey\" PRIMARY KEY (\"id\"));\n\
               CREATE TABLE \"B\" (\"id\" INTEGER NOT NULL, \"aId\" INTEGER NOT NULL, CONSTRAINT \"B_pkey\" PRIMARY KEY (\"id\"));\n\
               ALTER TABLE \"B\" ADD CONSTRAINT \"B_aId_fkey\" FOREIGN KEY (\"aId\") REFERENCES \"A\"(\"id\") ON DELETE RESTRICT ON UPDATE CASCADE;\n";
    project.write("prisma/migrations/1_init/migration.sql", sql);
    let source = "datasource db {\n  provider = \"postgresql\"\n}\n";
    project.write("prisma/schema.prisma", &format!("{source}{first}"));
    if first.is_empty() {
        project.write("prisma/models/a.prisma", A);
    }
    let b = "model B {\n  id Int @id\n  aId Int\n  a A @relation(fields: [aId], references: [id])\n  extra String\n}\n";
    project.write("prisma/models/b.prisma", b);
    project
}

const A: &str = "model A {\n  id Int @id\n  bs B[]\n}\n";
const EXTRA: &str = "error[schema-drift]: the column \"B\".\"extra\" is in schema.prisma, and the migrations lack it";

#[test]
fn a_schema_in_several_files_is_compared_whole_wherever_a_project_says_that_it_is() {
    for (file, says) in [
        ("package.json", "{\"prisma\":{\"schema\":\"./prisma\"}}"),
        (
            "prisma.config.ts",
            "export default defineConfig({ schema: \"prisma\" })",
        ),
        (
            "prisma.config.mjs",
            "export default { schema: path.join('prisma') }",
        ),
        (
            "flow.toml",
            "[app]\nmigrations = \"prisma/migrations\"\nschema = \"prisma\"\n",
        ),
    ] {
        for first in ["", A] {
            let project = in_files(first);
            project.write(file, says);
            let (code, text) = project.lint(&["prisma/migrations"]);
            assert_eq!(code, Some(1), "{file}: {text}");
            assert!(text.contains(EXTRA), "{file}: {text}");
            assert!(text.contains("1 errors, 0 warnings"), "{file}: {text}");
        }
    }
}

#[test]
fn migrations_elsewhere_are_compared_with_the_schema_that_the_project_names() {
    let project = Project::new();
    project.write("db/migrations/1_init/migration.sql", INIT);
    let more = SCHEMA.replace("  notes", "  due DateTime?\n  notes");
    project.write("prisma/schema.prisma", &more);
    let config = "export default defineConfig({ schema: 'prisma/schema.prisma', migrations: { path: 'db/migrations' } })";
    project.write("prisma.config.ts", config);
    let (code, text) = project.lint(&["db/migrations"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--> prisma/schema.prisma:8:3"), "{text}");
}

#[test]
fn a_schema_with_a_part_elsewhere_or_none_at_all_is_no_difference_and_is_said_in_text_only() {
    let project = in_files(A);
    let none = Project::new();
    let empty = in_files("");
    for (project, folder, line) in [
        (
            &project,
            "prisma/migrations",
            "prisma/schema.prisma:6: the type `B` of the field `A.bs` is declared in no file that was read",
        ),
        (
            &empty,
            "prisma/migrations",
            "declares no model for PostgreSQL: not compared",
        ),
        (
            &none,
            "migrations",
            "there is no schema.prisma for PostgreSQL at",
        ),
    ] {
        let (code, text) = project.lint(&[folder]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(line), "{line}\n{text}");
        assert!(!text.contains("DROP"), "{text}");
        let (_, json) = project.lint(&[folder, "--format", "json"]);
        assert_eq!(json, "[]\n");
    }
}

#[test]
fn without_a_path_only_flow_toml_is_read() {
    let project = project(SCHEMA);
    project.write("flow.toml", "[app]\nmigrations = \"prisma/migrations\"\n");
    let (code, text) = project.lint(&[]);
    assert_eq!(code, Some(0), "{text}");
    project.write("flow.toml", "[app]\nname = \"x\"\n");
    let (code, text) = project.lint(&[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("has no `migrations` in [app]"), "{text}");
}
