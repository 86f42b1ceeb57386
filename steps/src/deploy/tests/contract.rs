//! What the script is handed, and what it meets.

use flow_engine::record::ParkReason;

use super::*;
use crate::deploy::migrate::WRAPPER;
use crate::pg::tests::cluster::for_a_step;

pub(super) fn secret(rig: &Rig, value: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = rig.path("secret");
    std::fs::write(&path, value).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!("file:{path}")
}

/// Every file below a folder.
fn texts(dir: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all += &texts(&path);
        } else {
            all += &String::from_utf8_lossy(&std::fs::read(&path).unwrap());
        }
    }
    all
}

#[tokio::test]
async fn a_secret_reaches_the_script_as_its_value_and_lies_nowhere_afterwards() {
    let rig = Rig::new();
    let mut deploy = rig.deploy(
        "echo \"$TOKEN|$PLAIN\" >> $ledger; tr '\\0' '\\n' </proc/$$/cmdline; ls \"$(dirname \"$0\")\"",
    );
    deploy
        .env
        .insert("TOKEN".into(), secret(&rig, "s3cret value's\n"));
    deploy.env.insert("PLAIN".into(), "as it is".into());
    let (run, stop) = rig.bench.start("r-one", only(deploy)).await;
    assert_eq!(stop, DONE, "{run:?}");
    assert_eq!(rig.ledger(), ["s3cret value's|as it is"]);
    assert!(!format!("{run:?}").contains("s3cret"));
    assert!(!rig.bench.shown().contains("s3cret"));
    assert!(!texts(Path::new(&rig.path("jobs"))).contains("s3cret"));
}

