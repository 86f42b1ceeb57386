//! The text of the three files. All of it is written here and nowhere else.

use std::fmt::Write as _;

use flow_steps::means::plain::one_line;

use super::{Draft, Files, MARK, MIGRATIONS_OPEN, PROTOCOL};

mod environment;
mod hosts;

use environment::environment;

/// The longest text from elsewhere that stands in a comment, in characters.
const REMARK_MAX: usize = 100;

/// Writes all three.
pub(super) fn files(draft: &Draft) -> Files {
    Files {
        flow: flow(draft),
        people: people(),
        data: data(draft),
    }
}

/// A text as TOML has it, on one line.
fn quoted(text: &str) -> String {
    toml::Value::from(one_line(text)).to_string()
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A text from elsewhere as part of a comment.
fn said(text: &str) -> String {
    one_line(text).chars().take(REMARK_MAX).collect()
}

/// One key that is known, with where it comes from.
fn known(out: &mut String, name: &str, value: &str, from: &str) {
    let _infallible = match from {
        "" => writeln!(out, "{name} = {value}"),
        from => writeln!(out, "{name} = {value}   # {}", said(from)),
    };
}

/// One key: what is known, with where it comes from; or a stand-in that waits for a person.
fn key(
    out: &mut String,
    name: &str,
    value: Option<String>,
    from: &str,
    stand_in: &str,
    question: &str,
) {
    match value {
        Some(value) => known(out, name, &value, from),
        None => {
            let _infallible = writeln!(out, "{name} = {stand_in}   {MARK} {}", said(question));
        }
    }
}

/// The core on top, then what only the release asks.
fn flow(draft: &Draft) -> String {
    let mut out = format!(
        "# What `flow` needs to know to release {}. Written by `flow init`; every line is yours to change.\n\
         # `flow doctor` tests all of it and names each line that still waits for an answer.\n\n",
        said(&draft.name.0)
    );
    let path: Vec<String> = draft
        .places
        .iter()
        .map(|place| place.name.clone())
        .collect();
    if path != PROTOCOL {
        known(
            &mut out,
            "path",
            &list(&path),
            "in this order, production last",
        );
        out.push('\n');
    }
    if let Some(file) = &draft.ssh_config {
        let file = quoted(&file.display().to_string());
        let _infallible = writeln!(out, "[ssh]\nconfig = {file}\n");
    }
    out.push_str(MAIL);
    for place in &draft.places {
        environment(&mut out, draft, place);
    }
    out.push_str("\n# From here on: what only the workflow `release` asks.\n");
    app(&mut out, draft);
    out.push_str(GENERAL);
    out
}

/// What is released.
fn app(out: &mut String, draft: &Draft) {
    out.push_str("[release.app]\n");
    known(out, "name", &quoted(&draft.name.0), &draft.name.1);
    migrations(out, &draft.migrations);
    if let Some(schema) = &draft.schema {
        known(out, "schema", &quoted(schema), "not beside the migrations");
    }
    if let Some(provider) = draft
        .provider
        .as_ref()
        .filter(|known| *known != "postgresql")
    {
        let _infallible = writeln!(
            out,
            "{MARK} the schema is for `{}`; flow releases to PostgreSQL only",
            said(provider)
        );
    }
    if !draft.parts.is_empty() {
        let _infallible = writeln!(
            out,
            "# Parts with a package.json of their own: {}",
            said(&draft.parts.join(", "))
        );
    }
}

/// Where the migrations are; nowhere, where nobody or too many say it.
fn migrations(out: &mut String, folders: &[String]) {
    match folders {
        [] => {
            let question = "where are the migrations, in the repository? none were found";
            key(
                out,
                "migrations",
                None,
                "",
                "\"prisma/migrations\"",
                question,
            );
        }
        [one] => known(out, "migrations", &quoted(one), ""),
        several => {
            let _infallible = writeln!(
                out,
                "migrations = {}   {MARK} which of these? {}",
                quoted(MIGRATIONS_OPEN),
                candidates(several)
            );
        }
    }
}

/// All of them, for a person who chooses.
fn candidates(folders: &[String]) -> String {
    let folders: Vec<String> = folders.iter().map(|folder| said(folder)).collect();
    folders.join(", ")
}

/// How the team hears of a release.
const MAIL: &str = "\
# Without mail nobody hears of a failed release.
# TODO: fill in the mail server and take the signs away, or only this line
# [mail]
# host = \"smtp.example.org\"
# user = \"flow\"
# password = \"env:FLOW_MAIL_PASSWORD\"
# from = \"flow@example.org\"
# to = [\"team@example.org\"]
";

/// What is the same for everybody, with the protocol's numbers.
const GENERAL: &str = "
# The window as the team is told of it, in words.
[release.window]
when = \"\"
downtime = \"\"
contact = \"\"

# Ages and limits; these are the protocol's.
[release.gates]
backup_max_age_hours = 24
restore_max_age_days = 7
promotion_max_age_hours = 72

# How long production is watched after the deploy.
[release.watch]
seconds = 900

# The reviewed ref whose people count, such as origin/main; without it those of the released commit.
# [release.signoff]
# roster_ref = \"origin/main\"
";

fn people() -> String {
    let mut out = format!(
        "# Who may sign a release off, and whom to call. Commit this file: the people who count are those of the released\n\
         # commit. A key is the line of a `.pub` file; the private half never leaves its owner.\n\n\
         # Whether whoever starts a release is barred from signing it off.\nforbid_starter = false\n\n\
         {MARK} name at least one person for each role, and take the signs away\n"
    );
    for role in ["developer", "qa", "devops", "tech-lead"] {
        let _infallible = write!(
            out,
            "# [[roles.{role}]]\n# name = \"…\"\n# email = \"…@example.org\"\n# key = \"ssh-ed25519 AAAA…\"\n\n"
        );
    }
    out.push_str("# [[contacts]]\n# name = \"…\"\n# role = \"database\"\n# phone = \"…\"\n");
    out
}

fn data(draft: &Draft) -> String {
    let mut out = String::from(
        "# Which columns may leave production. Only tables whose every column is `keep` are copied to staging; everything else\n\
         # stays where it is. `flow init` calls every column personal: say `keep` only of what names nobody.\n",
    );
    if draft.tables.is_empty() {
        let _infallible = writeln!(
            out,
            "\n{MARK} list every table with its columns; none was found\n[tables]\n# [tables.Customer]\n# id = \"keep\"\n# email = \"personal\""
        );
    }
    if !draft.tables.is_empty() && draft.migrations.len() > 1 {
        let _infallible = writeln!(
            out,
            "\n{MARK} take out what is in none of the application's databases; the tables are those of all of {}",
            candidates(&draft.migrations)
        );
    }
    for (table, columns) in &draft.tables {
        let _infallible = writeln!(out, "\n[tables.{}]", quoted(table));
        for column in columns {
            let _infallible = writeln!(out, "{} = \"personal\"", quoted(column));
        }
    }
    out
}
