//! `flow init`: a first `flow.toml`, and the two files beside it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flow_steps::means::host::{SshConfig, SshHost};
use flow_workflows::init::{Draft, Wishes, look_at, todos};

use crate::args::Init;
use crate::diagnostic::Diagnostic;
use crate::exit::Exit;
use crate::files::write_all_new;
use crate::view;

/// The files, in the order people read them.
const NAMES: [&str; 3] = ["flow.toml", "flow.people.toml", "flow.data.toml"];

/// Looks at the repository, asks what it cannot find out, and writes the three files. Never over another file.
pub(crate) async fn run(args: &Init) -> Result<Exit, Diagnostic> {
    let root = args.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    if !root.is_dir() {
        let message = format!("{} is no folder", root.display());
        return Err(
            Diagnostic::usage(message).hint("flow init DIR     the folder of the repository")
        );
    }
    free(&root)?;
    let wishes = wishes(args)?;
    let mut draft = Draft::of(&root, &wishes);
    sound(&draft)?;
    let ask = !args.yes && view::is_interactive();
    if ask {
        questions(&mut draft, &["ssh"]);
    }
    let look = args.look_at_hosts || (ask && wants_look(&draft));
    if look {
        hosts(&mut draft, &root).await;
    }
    if ask {
        questions(&mut draft, &["app_dir", "health"]);
    }
    sound(&draft)?;
    let texts = draft.files();
    let texts = [texts.flow, texts.people, texts.data];
    let paths = NAMES.map(|name| root.join(name));
    let files: Vec<(PathBuf, String)> = paths.iter().cloned().zip(texts).collect();
    write_all_new(&files)?;
    for path in &paths {
        readable(path)?;
    }
    view::out(&summary(&root, look));
    Ok(Exit::Done)
}

/// Refuses before anything is asked where one of the files is there already.
fn free(root: &Path) -> Result<(), Diagnostic> {
    let taken = NAMES
        .iter()
        .find(|name| root.join(name).symlink_metadata().is_ok());
    let Some(taken) = taken else { return Ok(()) };
    let path = root.join(taken);
    Err(Diagnostic::usage(format!(
        "{} is there already, and is not written over",
        path.display()
    ))
    .hint("flow doctor     test what is there")
    .hint(format!(
        "mv {} {}.old     then run flow init again, and compare",
        path.display(),
        path.display()
    )))
}

fn wishes(args: &Init) -> Result<Wishes, Diagnostic> {
    let mut wishes = Wishes {
        ssh_config: args.ssh_config.clone(),
        app_dir: args.app_dir.clone(),
        path: args.path.clone(),
        ..Wishes::default()
    };
    if let Some(why) = wishes.problem() {
        return Err(Diagnostic::usage(format!("--path: {why}"))
            .world("Nothing was written.")
            .hint("such as --path test,stage,prod     production last"));
    }
    let path = wishes.path();
    if let Some(path) = &wishes.app_dir
        && (!path.starts_with('/') || path.split('/').any(|part| part == ".."))
    {
        return Err(Diagnostic::usage(format!(
            "--app-dir {path}: an absolute path without `..`, please"
        )));
    }
    for named in &args.hosts {
        let parts = named.split_once('=').filter(|(name, host)| {
            path.iter().any(|known| known == name)
                && !host.is_empty()
                && !host.starts_with('-')
                && !host.contains(|c: char| c.is_whitespace() || c.is_control())
        });
        let Some((name, host)) = parts else {
            let message = format!("--host {named}: not an environment and its host");
            return Err(Diagnostic::usage(message)
                .hint(format!("such as --host prod=app1     {}", path.join(", "))));
        };
        let given = wishes.hosts.entry(name.to_owned()).or_default();
        if given.iter().any(|known| known == host) {
            return Err(Diagnostic::usage(format!(
                "--host {named}: that host is named twice"
            )));
        }
        given.push(host.to_owned());
    }
    Ok(wishes)
}

/// Refuses what would be refused once it is written.
fn sound(draft: &Draft) -> Result<(), Diagnostic> {
    match draft.problem() {
        None => Ok(()),
        Some(why) => Err(
            Diagnostic::usage(format!("these files would be refused: {why}"))
                .world("Nothing was written.")
                .hint("name other environments or hosts: flow init --path NAMES --host ENV=ALIAS"),
        ),
    }
}

/// Asks on the terminal; an empty line leaves the question open.
fn questions(draft: &mut Draft, keys: &[&str]) {
    for question in draft.questions() {
        if !keys.contains(&question.key) {
            continue;
        }
        while let Some(answer) = view::ask(&format!("{} [later] ", question.text)) {
            match draft.answer(&question, &answer) {
                Ok(()) => break,
                Err(why) => view::note(&format!("{why}\n")),
            }
        }
    }
}

fn wants_look(draft: &Draft) -> bool {
    let hosts: Vec<String> = draft.hosts().into_iter().map(|(_, alias)| alias).collect();
    if hosts.is_empty() {
        return false;
    }
    let question = format!(
        "Look at {} over ssh, reading only, to find processes, folders and databases? [y/N] ",
        hosts.join(", ")
    );
    view::ask(&question)
        .is_some_and(|answer| ["y", "yes"].contains(&answer.to_lowercase().as_str()))
}

async fn hosts(draft: &mut Draft, root: &Path) {
    for (name, alias) in draft.hosts() {
        let mut config = SshConfig::new(&name, &alias);
        config.config_file = draft.ssh_config.as_ref().map(|file| root.join(file));
        if let Err(why) = look_at(draft, &name, &alias, &SshHost::new(config)).await {
            view::note(&format!("{alias} ({name}): {why}\n"));
            let said = format!("it could not be looked at: {why}");
            draft.remark(&name, &alias, said);
        }
    }
    draft.arrange();
}

/// For colleagues and for git as well: no secret stands in them.
fn readable(path: &Path) -> Result<(), Diagnostic> {
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(path, mode).map_err(|e| {
        Diagnostic::usage(format!(
            "{} was written, but others cannot read it",
            path.display()
        ))
        .because(&e)
        .world("The three files are written.")
    })
}

fn summary(root: &Path, looked: bool) -> String {
    let mut text = String::new();
    for name in NAMES {
        let waiting = todos(&root.join(name)).len();
        let waits = match waiting {
            0 => "nothing waits".to_owned(),
            1 => "1 line waits for you".to_owned(),
            n => format!("{n} lines wait for you"),
        };
        let _infallible = writeln!(text, "wrote {name:<18} {waits}");
    }
    if !looked {
        text.push_str("The hosts were not looked at; with --look-at-hosts flow init finds out more, reading only.\n");
    }
    text.push_str("next: git add flow.people.toml, commit it, then: flow doctor\n");
    text
}
