//! What happens in the demo.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use flow_engine::answer::{Answer, Subject};
use flow_sandbox::Sandbox;

use super::child::{Driving, Terminals};
use super::trouble::{Trouble, UNATTENDED};
use super::{closing, commit_of, failed, project};
use crate::args::Fault;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::view;

/// How often the run is looked at from the other terminals.
const LOOK: Duration = Duration::from_millis(400);

/// Plays it; the exit code is that of the run.
pub(super) async fn play(
    sandbox: &Sandbox,
    dir: &Path,
    fault: Option<Fault>,
) -> Result<Exit, Diagnostic> {
    let trouble = Trouble::of(fault, sandbox, dir)?;
    let way = trouble
        .as_ref()
        .map_or(sandbox.ssh_config(), |t| t.ssh_config(sandbox));
    let unattended = (fault == Some(Fault::Sleep)).then_some(UNATTENDED);
    let project = project::make(sandbox, dir, way, unattended)?;
    let commit = sandbox
        .commit(commit_of(fault))
        .map_err(|e| failed("the commit", &e))?;
    let terminals = Terminals::new(&project)?;
    view::out(&format!(
        "The project is {}. The watch takes {} s here instead of fifteen minutes.\n",
        project.display(),
        project::WATCH
    ));
    let stage = Stage {
        sandbox,
        terminals: &terminals,
    };
    let start = [
        "start", "--commit", commit, "--reason", "the demo", "--wait", "--plain",
    ];
    let mut driver = terminals.drive(&start)?;
    let mut code = stage.others(&mut driver, trouble.as_ref()).await?;
    if code.is_none() {
        view::out(
            "\n*** The driver was killed with SIGKILL in the middle of the production deploy. ***\n",
        );
        stage.somebody_looks().await?;
        driver = terminals.drive(&["resume", "--wait", "--plain"])?;
        code = stage.others(&mut driver, None).await?;
    }
    if fault == Some(Fault::Sleep) && code == Some(i32::from(Exit::Unknown as u8)) {
        view::out(
            "\nCustomers may have written since: whether their rows are the release's doing is for a person to say. Somebody has looked, and goes on.\n",
        );
        let status = stage.status().await?.unwrap_or_default();
        let run = status["run"].as_str().unwrap_or("latest");
        driver = terminals.drive(&["retry", run, "--wait", "--plain"])?;
        code = stage.others(&mut driver, None).await?;
    }
    stage.result().await?;
    let code = code.unwrap_or(-1);
    view::out(&closing::words(fault, code));
    Ok(Exit::of_code(code))
}

struct Stage<'a> {
    sandbox: &'a Sandbox,
    terminals: &'a Terminals,
}

