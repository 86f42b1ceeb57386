//! Against a real server with rows that do not fit.

use std::collections::BTreeSet;

use flow_engine::driver::Stop;
use flow_engine::record::ParkReason;
use flow_engine::registry::Registry;

use super::*;
use crate::means::reach::testing::{Bench, Say, failure, output, plan};
use crate::means::reports::migrations::Pending;
use crate::means::reports::people::Waiver;
use crate::pg::tests::cluster;
use flow_lint::migration::{check, from_pairs};

const SCHEMA: &str = r#"
CREATE TYPE "Role" AS ENUM ('ADMIN', 'MEMBER', 'GUEST');
CREATE TABLE "User" ("id" INTEGER PRIMARY KEY, "email" TEXT, "role" "Role" NOT NULL, "team" INTEGER, "nick" TEXT);
CREATE TABLE "Team" ("id" INTEGER PRIMARY KEY);
CREATE TABLE "Login" ("email" TEXT PRIMARY KEY, "code" TEXT);
"#;

const ROWS: &str = r#"
INSERT INTO "Team" VALUES (1);
INSERT INTO "User" SELECT g, 'person' || g || '@example.org', 'MEMBER', 1, 'n' || g FROM generate_series(1, 50) g;
UPDATE "User" SET "email" = 'person7@example.org' WHERE "id" IN (8, 9);
UPDATE "User" SET "nick" = NULL WHERE "id" IN (20, 21);
UPDATE "User" SET "role" = 'GUEST' WHERE "id" = 30;
UPDATE "User" SET "team" = 99 WHERE "id" IN (40, 41, 42);
INSERT INTO "Login" VALUES ('anna@example.org', 'same'), ('bert@example.org', 'same'), ('carl@example.org', NULL);
"#;

/// What the migration check says of these, the first being applied, with or without a signature under every warning.
fn checked(pending: &[&str], signed: bool) -> Checked {
    let texts = std::iter::once(&SCHEMA).chain(pending).enumerate();
    let all = from_pairs(texts.map(|(at, sql)| (format!("{at:03}"), (*sql).to_owned()))).unwrap();
    let names: BTreeSet<String> = all.iter().skip(1).map(|each| each.name.clone()).collect();
    let report = check(&all, &names);
    let waiver = |finding: &Finding| Waiver {
        finding: finding.digest.clone(),
        reason: "looked at".into(),
        role: "tech-lead".into(),
        signer: "developer".into(),
        fingerprint: String::new(),
        statement_sha256: String::new(),
        signed_at: serde_json::from_value(0.into()).unwrap(),
        expires_at: serde_json::from_value(1.into()).unwrap(),
    };
    let signed = report.findings.iter().filter(|_| signed);
    Checked {
        waivers: signed.map(waiver).collect(),
        pending: all[1..]
            .iter()
            .map(|each| Pending {
                name: each.name.clone(),
                sha256: each.sha256(),
            })
            .collect(),
        report,
        script_passed: false,
    }
}

/// The answers about a table of people in which several things are wrong.
async fn answers(pending: &[&str], signed: bool) -> Vec<Answered> {
    let (pg, _) = cluster::for_a_step(&format!("SET search_path = public;{SCHEMA}{ROWS}")).await;
    let asking = Asking::new(pg, "public", 20).unwrap();
    let checked = checked(pending, signed);
    let mut all = Vec::new();
    for finding in &checked.report.findings {
        if DECIDED_BY_ROWS.contains(&finding.rule) {
            all.push(answer(&asking, &checked, finding).await.unwrap());
        }
    }
    all
}

async fn one(sql: &str) -> Answered {
    let mut all = answers(&[sql], true).await;
    assert_eq!(all.len(), 1, "{sql}: {all:?}");
    all.remove(0)
}

