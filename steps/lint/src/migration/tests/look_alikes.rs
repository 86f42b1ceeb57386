//! What only looks like a finding, and what hides one.

use super::found;
use crate::migration::Level;

#[test]
fn comments_and_strings_are_no_statements() {
    for sql in [
        "-- ALTER TABLE \"Task\" DROP COLUMN \"notes\";",
        "/* DROP TABLE \"Task\"; /* nested */ TRUNCATE \"Task\"; */",
        "INSERT INTO \"Task\" (\"title\") VALUES ('DROP TABLE \"Task\"; DELETE FROM \"Task\"');",
        "INSERT INTO \"Task\" (\"title\") VALUES ($q$ TRUNCATE \"Task\"; $q$);",
        "COMMENT ON COLUMN \"Task\".\"notes\" IS 'ALTER TABLE \"Task\" RENAME \"notes\" TO \"x\"';",
        "ALTER TABLE \"Task\" ADD COLUMN \"drop column\" TEXT DEFAULT E'it\\'s; DROP TABLE \"Task\"';",
        "ALTER TABLE \"Task\" ADD COLUMN \"DROP TABLE \"\"Task\"\"\" TEXT;",
    ] {
        assert_eq!(found(sql), [] as [&str; 0], "{sql}");
    }
}

#[test]
fn a_drop_is_found_however_it_is_written() {
    for sql in [
        "ALTER TABLE \"Task\" DROP \"notes\";",
        "alter\ntable\nonly public.\"Task\"\ndrop /* c */ column if exists \"notes\" restrict",
        "ALTER TABLE \"Task\" ADD COLUMN \"a\" INT, DROP COLUMN \"notes\", ADD COLUMN \"b\" INT;",
        "DO $$ BEGIN IF true THEN ALTER TABLE \"Task\" DROP COLUMN \"notes\"; END IF; END $$;",
        "DO 'BEGIN ALTER TABLE \"Task\" DROP COLUMN \"notes\"; END';",
        "DO $$ BEGIN FOR i IN 1..2 LOOP ALTER TABLE \"Task\" DROP COLUMN \"notes\"; END LOOP; EXCEPTION WHEN OTHERS THEN NULL; END $$;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE \"Task\" DROP COLUMN \"notes\"; END $$;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ ALTER TABLE \"Task\" DROP COLUMN \"notes\" $$;",
        "ALTER TABLE \"Task\" DROP COLUMN U&\"not\\0065s\";",
    ] {
        assert_eq!(found(sql), ["error drop-column"], "{sql}");
    }
}

#[test]
fn names_fold_as_postgresql_folds_them() {
    let context = "CREATE TABLE customer (id int, Name text); CREATE TABLE \"Customer\" (id int, \"Name\" text);";
    let objects = |sql| {
        super::judge(&[context, sql])
            .findings
            .into_iter()
            .filter(|each| each.level > Level::Note)
            .map(|each| each.object)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        objects("ALTER TABLE Customer DROP NAME"),
        ["\"customer\".\"name\""]
    );
    assert_eq!(
        objects("ALTER TABLE \"Customer\" DROP \"Name\""),
        ["\"Customer\".\"Name\""]
    );
    assert_eq!(
        objects("DROP TABLE PUBLIC.Customer, public.\"Customer\""),
        ["\"customer\"", "\"Customer\""]
    );
    assert_eq!(
        objects("CREATE TABLE s.customer (id int); DROP TABLE s.customer;"),
        [] as [&str; 0]
    );
}

#[test]
fn writes_hidden_in_queries_are_found() {
    assert_eq!(
        found("WITH d AS (DELETE FROM \"Task\" RETURNING *) SELECT count(*) FROM d;"),
        ["error delete-all"]
    );
    assert_eq!(
        found(
            "WITH d AS (UPDATE \"Task\" SET \"notes\" = 'x' RETURNING *) INSERT INTO \"Log\" SELECT * FROM d;"
        ),
        ["error update-all"]
    );
    assert_eq!(
        found("DELETE FROM \"Task\" WHERE (true);"),
        ["error delete-all"]
    );
    assert_eq!(
        found(
            "INSERT INTO \"Task\" (\"title\") VALUES ('a') ON CONFLICT (\"title\") DO UPDATE SET \"notes\" = 'b';"
        ),
        ["warning update-rows"]
    );
    assert_eq!(
        found("MERGE INTO \"Task\" USING x ON true WHEN MATCHED THEN DELETE;"),
        ["warning update-rows"]
    );
    assert_eq!(
        found(
            "DO $$ DECLARE r record; BEGIN FOR r IN DELETE FROM \"Task\" RETURNING * LOOP NULL; END LOOP; END $$;"
        ),
        ["error delete-all"]
    );
}

#[test]
fn what_is_dynamic_or_unknown_is_never_silent() {
    for (sql, expected) in [
        ("DO $$ BEGIN EXECUTE 'x'; END $$;", "warning dynamic-sql"),
        (
            "DO LANGUAGE plpython3u $$ plpy.execute('x') $$;",
            "warning dynamic-sql",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'lib', 'f';",
            "warning dynamic-sql",
        ),
        ("CALL cleanup();", "warning runs-function"),
        (
            "DO $$ BEGIN PERFORM cleanup(); END $$;",
            "warning runs-function",
        ),
        ("COPY \"Task\" FROM '/tmp/x';", "warning unknown-statement"),
        (
            "EXPLAIN ANALYZE DELETE FROM \"Task\";",
            "warning unknown-statement",
        ),
        ("SET search_path TO other;", "warning unknown-statement"),
        ("LOCK TABLE \"Task\";", "warning unknown-statement"),
        (
            "ALTER TABLE \"Task\" INHERIT \"Other\";",
            "warning unknown-statement",
        ),
        ("ALTER DOMAIN d DROP DEFAULT;", "warning unknown-statement"),
        ("DROP EXTENSION citext;", "warning drop-object"),
        ("DROP TRIGGER t ON \"Task\";", "warning drop-object"),
        ("DROP FUNCTION f(int);", "warning drop-object"),
        (
            "REVOKE SELECT ON \"Task\" FROM reader;",
            "warning behaviour-change",
        ),
        (
            "CREATE POLICY p ON \"Task\" USING (true);",
            "warning behaviour-change",
        ),
        ("DROP DATABASE app;", "error drop-container"),
        ("DROP OWNED BY app;", "error drop-container"),
    ] {
        assert_eq!(found(sql), [expected], "{sql}");
    }
}

#[test]
fn a_function_of_an_earlier_migration_that_is_run_is_reported() {
    let define = "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS $$ DELETE FROM \"Task\" WHERE true; SELECT 1 $$;";
    assert_eq!(
        super::found_in(&[
            super::EXAMPLE_CONTEXT,
            define,
            "UPDATE \"Task\" SET \"size\" = wipe() WHERE \"size\" IS NULL;"
        ]),
        ["warning runs-function"]
    );
}

#[test]
fn a_function_that_writes_rows_when_called_is_no_finding_but_one_that_empties_is() {
    let function = |body: &str| {
        format!(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;"
        )
    };
    assert_eq!(
        found(&function(
            "UPDATE \"Task\" SET \"size\" = 1 WHERE \"id\" = NEW.id"
        )),
        [] as [&str; 0]
    );
    assert_eq!(found(&function("TRUNCATE \"Task\"")), ["error truncate"]);
}
