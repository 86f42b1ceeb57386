//! What is found on test and staging already, where a release parks and production is not touched.

use super::super::cluster::database;
use super::*;
use crate::means::read_only::freeze::Freeze;

/// A release on one environment: recorded, deployed, counted.
async fn on_test(run: &str, tables: &[&str], allowed: &[&str], sql: &str) -> (Arc<Run>, Stop) {
    on_test_with(run, tables, allowed, sql, (None, &[])).await
}

async fn on_test_with(
    run: &str,
    tables: &[&str],
    allowed: &[&str],
    sql: &str,
    (expected, shape_allowed): (Option<Arg<Expectation>>, &[&str]),
) -> (Arc<Run>, Stop) {
    let pg = database(SHOP).await;
    let plan = plan_on_test(&pg, tables, allowed, sql, (expected, shape_allowed));
    drive(run, plan).await
}

fn plan_on_test(
    pg: &Pg,
    tables: &[&str],
    allowed: &[&str],
    sql: &str,
    (expected, shape_allowed): (Option<Arg<Expectation>>, &[&str]),
) -> flow_engine::plan::Plan {
    let words = |these: &[&str]| these.iter().map(|s| (*s).to_owned()).collect();
    let mut p = Planner::new("release", "1", "test", "test");
    p.phase("test", "Test", OnFailure::Park, |p| {
        let freeze = Freeze {
            db: pg.db.clone(),
            ended_by: None,
            watchdog: None,
        };
        p.step("test/maintenance", freeze);
        let state = RecordState {
            db: pg.db.clone(),
            tables: words(tables),
            except: words(allowed),
            only_if_started: None,
            baseline: None,
        };
        let before = p.step("test/counts-before", state);
        let (db, sql) = (pg.db.clone(), sql.to_owned());
        p.step("test/deploy", Deploy { db, sql });
        let counts = CountsMatch {
            before: Arg::from(&before),
            db: pg.db.clone(),
            allow_growth: true,
            allowed: words(allowed),
            expected,
            shape_allowed: words(shape_allowed),
            values: true,
        };
        p.step("test/counts-after", counts);
    });
    p.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_or_table_that_the_script_drops_is_found_on_test_whether_recorded_or_not() {
    for (n, sql, word) in [
        (
            0,
            "ALTER TABLE public.\"Order\" DROP COLUMN amount;",
            "public.Order: columns gone: amount",
        ),
        (
            1,
            "ALTER TABLE public.\"Customer\" DROP COLUMN meta;",
            "public.Customer: columns gone: meta",
        ),
        (
            2,
            "DROP TABLE public.\"AuditLog\";",
            "public.AuditLog: is gone",
        ),
    ] {
        let (run, stop) = on_test(&format!("r-found{n}"), &["Customer"], &[], sql).await;
        let parked = matches!(stop, Stop::Parked(ParkReason::StepFailed { .. }));
        assert!(parked, "{stop:?} {}", told(&run));
        assert!(told(&run).contains(word), "{}", told(&run));
    }
    let declared = ["Order.amount", "Customer.meta"];
    let sql = "ALTER TABLE public.\"Order\" DROP COLUMN amount; ALTER TABLE public.\"Customer\" DROP COLUMN meta;";
    let (run, stop) = on_test("r-foundsaid", &["Customer"], &declared, sql).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declaration_that_names_no_column_is_refused_on_test() {
    for (n, entry) in ["Customer.Name", "Customer.*", "Custmer.name"]
        .iter()
        .enumerate()
    {
        let (run, stop) = on_test(
            &format!("r-misspelt{n}"),
            &[],
            &[entry, "Customer.later"],
            "ALTER TABLE public.\"Customer\" ADD COLUMN later int;",
        )
        .await;
        let parked = matches!(stop, Stop::Parked(ParkReason::Refused { .. }));
        assert!(parked, "{stop:?} {}", told(&run));
        let word = format!("neither before nor after the deploy: public.{entry}.");
        assert!(told(&run).contains(&word), "{}", told(&run));
    }
}

/// As in the first report of it: a trigger writes a column that the migration does not name.
const TOUCHED: &str = "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.meta = '{}'; RETURN NEW; END $$; \
    CREATE TRIGGER touch BEFORE UPDATE ON public.\"Customer\" FOR EACH ROW EXECUTE FUNCTION public.touch(); \
    ALTER TABLE public.\"Customer\" ADD priority int; UPDATE public.\"Customer\" SET priority = 1 WHERE id <= 300; \
    INSERT INTO public.\"Customer\" (name) VALUES ('new');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_a_deploy_changed_are_found_on_test_unless_they_are_declared() {
    let (run, stop) = on_test("r-touched", &[], &[], TOUCHED).await;
    let parked = matches!(stop, Stop::Parked(ParkReason::StepFailed { .. }));
    assert!(parked, "{stop:?} {}", told(&run));
    let text = told(&run);
    assert!(text.contains("public.Customer: at least 2"), "{text}");
    assert!(text.contains("rows CHANGED"), "{text}");
    let declared = ["Customer.meta"];
    let (run, stop) = on_test("r-touchedsaid", &[], &declared, TOUCHED).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    // What is declared hides no other change, in a key neither.
    let more = format!("{TOUCHED} UPDATE public.\"Customer\" SET name = 'x' WHERE id = 5;");
    let (run, stop) = on_test("r-touchedmore", &[], &declared, &more).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?} {}", told(&run));
    assert!(
        told(&run).contains("at least 1 row CHANGED"),
        "{}",
        told(&run)
    );
    let moved = "UPDATE public.\"Order\" SET id = id + 10000;";
    let (run, stop) = on_test("r-keymoved", &[], &["Order.id"], moved).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
    let (run, stop) = on_test("r-keysaid", &[], &[], moved).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?} {}", told(&run));
    // A row is lost while another one comes.
    let other = "DELETE FROM public.\"Order\" WHERE id = 7; INSERT INTO public.\"Order\" VALUES (9999, 1, 1);";
    let (run, stop) = on_test("r-oneforone", &[], &[], other).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?} {}", told(&run));
    assert!(
        told(&run).contains("public.Order: at least 1 row LOST"),
        "{}",
        told(&run)
    );
}

