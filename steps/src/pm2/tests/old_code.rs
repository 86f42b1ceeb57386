//! A new pid with old code is not restarted.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;

/// Release folders behind a link, each with its own version.
struct Releases {
    pm2: Pm2,
}

impl Releases {
    fn start() -> Self {
        let pm2 = Pm2::start();
        for (n, version) in [("6", "1.6.0"), ("7", "1.7.0")] {
            let dir = pm2.home.path().join("app/releases").join(n);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("s.js"), STEADY).unwrap();
            let package = format!(r#"{{"version":"{version}"}}"#);
            std::fs::write(dir.join("package.json"), package).unwrap();
        }
        let releases = Releases { pm2 };
        releases.link("6");
        releases
    }

    fn current(&self) -> std::path::PathBuf {
        self.pm2.home.path().join("app/current")
    }

    fn link(&self, to: &str) {
        let _none_the_first_time = std::fs::remove_file(self.current());
        symlink(Path::new("releases").join(to), self.current()).unwrap();
    }

    /// Starts it as a person would: `cd current && pm2 start s.js`. The shell's folder is the real one.
    fn up(&self) {
        let real = self.current().canonicalize().unwrap();
        let args = ["start", "s.js", "--name", "api", "-f"];
        let output = self.pm2.command(&args).current_dir(real).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    async fn check(&self, id: &str, before: &ProcessList) -> Result<(), String> {
        let folder = self.current().to_str().unwrap().to_owned();
        let check = Restarted {
            host: "here".into(),
            pm2: self.pm2.prefix.clone(),
            application: Application {
                processes: vec![],
                folder: Some(folder.clone()),
                ..Application::default()
            },
            before: Arg::Value(before.clone()),
            settle_seconds: 1,
            released: Some(Released {
                folder,
                commit: "c".repeat(40),
                is_checkout: false,
            }),
            script: None,
            removed: None,
        };
        let plan = plan(
            |p| {
                p.step("prep/say", Say::new(1));
            },
            |p| {
                p.step("prod/x", check);
            },
        );
        let (run, stop) = Bench::new(registry).start(id, plan).await;
        match stop {
            Stop::Finished(Verdict::Completed) => Ok(()),
            _ => Err(failure(&run, "prod/x").message),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_reloaded_in_the_old_release_folder_runs_old_code_whatever_its_pid() {
    let releases = Releases::start();
    releases.up();
    let before = releases.pm2.all().await;
    releases.link("7");
    releases.pm2.pm2(&["restart", "api"]);
    let why = releases.check("r-old", &before).await.unwrap_err();
    assert!(
        why.contains("runs from ") && why.contains("releases/6"),
        "{why}"
    );

    // Started again in the new folder: a second process of the name, and the first still runs the old code.
    releases.up();
    let why = releases.check("r-two", &before).await.unwrap_err();
    assert!(why.contains("2 processes of the name api"), "{why}");

    releases.pm2.pm2(&["delete", "0"]);
    releases.check("r-new", &before).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_restarted_before_its_code_came_is_told_by_its_version() {
    let releases = Releases::start();
    releases.up();
    let before = releases.pm2.all().await;
    releases.pm2.pm2(&["restart", "api"]);
    let package = releases.current().join("package.json");
    std::fs::write(package, r#"{"version":"1.9.0"}"#).unwrap();
    let why = releases.check("r-old", &before).await.unwrap_err();
    assert!(
        why.contains("was started with version 1.6.0, and 1.9.0 lies there now"),
        "{why}"
    );
    releases.pm2.pm2(&["restart", "api"]);
    releases.check("r-new", &before).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_at_another_commit_than_the_released_one_is_named() {
    let releases = Releases::start();
    let dir = releases.current().canonicalize().unwrap();
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t", "-C"])
            .arg(&dir)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    let commit = git(&["rev-parse", "HEAD"]);
    releases.up();
    let app = releases.pm2.all().await.apps.remove(0);
    let here = Local::new("here");
    let of = |commit: &str| Released {
        folder: releases.current().to_str().unwrap().into(),
        commit: commit.into(),
        is_checkout: true,
    };
    let old = place::old(&here, &of(&commit), None, &[&app])
        .await
        .unwrap();
    assert!(old.is_empty(), "{old:?}");
    let old = place::old(&here, &of(&"d".repeat(40)), None, &[&app])
        .await
        .unwrap();
    assert!(
        old[0].contains(&format!("is at {commit}, not at dddd")),
        "{old:?}"
    );
    let recorded = App {
        revision: Some("e".repeat(40)),
        ..app
    };
    let old = place::old(&here, &of(&commit), None, &[&recorded])
        .await
        .unwrap();
    assert!(old[0].contains("was started at commit eeee"), "{old:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ended_and_came_again_before_the_script_began_runs_old_code() {
    let releases = Releases::start();
    releases.up();
    // Its sessions were ended by the freeze, and it went with them: pm2 started it again.
    releases.pm2.pm2(&["restart", "api"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let job = releases.pm2.home.path().join("job");
    std::fs::create_dir(&job).unwrap();
    std::fs::write(job.join("start"), "").unwrap();
    let what = Released {
        folder: releases.current().to_str().unwrap().into(),
        commit: "c".repeat(40),
        is_checkout: false,
    };
    let old = async || {
        let app = releases.pm2.all().await.apps.remove(0);
        let here = Local::new("here");
        let old = place::old(&here, &what, job.to_str(), &[&app]).await;
        old.unwrap()
    };
    let found = old().await;
    assert!(
        found[0].contains("was started before the release script began"),
        "{found:?}"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    releases.pm2.pm2(&["restart", "api"]);
    assert_eq!(old().await, Vec::<String>::new());
}
