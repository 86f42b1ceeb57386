//! The cases about views, run: `PostgreSQL` itself says which of them fail.

#[path = "migration/server.rs"]
#[expect(dead_code, reason = "the measurements of the check use the rest")]
mod server;

const CONTEXT: &str = include_str!("migration/context.sql");
const CASES: &str = include_str!("migration/cases/views.sql");

#[test]
fn a_view_is_in_the_way_exactly_where_postgresql_refuses() {
    let server = server::Server::start().expect("this test needs PostgreSQL's programs");
    let mut refused = 0;
    for (n, case) in CASES.split("=== ").skip(1).enumerate() {
        let (name, body) = case.split_once('\n').expect("a case has a name");
        let (sql, expected): (Vec<&str>, Vec<&str>) =
            body.lines().partition(|line| !line.starts_with("=> "));
        let database = format!("c{n}");
        server.create(&database);
        let sql = sql.join("\n");
        let files: Vec<&str> = sql.split("\n---\n").collect();
        let (last, earlier) = files.split_last().expect("a file");
        let before = [&["CREATE SCHEMA audit;", CONTEXT], earlier].concat();
        let made = server.run(&database, &before);
        assert!(made.good, "{name}: {}", made.stderr);
        let said = server.run(&database, &[last]);
        let fails = expected
            .iter()
            .any(|line| line.contains("view-in-the-way") || line.contains("error view-column"));
        assert_eq!(said.good, !fails, "{name}: {}", said.stderr);
        refused += usize::from(fails);
    }
    assert!(refused >= 8, "{refused}");
}
