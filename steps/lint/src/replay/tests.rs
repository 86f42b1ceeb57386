//! One server of its own for each of these, as a person has it.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::Deadline;
use crate::migration::{check, from_pairs};

const INIT: &str = r#"CREATE TABLE "Task" ("id" INTEGER PRIMARY KEY, "title" TEXT, "notes" TEXT);"#;

fn replayed(sql: &[&str], pending: usize, options: &Options) -> Result<ReplayOutcome, ReplayError> {
    let pairs = sql.iter().enumerate();
    let all = from_pairs(pairs.map(|(at, sql)| (format!("{at:03}"), (*sql).to_owned()))).unwrap();
    let names = all.iter().skip(sql.len() - pending);
    let names: BTreeSet<String> = names.map(|each| each.name.clone()).collect();
    replay(&all, &names, &check(&all, &names), options)
}

fn left_behind() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|each| each.unwrap().path()).collect();
    found.retain(|each| each.to_string_lossy().contains("flow-replay-"));
    found
}

/// What the server says to SQL that reaches for the machine it runs on.
fn refused(sql: &str) -> String {
    let done = replayed(&[INIT, sql], 1, &Options::default()).unwrap();
    assert_eq!(done.findings.len(), 1, "{sql}: {done:?}");
    assert_eq!(done.findings[0].rule, RuleId::ReplayFailed);
    done.findings[0].message.clone()
}

#[test]
fn a_failing_migration_is_named_with_the_servers_words_and_its_place() {
    let sql = "-- ä\nALTER TABLE \"Task\" ADD COLUMN \"due\" DATE;\nALTER TABLE \"Task\" DROP \"nots\";\n";
    let done = replayed(&[INIT, sql, "SELECT 1;"], 2, &Options::default()).unwrap();
    assert_eq!((done.applied, done.compared, done.unreached), (1, 0, 1));
    let finding = &done.findings[0];
    assert_eq!(
        (finding.rule, finding.level),
        (RuleId::ReplayFailed, Level::Error)
    );
    assert!(
        finding
            .message
            .contains("column \"nots\" of relation \"Task\" does not exist (42703)"),
        "{}",
        finding.message
    );
    assert!(done.in_words().contains("NOT replayed: 1 pending"));
    let sql = "\n  SELECT 1 FROM \"Nothing\";";
    let done = replayed(&[INIT, sql], 1, &Options::default()).unwrap();
    assert_eq!((done.findings[0].line, done.findings[0].column), (2, 17));
}

#[test]
fn a_migration_that_reaches_for_the_machine_is_refused() {
    let marker = std::env::temp_dir().join(format!("flow-reached-{}", std::process::id()));
    let path = marker.to_string_lossy();
    let privileged = [
        format!("COPY \"Task\" FROM PROGRAM 'touch {path}';"),
        format!("COPY (SELECT 1) TO '{path}';"),
        "SELECT pg_read_file('/etc/passwd');".into(),
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system';".into(),
        "CREATE ROLE other SUPERUSER;".into(),
        "GRANT pg_execute_server_program TO CURRENT_USER;".into(),
        "SET ROLE flow_replay_owner;".into(),
        "ALTER SYSTEM SET archive_command = 'id';".into(),
        "SELECT lo_import('/etc/passwd');".into(),
    ];
    for sql in &privileged {
        let said = refused(sql);
        assert!(
            said.contains("permission denied")
                || said.contains("must be superuser")
                || said.contains("must have admin"),
            "{sql}: {said}"
        );
    }
    assert!(refused(&format!("\\! touch {path}")).contains("syntax error"));
    assert!(refused("COPY \"Task\" FROM STDIN;").contains("no data to copy"));
    assert!(refused("BEGIN; SELECT 1;").contains("leaves a transaction open"));
    assert!(!marker.exists());
}

#[test]
fn time_is_bounded_even_when_a_migration_lifts_the_servers_own_limit_and_nothing_is_left() {
    let options = Options {
        each: Duration::from_secs(2),
        ..Options::default()
    };
    let begun = Instant::now();
    let sql = "SET statement_timeout = 0; SELECT pg_sleep(1000);";
    let done = replayed(&[INIT, sql], 1, &options).unwrap();
    assert!(done.findings[0].message.contains("did not end in time"));
    assert!(begun.elapsed() < Duration::from_secs(30));
    let none = Options {
        all: Duration::ZERO,
        ..Options::default()
    };
    assert!(replayed(&[INIT], 1, &none).is_err());
}

