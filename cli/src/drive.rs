//! Driving a run: the engine, its observers, the control socket, signals, and what is said when it stops.

use std::fmt::Write as _;
use std::sync::Arc;

use flow_engine::clock::Clock;
use flow_engine::driver::{Driver, Engine, Handle, NewRun, Stop};
use flow_engine::event::{Masked, Observer, Observers};
use flow_engine::id::RunId;
use flow_engine::journal::Journal;
use flow_engine::outbox::Notifier;
use flow_engine::registry::Registry;
use flow_engine::run::{Life, Run};
use flow_engine::signal::Signal;
use flow_engine::step::Resources;
use flow_steps::means::host::Hosts;
use flow_steps::means::read_only::watchdog::Heartbeat;
use flow_workflows::project::Project;
use flow_workflows::setup::SetupError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::args::Wait;
use crate::control::server::{self, Service, Socket, Verifier};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::logs::Keeper;
use crate::state::State;
use crate::view::live::{self, Show};
use crate::view::{self, next};

/// What driving needs from the project's configuration.
pub(crate) struct Parts {
    /// The steps this binary can run.
    pub(crate) registry: Arc<Registry>,
    /// What they need.
    pub(crate) resources: Resources,
    /// Who tells the team.
    pub(crate) notifier: Option<Arc<dyn Notifier>>,
    /// Looks at answers before they are stored.
    pub(crate) verifier: Arc<dyn Verifier>,
    /// What no output may show.
    pub(crate) masked: Masked,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Parts {
    /// The parts of a configured project, for a program that has these steps.
    ///
    /// # Errors
    /// [`SetupError`]; nothing was changed.
    pub(crate) fn of(
        registry: Arc<Registry>,
        project: &Project,
        journal: &Arc<dyn Journal>,
        state: &State,
        clock: Arc<dyn Clock>,
    ) -> Result<Parts, SetupError> {
        let resources = project.resources();
        Ok(Parts {
            verifier: crate::people::verifier(&registry, &resources, &clock),
            registry,
            resources,
            notifier: project.notifier(journal, &state.mails())?,
            masked: project.masked(),
            clock,
        })
    }
}

impl Parts {
    /// What tells the hosts that a release is driven.
    fn heartbeat(&self) -> Arc<Heartbeat> {
        let hosts = self.resources.get::<Hosts>();
        Arc::new(Heartbeat::new(hosts.unwrap_or_default()))
    }
}

/// How to drive.
pub(crate) struct Drive {
    state: State,
    journal: Arc<dyn Journal>,
    parts: Parts,
    wait_for_people: bool,
    show: Arc<dyn Show>,
}

impl Drive {
    /// Drives with what `parts` offer, on a journal that this process holds.
    pub(crate) fn new(
        state: &State,
        journal: Arc<dyn Journal>,
        parts: Parts,
        wait: Wait,
        plain: bool,
    ) -> Drive {
        Drive {
            state: state.clone(),
            journal,
            show: live::choose(plain, &parts.clock),
            parts,
            wait_for_people: wait.wait || (view::is_interactive() && !wait.no_wait),
        }
    }

    /// The same, shown elsewhere.
    #[cfg(test)]
    pub(crate) fn shown(mut self, show: Arc<dyn Show>) -> Drive {
        self.show = show;
        self
    }

    /// Starts a run and drives it until it stops.
    #[cfg(test)]
    pub(crate) async fn start(self, new: NewRun) -> Result<Exit, Diagnostic> {
        self.start_with(new, Vec::new()).await
    }

    /// Starts a run that has these answers from its first moment, and drives it until it stops.
    pub(crate) async fn start_with(
        self,
        new: NewRun,
        answers: Vec<Signal>,
    ) -> Result<Exit, Diagnostic> {
        let keeper = Arc::new(Keeper::new(self.state.clone()));
        let heartbeat = self.parts.heartbeat();
        let socket = server::bind(&self.state.socket()).await?;
        let (driver, handle) = self
            .engine(&keeper, &heartbeat)
            .start_with(new, answers)
            .await?;
        self.on(socket, driver, handle, (&keeper, &heartbeat)).await
    }

