//! `flow check`: the results of a checklist, or the files to be reviewed.

use flow_engine::id::RunId;
use flow_engine::plan::Node;
use flow_engine::run::{Life, Run};
use flow_engine::signal::Signal;
use flow_steps::means::checklist::{Answered, Checklist, Item, ItemAnswer, ItemResult};
use flow_steps::means::kinds;

use crate::args::Check;
use crate::control::server::Verifier as _;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people::{Judge, checklist_of};
use crate::session::Session;
use crate::state::State;
use crate::store::Store;
use crate::{actor, view};

pub(super) mod review;

const SURE: &str = "   A fail stops the release for everybody. Type `fail` if you are sure: ";

/// Shows a review. Hands in answers to a checklist: those on the command line, which are all looked at before the first is
/// stored, or those a person gives on the terminal, each as it is given.
pub(crate) async fn run(session: &Session, args: Check) -> Result<Exit, Diagnostic> {
    let state = session.state()?;
    let run = session.open().await?.find(&args.run).await?;
    let node = choose(&run, args.checklist.as_deref())?;
    if node.kind == kinds::MIGRATION_REVIEW {
        return self::review::show(&run, &node.key, &args).await;
    }
    let list = checklist_of(&run, node)?;
    let node = node.clone();
    if args.json {
        view::out_json(&as_json(&run, &node.key, &list));
        return Ok(Exit::Done);
    }
    let judge = session.judge_at_least();
    let count = if args.items.is_empty() {
        ask(state, &judge, (&run, &node), &list).await?
    } else {
        let parsed = args.items.iter().map(|item| parse(item, &args.note));
        let given = parsed.collect::<Result<Vec<_>, _>>()?;
        let mut signals = Vec::new();
        for one in given {
            signals.push(signal(&judge, &run, &node, one).await?);
        }
        let count = signals.len();
        store(state, &run.id, signals).await?;
        count
    };
    let plural = if count == 1 { "" } else { "s" };
    view::note(&format!(
        "run {}, {}: {count} answer{plural} stored\n",
        run.id, node.key
    ));
    let open = session.open().await?;
    if open.driven().is_none() && !run.is_finished() {
        view::note(&format!("Nobody drives the run now:\n  {}\n", go_on(&run)));
    }
    Ok(Exit::Done)
}

/// What takes the answers in: a parked run has to be told to try again.
fn go_on(run: &Run) -> String {
    let verb = match run.life {
        Life::Parked { .. } => "retry",
        _ => "resume",
    };
    format!("flow {verb} {}", run.id)
}

/// An answer on its way, when the checklist takes it.
async fn signal(
    judge: &Judge,
    run: &Run,
    node: &Node,
    (item, result, why): ItemEntry,
) -> Result<Signal, Diagnostic> {
    let (me, at) = (actor::me(), judge.clock.now());
    let answer = ItemAnswer {
        item,
        result,
        note: why,
        by: me.name.clone(),
        attachments: Vec::new(),
    };
    let body = serde_json::to_string(&answer).expect("an answer is plain data");
    let signal = Signal {
        step: node.key.clone(),
        // An item may be answered anew, so that each command's answers are its own.
        id: format!("check-{}-{}", RunId::generate(at), answer.item),
        by: me,
        body,
        at,
    };
    judge.verify(run, &signal).await?;
    Ok(signal)
}

/// Stores answers; whoever drives takes them in at once.
async fn store(state: &State, run: &RunId, signals: Vec<Signal>) -> Result<(), Diagnostic> {
    let store = Store::open(state).await?;
    let mut run = store.find(run.as_str()).await?;
    for signal in signals {
        store.signal(&mut run, signal).await?;
    }
    Ok(())
}

fn is_asked(run: &Run, node: &Node) -> bool {
    node.kind == kinds::MIGRATION_REVIEW || Checklist::of(run, &node.key).is_some()
}

/// A checklist with what was answered so far.
fn as_json(run: &Run, key: &str, list: &Checklist) -> serde_json::Value {
    let (answered, _) = list.tally(run.signals_for(key), started(run, key));
    let items = list.items.iter().map(|item| {
        serde_json::json!({
            "key": item.key, "text": item.text, "required": item.required, "answer": answered.get(&item.key),
        })
    });
    serde_json::json!({
        "run": run.id, "step": key, "title": list.title, "who": list.who, "items": items.collect::<Vec<_>>(),
    })
}

fn started(run: &Run, key: &str) -> Option<flow_engine::clock::Timestamp> {
    let (at, _) = run.plan.node(key)?;
    run.steps[at as usize].started
}

