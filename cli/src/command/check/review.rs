//! What a reviewer of migrations reads: each pending file beside its findings.

use flow_engine::run::Run;
use flow_steps::means::migrations;
use flow_steps::means::signature::review::Asked;
use flow_steps::schema::{ShownFile, review};

use crate::args::Check;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::people::nothing_to_review;
use crate::view;

/// Shows what is to be reviewed. An approval is a signature, so this only shows and says how to sign.
pub(super) async fn show(run: &Run, step: &str, args: &Check) -> Result<Exit, Diagnostic> {
    if !args.items.is_empty() {
        return Err(Diagnostic::usage(format!(
            "`{step}` is a review, which has no items: it is approved by signature"
        ))
        .hint(format!("flow sign {} --role ROLE --step {step}", run.id)));
    }
    let (asked, files) = read(run, step).await?;
    if args.json {
        view::out_json(&serde_json::json!({
            "run": run.id, "step": step, "role": asked.role, "digest": asked.digest, "files": files,
        }));
        return Ok(Exit::Done);
    }
    view::out(&lines(&asked, &files));
    view::note(&format!(
        "\nTo approve exactly this, or to reject it with --reject --note TEXT:\n  flow sign {} --role {} --step {step}\n",
        run.id, asked.role
    ));
    Ok(Exit::Done)
}

/// The same as text, for the signer.
pub(in crate::command) async fn text(run: &Run, step: &str) -> Result<String, Diagnostic> {
    let (asked, files) = read(run, step).await?;
    Ok(lines(&asked, &files))
}

async fn read(run: &Run, step: &str) -> Result<(Asked, Vec<ShownFile>), Diagnostic> {
    let asked = migrations::asked(run, step).ok_or_else(|| nothing_to_review(run, step))?;
    let files = review::material(run, step).await.map_err(|e| {
        Diagnostic::usage(format!("what is to be reviewed cannot be shown: {e}"))
            .world("Nothing was signed or stored.")
    })?;
    Ok((asked, files))
}

fn lines(asked: &Asked, files: &[ShownFile]) -> String {
    let mut text = String::new();
    for line in files.iter().flat_map(ShownFile::lines) {
        text.push_str(&line);
        text.push('\n');
    }
    text + &format!("\ndigest of all this: {}\n", asked.digest)
}
