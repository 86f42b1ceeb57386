//! What a driver shows while it drives: a live tree on a terminal, plain lines elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use flow_engine::clock::{Clock, Stopwatch, Timestamp};
use flow_engine::event::{Event, Observer};
use flow_engine::plan::Plan;
use flow_engine::record::Record;
use flow_engine::run::Run;
use flow_engine::step::Progress;

use self::cutter::Cutter;
use super::fit::{Size, fit};
use super::{line, text};

mod cutter;

/// Shows a run that is being driven. It does not keep the run: a driver whose run others hold has to copy it at every
/// record.
pub(crate) trait Show: Observer {
    /// Before the driver begins: a resumed step may put something out before any record is stored.
    fn begin(&self, run: &Arc<Run>);
    /// After it stopped.
    fn end(&self, run: &Arc<Run>);
}

/// The right one for where this process writes to.
pub(crate) fn choose(plain: bool, clock: &Arc<dyn Clock>) -> Arc<dyn Show> {
    let clock = Arc::clone(clock);
    if super::may_animate(plain) {
        Arc::new(Tree::new(clock))
    } else {
        Arc::new(Lines::new(clock))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plain lines with the time in front; output of a step with its key in front.
struct Lines {
    clock: Arc<dyn Clock>,
    seen: Mutex<(Option<Arc<Plan>>, Cutter)>,
    asked: Mutex<BTreeMap<u32, String>>,
}

impl Lines {
    fn new(clock: Arc<dyn Clock>) -> Lines {
        Lines {
            clock,
            seen: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Whether a record only says again that the same people are waited for, after one of several answers.
    fn asks_again(&self, record: &Record) -> bool {
        let mut asked = lock(&self.asked);
        if let Some(step) = ended(record) {
            asked.remove(&step);
        }
        match record {
            Record::Waiting { step, wait, .. } if !wait.who.is_empty() => {
                asked.insert(*step, wait.who.clone()).as_ref() == Some(&wait.who)
            }
            _ => false,
        }
    }
}

impl Observer for Lines {
    fn see(&self, event: &Event) {
        let mut seen = lock(&self.seen);
        match event {
            Event::Stored { run, entry, .. } => {
                seen.0 = Some(Arc::clone(&run.plan));
                let step = ended(&entry.record);
                let rest = step.and_then(|step| Some((step, seen.1.rest(step)?)));
                if let Some((step, rest)) = rest {
                    super::out(&format!("{} | {rest}\n", key(&run.plan, step)));
                }
                let again = self.asks_again(&entry.record);
                if let Some(line) = line::stamped(run, entry).filter(|_| !again) {
                    super::out(&format!("{line}\n"));
                }
            }
            Event::Output { step, text, .. } => {
                let lines = seen.1.cut(*step, text);
                if let Some(plan) = &seen.0 {
                    for line in lines {
                        super::out(&format!("{} | {line}\n", key(plan, *step)));
                    }
                }
            }
            Event::Progress { .. } => {}
        }
    }
}

impl Show for Lines {
    fn begin(&self, run: &Arc<Run>) {
        let now = self.clock.now();
        let (done, all) = (super::done(run), run.steps.len());
        super::out(&format!(
            "{now} run {} {}; {done} of {all} steps done\n",
            run.id,
            run.in_a_word()
        ));
        lock(&self.seen).0 = Some(Arc::clone(&run.plan));
    }

    fn end(&self, _: &Arc<Run>) {}
}

fn key(plan: &Plan, step: u32) -> &str {
    let node = plan.nodes.get(step as usize);
    node.map_or("?", |node| node.key.as_str())
}

/// The step whose attempt a record ends.
fn ended(record: &Record) -> Option<u32> {
    match record {
        Record::Done { step, .. }
        | Record::Failed { step, .. }
        | Record::Undone { step, .. }
        | Record::UndoFailed { step, .. } => Some(*step),
        _ => None,
    }
}

/// The live tree: phases, the steps in which something happens, their last lines of output, bars of what is counted.
struct Tree {
    bars: MultiProgress,
    phases: ProgressBar,
    seen: Arc<Mutex<Picture>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Picture {
    /// As the driver has it, until it takes in the next record.
    run: Weak<Run>,
    plan: Option<Arc<Plan>>,
    drawn: Option<Stopwatch>,
    cutter: Cutter,
    tails: BTreeMap<u32, VecDeque<String>>,
    bars: BTreeMap<u32, ProgressBar>,
}

/// How many last lines of a step's output are shown.
const TAIL: usize = 4;
/// How often ages are brought up to date, and what was not drawn at once.
const TICK: Duration = Duration::from_millis(200);
/// What comes sooner than this after a drawing is drawn with the next tick.
const PAUSE: Duration = Duration::from_millis(50);

impl Tree {
    fn new(clock: Arc<dyn Clock>) -> Tree {
        let bars = MultiProgress::new();
        let tree = bars.add(ProgressBar::new_spinner());
        let style = ProgressStyle::with_template("{msg}").expect("the template is well-formed");
        tree.set_style(style);
        let seen = Arc::new(Mutex::new(Picture::default()));
        let (ticking, shown) = (Arc::downgrade(&seen), tree.clone());
        let ages = Arc::clone(&clock);
        let tick = move || {
            while let Some(seen) = ticking.upgrade() {
                if shown.is_finished() {
                    break;
                }
                draw(&shown, &mut lock(&seen), ages.now());
                drop(seen);
                std::thread::sleep(TICK);
            }
        };
        // Without this thread ages stand still; nothing else depends on it.
        let _no_ticking = std::thread::Builder::new()
            .name("live-tree".into())
            .spawn(tick);
        Tree {
            bars,
            phases: tree,
            seen,
            clock,
        }
    }

    fn progress(&self, seen: &mut Picture, step: u32, progress: &Progress) {
        let Some(plan) = seen.plan.clone() else {
            return;
        };
        let bar = seen.bars.entry(step).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::no_length());
            bar.set_style(style(progress));
            bar.set_prefix(key(&plan, step).to_owned());
            bar
        });
        if let Some(total) = progress.total {
            bar.set_length(total);
        }
        bar.set_position(progress.done);
    }
}

fn style(progress: &Progress) -> ProgressStyle {
    let template = match (progress.unit.as_str(), progress.total) {
        ("bytes", Some(_)) => {
            "  {prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left"
        }
        ("bytes", None) => "  {prefix} {bytes} {bytes_per_sec}",
        (_, Some(_)) => "  {prefix} {wide_bar} {human_pos}/{human_len} {eta} left",
        (_, None) => "  {prefix} {human_pos} {per_sec}",
    };
    ProgressStyle::with_template(template).expect("the template is well-formed")
}

impl Picture {
    fn keep(&mut self, run: &Arc<Run>) {
        self.run = Arc::downgrade(run);
        self.plan = Some(Arc::clone(&run.plan));
    }
}

fn draw(tree: &ProgressBar, seen: &mut Picture, now: Timestamp) {
    // Gone while the driver takes in a record: what it becomes is told in a moment.
    if let Some(run) = seen.run.upgrade() {
        seen.drawn = Some(Stopwatch::start());
        // A row for the cursor, and one for each bar beneath.
        let spare = 1 + seen.bars.len();
        let frame = frame(&run, &seen.tails, now);
        tree.set_message(fit(&frame, Size::of_terminal(), spare));
        tree.tick();
    }
}

/// What is drawn.
pub(crate) fn frame(run: &Run, tails: &BTreeMap<u32, VecDeque<String>>, now: Timestamp) -> String {
    let beneath = |step: usize| {
        let tail = u32::try_from(step).ok().and_then(|step| tails.get(&step));
        tail.map(|lines| lines.iter().cloned().collect())
            .unwrap_or_default()
    };
    let phases = text::phases(run, now, &beneath);
    let production = super::production(run).join("; ");
    format!(
        "run {}\nproduction: {production}\n{}",
        run.id,
        phases.trim_end()
    )
}

impl Observer for Tree {
    fn see(&self, event: &Event) {
        let mut seen = lock(&self.seen);
        match event {
            Event::Stored { run, entry, .. } => {
                seen.keep(run);
                if let Some(step) = ended(&entry.record) {
                    seen.tails.remove(&step);
                    seen.cutter.rest(step);
                    if let Some(bar) = seen.bars.remove(&step) {
                        bar.finish_and_clear();
                    }
                }
            }
            Event::Output { step, text, .. } => {
                let lines = seen.cutter.cut(*step, text);
                let tail = seen.tails.entry(*step).or_default();
                tail.extend(lines.into_iter().filter(|line| !line.trim().is_empty()));
                while tail.len() > TAIL {
                    tail.pop_front();
                }
            }
            Event::Progress { step, progress, .. } => self.progress(&mut seen, *step, progress),
        }
        if seen.drawn.is_none_or(|at| at.elapsed() >= PAUSE) {
            draw(&self.phases, &mut seen, self.clock.now());
        }
    }
}

impl Show for Tree {
    fn begin(&self, run: &Arc<Run>) {
        let mut seen = lock(&self.seen);
        seen.keep(run);
        draw(&self.phases, &mut seen, self.clock.now());
    }

    fn end(&self, run: &Arc<Run>) {
        let seen = lock(&self.seen);
        seen.bars.values().for_each(ProgressBar::finish_and_clear);
        self.phases.finish_and_clear();
        let size = Size {
            rows: usize::MAX,
            ..Size::of_terminal()
        };
        super::note(&format!(
            "{}\n",
            fit(&frame(run, &BTreeMap::new(), self.clock.now()), size, 0)
        ));
    }
}

#[cfg(test)]
mod tests {
    use flow_engine::clock::{self, Deadline};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_tree_follows_a_run_to_its_stop_without_holding_it_up() {
        let tree = Arc::new(Tree::new(clock::system()));
        let journal = Arc::new(flow_engine::journal::memory::MemoryJournal::default());
        let limit = Duration::from_secs(10);
        let driven = crate::testing::driven(&journal, vec![tree.clone()], false);
        let (run, _) = tokio::time::timeout(limit, driven).await.expect("in time");
        tree.see(&Event::Progress {
            run: run.id.clone(),
            step: 2,
            progress: Progress {
                unit: "bytes".into(),
                done: 5,
                total: Some(10),
            },
        });
        tree.see(&Event::Output {
            run: run.id.clone(),
            step: 2,
            text: "copying\n".into(),
        });
        draw(&tree.phases, &mut lock(&tree.seen), tree.clock.now());
        let shown = tree.phases.message();
        assert!(shown.contains("prod/ask"), "{shown}");
        assert!(shown.contains("│ copying"), "{shown}");
        let bar = lock(&tree.seen).bars[&2].clone();
        assert_eq!((bar.position(), bar.length()), (5, Some(10)));
        tree.end(&run);
        assert!(tree.phases.is_finished() && bar.is_finished());
    }

    #[tokio::test]
    async fn what_shows_a_run_does_not_keep_it_from_its_driver() {
        let shows: [Arc<dyn Show>; 2] = [
            Arc::new(Tree::new(clock::system())),
            Arc::new(Lines::new(clock::system())),
        ];
        for show in shows {
            let journal = Arc::new(flow_engine::journal::memory::MemoryJournal::default());
            let observers: Vec<Arc<dyn Observer>> = vec![show.clone()];
            let (run, _) = crate::testing::driven(&journal, observers, false).await;
            let limit = Deadline::after(Duration::from_secs(10));
            // The tree holds it while it draws.
            while Arc::strong_count(&run) > 1 && !limit.is_over() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(Arc::strong_count(&run), 1);
        }
    }
}
