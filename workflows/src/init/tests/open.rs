//! What several applications in one repository, or hosts that nobody looked at, leave open.

use super::*;

#[test]
fn two_folders_of_migrations_are_a_question_and_neither_is_taken() {
    let model = |name: &str| format!("model {name} {{\n  id Int @id\n}}\n");
    let (admin, backend) = (model("Admin"), model("Order"));
    let dir = repository(&[
        ("admin/prisma/migrations/1/migration.sql", "x"),
        ("admin/prisma/schema.prisma", &admin),
        ("backend/prisma/migrations/migration_lock.toml", "x"),
        ("backend/prisma/migrations/1/migration.sql", "x"),
        ("backend/prisma/schema.prisma", &backend),
    ]);
    let config = written(dir.path(), &Draft::of(dir.path(), &wishes(dir.path())));
    assert_eq!(config.app.migrations, "TODO/prisma/migrations");
    let both = "admin/prisma/migrations, backend/prisma/migrations";
    for file in ["flow.toml", "flow.data.toml"] {
        let waiting = todos(&dir.path().join(file));
        let asked = waiting.iter().filter(|todo| todo.text.contains(both));
        assert_eq!(asked.count(), 1, "{waiting:?}");
    }
    let data = std::fs::read_to_string(dir.path().join("flow.data.toml")).expect("reads");
    assert!(
        data.contains("\"Admin\"") && data.contains("\"Order\""),
        "{data}"
    );
}

#[test]
fn processes_that_only_the_ecosystem_file_knows_are_a_question() {
    let made = "apps: [make('api'), make('worker'), { name: 'shop-front' }]";
    let named = "apps: [{ name: 'api' }]";
    for files in [
        &[("ecosystem.config.js", made)] as &[(&str, &str)],
        &[
            ("a/ecosystem.config.js", named),
            ("b/ecosystem.config.js", made),
        ],
    ] {
        let dir = repository(files);
        let config = written(dir.path(), &Draft::of(dir.path(), &wishes(dir.path())));
        assert!(config.env["prod"].processes.is_empty());
        let waiting = todos(&dir.path().join("flow.toml"));
        let asked = waiting.iter().filter(|todo| todo.text.contains(files[0].0));
        assert_eq!(asked.count(), 3, "{waiting:?}");
    }
}

#[test]
fn a_further_host_on_which_nothing_of_the_application_is_known_is_a_question() {
    let dir = shop();
    let mut own = wishes(dir.path());
    let named = ["web", "db", "worker"].map(str::to_owned);
    own.hosts.insert("prod".into(), named.to_vec());
    let mut draft = Draft::of(dir.path(), &own);
    let machine = draft.places[2].machine("worker").expect("it was named");
    machine.processes = vec!["jobs".into()];
    written(dir.path(), &draft);
    let waiting = todos(&dir.path().join("flow.toml"));
    let asked = waiting
        .iter()
        .filter(|todo| todo.text.contains("a host the application is deployed to?"));
    let asked: Vec<&str> = asked.map(|todo| todo.text.as_str()).collect();
    assert!(
        matches!(asked.as_slice(), [one] if one.starts_with("is `db` a host")),
        "{asked:?}"
    );
}

#[test]
fn a_host_is_found_for_one_environment_only_and_an_answer_the_rules_refuse_is_not_taken() {
    let dir = repository(&[]);
    let mut own = wishes(dir.path());
    std::fs::write(dir.path().join("ssh_config"), "Host test-prod other\n").expect("writes");
    own.path = ["test", "prod"].map(str::to_owned).to_vec();
    let mut draft = Draft::of(dir.path(), &own);
    assert_eq!(draft.places[1].own.ssh, None);
    assert_eq!(draft.problem(), None);
    let questions = draft.questions();
    let question = questions.iter().find(|question| question.key == "ssh");
    let question = question.expect("production has no host");
    let why = draft.answer(question, "test-prod").expect_err("is refused");
    assert!(why.contains("another host than that of `test`"), "{why}");
    draft.answer(question, "other").expect("is taken");
    own.path = ["a", "a"].map(str::to_owned).to_vec();
    assert_eq!(own.problem().as_deref(), Some("`a` is named twice"));
}