#[tokio::test]
async fn rows_that_would_fail_the_migration_are_counted_and_named_by_key() {
    let cases: [(&str, RuleId, u64, &[&str]); 6] = [
        (
            r#"CREATE UNIQUE INDEX "u" ON "User"("email");"#,
            RuleId::UniqueOnExisting,
            3,
            &["(7)", "(8)", "(9)"],
        ),
        (
            r#"CREATE UNIQUE INDEX "u" ON "User"(lower("email")) WHERE "id" < 9;"#,
            RuleId::UniqueOnExisting,
            2,
            &["(7)", "(8)"],
        ),
        (
            r#"ALTER TABLE "User" ALTER COLUMN "nick" SET NOT NULL;"#,
            RuleId::SetNotNull,
            2,
            &["(20)", "(21)"],
        ),
        (
            r#"ALTER TABLE "User" ALTER COLUMN "nick" TYPE VARCHAR(2);"#,
            RuleId::NarrowType,
            39,
            &[],
        ),
        (
            r#"ALTER TABLE "User" ADD CONSTRAINT "f" FOREIGN KEY ("team") REFERENCES "Team"("id");"#,
            RuleId::AddConstraint,
            3,
            &["(40)", "(41)", "(42)"],
        ),
        (
            r#"ALTER TABLE "User" ADD COLUMN "must" TEXT NOT NULL;"#,
            RuleId::RequiredColumn,
            1,
            &[],
        ),
    ];
    for (sql, rule, rows, keys) in cases {
        let answer = one(sql).await;
        assert_eq!(
            (answer.rule, answer.standing, answer.rows),
            (rule, Standing::Violated, rows),
            "{sql}: {answer:?}"
        );
        if !keys.is_empty() {
            assert_eq!(answer.keys, keys, "{sql}");
        }
        assert!(answer.keys.len() <= 20);
    }
}

#[tokio::test]
async fn a_removed_label_that_rows_hold_is_counted() {
    let sql = r#"CREATE TYPE "Role_new" AS ENUM ('ADMIN', 'MEMBER');
ALTER TABLE "User" ALTER COLUMN "role" TYPE "Role_new" USING ("role"::text::"Role_new");
ALTER TYPE "Role" RENAME TO "Role_old"; ALTER TYPE "Role_new" RENAME TO "Role"; DROP TYPE "Role_old";"#;
    let all = answers(&[sql], true).await;
    let label = all
        .iter()
        .find(|each| each.rule == RuleId::EnumValueRemoved);
    let label = label.expect("an answer");
    assert_eq!(label.rows, 1, "{label:?}");
}

#[tokio::test]
async fn what_no_row_violates_is_proven_for_this_data_and_named_by_its_digest() {
    let sql = r#"CREATE UNIQUE INDEX "u" ON "User"("nick");"#;
    let answer = one(sql).await;
    assert_eq!(answer.standing, Standing::Proven, "{answer:?}");
    let digest = answer.finding.clone();
    let report = DataReport {
        answers: vec![answer],
    };
    assert_eq!(report.proven().collect::<Vec<_>>(), [digest.as_str()]);
    // A primary key takes no NULL, and the two here would be counted as one group at most.
    let key = r#"ALTER TABLE "Login" DROP CONSTRAINT "Login_pkey"; ALTER TABLE "Login" ADD PRIMARY KEY ("code");"#;
    let all = answers(&[key], true).await;
    let key = all
        .iter()
        .find(|a| a.rule == RuleId::UniqueOnExisting)
        .unwrap();
    assert_eq!((key.standing, key.rows), (Standing::Violated, 3), "{key:?}");
}

