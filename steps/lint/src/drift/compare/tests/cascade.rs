//! What CASCADE takes along is missed as if it had been dropped by name.

use super::*;

const SCHEMA: &str = "model A {\n  id Int @id @default(autoincrement())\n  code String @unique\n  byId B[] @relation(\"id\")\n  \
    byCode B[] @relation(\"code\")\n}\nmodel B {\n  id Int @id\n  aId Int\n  aCode String\n  \
    a A @relation(\"id\", fields: [aId], references: [id])\n  c A @relation(\"code\", fields: [aCode], references: [code])\n}\n";

const SQL: &str = r#"
CREATE TABLE "A" ("id" SERIAL NOT NULL, "code" TEXT NOT NULL, CONSTRAINT "A_pkey" PRIMARY KEY ("id"));
CREATE TABLE "B" ("id" INTEGER NOT NULL, "aId" INTEGER NOT NULL, "aCode" TEXT NOT NULL, CONSTRAINT "B_pkey" PRIMARY KEY ("id"));
CREATE UNIQUE INDEX "A_code_key" ON "A"("code");
ALTER TABLE "B" ADD CONSTRAINT "B_aId_fkey" FOREIGN KEY ("aId") REFERENCES "A"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "B" ADD CONSTRAINT "B_aCode_fkey" FOREIGN KEY ("aCode") REFERENCES "A"("code") ON DELETE RESTRICT ON UPDATE CASCADE;
"#;

fn after(more: &str) -> Vec<String> {
    messages(SCHEMA, &format!("{SQL}{more}"))
}

#[test]
fn a_key_that_goes_with_cascade_takes_the_foreign_keys_that_rely_on_it() {
    let none: [String; 0] = [];
    assert_eq!(after(""), none);
    let made_again = "ALTER TABLE \"A\" ADD CONSTRAINT \"A_pkey\" PRIMARY KEY (\"id\");";
    let found = after(&format!(
        "ALTER TABLE \"A\" DROP CONSTRAINT \"A_pkey\" CASCADE; {made_again}"
    ));
    let lost = |column: &str| {
        format!(
            "the foreign key \"B\"({column}) to \"A\" is in schema.prisma, and the migrations lack it"
        )
    };
    assert_eq!(found, [lost("aId")]);
    let index =
        "DROP INDEX \"A_code_key\" CASCADE; CREATE UNIQUE INDEX \"A_code_key\" ON \"A\"(\"code\");";
    assert_eq!(after(index), [lost("aCode")]);
    let column = "ALTER TABLE \"A\" DROP COLUMN code CASCADE; ALTER TABLE \"A\" ADD COLUMN code TEXT NOT NULL; \
        CREATE UNIQUE INDEX \"A_code_key\" ON \"A\"(\"code\");";
    assert_eq!(after(column), [lost("aCode")]);
    let back = "ALTER TABLE \"B\" ADD CONSTRAINT \"B_aCode_fkey\" FOREIGN KEY (\"aCode\") REFERENCES \"A\"(\"code\") \
        ON DELETE RESTRICT ON UPDATE CASCADE;";
    assert_eq!(after(&format!("{column}{back}")), none);
}

#[test]
fn which_of_two_keys_of_the_same_columns_a_foreign_key_relies_on_is_not_known() {
    let two = "CREATE UNIQUE INDEX \"other\" ON \"A\"(\"code\"); DROP INDEX \"other\" CASCADE;";
    let found = compared(SCHEMA, &format!("{SQL}{two}"));
    assert_eq!(found.differences, []);
    assert!(
        found.undecided.contains(&"\"B\"(aCode)".to_owned()),
        "{found:#?}"
    );
}

#[test]
fn a_sequence_that_goes_with_cascade_takes_the_default_that_uses_it() {
    let found = after("DROP SEQUENCE \"A_id_seq\" CASCADE;");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("\"A\".\"id\"") && found[0].contains("no default"),
        "{found:#?}"
    );
    let none: [String; 0] = [];
    assert_eq!(after("DROP SEQUENCE \"B_x_seq\" CASCADE;"), none);
}

#[test]
fn a_schema_that_goes_takes_every_table_and_type_in_it() {
    let both = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;";
    let found = after(both);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found.iter().all(|each| each.contains("the table")),
        "{found:#?}"
    );
    let none: [String; 0] = [];
    assert_eq!(after(&format!("{both}{SQL}")), none);
    let schema = "enum Mood {\n  GOOD\n  @@schema(\"audit log\")\n}\nmodel E {\n  id Int @id\n  @@schema(\"audit log\")\n}\n";
    let source = SOURCE.replace('}', "  schemas = [\"audit log\", \"App\"]\n}");
    let read = Schema::read(&format!("{source}{schema}")).unwrap();
    let said = |sql: &str| {
        let files = from_pairs([("1".to_owned(), sql.to_owned())]).unwrap();
        let all = schema_and_migrations(&declared(&read, "App"), &files, "App").differences;
        all.iter()
            .map(|each| each.message.clone())
            .collect::<Vec<_>>()
    };
    let make = |name: &str| {
        format!(
            "CREATE SCHEMA {name}; CREATE TYPE {name}.\"Mood\" AS ENUM ('GOOD'); \
             CREATE TABLE {name}.\"E\" (\"id\" INTEGER NOT NULL, CONSTRAINT \"E_pkey\" PRIMARY KEY (\"id\"));"
        )
    };
    let there = make("\"audit log\"");
    assert_eq!(said(&there), none);
    let gone = said(&format!("{there} DROP SCHEMA \"audit log\" CASCADE;"));
    assert_eq!(gone.len(), 2, "{gone:#?}");
    assert_eq!(
        said(&format!("{there} DROP SCHEMA public CASCADE;")),
        none,
        "the application's own is another one"
    );
    let renamed = format!("{} ALTER SCHEMA old RENAME TO \"audit log\";", make("old"));
    assert_eq!(said(&renamed), none);
    let away = said(&format!(
        "{there} ALTER SCHEMA \"audit log\" RENAME TO old;"
    ));
    assert_eq!(away.len(), 2, "{away:#?}");
}