/// A deploy whose later attempt finds the database open, with other people's writing in it, and freezes it again.
#[derive(Serialize, Deserialize)]
pub(super) struct Reopened {
    freeze: Freeze,
}

#[async_trait::async_trait]
impl Step for Reopened {
    const KIND: &'static str = "test.reopened";
    type Output = ();

    fn summary(&self) -> String {
        "deploy again".into()
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        let refrozen = self.freeze.anew(cx).await?;
        let again = self.freeze.anew(cx).await?;
        assert!(!again, "it is frozen");
        cx.note(&serde_json::json!({ "refrozen": refrozen })).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_changed_while_read_only_mode_was_off_is_nothing_against_a_release() {
    for (run, again) in [("r-opened", false), ("r-refrozen", true)] {
        let pg = database(SHOP).await;
        let sql = format!(
            "ALTER DATABASE \"{}\" RESET default_transaction_read_only; UPDATE public.\"Customer\" SET name = 'x';",
            pg.db.name
        );
        let mut plan = plan_on_test(&pg, &[], &[], &sql, (None, &[]));
        if again {
            let freeze = Freeze {
                db: pg.db.clone(),
                ended_by: None,
                watchdog: None,
            };
            let params = serde_json::json!({ "freeze": freeze });
            let mut node = plan.node("test/deploy").unwrap().1.clone();
            (node.key, node.kind) = ("test/again".into(), Reopened::KIND.into());
            node.params = params;
            let at = plan.node("test/counts-after").unwrap().0;
            plan.nodes.insert(at as usize, node);
        }
        let (run, stop) = drive(run, plan).await;
        assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));
        let report: CountsReport = out(&run, "test/counts-after");
        assert!(!report.values);
    }
}

const LOOSE: &str = "ALTER TABLE public.\"Order\" DROP CONSTRAINT \"Order_customer_fkey\";";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_shape_that_no_migration_explains_parks_on_test_and_rolls_production_back() {
    let none = || Some(Arg::Value(Expectation::default()));
    let word = "made of other things than its migrations make: constraint public.Order Order_customer_fkey is gone";
    let (run, stop) = on_test_with("r-shapetest", &[], &[], LOOSE, (none(), &[])).await;
    let parked = matches!(stop, Stop::Parked(ParkReason::StepFailed { .. }));
    assert!(
        parked && told(&run).contains(word),
        "{stop:?} {}",
        told(&run)
    );
    let declared = ["constraint public.Order Order_customer_fkey"];
    let (run, stop) = on_test_with("r-shapesaid", &[], &[], LOOSE, (none(), &declared)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{}", told(&run));

    let dir = tempfile::tempdir().unwrap();
    let pg = database(SHOP).await;
    let mut plan = plan(&pg.db, dir.path().to_str().unwrap(), LOOSE);
    let integrity = plan.nodes.iter_mut().find(|n| n.key == "prod/integrity");
    integrity.unwrap().params["expected"] = serde_json::to_value(none()).unwrap();
    let (run, stop) = drive("r-shapeprod", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{}", told(&run));
    assert!(told(&run).contains(word), "{}", told(&run));
    let key = "SELECT count(*) FROM pg_constraint WHERE conname = 'Order_customer_fkey';";
    assert_eq!(super::super::cluster::value(&pg, key).await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_an_extension_keeps_must_not_become_fewer() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let pg = database(&format!(
        "{SHOP} CREATE SCHEMA vault; CREATE TABLE vault.secrets (id int); INSERT INTO vault.secrets VALUES (1), (2);"
    ))
    .await;
    let backup_without = take(&pg, folder, "r-vault/a").await.unwrap();
    assert!(backup_without.state.extension_rows.is_empty());
    pg.query(
        "ALTER EXTENSION plpgsql ADD TABLE vault.secrets; \
         UPDATE pg_extension SET extconfig = ARRAY['vault.secrets'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'plpgsql';",
    )
    .await
    .unwrap();
    // A real extension would make its table when it is restored; this one cannot, so nothing is dumped here.
    let state = super::super::super::capture::capture(&pg, super::super::super::capture::Look::All);
    let mut before = backup_without;
    before.state = state.await.unwrap();
    assert_eq!(before.state.extension_rows["vault.secrets"], 2);
    pg.query("DELETE FROM vault.secrets WHERE id = 1;")
        .await
        .unwrap();
    let compare = super::super::super::integrity::compare;
    let report = compare(&pg, &before, (&[], &[]), "r-vault", &|_| {})
        .await
        .unwrap();
    assert_eq!(report.extension_rows["vault.secrets"], (2, 1));
}
