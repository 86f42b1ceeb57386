//! The migrations of a commit that a database lacks: their shape, and their columns.

use super::super::cluster::database;
use super::*;

/// A commit with these migrations.
fn commit(migrations: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let repo = tempfile::tempdir().unwrap();
    for (name, sql) in migrations {
        let dir = repo.path().join("migrations").join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("migration.sql"), sql).unwrap();
    }
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        command.arg("-C").arg(repo.path()).args(who).args(args);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "m"]);
    let head = git(&["rev-parse", "HEAD"]);
    (repo, head)
}

fn only<S: Step>(key: &str, step: S) -> flow_engine::plan::Plan {
    let mut p = Planner::new("release", "1", "test", "test");
    p.phase("test", "Test", OnFailure::Park, |p| {
        p.step(key, step);
    });
    p.finish().unwrap()
}

/// A database with the first of two migrations, in this schema.
async fn with_one(schema: &str) -> Pg {
    database(&format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}; \
         CREATE TABLE _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz); \
         INSERT INTO _prisma_migrations VALUES ('1_init', now(), NULL); CREATE TABLE a (id int PRIMARY KEY);"
    ))
    .await
}

const TWO: [(&str, &str); 2] = [
    ("1_init", "CREATE TABLE a (id int PRIMARY KEY);"),
    (
        "2_more",
        "ALTER TABLE a ADD COLUMN x int; CREATE INDEX a_x ON a (x);",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_migrations_that_a_database_lacks_are_tried_out_in_whatever_schema() {
    for schema in ["public", "shop"] {
        let pg = with_one(schema).await;
        let (repo, commit) = commit(&TWO);
        let shape = ExpectedShape {
            of: pg.db.clone(),
            at: pg.db.clone(),
            repo: repo.path().to_str().unwrap().into(),
            commit,
            migrations: "migrations".into(),
            schema: schema.into(),
        };
        let (run, stop) = drive("r-pending", only("test/shape", shape)).await;
        assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
        let found: Expectation = out(&run, "test/shape");
        assert_eq!(
            (found.pending, found.unknown),
            (vec!["2_more".to_owned()], None)
        );
        let things: Vec<String> = found.changes.iter().map(Change::in_words).collect();
        let expected = [
            format!("column {schema}.a.x is new (integer)"),
            format!("index {schema}.a_x is new (on {schema}.a 1 columns)"),
        ];
        assert_eq!(things, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_a_pending_migration_adds_needs_a_class_before_anything_is_done() {
    let more = "ALTER TABLE a ADD COLUMN email text; ALTER TABLE a ADD COLUMN passing int; ALTER TABLE a DROP COLUMN passing; \
                CREATE TABLE \"Guest\" (id int PRIMARY KEY, phone text);";
    let later = "ALTER TABLE a RENAME COLUMN email TO mail;";
    let all = [TWO[0], ("2_more", more), ("3_later", later)];
    for schema in ["public", "shop"] {
        let pg = with_one(schema).await;
        let (repo, commit) = commit(&all);
        let with = |columns: &[(&str, &str)]| {
            let mut policy = Policy::default();
            for (table, column) in columns {
                let table = policy.tables.entry(format!("{schema}.{table}"));
                let class = "keep".to_owned();
                table.or_default().insert((*column).to_owned(), class);
            }
            DataPolicy {
                from: pg.db.clone(),
                policy,
                pending: Some(Pending {
                    repo: repo.path().to_str().unwrap().into(),
                    commit: commit.clone(),
                    migrations: "migrations".into(),
                    schema: schema.into(),
                }),
            }
        };
        let known = with(&[("a", "id")]);
        let (run, stop) = drive("r-policy", only("gate/data-policy", known)).await;
        assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
        let text = told(&run);
        let expected = format!(
            "column {schema}.Guest.id, which migration 2_more adds, column {schema}.Guest.phone, which migration 2_more adds, \
             column {schema}.a.mail, which migration 3_later adds"
        );
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains("passing"), "{text}");
        let whole = with(&[
            ("a", "id"),
            ("a", "mail"),
            ("Guest", "id"),
            ("Guest", "phone"),
        ]);
        let (run, stop) = drive("r-policy", only("gate/data-policy", whole)).await;
        assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    }
}
