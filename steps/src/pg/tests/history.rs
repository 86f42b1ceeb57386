//! What `flow doctor` says of a database's migrations, asked of a real one.

use super::cluster::database;
use super::*;
use crate::schema::history;

async fn said(pg: &Pg, schema: &str) -> Result<String, (String, String)> {
    let mut psql = pg.db.exec.clone();
    psql.extend(["psql", "-U", &pg.db.user, "-d", &pg.db.name].map(String::from));
    history(&*pg.host, &psql, schema).await
}

const HISTORY: &str = r#"
CREATE TABLE public."_prisma_migrations" (id text, checksum text, finished_at timestamptz, migration_name text, logs text,
  rolled_back_at timestamptz, started_at timestamptz, applied_steps_count int);
INSERT INTO public."_prisma_migrations" (migration_name, checksum, finished_at) VALUES ('1_init', 'x', now()), ('2_more', 'y', now());
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_names_a_missing_schema_tables_without_a_history_and_one_that_never_finished() {
    let pg = database(SHOP).await;
    let (found, fix) = said(&pg, "public").await.expect_err("P3005");
    assert!(
        found.contains("AuditLog, Customer, Order") && found.contains("P3005"),
        "{found}"
    );
    assert!(fix.contains("`schema` in [env.X.database]"), "{fix}");
    let (found, fix) = said(&pg, "shop").await.expect_err("no such schema");
    assert_eq!(found, "the database has no schema \"shop\"");
    assert!(fix.contains("`schema` in [env.X.database]"), "{fix}");
    pg.query("CREATE SCHEMA shop;").await.unwrap();
    let empty = said(&pg, "shop").await.expect("nothing is wrong");
    assert_eq!(
        empty,
        "schema \"shop\" is empty and has no history: every migration is pending"
    );
    pg.query(HISTORY).await.unwrap();
    assert_eq!(
        said(&pg, "public").await,
        Ok("2 migrations applied in schema \"public\"".to_owned())
    );
    let begun = r#"INSERT INTO public."_prisma_migrations" (migration_name, checksum) VALUES ('3_half', 'z');"#;
    pg.query(begun).await.unwrap();
    let (found, fix) = said(&pg, "public").await.expect_err("P3009");
    assert!(
        found.contains("3_half") && found.contains("P3009"),
        "{found}"
    );
    assert!(
        fix.contains("prisma migrate resolve --rolled-back"),
        "{fix}"
    );
}
