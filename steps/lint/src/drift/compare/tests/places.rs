//! Schemas of other names, and a schema in several files.

use super::*;

#[test]
fn models_in_other_schemas_are_looked_for_there_and_the_applications_own_may_have_any_name() {
    let schema = "model Entry {\n  id Int @id\n  @@schema(\"audit\")\n}\nmodel Task {\n  id Int @id\n  @@schema(\"App\")\n}\n";
    let source = SOURCE.replace('}', "  schemas = [\"audit\", \"App\"]\n}");
    let read = Schema::read(&format!("{source}{schema}")).unwrap();
    let sql = "CREATE TABLE \"audit\".\"Entry\" (\"id\" INTEGER NOT NULL, CONSTRAINT \"Entry_pkey\" PRIMARY KEY (\"id\"));\n\
        CREATE TABLE \"Task\" (\"id\" INTEGER NOT NULL, CONSTRAINT \"Task_pkey\" PRIMARY KEY (\"id\"));\n\
        CREATE TABLE jobs.job (id INTEGER);";
    let files = from_pairs([("1".to_owned(), sql.to_owned())]).unwrap();
    let same = schema_and_migrations(&declared(&read, "App"), &files, "App");
    assert_eq!(
        same.differences,
        [],
        "what lies in a schema that is not declared is no difference"
    );
    let moved = sql.replace("\"audit\".", "");
    let files = from_pairs([("1".to_owned(), moved)]).unwrap();
    let found = schema_and_migrations(&declared(&read, "App"), &files, "App");
    assert_eq!(found.differences.len(), 2, "{found:#?}");
}

#[test]
fn a_schema_of_several_files_is_one_and_errors_and_findings_name_the_file() {
    let mut sides = Sides {
        files: vec![
            ("schema/main.prisma".into(), SOURCE.into()),
            (
                "schema/task.prisma".into(),
                "// tasks\nmodel Task {\n  id Int @id\n  notes String?\n}\n".into(),
            ),
        ],
        ..Sides::default()
    };
    let declared = sides.read("public").unwrap().unwrap();
    let files = from_pairs([(
        "1".to_owned(),
        "CREATE TABLE \"Task\" (\"id\" INTEGER PRIMARY KEY);".to_owned(),
    )])
    .unwrap();
    let compared = schema_and_migrations(&declared, &files, "public");
    let found = crate::drift::findings(&compared, &sides, false);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].file.as_str(), found[0].line),
        ("schema/task.prisma", 4)
    );
    assert_eq!(
        found[0].sql.as_deref(),
        Some("ALTER TABLE \"Task\" ADD COLUMN \"notes\" text;")
    );
    sides.files[1].1.push_str("model Broken {\n  id\n}\n");
    let error = sides.read("public").unwrap_err().to_string();
    assert!(error.starts_with("schema/task.prisma: line 7 "), "{error}");
    // Another database's migrations are not understood.
    sides.files = vec![(
        "schema.prisma".into(),
        SOURCE.replace("postgresql", "mysql"),
    )];
    assert!(sides.read("public").unwrap().is_none());
}