#[test]
fn concurrently_runs_alone_and_is_refused_in_company_and_an_invalid_index_is_a_difference() {
    let alone = "CREATE INDEX CONCURRENTLY \"i\" ON \"Task\"(\"title\");";
    let done = replayed(&[INIT, alone], 1, &Options::default()).unwrap();
    assert_eq!(done.findings, []);
    assert!(
        refused(&format!("{alone} SELECT 1;")).contains("cannot run inside a transaction block")
    );
    let parted = "CREATE TABLE \"P\" (\"id\" INTEGER, \"k\" INTEGER) PARTITION BY LIST (\"k\"); CREATE TABLE \"P1\" PARTITION OF \"P\" FOR VALUES IN (1);";
    let done = replayed(
        &[parted, "CREATE INDEX \"p\" ON ONLY \"P\"(\"id\");"],
        1,
        &Options::default(),
    )
    .unwrap();
    assert!(
        done.findings
            .iter()
            .any(|each| each.rule == RuleId::ReplayDiffers
                && each.message.contains("index \"p\" is invalid")),
        "{:?}",
        done.findings
    );
}

#[test]
fn what_the_history_takes_for_granted_is_set_up_first_and_a_wrong_setup_is_no_replay() {
    let history = [
        "CREATE TABLE \"Note\" (\"id\" UUID PRIMARY KEY REFERENCES auth.users(id)); GRANT SELECT ON \"Note\" TO anon;",
    ];
    let without = replayed(&history, 1, &Options::default()).unwrap();
    assert!(
        without.findings[0]
            .message
            .contains("schema \"auth\" does not exist")
    );
    let setup =
        "CREATE ROLE anon; CREATE SCHEMA auth; CREATE TABLE auth.users (id UUID PRIMARY KEY);";
    let with = |setup: &str| Options {
        setup: Some(setup.to_owned()),
        ..Options::default()
    };
    assert_eq!(replayed(&history, 1, &with(setup)).unwrap().findings, []);
    let wrong = replayed(&history, 1, &with("SELECT 1;\nCREATE ROL x;")).unwrap_err();
    assert!(
        wrong.to_string().contains("line 2: syntax error"),
        "{wrong}"
    );
}

/// Logs in over a line that others can read, to a server that answers with `question`; also what the server was told then.
fn asked_in_the_open(question: &'static [u8]) -> (WireError, Vec<u8>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut line, _) = listener.accept().unwrap();
        line.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let (mut start, mut told) = ([0; 1024], Vec::new());
        assert!(line.read(&mut start).unwrap() > 0);
        line.write_all(question).unwrap();
        // A connection that is reset told nothing either.
        drop(line.read_to_end(&mut told));
        told
    });
    let login = wire::Login {
        user: "app".into(),
        password: "pencil".into(),
    };
    // It leads to this machine, and does not look like it.
    let address = wire::Address::Tcp("0.0.0.0".into(), port);
    let until = Deadline::after(Duration::from_secs(5));
    let Err(why) = wire::Session::open(&address, &login, "shop", until) else {
        panic!("it is logged in");
    };
    (why, server.join().unwrap())
}

#[test]
fn a_password_never_travels_in_the_clear_nor_as_md5_over_a_line_that_others_can_read() {
    let clear = b"R\0\0\0\x08\0\0\0\x03";
    let md5 = b"R\0\0\0\x0c\0\0\0\x05salt";
    for (question, words) in [
        (&clear[..], "asks for the password in the clear"),
        (md5, "a way of logging in that is not spoken here"),
    ] {
        let (why, told) = asked_in_the_open(question);
        assert!(why.to_string().contains(words), "{why}");
        assert!(told.is_empty(), "{}", String::from_utf8_lossy(&told));
    }
}

#[test]
fn what_a_migration_puts_out_is_read_past() {
    let sql = "COPY \"Task\" TO STDOUT; SELECT repeat('x', 9000000); DO $$ BEGIN RAISE NOTICE '%', repeat('x', 9000000); END $$;";
    let done = replayed(&[INIT, sql], 1, &Options::default()).unwrap();
    assert_eq!((done.compared, done.findings), (1, Vec::new()));
}

#[test]
fn a_server_of_its_own_is_gone_afterwards_folder_and_all() {
    let lab = Lab::open(
        &Place::Own { bin: None },
        None,
        Deadline::after(Duration::from_mins(1)),
    )
    .unwrap();
    let wire::Address::Unix(socket) = lab.address.clone() else {
        panic!("not a socket")
    };
    let dir = socket.parent().unwrap().to_owned();
    let pid = std::fs::read_to_string(dir.join("d/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().to_owned();
    assert!(std::path::Path::new("/proc").join(&pid).exists());
    assert!(left_behind().contains(&dir));
    drop(lab);
    assert!(!dir.exists() && !left_behind().contains(&dir));
    assert!(!std::path::Path::new("/proc").join(&pid).exists());
}
