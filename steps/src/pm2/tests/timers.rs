//! What pm2 starts by itself stays down while a database is restored, and is what it was afterwards.

use super::*;
use crate::deploy::{Deploy, StopSpec, fixture};

/// Stands where a database is restored: its undo says how many starts there were meanwhile.
#[derive(serde::Serialize, serde::Deserialize)]
struct Quiet {
    file: PathBuf,
}

fn starts(file: &PathBuf) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[async_trait::async_trait]
impl flow_engine::step::Step for Quiet {
    const KIND: &'static str = "test.quiet";
    type Output = ();

    fn summary(&self) -> String {
        "counts starts".into()
    }

    fn undo_in_words(&self) -> Option<String> {
        Some("counts starts".into())
    }

    async fn run(&self, _: &flow_engine::step::Cx) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, cx: &flow_engine::step::Cx, _: Option<()>) -> Result<String, StepError> {
        let before = starts(&self.file);
        // As a migration or a revert would: what watches its files is started by a change of one.
        std::fs::write(
            self.file.with_file_name("changed.js"),
            format!("// {before}"),
        )
        .unwrap();
        cx.sleep(Duration::from_secs(12)).await?;
        Ok(format!("{} starts", starts(&self.file) - before))
    }
}

fn ecosystem(pm2: &Pm2, name: &str, apps: &serde_json::Value) {
    let file = pm2.home.path().join(format!("{name}.json"));
    std::fs::write(&file, serde_json::json!({ "apps": apps }).to_string()).unwrap();
    pm2.pm2(&["start", file.to_str().unwrap()]);
}

/// Writes a line at each start; a job ends after it.
fn script(pm2: &Pm2, name: &str, ends: bool) -> String {
    let file = pm2.home.path().join(format!("app/{name}.js"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let log = pm2.home.path().join("app/starts");
    let end = if ends { "process.exit(0)" } else { STEADY };
    let text = format!(
        "require('fs').appendFileSync({log:?}, ['{name}', process.env.SECRET, process.env.NODE_APP_INSTANCE].join('|') + '\\n'); {end}"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Name, namespace and state of each process, as pm2 lists them.
fn listed(pm2: &Pm2) -> Vec<String> {
    let output = pm2.command(&["jlist"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let all: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let words = |app: &serde_json::Value| {
        let env = &app["pm2_env"];
        let at = |key: &str| env[key].to_string();
        [
            app["name"].to_string(),
            at("namespace"),
            at("cron_restart"),
            at("watch"),
            at("autorestart"),
            at("exec_mode"),
            env["env"]["SECRET"].to_string(),
        ]
        .join(" ")
    };
    let mut all: Vec<String> = all.as_array().unwrap().iter().map(words).collect();
    all.sort();
    all
}

fn release(pm2: &Pm2) -> Plan {
    let script = pm2.home.path().join("release.sh");
    let words = pm2.prefix.join(" ");
    let new = pm2.home.path().join("new.json");
    std::fs::write(
        &script,
        format!("{words} restart steady; {words} start {}", new.display()),
    )
    .unwrap();
    let words = vec!["sh".into(), script.to_str().unwrap().into()];
    let deploy = Deploy {
        cwd: pm2.home.path().join("app").to_str().unwrap().into(),
        stop_on_undo: Some(StopSpec {
            pm2: pm2.prefix.clone(),
            application: Application::default(),
            look: None,
        }),
        ..fixture::deploy(pm2.home.path(), words)
    };
    let quiet = Quiet {
        file: pm2.home.path().join("app/starts"),
    };
    plan(
        |p| {
            p.step("prep/processes", processes(pm2));
        },
        |p| {
            p.step("prod/quiet", quiet);
            p.step("prod/deploy", deploy);
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_started_by_the_clock_or_by_a_changed_file_while_a_database_is_restored() {
    let pm2 = Pm2::start();
    let often = "*/2 * * * * *";
    let (steady, ticking, job) = (
        script(&pm2, "steady", false),
        script(&pm2, "ticking", false),
        script(&pm2, "job", true),
    );
    let secret = serde_json::json!({ "SECRET": "hunter2" });
    let apps = serde_json::json!([
        { "name": "steady", "script": steady, "watch": true, "cwd": pm2.home.path().join("app"), "ignore_watch": ["starts"] },
        { "name": "ticking", "script": ticking, "cron_restart": "*/10 * * * * *", "namespace": "clock", "instances": 2, "env": secret },
        { "name": "job", "script": job, "cron_restart": often, "autorestart": false, "env": secret },
        { "name": "nightly", "script": job, "cron_restart": "0 3 1 1 *", "autorestart": false },
    ]);
    ecosystem(&pm2, "ecosystem", &apps);
    let came = script(&pm2, "came", true);
    let came = serde_json::json!({ "apps": [{ "name": "came", "script": came, "cron_restart": often, "autorestart": false }] });
    std::fs::write(pm2.home.path().join("new.json"), came.to_string()).unwrap();
    let before = listed(&pm2);
    let bench = Bench::new(|| registry().with::<Deploy>().with::<Quiet>());
    let (run, stop) = bench.start("r-one", release(&pm2)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);

    bench.order("r-one", Order::Rollback).await;
    let (run, stop) = bench.resume("r-one").await;
    assert_eq!(stop, Stop::Finished(Verdict::RolledBack), "{:?}", run.steps);
    assert_eq!(undone(&run, "prod/quiet"), "0 starts");
    let said = undone(&run, "prod/deploy");
    assert!(
        said.contains("taken out of pm2 until the processes are brought back"),
        "{said}"
    );
    assert!(said.contains("came, job, nightly, ticking"), "{said}");
    assert_eq!(listed(&pm2), before, "not what it was before");
    let report = undone(&run, "prep/processes");
    assert!(report.contains("restarted steady, ticking: "), "{report}");
    assert!(
        report.contains(
            "waiting for their clock again: job, nightly; removed: came (it came with the release)"
        ),
        "{report}"
    );
    // Their clock goes on.
    let log = pm2.home.path().join("app/starts");
    let then = starts(&log);
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    let since = |name: &str| {
        let text = std::fs::read_to_string(&log).unwrap();
        let more = text
            .lines()
            .skip(then)
            .filter(|line| line.starts_with(name));
        more.map(str::to_owned).collect::<Vec<_>>()
    };
    while (since("job").is_empty() || since("ticking").len() < 2)
        && std::time::Instant::now() < deadline
    {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(
        since("job")
            .iter()
            .all(|line| line.starts_with("job|hunter2|"))
    );
    assert!(!since("job").is_empty(), "the job's timer is gone");
    assert!(since("ticking").len() >= 2, "the timer is gone");
}
