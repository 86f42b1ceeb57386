//! `flow lint --code`.

use flow_steps::schema::{CodeChecked, Version};

use crate::args::{FailOn, Lint, LintFormat};
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::session::Session;
use crate::view;

/// What a changed `schema.prisma` breaks in the commit at HEAD, and in the commit `--since` names, which runs on while the
/// new schema is there already. Needs the configuration: it says where the schema, the code and its packages are.
///
/// That types could not be checked counts as a warning: it is not the same as nothing found.
pub(crate) async fn run(session: &Session, args: &Lint) -> Result<Exit, Diagnostic> {
    if !matches!(args.format, LintFormat::Text | LintFormat::Json) {
        return Err(
            Diagnostic::usage("what is found in code is shown as text or as JSON only")
                .hint("flow lint --code --since REV --format json"),
        );
    }
    let base = args.since.as_deref().unwrap_or("HEAD");
    let (code, base) = flow_workflows::setup::code(&session.config_path()?, base)?;
    let say = |what: String| view::note(&format!("{what}\n"));
    let checked = code
        .check_against(&base, say)
        .await
        .map_err(|error| Diagnostic::usage(format!("the code cannot be checked: {error}")))?;
    match args.format {
        LintFormat::Json => view::out_json(&checked),
        _ => view::out(&page(&checked)),
    }
    let counts = !checked.found.iter().all(is_told) || checked.not_typed.is_some();
    Ok(match args.fail_on {
        FailOn::Note if !checked.found.is_empty() => Exit::Failed,
        FailOn::Note | FailOn::Warning if counts => Exit::Failed,
        // Whatever is found can be accepted by a signature, so nothing of it is an error.
        _ => Exit::Done,
    })
}

/// A value that was added breaks nothing before it is written.
fn is_told(found: &flow_steps::schema::Found) -> bool {
    found.hit.kind == "added-value"
}

fn page(checked: &CodeChecked) -> String {
    let mut lines: Vec<String> = Vec::new();
    for found in &checked.found {
        let whose = match found.version {
            Version::New => "HEAD",
            Version::Deployed => "base",
        };
        let hit = &found.hit;
        lines.push(format!(
            "{}:{}:{}: [{}] {} ({whose}): {}",
            hit.file, hit.line, hit.column, hit.kind, hit.about, hit.message
        ));
    }
    if let Some(why) = &checked.not_typed {
        lines.push(format!("not type-checked: {why}"));
    } else if checked.changes.concern_nothing() {
        lines.push("nothing to check: the schema changes nothing that code can notice".into());
    }
    let places = match checked.found.len() {
        1 => "1 place".to_owned(),
        n => format!("{n} places"),
    };
    lines.push(format!("{places} found"));
    lines.join("\n") + "\n"
}
