//! The text of the three files. All of it is written here and nowhere else.

use std::fmt::Write as _;

use flow_steps::means::plain::one_line;

use super::{Draft, Files, MARK, PROTOCOL, Place};

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
    app(&mut out, draft);
    if let Some(file) = &draft.ssh_config {
        let file = quoted(&file.display().to_string());
        let _infallible = writeln!(out, "\n[ssh]\nconfig = {file}");
    }
    out.push_str(GENERAL);
    for place in &draft.places {
        environment(&mut out, draft, place);
    }
    out
}

/// What is released.
fn app(out: &mut String, draft: &Draft) {
    out.push_str("[app]\n");
    known(out, "name", &quoted(&draft.name.0), &draft.name.1);
    let migrations = draft.migrations.as_deref().map(quoted);
    let question = "where are the migrations, in the repository? none were found";
    key(
        out,
        "migrations",
        migrations,
        "",
        "\"prisma/migrations\"",
        question,
    );
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

/// What is the same for everybody, with the protocol's numbers.
const GENERAL: &str = "
# The window as the team is told of it, in words.
[window]
when = \"\"
downtime = \"\"
contact = \"\"

# Ages and limits; these are the protocol's.
[gates]
backup_max_age_hours = 24
restore_max_age_days = 7
promotion_max_age_hours = 72

# How long production is watched after the deploy.
[watch]
seconds = 900

# Without mail nobody hears of a failed release.
# TODO: fill in the mail server and take the signs away, or only this line
# [mail]
# host = \"smtp.example.org\"
# user = \"flow\"
# password = \"env:FLOW_MAIL_PASSWORD\"
# from = \"flow@example.org\"
# to = [\"team@example.org\"]
";

fn environment(out: &mut String, draft: &Draft, place: &Place) {
    let name = &place.name;
    let _infallible = writeln!(out, "\n[env.{name}]");
    for remark in &place.remarks {
        let _infallible = writeln!(out, "# Not found out: {}", said(remark));
    }
    let stand_in = quoted(&format!("TODO-{name}"));
    let question = format!("which host is {name}, as you type it after ssh?");
    key(
        out,
        "ssh",
        place.ssh.as_deref().map(quoted),
        "",
        &stand_in,
        &question,
    );
    if let Some(id) = &place.machine_id {
        known(
            out,
            "machine_id",
            &quoted(id),
            "/etc/machine-id, when it was looked at",
        );
    }
    let app = place.app_dir.as_deref().map(quoted);
    key(
        out,
        "app_dir",
        app,
        "",
        "\"/srv/TODO\"",
        "in which folder is the application there?",
    );
    let home = place.home.as_deref().unwrap_or("/var/lib/flow");
    let folder = |what: &str| quoted(&format!("{home}/{what}-{}", folder_name(&draft.name.0)));
    known(
        out,
        "backup_dir",
        &folder("backups"),
        "made when first needed",
    );
    known(
        out,
        "flow_dir",
        &folder("flow"),
        "jobs and locks; made when first needed",
    );
    let deploy = draft.deploy.as_deref().map(list);
    let question = "which script deploys there? it runs in app_dir; {commit} is replaced";
    key(
        out,
        "deploy",
        deploy,
        "runs in app_dir",
        "[\"./TODO-deploy.sh\", \"{commit}\"]",
        question,
    );
    application(out, draft, place);
    database(out, draft, place);
    further(out, place);
}

/// Hosts that may be the environment's as well.
fn further(out: &mut String, place: &Place) {
    let name = &place.name;
    for other in &place.others {
        let alias = quoted(other);
        let _infallible = write!(
            out,
            "# Also in the ssh configuration; take the signs away if it is a further host of {name}.\n\
             # [[env.{name}.host]]\n# name = {alias}\n# ssh = {alias}\n"
        );
    }
}

/// Its processes, and how they say that they are well.
fn application(out: &mut String, draft: &Draft, place: &Place) {
    let processes = match (&place.processes, &draft.ecosystem) {
        (own, _) if !own.is_empty() => Some((list(own), "pm2 there".to_owned())),
        (_, Some((file, names))) if !names.is_empty() => Some((list(names), file.clone())),
        _ => None,
    };
    if let Some((names, from)) = processes {
        known(out, "processes", &names, &from);
    }
    let route = draft
        .health
        .as_ref()
        .map_or("/health", |(route, _)| route.as_str());
    let stand_in = quoted(&format!("http://{}.invalid{route}", place.name));
    let question = match &draft.health {
        Some((route, file)) => format!("the host and port; {route} stands in {file}"),
        None => "which URL says that it is healthy?".to_owned(),
    };
    key(
        out,
        "health",
        place.health.as_deref().map(quoted),
        "",
        &stand_in,
        &question,
    );
}

fn database(out: &mut String, draft: &Draft, place: &Place) {
    let _infallible = writeln!(out, "[env.{}.database]", place.name);
    if let Some((exec, user, name)) = &place.database {
        if !exec.is_empty() {
            known(out, "exec", &list(exec), "");
        }
        known(out, "user", &quoted(user), "");
        known(out, "name", &quoted(name), "has _prisma_migrations");
        return;
    }
    if let Some(container) = draft.containers.first() {
        let exec = ["docker", "exec", "-i", container].map(str::to_owned);
        known(out, "exec", &list(&exec), "from the repository");
        if draft.containers.len() > 1 {
            let _infallible = writeln!(
                out,
                "# Other containers: {}",
                said(&draft.containers[1..].join(", "))
            );
        }
    }
    key(
        out,
        "user",
        None,
        "",
        "\"postgres\"",
        "as which role does flow log in? flow doctor names the rights it lacks",
    );
    key(
        out,
        "name",
        None,
        "",
        "\"postgres\"",
        "what is the database called?",
    );
}

/// The application's name as part of a folder's name.
fn folder_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = name
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    name.trim_start_matches(['.', '-'])
        .chars()
        .take(60)
        .collect()
}

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
    for (table, columns) in &draft.tables {
        let _infallible = writeln!(out, "\n[tables.{}]", quoted(table));
        for column in columns {
            let _infallible = writeln!(out, "{} = \"personal\"", quoted(column));
        }
    }
    out
}