#[tokio::test]
async fn a_key_that_may_be_an_address_is_told_by_its_hash_only() {
    let answer = one(r#"CREATE UNIQUE INDEX "u" ON "Login"("code");"#).await;
    assert_eq!(
        (answer.standing, answer.rows, answer.keys.len()),
        (Standing::Violated, 2, 2)
    );
    assert!(answer.keys.iter().all(|key| key.starts_with("(sha256 ")));
    assert!(!format!("{answer:?}").contains("example.org"));
}

#[tokio::test]
async fn what_a_pending_migration_fills_first_is_left_to_its_waiver_and_never_called_proven() {
    let fill = r#"UPDATE "User" SET "nick" = '' WHERE "nick" IS NULL; ALTER TABLE "User" ALTER COLUMN "nick" SET NOT NULL;"#;
    let filled = one(fill).await;
    assert_eq!(
        (filled.standing, filled.rows),
        (Standing::Waived, 2),
        "{filled:?}"
    );
    let unsigned = answers(&[fill], false).await.remove(0);
    assert_eq!(unsigned.standing, Standing::Unanswered);
    // No duplicate now is no proof either when values change before the key is built.
    let folded = r#"UPDATE "User" SET "nick" = 'x'; CREATE UNIQUE INDEX "u" ON "User"("nick");"#;
    let folded = one(folded).await;
    assert_eq!((folded.standing, folded.rows), (Standing::Waived, 0));
    // Another table's rows are no reason.
    let other = r#"UPDATE "Login" SET "code" = '' WHERE "code" IS NULL; ALTER TABLE "User" ALTER COLUMN "nick" SET NOT NULL;"#;
    assert_eq!(one(other).await.standing, Standing::Violated);
    // What an earlier pending migration makes is not there to be asked.
    let new = r#"ALTER TABLE "User" ADD COLUMN "code" INTEGER NOT NULL DEFAULT 1;"#;
    let key = r#"CREATE UNIQUE INDEX "u" ON "User"("code");"#;
    let later = answers(&[new, key], true).await.remove(0);
    assert_eq!(later.standing, Standing::Waived, "{later:?}");
    let unsigned = answers(&[new, key], false).await.remove(0);
    assert_eq!(unsigned.standing, Standing::Unanswered);
}

#[tokio::test]
async fn a_condition_that_calls_something_is_not_asked_and_nothing_can_be_written() {
    for condition in [
        "pg_sleep(9) IS NOT NULL",
        "pg_catalog.pg_sleep(9)::text = ''",
        "\"pg_sleep\"(9) IS NULL",
    ] {
        let sql = format!(r#"CREATE UNIQUE INDEX "u" ON "User"("email") WHERE {condition};"#);
        let answer = one(&sql).await;
        assert_eq!(answer.standing, Standing::Unanswered, "{answer:?}");
        assert!(answer.why.contains("not asked"), "{answer:?}");
    }
    let (pg, _) = cluster::for_a_step("CREATE TABLE public.t (a int);").await;
    let asking = Asking::new(pg.clone(), "public", 20).unwrap();
    let writing = Probe::Groups("INSERT INTO t VALUES (1) RETURNING 1".into());
    assert!(asking.ask(&writing).await.unwrap().is_err());
    assert_eq!(
        cluster::value(&pg, "SELECT count(*) FROM public.t;").await,
        "0"
    );
}

fn registry() -> Registry {
    Registry::default().with::<UniqueSafe>()
}

async fn released(
    db: Database,
    safety: Checked,
) -> (std::sync::Arc<flow_engine::run::Run>, Stop, Bench) {
    let asking = UniqueSafe {
        db,
        schema: "public".into(),
        safety: Arg::Value(safety),
        seconds: 20,
    };
    let plan = plan(
        |p| {
            p.step("prep/unique", asking);
        },
        |p| {
            p.step("prod/say", Say::new(1));
        },
    );
    let bench = Bench::new(registry);
    let (run, stop) = bench.start("r-one", plan).await;
    (run, stop, bench)
}

#[tokio::test]
async fn a_release_stops_at_duplicates_refuses_without_an_answer_and_passes_with_one() {
    let (pg, db) = cluster::for_a_step(&format!("SET search_path = public;{SCHEMA}{ROWS}")).await;
    let unique = [r#"CREATE UNIQUE INDEX "u" ON "User"("email");"#];
    let (run, stop, bench) = released(db.clone(), checked(&unique, true)).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let said = failure(&run, "prep/unique").message;
    assert!(
        said.contains(
            "unique-on-existing 001 \"User\"(\"email\"): 3 rows violate it, such as (7), (8), (9)"
        ),
        "{said}"
    );
    let everything = format!("{run:?}{}", bench.shown());
    assert!(!everything.contains("example.org"));
    // Somebody else holds the table: no answer is no pass.
    let mut holder = pg.session().await.unwrap();
    holder
        .ask("BEGIN; LOCK TABLE public.\"User\" IN ACCESS EXCLUSIVE MODE;")
        .await
        .unwrap();
    let (run, stop, _) = released(db.clone(), checked(&unique, true)).await;
    drop(holder);
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let said = failure(&run, "prep/unique").message;
    assert!(
        said.contains("not proven") && said.contains("too long for a lock (55P03)"),
        "{said}"
    );
    pg.query("DELETE FROM public.\"User\" WHERE id IN (8, 9);")
        .await
        .unwrap();
    let (run, _, _) = released(db, checked(&unique, true)).await;
    let report: DataReport = output(&run, "prep/unique");
    assert_eq!(report.proven().count(), 1);
}