impl Stage<'_> {
    /// Answers whatever is asked until the driver ends; its exit code. Trouble comes in the middle of the production
    /// deploy; nothing when that was the driver's end.
    async fn others(
        &self,
        driver: &mut Driving,
        mut trouble: Option<&Trouble>,
    ) -> Result<Option<i32>, Diagnostic> {
        let mut answered = BTreeSet::new();
        loop {
            let ended = tokio::time::timeout(LOOK, driver.child.wait()).await;
            if let Ok(ended) = ended {
                let ended = ended.map_err(|e| failed("the driver", &e))?;
                driver.shown().await;
                return Ok(Some(ended.code().unwrap_or(-1)));
            }
            let Some(status) = self.status().await? else {
                continue;
            };
            if let Some(now) = trouble.filter(|_| self.deploy_began(&status)) {
                trouble = None;
                if now.strike(driver, self.sandbox).await? {
                    return Ok(None);
                }
                continue;
            }
            for asked in status["waiting"].as_array().into_iter().flatten() {
                let step = asked["step"].as_str().unwrap_or_default();
                if answered.insert(step.to_owned()) {
                    self.answer(&status, step, asked).await?;
                }
            }
        }
    }

    async fn status(&self) -> Result<Option<Value>, Diagnostic> {
        let said = self
            .terminals
            .quietly(&["status", "latest", "--json"])
            .await?;
        Ok(serde_json::from_str(&said.out).ok())
    }

    /// Whether the release script runs on production now: begun in its ledger, and not ended.
    fn deploy_began(&self, status: &Value) -> bool {
        let run = status["run"].as_str().unwrap_or_default();
        let lines = self.sandbox.ledger("prod").unwrap_or_default();
        let mut of_run = lines.iter().filter(|line| line.run == run);
        of_run.next_back().is_some_and(|line| line.event == "begin")
    }

    async fn answer(&self, status: &Value, step: &str, asked: &Value) -> Result<(), Diagnostic> {
        let run = status["run"].as_str().unwrap_or_default();
        let who = asked["who"].as_str().unwrap_or_default();
        if step == "schema/drift" {
            // Nobody accepts that the new code asks for what is not there.
            let why = "a migration was forgotten: schema.prisma has what no migration makes";
            let args = ["cancel", run, "--reason", why, "--no-drive"];
            self.terminals.somebody(who, &args).await?;
            return Ok(());
        }
        let answer = serde_json::from_value(asked["answer"].clone());
        match answer.unwrap_or_default() {
            Some(Answer::Checklist { items, .. }) => {
                let mut args = vec!["check", run, step];
                let items: Vec<String> = items.iter().map(|i| format!("{}=pass", i.key)).collect();
                for item in &items {
                    args.extend(["--item", item.as_str()]);
                }
                self.terminals.somebody(who, &args).await?;
            }
            Some(Answer::Signature {
                subject: Subject::Waiver,
                about: Some(finding),
                ..
            }) => {
                let key = self.key_of(who);
                let why =
                    "the demo's application was read: it shows the column as it is, or nothing";
                let args = [
                    "waive", run, step, &finding, "--reason", why, "--key", &key, "--yes",
                ];
                self.terminals.somebody(who, &args).await?;
            }
            Some(Answer::Signature { role, subject, .. }) => {
                let key = self.key_of(&role);
                let mut args = vec!["sign", run, "--role", &role, "--key", &key, "--yes"];
                if subject == Subject::Review {
                    args.extend(["--step", step]);
                }
                self.terminals.somebody(&role, &args).await?;
            }
            _ => view::out(&format!(
                "\n`{step}` asks for something the demo does not answer: {}\n",
                asked["answer"]
            )),
        }
        Ok(())
    }

    fn key_of(&self, role: &str) -> String {
        let mut people = self.sandbox.people().iter();
        let person = people.find(|person| person.role == role);
        person.map_or_else(String::new, |p| p.key.display().to_string())
    }

    async fn somebody_looks(&self) -> Result<(), Diagnostic> {
        let said = self.terminals.somebody("devops", &["status"]).await?;
        view::out(&said.out);
        Ok(())
    }

    /// What came of it: the run, what production's own ledger says, the mails, the audit.
    async fn result(&self) -> Result<(), Diagnostic> {
        if self.status().await?.is_none() {
            return Ok(());
        }
        self.somebody_looks().await?;
        let ledger = self.sandbox.ledger("prod");
        let ledger = ledger.map_err(|e| failed("the ledger", &e))?;
        view::out(match ledger.as_slice() {
            [] => "\nThe release script was never run on production.\n",
            _ => "\nWhat the release script wrote down on production:\n",
        });
        for line in ledger {
            let status = line
                .status
                .map(|s| format!(" status {s}"))
                .unwrap_or_default();
            view::out(&format!(
                "  {} {:<5} {} {} attempt {}{status}\n",
                line.at,
                line.event,
                line.commit.get(..12).unwrap_or(&line.commit),
                line.step,
                line.attempt
            ));
        }
        let mails = self.sandbox.mails().map_err(|e| failed("the mails", &e))?;
        let plural = if mails.len() == 1 { "" } else { "s" };
        view::out(&format!("\n{} mail{plural} arrived:\n", mails.len()));
        for mail in mails {
            view::out(&format!(
                "  {}: {}\n",
                mail.to.join(", "),
                view::clean(&mail.subject)
            ));
        }
        self.export().await
    }

    async fn export(&self) -> Result<(), Diagnostic> {
        let run = self.status().await?.unwrap_or_default();
        let Some(run) = run["run"].as_str() else {
            return Ok(());
        };
        // Where the person is; else where everybody may write.
        let name = format!("flow-demo-{run}.json");
        let here = std::env::current_dir().ok();
        let mut said = None;
        for folder in here.into_iter().chain([std::env::temp_dir()]) {
            let shown = folder.join(&name).display().to_string();
            let exported = self
                .terminals
                .quietly(&["export", run, "-o", &shown])
                .await?;
            let written = exported.code == 0;
            said = Some(exported);
            if written {
                break;
            }
        }
        let Some(said) = said else { return Ok(()) };
        view::out(&format!(
            "\nThe audit export, which stays: {}{}",
            said.out, said.err
        ));
        Ok(())
    }
}