/// The step that is named, else the only checklist or review that waits.
fn choose<'a>(run: &'a Run, named: Option<&str>) -> Result<&'a Node, Diagnostic> {
    if let Some(named) = named {
        let node = run.plan.node(named).map(|(_, node)| node);
        return node.filter(|n| is_asked(run, n)).ok_or_else(|| {
            Diagnostic::usage(format!(
                "run {} has no checklist or review `{named}`",
                run.id
            ))
            .hint(format!("flow status {}", run.id))
        });
    }
    let waiting = run
        .waiting()
        .map(|(step, _)| &run.plan.nodes[step as usize]);
    let waiting: Vec<_> = waiting.filter(|n| is_asked(run, n)).collect();
    match waiting.as_slice() {
        [only] => Ok(only),
        [] => Err(Diagnostic::usage(format!(
            "run {} waits for no checklist and no review now",
            run.id
        ))
        .hint("flow status     what is asked, and of whom")),
        several => {
            let keys: Vec<_> = several.iter().map(|n| n.key.as_str()).collect();
            Err(Diagnostic::usage(format!(
                "several checklists wait; name one of {}",
                keys.join(", ")
            )))
        }
    }
}

type ItemEntry = (String, ItemResult, String);

fn parse(item: &str, note: &str) -> Result<ItemEntry, Diagnostic> {
    let wrong = || {
        Diagnostic::usage(format!(
            "`--item {item}` is not KEY=pass, KEY=fail or KEY=na"
        ))
    };
    let (key, word) = item.split_once('=').ok_or_else(wrong)?;
    let result = result_of(word).ok_or_else(wrong)?;
    Ok((key.to_owned(), result, note.to_owned()))
}

fn result_of(word: &str) -> Option<ItemResult> {
    match word {
        "pass" | "p" => Some(ItemResult::Pass),
        "fail" | "f" => Some(ItemResult::Fail),
        "na" | "n/a" | "n" => Some(ItemResult::Na),
        _ => None,
    }
}

/// Asks item by item and stores each answer as it is given: whoever leaves in the middle loses none. How many were given.
async fn ask(
    state: &State,
    judge: &Judge,
    (run, node): (&Run, &Node),
    list: &Checklist,
) -> Result<usize, Diagnostic> {
    let key = node.key.as_str();
    if !view::is_interactive() {
        return Err(
            Diagnostic::usage("there is nothing to hand in, and this is not a terminal").hint(
                format!(
                    "flow check {} {key} --item {}=pass …",
                    run.id,
                    list.items.first().map_or("KEY", |i| &i.key)
                ),
            ),
        );
    }
    view::note(&heading(run, list));
    let (answered, _) = list.tally(run.signals_for(key), started(run, key));
    let failed = |a: &Answered| a.result == ItemResult::Fail;
    let open = |item: &&Item| answered.get(&item.key).is_none_or(failed);
    let all = list.items.len();
    let mut count = 0;
    for (n, item) in (1..).zip(&list.items).filter(|(_, item)| open(item)) {
        let before = answered.get(&item.key);
        let before = before.map(|a| format!("   (failed before: {})\n", view::clean(&a.note)));
        view::note(&before.unwrap_or_default());
        let question = format!("{n} of {all}  {} [p/f/n]: ", view::clean(&item.text));
        let (result, why) = match one(&question, item) {
            Reply::Given(result, why) => (result, why),
            Reply::Later => continue,
            Reply::End => return Ok(count),
        };
        let answer = signal(judge, run, node, (item.key.clone(), result, why)).await?;
        store(state, &run.id, vec![answer]).await?;
        count += 1;
    }
    Ok(count)
}

fn heading(run: &Run, list: &Checklist) -> String {
    format!(
        "{}\nrun {}: {} of {} to {}\n\
         p = pass, f = fail, n = does not apply, empty = later; words after the letter are a note.\n\
         Each answer is stored as you give it.\n\n",
        view::clean(&list.title),
        run.id,
        run.plan.workflow,
        view::commit(&run.plan),
        run.plan.environment
    )
}

/// What a person said to one item.
enum Reply {
    Given(ItemResult, String),
    Later,
    /// The terminal ended.
    End,
}

fn one(question: &str, item: &Item) -> Reply {
    loop {
        let Some(line) = view::ask(question) else {
            return Reply::End;
        };
        if line.is_empty() {
            return Reply::Later;
        }
        let (word, note) = line.split_once(' ').unwrap_or((&line, ""));
        let Some(result) = result_of(word) else {
            view::note("   p, f or n; an empty line for later\n");
            continue;
        };
        let needs_note = result == ItemResult::Fail || (result == ItemResult::Na && item.required);
        let note = match note.trim() {
            "" if needs_note => view::ask("   why: "),
            note => Some(note.to_owned()),
        };
        let Some(note) = note else {
            return Reply::End;
        };
        if needs_note && note.is_empty() {
            view::note("   without a reason it does not count\n");
            continue;
        }
        if result == ItemResult::Fail {
            match view::ask(SURE) {
                Some(word) if word == "fail" => {}
                Some(_) => continue,
                None => return Reply::End,
            }
        }
        return Reply::Given(result, note);
    }
}