    /// Goes on with a run until it stops.
    pub(crate) async fn resume(self, run: &RunId) -> Result<Exit, Diagnostic> {
        let keeper = Arc::new(Keeper::new(self.state.clone()));
        let heartbeat = self.parts.heartbeat();
        let socket = server::bind(&self.state.socket()).await?;
        let (driver, handle) = self.engine(&keeper, &heartbeat).resume(run).await?;
        self.on(socket, driver, handle, (&keeper, &heartbeat)).await
    }

    fn engine(&self, keeper: &Arc<Keeper>, heartbeat: &Arc<Heartbeat>) -> Engine {
        let shown = Arc::new(Relay(Arc::clone(&self.show)));
        let observers: Vec<Arc<dyn Observer>> = vec![keeper.clone(), heartbeat.clone(), shown];
        Engine {
            journal: Arc::clone(&self.journal),
            registry: Arc::clone(&self.parts.registry),
            resources: self.parts.resources.clone(),
            clock: Arc::clone(&self.parts.clock),
            observers: Observers::new(observers, self.parts.masked.clone()),
            notifier: self.parts.notifier.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            wait_for_people: self.wait_for_people,
        }
    }

    async fn on(
        self,
        socket: Socket,
        driver: Driver,
        handle: Handle,
        watchers: (&Keeper, &Heartbeat),
    ) -> Result<Exit, Diagnostic> {
        let (state, clock) = (self.state.clone(), Arc::clone(&self.parts.clock));
        let (exit, tidy) = self.attend(socket, driver, handle, watchers).await?;
        // The journal is closed by now: sealing opens it for itself.
        if tidy {
            crate::upkeep::tidy(&state, clock.now()).await;
        }
        Ok(exit)
    }

