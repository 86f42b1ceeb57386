//! `flow export`: everything on record about a run, or about all, as a file.

use flow_engine::run::Run;

use crate::args::{Export, ExportFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::files;
use crate::session::Session;
use crate::view::{self, export};

/// Writes everything on record about one run, or about all of them, oldest first. Without those that are damaged all
/// are not all: they are named, and the exit code says so.
pub(crate) async fn run(session: &Session, args: Export) -> Result<Exit, Diagnostic> {
    let store = session.look().await?;
    let (runs, whole) = if let Some(named) = &args.run {
        (vec![store.look_up(named).await?], true)
    } else {
        let past = store.past().await?;
        past.remark();
        let mut all = past.runs;
        for sealed in past.sealed.iter().filter(|run| !run.pruned) {
            all.push(Run::load(store.journal(), &sealed.id).await?);
        }
        all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        (all, past.damaged.is_empty())
    };
    let mut parts = Vec::new();
    for run in &runs {
        let entries = Run::entries(store.journal(), &run.id).await?;
        parts.push(match args.format {
            ExportFormat::Md => export::markdown(run, &entries),
            ExportFormat::Json => view::to_json(&export::Export::of(run, &entries)),
        });
    }
    let text = match args.format {
        ExportFormat::Md => parts.join("\n"),
        ExportFormat::Json if args.all => format!("[{}]\n", parts.join(",\n")),
        ExportFormat::Json => parts.join("\n") + "\n",
    };
    match &args.output {
        None => view::out(&text),
        Some(path) => {
            files::write_new(path, &text)?;
            view::note(&format!(
                "{}  sha256 {}\n",
                path.display(),
                export::digest(&text)
            ));
        }
    }
    Ok(if whole { Exit::Done } else { Exit::Failed })
}
