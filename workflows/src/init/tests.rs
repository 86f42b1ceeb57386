use std::path::Path;

use super::*;
use crate::config::{Config, read_toml};

mod open;

/// Writes a repository of these files.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("writes");
    }
    dir
}

/// The files as they would lie in the repository, and what is read from them.
fn written(root: &Path, draft: &Draft) -> Config {
    let files = draft.files();
    for (name, text) in [
        ("flow.toml", &files.flow),
        ("flow.people.toml", &files.people),
        ("flow.data.toml", &files.data),
    ] {
        std::fs::write(root.join(name), text).expect("writes");
    }
    let _people: flow_steps::means::signature::roster::People =
        read_toml(&root.join("flow.people.toml")).expect("the people load");
    let _policy: flow_steps::pg::Policy =
        read_toml(&root.join("flow.data.toml")).expect("the policy loads");
    Config::load(&root.join("flow.toml")).expect("the configuration loads")
}

fn wishes(root: &Path) -> Wishes {
    std::fs::write(
        root.join("ssh_config"),
        "Host shop-test\nHost shop-staging\nHost shop-prod-1 shop-prod-2\nHost *\n User me\n",
    )
    .expect("writes");
    Wishes {
        ssh_config: Some("ssh_config".into()),
        ..Wishes::default()
    }
}

fn shop() -> tempfile::TempDir {
    repository(&[
        (
            "package.json",
            "{\"name\": \"@acme/shop\", \"workspaces\": [\"server\"]}",
        ),
        ("server/package.json", "{\"name\": \"server\"}"),
        (
            "server/prisma/schema.prisma",
            "datasource db {\n  provider = \"postgresql\"\n}\nmodel Customer {\n  id Int @id\n  email String\n}\n",
        ),
        (
            "server/prisma/migrations/migration_lock.toml",
            "provider = \"postgresql\"\n",
        ),
        (
            "server/prisma/migrations/1_init/migration.sql",
            "SELECT 1;\n",
        ),
        (
            "node_modules/x/prisma/migrations/1/migration.sql",
            "SELECT 1;\n",
        ),
        (
            "server/src/app.ts",
            "app.get('/api/health', ok); app.get(\"/health\", ok)\n",
        ),
        (
            "ecosystem.config.js",
            "module.exports = { apps: [{ name: 'api', script: 'x' }, { name: \"worker\" }, { name: 'api' }] }\n",
        ),
        (
            "docker-compose.yml",
            "services:\n  db:\n    image: postgres:15\n    container_name: shop_db\n",
        ),
        (
            "deploy/scripts/release.sh",
            "case $1 in\n  deploy) ;;\nesac\n",
        ),
    ])
}