#[tokio::test]
async fn without_its_secret_the_script_is_not_started_and_the_run_parks() {
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo begun >> $ledger");
    let name = "env:FLOW_TEST_NO_SUCH_SECRET".to_owned();
    deploy.env.insert("TOKEN".into(), name);
    let (run, stop) = rig.bench.start("r-one", only(deploy)).await;
    assert_eq!(stop, Stop::Parked(ParkReason::Unknown { step: 0 }));
    let said = failure(&run, "prep/deploy").message;
    assert!(
        said.contains("`TOKEN`") && said.ends_with("nothing was started"),
        "{said}"
    );
    assert!(rig.ledger().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_folder_vanished_is_asked_about_and_not_started_again() {
    let rig = Rig::new();
    let deploy = rig.deploy("echo begun >> $ledger; sleep 5");
    rig.bench
        .crash_after("r-one", only(deploy), Duration::from_secs(3))
        .await;
    assert_eq!(rig.ledger(), ["begun"]);
    std::fs::remove_dir_all(rig.path("jobs/r-one")).unwrap();
    let (run, stop) = rig.bench.resume("r-one").await;
    assert_eq!(
        stop,
        Stop::Parked(ParkReason::Unknown { step: 0 }),
        "{run:?}"
    );
    let said = failure(&run, "prep/deploy").message;
    assert!(said.contains("its folder was removed"), "{said}");
    assert_eq!(rig.ledger(), ["begun"]);
    // A person looked: it did not do its work.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (_, stop) = rig.settle(false).await;
    assert_eq!(stop, DONE);
    assert_eq!(rig.ledger(), ["begun", "begun"]);
}

/// What `flow-migrate` makes of these variables and this `.env`, as the command it runs sees it.
fn widened(rig: &Rig, env: &[(&str, &str)], file: &str) -> String {
    std::fs::write(rig.path(".env"), file).unwrap();
    let wrapper = rig.path("flow-migrate");
    std::fs::write(&wrapper, WRAPPER).unwrap();
    let show = "printf '%s|%s|%s' \"${DATABASE_URL:-}\" \"${DIRECT_URL:-}\" \"${PGOPTIONS:-}\"";
    let output = std::process::Command::new("sh")
        .args([&wrapper, "sh", "-c", show])
        .current_dir(rig.dir.path())
        .env_remove("DATABASE_URL")
        .env_remove("DIRECT_URL")
        .env_remove("PGOPTIONS")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    if output.status.success() {
        said
    } else {
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn flow_migrate_widens_every_url_and_keeps_what_stands_in_it() {
    let rig = Rig::new();
    let query = ("FLOW_MIGRATE_QUERY", "options=-c%20a%3Doff");
    let options = ("FLOW_MIGRATE_PGOPTIONS", "-c a=off");
    let with = |env: &[(&'static str, &'static str)], file: &str| {
        let env: Vec<_> = env.iter().copied().chain([query, options]).collect();
        widened(&rig, &env, file)
    };
    for (url, wide) in [
        (
            "postgres://u:p@h/d",
            "postgres://u:p@h/d?options=-c%20a%3Doff",
        ),
        ("postgres://u@h/d?", "postgres://u@h/d?options=-c%20a%3Doff"),
        (
            "postgresql://u@h/d?schema=public",
            "postgresql://u@h/d?schema=public&options=-c%20a%3Doff",
        ),
        (
            "postgresql://u@h/d?options=-c%20b%3D1&schema=x",
            "postgresql://u@h/d?options=-c%20b%3D1%20-c%20a%3Doff&schema=x",
        ),
        (
            "postgresql://u:options=@h/d?a=b&options=x",
            "postgresql://u:options=@h/d?a=b&options=x%20-c%20a%3Doff",
        ),
    ] {
        assert_eq!(
            with(&[("DATABASE_URL", url)], ""),
            format!("{wide}||-c a=off")
        );
        for line in [
            format!("DATABASE_URL={url}"),
            format!("export DATABASE_URL = \"{url}\" # why"),
            format!("A=1\nDATABASE_URL='old'\nDATABASE_URL='{url}'\n"),
        ] {
            assert_eq!(with(&[], &line), format!("{wide}||-c a=off"), "{line}");
        }
        let both = with(&[("DIRECT_URL", url), ("PGOPTIONS", "-c c=1")], "");
        assert_eq!(both, format!("|{wide}|-c c=1 -c a=off"));
    }
    let accelerate = "prisma://accelerate.example.org/?api_key=x";
    assert_eq!(
        with(&[("DATABASE_URL", accelerate)], ""),
        format!("{accelerate}||-c a=off")
    );
    for (file, why) in [
        (
            "DATABASE_URL=postgres://$USER@h/${DB}",
            "refers to other variables",
        ),
        ("DATABASE_URL=$OTHER", "refers to other variables"),
        ("DATABASE_URL=mysql://h/d", "is no URL of PostgreSQL"),
    ] {
        let said = with(&[], file);
        assert!(
            said.contains(why) && !said.contains("://"),
            "{file}: {said}"
        );
    }
    // Nothing is read-only outside of a release.
    assert_eq!(widened(&rig, &[("DATABASE_URL", "x")], ""), "x||");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_frozen_database_only_flow_migrate_writes_by_variable_and_by_url_and_the_rest_is_told_how()
 {
    let (pg, db) = for_a_step("CREATE TABLE public.a (id int);").await;
    let frozen = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_read_only = on;",
        db.name
    );
    pg.maintenance().query(&frozen).await.unwrap();
    let folder = db.exec[1].trim_start_matches("PGHOST=").replace('/', "%2F");
    let url = format!("postgresql://postgres@{folder}/{}", db.name);
    let psql = format!("{}/psql", db.bin.clone().unwrap());
    let write = "-X -v ON_ERROR_STOP=1 -c 'INSERT INTO public.a VALUES (1)'";
    for (command, wrote) in [
        (format!("flow-migrate {psql} '{url}' {write}"), true),
        // As a client that reads no variable of libpq but the URL.
        (
            format!(
                "flow-migrate sh -c 'unset PGOPTIONS; exec {psql} \"$DATABASE_URL\" \"$@\"' sh {write}"
            ),
            true,
        ),
        (format!("{psql} '{url}' {write}"), false),
    ] {
        let rig = Rig::new();
        let mut deploy = rig.deploy(&command);
        deploy.may_migrate = true;
        deploy.env.insert("DATABASE_URL".into(), url.clone());
        deploy.env.remove("PGOPTIONS");
        let (run, stop) = rig.bench.start("r-one", only(deploy)).await;
        if wrote {
            assert_eq!(
                stop,
                DONE,
                "{command}: {:?} {}",
                run.steps[0].failure,
                rig.bench.shown()
            );
        } else {
            let failure = failure(&run, "prep/deploy");
            assert!(
                failure.message.contains("read-only transaction"),
                "{failure:?}"
            );
            let hint = failure.hints.join(" ");
            assert!(
                hint.contains("flow-migrate") && hint.contains("FLOW_MIGRATE_PGOPTIONS"),
                "{hint}"
            );
        }
    }
    assert_eq!(
        pg.query("SELECT count(*) FROM public.a;").await.unwrap(),
        ["2"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_opened_while_secrets_are_looked_up_keeps_the_script_from_its_start() {
    let (pg, db) = for_a_step("CREATE TABLE public.a (id int);").await;
    let set = |what: &str| {
        let name = &db.name;
        format!("ALTER DATABASE \"{name}\" {what};")
    };
    let frozen = set("SET default_transaction_read_only = on");
    pg.maintenance().query(&frozen).await.unwrap();
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo begun >> $ledger");
    deploy.frozen_elsewhere = Some(db.clone());
    let mut opens = pg.psql_words();
    opens.extend([
        "-c".into(),
        set("RESET default_transaction_read_only"),
        "-c".into(),
        "SELECT 'a value'".into(),
    ]);
    let opens = format!("command:{}", serde_json::json!(opens));
    deploy.env.insert("TOKEN".into(), opens);
    let (run, _) = rig.bench.start("r-one", only(deploy)).await;
    let said = failure(&run, "prep/deploy").message;
    assert!(
        said.contains("lets writers in again") && said.ends_with("nothing was started"),
        "{said}"
    );
    assert!(rig.ledger().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_further_host_nothing_is_started_while_the_database_elsewhere_lets_writers_in() {
    let (pg, db) = for_a_step("CREATE TABLE public.a (id int);").await;
    let rig = Rig::new();
    let mut deploy = rig.deploy("echo begun >> $ledger");
    deploy.frozen_elsewhere = Some(db.clone());
    let (run, _) = rig.bench.start("r-one", only(deploy)).await;
    let said = failure(&run, "prep/deploy").message;
    assert!(
        said.contains("lets writers in again") && said.ends_with("nothing was started"),
        "{said}"
    );
    assert!(rig.ledger().is_empty());
    let frozen = format!(
        "ALTER DATABASE \"{}\" SET default_transaction_read_only = on;",
        db.name
    );
    pg.maintenance().query(&frozen).await.unwrap();
    let (_, stop) = rig.retry().await;
    assert_eq!(stop, DONE);
    assert_eq!(rig.ledger(), ["begun"]);
}
