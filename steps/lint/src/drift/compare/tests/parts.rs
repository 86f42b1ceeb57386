//! Tables whose columns stand elsewhere, and parts of tables.

use super::*;

const EVENT: &str = "model Event {\n  id Int\n  at DateTime @db.Date\n  @@id([id, at])\n}\n";
const SQL: &str = r#"
CREATE TABLE "Event" ("id" INTEGER NOT NULL, "at" DATE NOT NULL, CONSTRAINT "Event_pkey" PRIMARY KEY ("id", "at")) PARTITION BY RANGE ("at");
CREATE TABLE "Event_2025" PARTITION OF "Event" FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE "Event_2026" (LIKE "Event" INCLUDING ALL);
ALTER TABLE "Event" ATTACH PARTITION "Event_2026" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
"#;

#[test]
fn a_part_of_a_table_is_no_table_and_one_that_was_cut_off_is() {
    assert_eq!(messages(EVENT, SQL), [] as [String; 0]);
    let detached = format!("{SQL} ALTER TABLE \"Event\" DETACH PARTITION \"Event_2025\";");
    let said = messages(EVENT, &detached);
    assert_eq!(
        said,
        ["the table \"Event_2025\" is in the migrations, and schema.prisma lacks it"]
    );
}

#[test]
fn a_table_made_like_another_or_from_a_query_is_a_table_that_the_schema_lacks() {
    for sql in [
        "CREATE TABLE \"Copy\" (LIKE \"Event\" INCLUDING ALL);",
        "CREATE TABLE \"Copy\" () INHERITS (\"Event\");",
        "CREATE TABLE \"Copy\" AS SELECT * FROM \"Event\";",
        "SELECT * INTO \"Copy\" FROM \"Event\";",
    ] {
        assert_eq!(
            messages(EVENT, &format!("{SQL}{sql}")),
            ["the table \"Copy\" is in the migrations, and schema.prisma lacks it"],
            "{sql}"
        );
        // What it has is not written down, so it is not compared.
        let declared = format!("{EVENT}model Copy {{\n  id Int @id\n  other Int @unique\n}}\n");
        let both = compared(&declared, &format!("{SQL}{sql}"));
        assert_eq!(both.differences, [], "{sql}");
        assert!(both.undecided.len() >= 2, "{sql}: {:?}", both.undecided);
    }
}