#[test]
fn a_repository_gives_a_configuration_that_loads_and_names_what_nobody_said() {
    let dir = shop();
    let mut draft = Draft::of(dir.path(), &wishes(dir.path()));
    let keys: Vec<(String, &str)> = draft
        .questions()
        .into_iter()
        .map(|question| (question.environment, question.key))
        .collect();
    assert!(keys.iter().all(|(_, key)| *key != "ssh"), "{keys:?}");
    for question in draft.questions() {
        let answer = match question.key {
            "app_dir" if question.environment == "prod" => "/srv/shop",
            "health" if question.environment == "prod" => "https://shop.example.org/health",
            _ => "",
        };
        draft.answer(&question, answer).expect("taken");
    }
    let config = written(dir.path(), &draft);
    assert_eq!(config.app.name, "shop");
    assert_eq!(config.app.migrations, "server/prisma/migrations");
    let environments = config.environments();
    let hosts: Vec<&str> = environments
        .iter()
        .map(|(_, env)| env.ssh.as_str())
        .collect();
    assert_eq!(hosts, ["shop-test", "shop-staging", "shop-prod-1"]);
    let text = std::fs::read_to_string(dir.path().join("flow.toml")).expect("reads");
    let (_, prod) = text.split_once("[env.prod]").expect("it is there");
    let (prod, of_release) = prod.split_once("\n# From here on").expect("the core first");
    assert!(of_release.contains("\n[release.app]\n"), "{of_release}");
    insta::assert_snapshot!(prod, @r##"

    ssh = "shop-prod-1"
    app_dir = "/srv/shop"
    backup_dir = "/var/lib/flow/backups-shop"   # made when first needed
    flow_dir = "/var/lib/flow/flow-shop"   # jobs and locks; made when first needed
    deploy = ["deploy/scripts/release.sh", "deploy", "{commit}"]   # runs in app_dir
    processes = ["api", "worker"]   # ecosystem.config.js
    health = "https://shop.example.org/health"
    [env.prod.database]
    exec = ["docker", "exec", "-i", "shop_db"]   # from the repository
    user = "postgres"   # TODO: as which role does flow log in? flow doctor names the rights it lacks
    name = "postgres"   # TODO: what is the database called?
    # Also in the ssh configuration; take the signs away if it is a further host of prod.
    # [[env.prod.host]]
    # name = "shop-prod-2"
    # ssh = "shop-prod-2"
    "##);
    let waiting: Vec<String> = todos(&dir.path().join("flow.toml"))
        .into_iter()
        .map(|todo| todo.text)
        .collect();
    assert_eq!(
        waiting
            .iter()
            .filter(|text| text.contains("in which folder"))
            .count(),
        2,
        "{waiting:?}"
    );
    let data = std::fs::read_to_string(dir.path().join("flow.data.toml")).expect("reads");
    assert!(
        data.contains("[tables.\"Customer\"]\n\"id\" = \"personal\"\n\"email\" = \"personal\"\n"),
        "{data}"
    );
    assert_eq!(todos(&dir.path().join("flow.people.toml")).len(), 1);
}

#[test]
fn nothing_at_all_still_gives_files_that_load_and_every_line_that_waits_is_named() {
    let dir = repository(&[]);
    let none = Wishes {
        ssh_config: Some("none".into()),
        ..Wishes::default()
    };
    let draft = Draft::of(dir.path(), &none);
    written(dir.path(), &draft);
    let waiting = todos(&dir.path().join("flow.toml"));
    // The migrations, the mail, and six lines for each environment.
    assert_eq!(waiting.len(), 2 + 3 * 6, "{waiting:#?}");
    assert_eq!(waiting[0].place, "flow.toml:8");
}

#[test]
fn environments_of_the_team_s_own_names_stand_in_their_order() {
    let dir = repository(&[]);
    let mut own = wishes(dir.path());
    own.path = ["uat", "live"].map(str::to_owned).to_vec();
    own.hosts.insert("live".into(), vec!["shop-prod-2".into()]);
    let draft = Draft::of(dir.path(), &own);
    let config = written(dir.path(), &draft);
    assert_eq!(config.path, ["uat", "live"]);
    let environments = config.environments();
    assert_eq!(environments[1].0, "live");
    assert_eq!(environments[1].1.ssh, "shop-prod-2");
}

#[test]
fn hostile_names_become_text_or_nothing_and_never_keys() {
    let evil = "x\"\n[env.prod]\nssh = \"evil\" #\u{1b}[2J\u{202e}";
    let json = serde_json::json!({ "name": evil }).to_string();
    let ecosystem = "apps: [{ name: 'a\"]\\nssh = 1' }, { name: `$(id)` }, { name: 'ok' }]";
    let dir = repository(&[
        ("package.json", &json),
        ("ecosystem.config.cjs", ecosystem),
        ("a\"b\n[x]/migrations/1/migration.sql", "x"),
        ("p\"q/migrations/1/migration.sql", "x"),
        ("src/a.js", "get('/health\"]\\nx')"),
        (
            "compose.yml",
            "services:\n  db:\n    image: postgres\n    container_name: \"-v /:/x\"\n",
        ),
        ("supabase/config.toml", "project_id = \"a b; rm\"\n"),
    ]);
    let link = dir.path().join("deploy.sh");
    std::os::unix::fs::symlink("/etc/passwd", link).expect("a link");
    let draft = Draft::of(dir.path(), &wishes(dir.path()));
    assert_ne!(draft.name.1, "package.json");
    assert_eq!(
        draft.ecosystem,
        Some(("ecosystem.config.cjs".into(), Vec::new()))
    );
    assert_eq!(draft.deploy, None, "links are not followed");
    assert_eq!(draft.containers, ["db"]);
    let config = written(dir.path(), &draft);
    assert_eq!(config.app.migrations, "p\"q/migrations");
    assert_eq!(config.environments()[2].1.ssh, "shop-prod-1");
    let mut draft = draft;
    for (key, answer) in [
        ("ssh", "-oProxyCommand=id"),
        ("ssh", "a b"),
        ("app_dir", "relative"),
        ("app_dir", "/a/../b"),
        ("health", "file:///etc/passwd"),
        ("health", "http://x\u{202e}"),
    ] {
        let question = Question {
            environment: "prod".into(),
            key,
            text: String::new(),
        };
        let before = draft.clone();
        assert!(draft.answer(&question, answer).is_err(), "{answer}");
        assert_eq!(draft, before);
    }
}

#[test]
fn several_hosts_become_an_environment_with_its_database_apart_that_loads() {
    let dir = shop();
    let mut own = wishes(dir.path());
    own.path = ["stage", "prod"].map(str::to_owned).to_vec();
    let named = ["db-1", "web-1", "web-2", "page"].map(str::to_owned);
    own.hosts.insert("prod".into(), named.to_vec());
    let mut draft = Draft::of(dir.path(), &own);
    let prod = &mut draft.places[1];
    for (alias, process, supervisor, health) in [
        (
            "web-1",
            "api",
            Supervisor::Pm2,
            Some("http://10.0.0.1:4000/health"),
        ),
        (
            "web-2",
            "api",
            Supervisor::Pm2,
            Some("http://127.0.0.1:4000/health"),
        ),
        ("page", "page", Supervisor::UserSystemd, None),
    ] {
        let machine = prod.machine(alias).expect("it was named");
        machine.processes = vec![process.into()];
        machine.supervisor = supervisor;
        machine.app_dir = Some("/srv/shop".into());
        machine.health = health.map(str::to_owned);
        machine.home = Some("/home/me".into());
    }
    let db = prod.machine("db-1").expect("it was named");
    let exec = ["docker", "exec", "-i", "db"].map(str::to_owned).to_vec();
    db.database = Some((exec, "postgres".into(), "shop".into()));
    db.home = Some("/root".into());
    draft.arrange();
    let config = written(dir.path(), &draft);
    let (name, env) = config.environments()[1];
    assert_eq!((name, env.ssh.as_str()), ("prod", "web-1"));
    let (store, at) = env.database_host("prod");
    assert_eq!((store, at.ssh.as_str()), ("prod/database", "db-1"));
    assert_eq!(at.backup_dir, "/root/backups-shop");
    let hosts = env.machines.iter().map(|machine| {
        let env = &machine.env;
        let program = env.program().join(" ");
        format!(
            "{} {} {program} {}",
            machine.name,
            env.processes.join("+"),
            machine.has_health
        )
    });
    assert_eq!(
        hosts.collect::<Vec<_>>(),
        [
            "prod/web-2 api pm2 true",
            "prod/page page systemctl --user false"
        ]
    );
    let text = std::fs::read_to_string(dir.path().join("flow.toml")).expect("reads");
    let (_, prod) = text.split_once("[env.prod.database]").expect("it is there");
    let (prod, _) = prod.split_once("\n# From here on").expect("the core first");
    insta::assert_snapshot!(prod, @r#"

    ssh = "db-1"   # a host of its own
    backup_dir = "/root/backups-shop"
    flow_dir = "/root/flow-shop"
    exec = ["docker", "exec", "-i", "db"]
    user = "postgres"
    name = "shop"   # has _prisma_migrations
    [[env.prod.host]]
    name = "web-2"
    ssh = "web-2"
    health = "http://127.0.0.1:4000/health"
    health_from = "host"   # the host itself asks
    [[env.prod.host]]
    name = "page"
    ssh = "page"
    supervisor = { kind = "systemd", program = ["systemctl", "--user"] }
    processes = ["page"]
    "#);
}

#[test]
fn what_the_repository_says_of_systemd_and_compose_counts_where_there_is_no_pm2() {
    let unit = (
        "deploy/shop-api.service",
        "[Service]\nExecStart=/usr/bin/node x\n",
    );
    let compose = (
        "compose.yml",
        "services:\n  web:\n    build: .\n  db:\n    image: postgres\n",
    );
    let supervised = |files: &[(&str, &str)]| {
        let dir = repository(files);
        let config = written(dir.path(), &Draft::of(dir.path(), &wishes(dir.path())));
        let env = &config.env["prod"];
        format!("{} {}", env.program().join(" "), env.processes.join("+"))
    };
    assert_eq!(supervised(&[unit, compose]), "systemctl shop-api");
    assert_eq!(supervised(&[compose]), "docker compose web");
    let odd = ("deploy/a b.service", "[Service]\nExecStart=x\n");
    assert_eq!(supervised(&[odd, ("x.service", "no unit")]), "pm2 ");
    let pm2 = ("ecosystem.config.js", "apps: [{ name: 'api' }]");
    assert_eq!(supervised(&[unit, compose, pm2]), "pm2 api");
}
