//! `flow demo --interactive`: the hosts and the project, for people to play on.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use flow_sandbox::Sandbox;

use super::{commit_of, failed, project};
use crate::args::Fault;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::view;

/// Writes the project, says how to play, and waits until the input ends. The caller ends it on a signal.
pub(super) async fn play(
    sandbox: &Sandbox,
    dir: &Path,
    fault: Option<Fault>,
) -> Result<Exit, Diagnostic> {
    let project = project::make(sandbox, dir, sandbox.ssh_config(), None)?;
    let exe = std::env::current_exe().map_err(|e| failed("this program cannot be found", &e))?;
    view::out(&how(sandbox, &project, &exe, fault));
    end_of_input().await;
    view::note("\nThe input ended; ending the hosts.\n");
    Ok(Exit::Done)
}

fn how(sandbox: &Sandbox, project: &Path, exe: &Path, fault: Option<Fault>) -> String {
    let branch = commit_of(fault);
    let (project, exe) = (project.display(), exe.display());
    let mut text = format!(
        "\nThe watch takes {} s here instead of fifteen minutes. In each terminal you play in:\n\n  \
         cd {project}\n  alias flow={exe}\n\n\
         One terminal drives (it asks for the name of the environment: prod):\n\n  \
         flow start --commit origin/{branch}\n\n\
         Others look, answer what is asked and sign, when it waits for them:\n\n  \
         flow status\n  flow check latest\n  flow sign latest --role tech-lead --step schema/migration-review --key …\n",
        project::WATCH
    );
    for person in sandbox.people() {
        let _infallible = writeln!(
            text,
            "  flow sign latest --role {} --key {}",
            person.role,
            person.key.display()
        );
    }
    text += "\nThings to try: kill -9 the one that drives, then `flow resume`; \
             `flow rollback latest --reason …`, then `flow unlock prod --reason …`; ssh to a host with\n\n";
    let _infallible = writeln!(text, "  ssh -F {} prod", sandbox.ssh_config().display());
    text += "\nCommits that break: origin/lost-rows, origin/bad-migration, origin/health, origin/drift.\n\
             Everything ends with Ctrl-C or the end of the input here (Ctrl-D).\n";
    text
}

/// Resolves when standard input ends. A thread of its own: a blocking read cannot be called off.
async fn end_of_input() {
    let (ended, wait) = tokio::sync::oneshot::channel();
    let reading = move || {
        let mut input = std::io::stdin();
        let mut bytes = [0; 1024];
        while let Ok(1..) = input.read(&mut bytes) {}
        let _nobody_waits_any_more = ended.send(());
    };
    let thread = std::thread::Builder::new()
        .name("stdin".into())
        .spawn(reading);
    if thread.is_err() {
        std::future::pending::<()>().await;
    }
    let _ended = wait.await;
}
