//! Both directions of each rule: what must be found, and what must not.

mod limits;
mod nulls;
mod values;

use super::*;

const OLD: &str = r#"
model User {
  id    Int    @id
  name  String
  email String @map("email_address")
  nick  String
  role  Role
  posts Post[]
  @@map("users")
}
model Post {
  id     Int    @id
  title  String
  name   String
  kind   Kind
  status Status
  author User
}
model Sub {
  id     Int @id
  status Billing
}
enum Role { 
  ADMIN
  GUEST
}
enum Kind {
  GUEST
  HOST
}
enum Status {
  DRAFT
  PAUSED
}
enum Billing {
  PAUSED
  PAID
}
"#;

fn schemas() -> (Schema, Changes) {
    let old = Schema::read(OLD).unwrap();
    let new = OLD
        .replace("name  String", "name  String?")
        .replace("email String", "email String?")
        .replacen("  nick  String\n", "", 1)
        .replacen("  ADMIN\n  GUEST\n", "  ADMIN\n  OWNER\n", 1)
        .replacen("  DRAFT\n  PAUSED\n", "  DRAFT\n", 1);
    let new = Schema::read(&new).unwrap();
    let changes = old.changes(&new);
    (old, changes)
}

/// `kind about` of each hit, in their order.
fn found(file: &str, text: &str) -> Vec<String> {
    let (old, changes) = schemas();
    let hits = look(file, text, &old, &changes);
    hits.iter()
        .map(|hit| format!("{} {}", hit.kind, hit.about).trim().to_owned())
        .collect()
}

fn check(cases: &[(&str, &[&str])]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(text, want)| {
            let got = found("src/a.ts", text);
            (got != *want).then(|| format!("{text}\n  found  {got:?}\n  wanted {want:?}"))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

const NAME: &[&str] = &["unguarded-access User.name"];
const BANG: &[&str] = &["non-null-assertion User.name"];
const ANY: &[&str] = &["any User.name"];
const NONE: &[&str] = &[];

const GUEST: &[&str] = &["removed-value Role.GUEST"];