    /// How it ended, and whether finished runs have gathered.
    async fn attend(
        self,
        socket: Socket,
        driver: Driver,
        handle: Handle,
        (keeper, heartbeat): (&Keeper, &Heartbeat),
    ) -> Result<(Exit, bool), Diagnostic> {
        let run = Arc::clone(driver.run());
        let served = Service {
            journal: Arc::clone(&self.journal),
            driving: run.id.clone(),
            handle: handle.clone(),
            verifier: Arc::clone(&self.parts.verifier),
            clock: Arc::clone(&self.parts.clock),
        };
        let socket = socket.serve(served);
        keeper.begin(&run);
        heartbeat.begin(&run);
        self.show.begin(&run);
        let signals = attend_signals(handle);
        let ended = driver.drive().await;
        socket.close().await;
        if let Ok((run, _)) = &ended {
            self.show.end(run);
        }
        signals.abort();
        let (run, stop) = ended?;
        Ok((
            conclude(&run, &stop),
            crate::upkeep::is_due(&*self.journal).await,
        ))
    }
}

/// Passes events on to the one who shows.
struct Relay(Arc<dyn Show>);

impl flow_engine::event::Observer for Relay {
    fn see(&self, event: &flow_engine::event::Event) {
        self.0.see(event);
    }
}

/// Once: leave off, and say how to go on. Twice: end at once; a journal loses nothing by that.
fn attend_signals(handle: Handle) -> JoinHandle<()> {
    tokio::spawn(async move {
        let listen = |kind| signal(kind).ok();
        let mut interrupt = listen(SignalKind::interrupt());
        let mut terminate = listen(SignalKind::terminate());
        let mut hangup = listen(SignalKind::hangup());
        for again in [false, true] {
            tokio::select! {
                () = next_signal(&mut interrupt) => {}
                () = next_signal(&mut terminate) => {}
                () = next_signal(&mut hangup) => {}
            }
            if again {
                std::process::exit(i32::from(Exit::Interrupted as u8));
            }
            view::note(&stopping(&handle).await);
            handle.stop();
        }
    })
}

/// What is said at once when it is to stop: what production is in meanwhile, first of all.
async fn stopping(handle: &Handle) -> String {
    let look = tokio::time::timeout(std::time::Duration::from_secs(1), handle.look());
    let (standing, until) = match look.await {
        Ok(Ok(run)) => (flow_steps::means::standing::standing(&run), until(&run)),
        // It is just ending, and says so itself.
        _ => (Vec::new(), String::new()),
    };
    let mut text = "\nStopping. Jobs on remote hosts go on, nothing on record is lost, `flow resume` goes on from here. \
                    Once more ends this process at once.\n"
        .to_owned();
    for words in standing {
        let _infallible = writeln!(text, "!! {words}: it STAYS SO until `flow resume`{until}");
    }
    text
}

/// What ends read-only mode besides a person.
fn until(run: &Run) -> String {
    flow_steps::means::standing::opens_itself(run).map_or_else(String::new, |seconds| {
        format!(
            ", or until its host opens the database because nobody drives the run for {seconds} s"
        )
    })
}

/// The next of these signals; never, when they cannot be listened to.
pub(crate) async fn next_signal(signals: &mut Option<tokio::signal::unix::Signal>) {
    match signals {
        Some(signals) => {
            signals.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Says how it stopped and what to type next; the exit code.
fn conclude(run: &Run, stop: &Stop) -> Exit {
    let exit = Exit::of_stop(run, stop);
    match stop {
        Stop::Parked(_) => view::note(&parked(run, exit).render()),
        _ => view::note(&ending(run, stop)),
    }
    exit
}

/// The error that a parked run is.
pub(crate) fn parked(run: &Run, exit: Exit) -> Diagnostic {
    let message = next::why_parked(run).unwrap_or_else(|| format!("run {} is parked", run.id));
    let mut diagnostic = Diagnostic::new(exit, message);
    if let Some((_, Some(failure))) = next::culprit(run) {
        diagnostic.causes.clone_from(&failure.causes);
        diagnostic.hints.clone_from(&failure.hints);
    }
    let undo = match run.undo_order().len() {
        0 => "nothing has to be undone".to_owned(),
        some => format!("{} could be undone", view::steps(some)),
    };
    let state = match run.life {
        Life::Parked { .. } => run.in_a_word(),
        _ => "is parked",
    };
    let production = if run.production_changed() {
        "was changed"
    } else {
        "was not changed"
    };
    diagnostic = diagnostic.world(format!(
        "Run {} {state}: {} of {} done, nothing is running, production {production}; {undo}.",
        run.id,
        view::done(run),
        view::steps(run.steps.len())
    ));
    for words in flow_steps::means::standing::standing(run) {
        diagnostic = diagnostic.hint(format!("!! {words}"));
    }
    for (name, value) in next::contacts(&run.plan) {
        diagnostic = diagnostic.hint(format!("{name}: {value}"));
    }
    let commands = next::commands(run).into_iter().map(|next| next.line());
    commands.fold(diagnostic, Diagnostic::hint)
}

fn ending(run: &Run, stop: &Stop) -> String {
    let standing = flow_steps::means::standing::standing(run);
    let state = match stop {
        Stop::Finished(_) => format!("Run {} {}.", run.id, run.in_a_word()),
        Stop::WaitingForPeople => format!("Run {} waits for people:", run.id),
        Stop::Interrupted | Stop::Parked(_) => format!(
            "Run {} is left where it is: nobody drives it now. {}",
            run.id,
            if standing.is_empty() {
                "Nothing is lost."
            } else {
                "Nothing on record is lost, but production is not as usual:"
            }
        ),
    };
    let mut text = format!("\n{state}\n");
    for words in &standing {
        let _infallible = writeln!(text, "  !! {words}");
    }
    if standing.is_empty() {
        for words in view::production(run) {
            let _infallible = writeln!(text, "  production: {words}");
        }
    } else if matches!(stop, Stop::Interrupted) {
        let until = until(run);
        let _infallible = writeln!(
            text,
            "  It STAYS SO until somebody goes on{until}; a script that runs on the host runs on."
        );
    }
    if matches!(stop, Stop::Finished(_)) && run.undo_order().is_empty() {
        text += &undone(run);
    }
    let mut commands: Vec<String> = next::commands(run).iter().map(next::Next::line).collect();
    let resume = format!("flow resume {}", run.id);
    let goes_on = commands.iter().any(|line| line.starts_with(&resume));
    if matches!(stop, Stop::WaitingForPeople | Stop::Interrupted) && !goes_on {
        commands.push(format!("{resume:<44}  then go on"));
    }
    for command in commands {
        let _infallible = writeln!(text, "  {command}");
    }
    text
}

fn undone(run: &Run) -> String {
    let steps = run.plan.nodes.iter().zip(&run.steps);
    let mut text = String::new();
    for (node, state) in steps {
        if let Some(report) = &state.undo_report {
            let _infallible = writeln!(
                text,
                "  {} {}",
                view::padded(&node.key, 28),
                view::clean(report)
            );
        }
    }
    text
}

#[cfg(test)]
mod tests;
