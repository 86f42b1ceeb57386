//! What must never pass for "no errors", and what code must not have executed.

use std::fs;
use std::time::{Duration, Instant};

use super::project::{HEAD, IMPORT, STRICT, before};
use super::rig::Code;

const FINE: &str = "export const f = (u: User) => u.name.length;\n";

#[tokio::test]
async fn without_a_configuration_or_a_compiler_nothing_is_checked() {
    let code = Code::new(FINE);
    fs::remove_file(code.path("app/tsconfig.json")).unwrap();
    let why = code.not_checked().await;
    assert_eq!(why, "not type-checked: the code has no app/tsconfig.json");

    let mut code = Code::new(FINE);
    code.replace("typescript/nothing", "");
    let why = code.not_checked().await;
    assert!(why.contains("has no typescript/bin/tsc"), "{why}");

    let mut code = Code::new(FINE);
    code.project.node_modules = code.path("none");
    let why = code.not_checked().await;
    assert!(why.contains("cannot open"), "{why}");
}

#[tokio::test]
async fn a_schema_prisma_refuses_is_not_checked() {
    let code = Code::new(FINE);
    let broken = format!("{HEAD}\nmodel User {{\n  id Int @id\n  other Missing\n}}\n");
    let why = code
        .check(&before(), &broken)
        .await
        .unwrap_err()
        .to_string();
    assert!(why.contains("prisma generate ended with 1"), "{why}");
    assert!(why.contains("Missing"), "{why}");
}

#[tokio::test]
async fn a_compiler_that_never_ends_is_killed_with_what_it_started() {
    let mut code = Code::new(FINE);
    let pids = code.path("pids");
    fs::create_dir(&pids).unwrap();
    let script = format!(
        "const child = require('child_process').spawn('sleep', ['60']);\n\
         for (const pid of [process.pid, child.pid]) require('fs').writeFileSync('{}/' + pid, '');\n\
         setInterval(() => {{}}, 1000);\n",
        pids.display()
    );
    code.replace("typescript/bin/tsc", &script);
    let began = Instant::now();
    let limit = Duration::from_secs(30);
    let why = code.within(limit, &before(), &before()).await.unwrap_err();
    assert!(
        why.0
            .contains("tsc had not ended when the time limit was reached"),
        "{why}"
    );
    assert!(began.elapsed() < Duration::from_secs(50));
    let started: Vec<_> = pids
        .read_dir()
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert!(started.len() >= 2, "{started:?}");
    for pid in started {
        let stat = std::path::Path::new("/proc").join(&pid).join("stat");
        let mut running = true;
        for _ in 0..50 {
            // Killed and not yet reaped by its new parent is gone too.
            running = fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
            if !running {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(!running, "{} still runs", pid.display());
    }
}

#[tokio::test]
async fn a_compiler_that_crashes_is_not_one_without_errors() {
    for (script, said) in [
        ("process.abort();", "tsc crashed: it was killed"),
        ("throw new Error('out of ideas');", "out of ideas"),
        ("process.exit(0);", "tsc looked at no file"),
        (
            "console.log('x'.repeat(9 << 20));",
            "printed more than 8 MiB",
        ),
    ] {
        let mut code = Code::new(FINE);
        code.replace("typescript/bin/tsc", script);
        let why = code.not_checked().await;
        assert!(why.contains(said), "{script}: {why}");
    }
}

#[tokio::test]
async fn a_compiler_that_did_not_get_to_the_types_has_checked_nothing() {
    let syntax = Code::new("export const f = (;\n").not_checked().await;
    assert!(syntax.contains("a syntax error kept tsc"), "{syntax}");

    let option = STRICT.replace(r#""strict""#, r#""nosuch": 1, "strict""#);
    let option = Code::with(&option, IMPORT).not_checked().await;
    assert!(
        option.contains("refused its configuration: app/tsconfig.json:3"),
        "{option}"
    );

    let empty = Code::with(&STRICT.replace(r#"["src"]"#, r#"["none"]"#), IMPORT)
        .not_checked()
        .await;
    assert!(empty.contains("TS18003"), "{empty}");

    let references = r#"{ "files": [], "references": [{ "path": "./other" }] }"#;
    let code = Code::with(references, IMPORT);
    code.write("app/other/tsconfig.json", STRICT);
    let why = code.not_checked().await;
    assert!(why.starts_with("not type-checked: with the "), "{why}");

    let unused = Code::with(STRICT, "export const x = 1;\n")
        .not_checked()
        .await;
    assert!(
        unused.contains("none of the 1 files tsc looked at uses"),
        "{unused}"
    );
}

#[tokio::test]
async fn nothing_of_the_code_is_executed() {
    let code = Code::new(FINE);
    let trap = code.path("trap");
    let write = format!("require('fs').writeFileSync('{}', '');\n", trap.display());
    code.write("evil.js", &write);
    code.write("app/prisma.config.js", &write);
    code.write("app/prisma/prisma.config.js", &write);
    code.write("app/node_modules/typescript/bin/tsc", &write);
    code.write("app/node_modules/prisma/build/index.js", &write);
    code.write("app/node_modules/@prisma/client/package.json", "{}");
    let evil = code.path("evil.js");
    code.write(
        "app/.env",
        &format!("NODE_OPTIONS=--require {}\n", evil.display()),
    );
    let schema = format!(
        "{}\ngenerator other {{\n  provider = \"node {}\"\n}}\n",
        before(),
        evil.display()
    );
    assert_eq!(code.check(&schema, &schema).await.unwrap(), []);
    assert!(!trap.exists());
}
