//! `flow thaw`: lets writers into a database that a run froze, when no run is at hand to do it.

use std::sync::Arc;

use flow_steps::means::host::Host;
use flow_steps::means::lease::store::lock_state;
use flow_steps::means::psql::Database;
use flow_steps::pg::mode::{self, Mode};

use crate::args::Thaw;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::{actor, project, view};

/// Opens the database and says what was found. Run twice, the second finds it open.
///
/// Refused while a run has the environment, or its timer watches, or its deploy runs: that run opens it itself. Whoever
/// knows better names it.
pub(crate) async fn run(session: &Session, args: Thaw) -> Result<Exit, Diagnostic> {
    if args.reason.trim().is_empty() {
        return Err(Diagnostic::usage(
            "a thaw needs a reason; it goes on record",
        ));
    }
    let (host, db, lease) = place(session, &args.env).await?;
    let unseen = |e: &dyn std::error::Error| {
        failed(format!("`{}` could not be looked at: {e}", args.env))
            .hint(format!("flow doctor {}", args.env))
    };
    let held = lock_state(&*host, &lease).await;
    let held = held.map_err(|e| unseen(&e))?.held;
    let mode = mode::look(Arc::clone(&host), &db, &lease).await;
    let mode = mode.map_err(|e| unseen(&e))?;
    let found = format!("{} of {} {}", db.name, args.env, mode.in_words());
    if !mode.is_shut() {
        view::out(&format!("{found}: there is nothing to do\n"));
        return Ok(Exit::Done);
    }
    let holder = held.map(|held| held.run);
    if let Some(run) = in_the_way(&mode, holder.as_deref())
        && args.run.as_deref() != Some(run)
    {
        return Err(busy(&args.env, run, &mode));
    }
    let me = actor::me();
    let by = format!("{} from {}", me.name, me.from);
    let left = mode::open(host, &db, &lease, (&by, &args.reason)).await;
    let left = left.map_err(|e| {
        failed(format!("{} could not be opened: {e}", db.name))
            .hint("by hand: docs/operations.md, \"Production stays read-only\"")
    })?;
    view::out(&format!(
        "{found}\nNow it lets writers in, proved by a write.\n"
    ));
    for line in left {
        view::out(&format!("{line}\n"));
    }
    Ok(Exit::Done)
}

/// What is to be said after a lease was taken from a run: it may have left the database read-only.
pub(crate) async fn still_shut(session: &Session, env: &str) -> String {
    let Ok((host, db, lease)) = place(session, env).await else {
        return String::new();
    };
    match mode::look(host, &db, &lease).await {
        Ok(mode) if mode.is_shut() => format!(
            "{} of {env} is still {}\n  flow thaw {env} --reason …\n",
            db.name,
            mode.in_words()
        ),
        Ok(_) => String::new(),
        Err(e) => format!(
            "Whether {} of {env} lets writers in is not known: {e}\n",
            db.name
        ),
    }
}

fn failed(message: String) -> Diagnostic {
    Diagnostic::new(Exit::Failed, message)
}

/// The run that has the environment, when one does: by its lease, its living timer or its jobs.
fn in_the_way<'a>(mode: &'a Mode, holder: Option<&'a str>) -> Option<&'a str> {
    let guardian = mode.guardian.as_ref();
    let active = guardian.filter(|g| g.alive || !g.jobs.is_empty());
    holder.or(active.map(|g| g.run.as_str()))
}

fn busy(env: &str, run: &str, mode: &Mode) -> Diagnostic {
    let jobs = mode.guardian.as_ref().map(|g| g.jobs.join(", "));
    let running = match jobs.as_deref() {
        None | Some("") => String::new(),
        Some(jobs) => format!("; its job {jobs} runs on the host"),
    };
    Diagnostic::new(
        Exit::Locked,
        format!("run {run} has {env} and opens the database itself{running}; nothing was changed"),
    )
    .hint(format!("flow status {run}"))
    .hint(format!("flow resume {run}"))
    .hint(format!(
        "when it is lost for good: flow thaw {env} --run {run} --reason …"
    ))
}

async fn place(
    session: &Session,
    env: &str,
) -> Result<(Arc<dyn Host>, Database, String), Diagnostic> {
    let setup = session.setup()?;
    let (name, found) = project::environment(setup, env)?;
    let (store, _) = found.database_host(name);
    let host = setup.hosts().get(store);
    let host = host.map_err(|e| failed(format!("`{store}` cannot be reached: {e}")))?;
    let db = found.database.at(store);
    let lease = flow_steps::means::lease::place::place(&host, &db).await;
    let lease =
        lease.map_err(|e| failed(format!("the lease of `{env}` could not be found: {e}")))?;
    Ok((host, db, lease))
}

#[cfg(test)]
mod tests {
    use flow_steps::means::read_only::watchdog::Guardian;

    use super::*;

    #[test]
    fn a_database_is_left_to_the_run_that_has_it_by_lease_timer_or_job() {
        let mode = |guardian: Option<(bool, &[&str])>| Mode {
            read_only: true,
            closed: false,
            guardian: guardian.map(|(alive, jobs)| Guardian {
                run: "r-one".into(),
                alive,
                jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
            }),
        };
        let table: [(Mode, Option<&str>, Option<&str>); 6] = [
            (mode(None), None, None),
            (mode(None), Some("r-two"), Some("r-two")),
            (mode(Some((false, &[]))), None, None),
            (mode(Some((true, &[]))), None, Some("r-one")),
            (mode(Some((false, &["prod_deploy.1"]))), None, Some("r-one")),
            (mode(Some((true, &[]))), Some("r-two"), Some("r-two")),
        ];
        for (mode, holder, run) in table {
            assert_eq!(in_the_way(&mode, holder), run, "{mode:?} {holder:?}");
        }
        let busy = busy("prod", "r-one", &mode(Some((true, &["prod_deploy.1"]))));
        assert_eq!(busy.exit, Exit::Locked);
        assert!(
            busy.message.contains("its job prod_deploy.1 runs"),
            "{busy:?}"
        );
        assert!(busy.hints.iter().any(|hint| hint.contains("--run r-one")));
    }
}
