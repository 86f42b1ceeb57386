//! `flow check`.

use flow_engine::clock::{Clock as _, SystemClock};
use flow_engine::id::RunId;
use flow_engine::plan::Node;
use flow_engine::run::Run;
use flow_engine::signal::Signal;
use flow_steps::people::{Checklist, ItemAnswer, ItemResult, checklist};
use flow_steps::schema::review as migration_review;

use crate::actor;
use crate::args::{Check, Global};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people::{checklist_of, refused};
use crate::state::State;
use crate::store::Store;
use crate::view;

pub(super) mod review;

/// Shows a review. Hands in answers to a checklist: those on the command line, or those a person gives on the terminal. All are looked
/// at before the first is stored.
pub(crate) async fn run(global: &Global, args: Check) -> Result<Exit, Diagnostic> {
    let state = State::of(global)?;
    let run = Store::open(&state).await?.find(&args.run).await?;
    let node = choose(&run, args.checklist.as_deref())?;
    if node.kind == migration_review::KIND {
        return self::review::show(&run, &node.key, &args).await;
    }
    let list = checklist_of(node)?;
    if args.json {
        view::out_json(&as_json(&run, &node.key, &list));
        return Ok(Exit::Done);
    }
    let me = actor::me();
    let answers = if args.items.is_empty() {
        ask(&run, &node.key, &list)?
    } else {
        let parsed = args.items.iter().map(|item| parse(item, &args.note));
        parsed.collect::<Result<Vec<_>, _>>()?
    };
    let mut signals = Vec::new();
    for (item, result, note) in answers {
        let by = me.name.clone();
        let answer = ItemAnswer {
            item,
            result,
            note,
            by,
            attachments: Vec::new(),
        };
        let body = serde_json::to_string(&answer).expect("an answer is plain data");
        list.accepts(&body).map_err(|e| refused(&e))?;
        signals.push(Signal {
            step: node.key.clone(),
            // An item may be answered anew, so that each command's answers are its own.
            id: format!(
                "check-{}-{}",
                RunId::generate(SystemClock.now()),
                answer.item
            ),
            by: me.clone(),
            body,
            at: SystemClock.now(),
        });
    }
    let store = Store::open(&state).await?;
    let mut run = store.find(run.id.as_str()).await?;
    let count = signals.len();
    for signal in signals {
        store.signal(&mut run, signal).await?;
    }
    view::note(&format!(
        "run {}, {}: {count} answers stored\n",
        run.id,
        args.checklist.as_deref().unwrap_or("the checklist")
    ));
    if store.driven().is_none() && !run.is_finished() {
        view::note(&format!(
            "Nobody drives the run now:\n  flow resume {}\n",
            run.id
        ));
    }
    Ok(Exit::Done)
}

fn is_asked(node: &Node) -> bool {
    matches!(node.kind.as_str(), checklist::KIND | migration_review::KIND)
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
        return node.filter(|n| is_asked(n)).ok_or_else(|| {
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
    let waiting: Vec<_> = waiting.filter(|n| is_asked(n)).collect();
    match waiting.as_slice() {
        [only] => Ok(only),
        [] => Err(Diagnostic::usage(format!(
            "run {} waits for no checklist and no review now",
            run.id
        ))
        .hint("name the checklist to answer it before the run asks")),
        several => {
            let keys: Vec<_> = several.iter().map(|n| n.key.as_str()).collect();
            Err(Diagnostic::usage(format!(
                "several checklists wait; name one of {}",
                keys.join(", ")
            )))
        }
    }
}

type Given = (String, ItemResult, String);

fn parse(item: &str, note: &str) -> Result<Given, Diagnostic> {
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

fn ask(run: &Run, key: &str, list: &Checklist) -> Result<Vec<Given>, Diagnostic> {
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
    view::note(&format!(
        "{}\np = pass, f = fail, n = does not apply, empty = later\n\n",
        list.title
    ));
    let (answered, _) = list.tally(run.signals_for(key), started(run, key));
    let mut given = Vec::new();
    for item in list
        .items
        .iter()
        .filter(|item| !answered.contains_key(&item.key))
    {
        loop {
            let Some(word) = view::ask(&format!("{} [p/f/n]: ", item.text)) else {
                return Ok(given);
            };
            if word.is_empty() {
                break;
            }
            let Some(result) = result_of(&word) else {
                continue;
            };
            let needs_note =
                result == ItemResult::Fail || (result == ItemResult::Na && item.required);
            let note = if needs_note {
                view::ask("  why: ").unwrap_or_default()
            } else {
                String::new()
            };
            given.push((item.key.clone(), result, note));
            break;
        }
    }
    Ok(given)
}
