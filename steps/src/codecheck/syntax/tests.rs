//! Both directions of each rule: what must be found, and what must not.

use proptest::prelude::*;

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

#[test]
fn a_value_that_may_be_null_is_not_to_be_opened() {
    check(&[
        ("function f(u: User) { return u.name.length }", NAME),
        ("function f(u: User) { return u.name[0] }", NAME),
        ("function f(u: User) { return u['name'].length }", NAME),
        ("function f(u: User) { return u?.name.length }", NAME),
        ("function f(u: User) { return u.name() }", NAME),
        ("function f(u: User) { return [...u.name] }", NAME),
        ("function f(u: User) { for (const c of u.name) g(c) }", NAME),
        ("function f(u: User) { return `Hi ${u.name}` }", NAME),
        ("function f(u: User) { return 'Hi ' + u.name }", NAME),
        (
            "function f(u: User) { return (c ? u.name : '').length }",
            NAME,
        ),
        (
            "function f(u: User) { return (u.name as string).length }",
            NAME,
        ),
        (
            "function f(u: User) { const { name } = u; return name.length }",
            NAME,
        ),
        (
            "function f(u: User) { const { name: n } = u; return n.length }",
            NAME,
        ),
        ("function f({ name }: User) { return name.length }", NAME),
        (
            "function f(u: User) { const n = u.name; return n.length }",
            NAME,
        ),
        (
            "function f(u: User) { const { name = '' } = u; return name.length }",
            NAME,
        ),
        ("const u = await db.user.findFirst(); u.name.length", NAME),
        (
            "const us = await db.user.findMany(); us.map(u => u.name.length)",
            NAME,
        ),
        (
            "for (const u of await db.user.findMany()) { u.name.trim() }",
            NAME,
        ),
        (
            "const p = await db.post.findFirst(); p.author.name.length",
            NAME,
        ),
        (
            "function f(u: User) { return u.nick.length }",
            &["unguarded-access User.nick"],
        ),
        ("data.user.name.length", NAME),
        ("function f(u: User) { return u.name?.length }", NONE),
        ("function f(u: User) { return u.name?.trim().length }", NONE),
        ("function f(u: User) { return (u.name ?? '').length }", NONE),
        ("function f(u: User) { return (u.name || '').length }", NONE),
        ("function f(u: User) { return g(u.name) }", NONE),
        ("function f(u: User) { u.name = 'a'; delete u.name }", NONE),
        ("function f(u: User) { return { ...u.name } }", NONE),
        (
            "function f(u: User) { const { name } = u; return name?.length }",
            NONE,
        ),
        ("const p = await db.post.findFirst(); p.name.length", NONE),
        ("function f(p: Post) { return p.name.length }", NONE),
        ("window.name.length", NONE),
        ("// user.name.length", NONE),
    ]);
}

#[test]
fn a_guard_of_the_same_value_proves_it() {
    check(&[
        (
            "function f(u: User) { if (u.name) return u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { if (u.name != null) { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { if (u.name !== null) { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { if (null != u.name) { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { if (typeof u.name === 'string') { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { if (u.name === 'x') { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { if (u.name?.length > 1) { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { if (u.name === null) {} else { return u.name.length } }",
            NONE,
        ),
        (
            "function f(u: User) { return u.name && u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { return !u.name || u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { return u.name ? u.name.length : 0 }",
            NONE,
        ),
        (
            "function f(u: User) { return u.name == null ? 0 : u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { if (!u.name) return; g(u.name.length) }",
            NONE,
        ),
        (
            "function f(u: User) { if (!u.name) { throw 1 } g(u.name.length) }",
            NONE,
        ),
        (
            "function f(u: User) { if (!u || !u.name) return; g(u.name.length) }",
            NONE,
        ),
        (
            "for (const u of us as User[]) { if (!u.name) continue; g(u.name.length) }",
            NONE,
        ),
        (
            "function f(u: User) { const { name } = u; if (!name) return; name.length }",
            NONE,
        ),
        (
            "function f(u: User) { if (!u.name) return; const n = u.name; n.length }",
            NONE,
        ),
        (
            "function f(u: User) { const ok = u.name != null; if (ok) u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { const { name } = u; if (!name) return; return () => name.length }",
            NONE,
        ),
        (
            "function f(u: User) { assert(u.name); u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { u.name ??= 'a'; u.name.length }",
            NONE,
        ),
        (
            "function f(u: User) { let n = u.name; if (!n) { n = 'a' } n.length }",
            NONE,
        ),
        ("function f(u: User) { if (u.name) g(u.name!) }", NONE),
        (
            "function f(u: User) { if (!u.nick) return; u.nick.length }",
            NONE,
        ),
        (
            "function f(u: User) { if (u.nick !== undefined) u.nick.length }",
            NONE,
        ),
    ]);
}

#[test]
fn a_guard_of_something_else_proves_nothing() {
    check(&[
        (
            "function f(a: User, b: User) { if (a.name) return b.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.email) return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name || c) return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { return u.name || u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { return !u.name && u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (!u.name) { return u.name.length } }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name) {} else { return u.name.length } }",
            NAME,
        ),
        (
            "function f(u: User) { return u.name ? 0 : u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name === null) { return u.name.length } }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name == null) { log() } return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (!u.name && c) return; return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name !== undefined) return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (typeof u.name !== 'undefined') return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (typeof u.name !== 'string') return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name !== 'x') return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name) { return () => u.name.length } }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name) {} return u.name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name) { u = other; u.name.length } }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.name) { u.name = get(); u.name.length } }",
            NAME,
        ),
        (
            "function f(u: User) { let { name } = u; if (name) { name = get(); name.length } }",
            NAME,
        ),
        (
            "function f(us: User[]) { if (us[0].name) us[1].name.length }",
            NAME,
        ),
        (
            "function f(u: User) { if (u.nick !== null) u.nick.length }",
            &["unguarded-access User.nick"],
        ),
    ]);
}

#[test]
fn what_hides_a_value_from_the_compiler_is_found() {
    check(&[
        ("function f(u: User) { g(u.name!) }", BANG),
        ("function f(u: User) { g(u.name!.length) }", BANG),
        ("function f(u: User) { const { name } = u; g(name!) }", BANG),
        ("g(row.name!)", BANG),
        ("function f(p: Post) { g(p.name!) }", NONE),
        ("g((u as any).name)", ANY),
        ("function f(u: any) { g(u.name) }", ANY),
        ("function f(rows: any[]) { g(rows[0].name.length) }", ANY),
        ("const { name } = u as any", ANY),
        ("g(u.name as any)", ANY),
        ("function f(u: any) { g(u.name ?? '') }", NONE),
        ("function f(u: any) { u.name = 'a' }", NONE),
        ("try { g() } catch (e: any) { h(e.name) }", NONE),
        ("// @ts-ignore\ng(u.name)", &["ts-ignore User.name"]),
        (
            "// @ts-expect-error because\n\n// and\ng(u.name)",
            &["ts-ignore User.name"],
        ),
        (
            "// @ts-nocheck\nfunction f(u: User) { g(u.name) }",
            &["ts-ignore User.name"],
        ),
        ("// @ts-ignore\ng(u.names)", NONE),
        ("// @ts-ignore\ng(u)\ng(u.name)", NONE),
    ]);
}

#[test]
fn sql_in_strings_is_found_by_the_names_of_the_database() {
    let email: &[&str] = &["raw-sql User.email"];
    check(&[
        (
            "db.$queryRaw`SELECT email_address FROM users WHERE id = ${id}`",
            email,
        ),
        (
            "db.$queryRawUnsafe('SELECT u.email_address FROM users u')",
            email,
        ),
        (
            "const q = `UPDATE \"users\" SET \"email_address\" = ${x}`",
            email,
        ),
        ("sql`email_address = ${x}`", email),
        ("db.$queryRaw`SELECT email FROM users`", NONE),
        ("db.$queryRaw`SELECT email_address FROM leads`", NONE),
        ("const t = 'the email_address of users'", NONE),
        (
            "db.$executeRaw`UPDATE users SET role = 'GUEST'`",
            &["removed-value Role.GUEST"],
        ),
        ("db.$executeRaw`UPDATE post SET kind = 'GUEST'`", NONE),
        (
            "db.$queryRaw`SELECT * FROM users`",
            &[
                "raw-sql User.email",
                "raw-sql User.name",
                "raw-sql User.nick",
            ],
        ),
    ]);
}

const GUEST: &[&str] = &["removed-value Role.GUEST"];

#[test]
fn a_value_that_is_no_more_is_found_where_its_enum_is_meant() {
    check(&[
        (
            "import { Role } from '@prisma/client'; f(Role.GUEST)",
            GUEST,
        ),
        (
            "import { Role as R } from '@prisma/client'; f(R.GUEST)",
            GUEST,
        ),
        (
            "import { $Enums } from '@prisma/client'; f($Enums.Role.GUEST)",
            GUEST,
        ),
        (
            "import { Prisma } from '@prisma/client'; f(Prisma.Role.GUEST)",
            GUEST,
        ),
        (
            "const { Role } = require('@prisma/client'); f(Role.GUEST)",
            GUEST,
        ),
        ("import { Role } from './db'; f(Role['GUEST'])", GUEST),
        ("import { Role } from './db'; let a: Role.GUEST", GUEST),
        ("function f(u: User) { return u.role === 'GUEST' }", GUEST),
        ("function f(u: User) { return 'GUEST' !== u.role }", GUEST),
        ("function f(role: Role) { return role === 'GUEST' }", GUEST),
        ("function f(a: Role) { return a === 'GUEST' }", GUEST),
        ("const a: Role = c ? 'GUEST' : 'ADMIN'", GUEST),
        ("f('GUEST' as Role)", GUEST),
        ("type A = Exclude<Role, 'GUEST'>", GUEST),
        ("function f(u: User) { u.role = 'GUEST' }", GUEST),
        (
            "function f(u: User) { switch (u.role) { case 'GUEST': g() } }",
            GUEST,
        ),
        (
            "function f(u: User) { return ['GUEST'].includes(u.role) }",
            GUEST,
        ),
        ("db.user.findMany({ where: { role: 'GUEST' } })", GUEST),
        (
            "db.user.findMany({ where: { role: { in: ['ADMIN', 'GUEST'] } } })",
            GUEST,
        ),
        ("z.object({ role: z.enum(['ADMIN', 'GUEST']) })", GUEST),
        (
            "const a: Record<Role, string> = { ADMIN: 'a', GUEST: 'b' }",
            GUEST,
        ),
        (
            "const a = { GUEST: 'b' } satisfies Partial<Record<Role, string>>",
            GUEST,
        ),
        (
            "function f(p: Post) { return p.status === 'PAUSED' }",
            &["removed-value Status.PAUSED"],
        ),
    ]);
}

#[test]
fn the_same_label_of_something_else_is_let_be() {
    check(&[
        ("import { Kind } from '@prisma/client'; f(Kind.GUEST)", NONE),
        (
            "import { Role as Kind, Kind as Role } from 'x'; f(Role.GUEST)",
            NONE,
        ),
        ("enum Role { GUEST } f(Role.GUEST)", NONE),
        ("function f(p: Post) { return p.kind === 'GUEST' }", NONE),
        ("function f(a: Kind) { return a === 'GUEST' }", NONE),
        ("const a: Record<Kind, string> = { GUEST: 'b' }", NONE),
        ("const a = { GUEST: 'b' }", NONE),
        ("db.post.findMany({ where: { kind: 'GUEST' } })", NONE),
        ("db.sub.findMany({ where: { status: 'PAUSED' } })", NONE),
        ("function f(s: Sub) { return s.status === 'PAUSED' }", NONE),
        (
            "const s = await db.sub.findFirst(); s.status === 'PAUSED'",
            NONE,
        ),
        ("subscription.status === 'PAUSED'", NONE),
        ("// role GUEST", NONE),
        ("import x from './role/GUEST'; x()", NONE),
        ("it('GUEST', () => g())", NONE),
        ("test('role GUEST', () => {})", NONE),
        ("f('GUEST')", NONE),
        ("color === 'GUEST'", NONE),
    ]);
}

#[test]
fn a_switch_that_knew_all_values_is_told_of_a_new_one() {
    let added: &[&str] = &["removed-value Role.GUEST", "added-value Role.OWNER"];
    let mut both = found(
        "a.ts",
        "function f(u: User) { switch (u.role) { case 'ADMIN': return 1; case 'GUEST': return 2 } }",
    );
    both.sort_by(|a, b| b.cmp(a));
    assert_eq!(both, added);
    let role =
        "import { Role } from 'x'; function f(r: Role) { switch (r) { case Role.ADMIN: return 1";
    assert_eq!(
        found("a.ts", &format!("{role} }} }}")),
        ["added-value Role.OWNER"]
    );
    assert_eq!(
        found("a.ts", &format!("{role}; default: return 2 }} }}")),
        NONE
    );
    assert_eq!(
        found("a.ts", &format!("{role}; case Role.OWNER: return 2 }} }}")),
        NONE
    );
}

#[test]
fn jsx_and_plain_javascript_are_read_too() {
    let text = "export const A = ({ user }) => <p title={`${user.name}`}>{user.name.length}</p>";
    assert_eq!(found("a.tsx", text).len(), 2);
    assert_eq!(found("a.js", text).len(), 2);
    assert_eq!(found("a.jsx", "<A role=\"GUEST\" />"), GUEST);
    assert_eq!(
        found("a.cjs", "function f(user) { return user.name.length }"),
        NAME
    );
    assert_eq!(found("a.mts", "(user: User) => user.name.length"), NAME);
    assert!(found("a.css", "user.name.length").is_empty());
}

#[test]
fn a_hit_says_where_it_is_in_characters() {
    let (old, changes) = schemas();
    let hits = look(
        "a.ts",
        "const a = 'x';\n/* é */ user.name.length",
        &old,
        &changes,
    );
    assert_eq!((hits[0].line, hits[0].column), (2, 9), "{hits:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be() {
    let (old, changes) = schemas();
    assert_eq!(found("a.ts", "user.name.length ((("), ["not-read"]);
    let large = format!("user.name.length;{}", " ".repeat(MOST));
    assert_eq!(found("a.ts", &large), ["not-read"]);
    assert_eq!(
        look_bytes("a.ts", b"name \xff", &old, &changes)[0].kind,
        "not-read"
    );
    let limit = MOST / 20;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("if(a)", ""),
        ("a=>", ""),
        ("x?y:", ""),
        ("a+", ""),
        ("<a>", "</a>"),
    ] {
        let deep = format!("user.name;{}1{}", open.repeat(limit), close.repeat(limit));
        assert_eq!(found("a.tsx", &deep), ["not-read"], "{open}");
    }
}

#[test]
fn what_is_nested_as_deep_as_is_let_through_does_not_overflow() {
    let levels = nesting::MOST / 2 - 20;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("if(a)", ""),
        ("a=>", ""),
        ("a+", ""),
        ("{", "}"),
        ("a.", ""),
    ] {
        for levels in [levels, levels / 2] {
            let deep = format!(
                "user.name.length;{}a{}",
                open.repeat(levels),
                close.repeat(levels)
            );
            let hits = found("a.ts", &deep);
            assert_eq!(hits.len(), 1, "{open}: {hits:?}");
        }
    }
}

#[test]
fn long_files_of_people_are_not_taken_for_deep_ones() {
    let line = "const a = b.c.d ? e : f(g, h)\nif (a) { user.id++ }\nelse i(`x ${j}`)\n";
    assert!(!nesting::too_deep(&line.repeat(10_000)));
    assert!(!nesting::too_deep(
        &line.replace('\n', ";\n").repeat(10_000)
    ));
}

const SEED: &str = "import { Role } from 'x';\nasync function f(u: User, a: any) {\n  if (!u.name || u['email'] == null) return `x ${u.nick}`;\n  const { name = '', ...rest } = u;\n  switch (u.role) { case Role.GUEST: case 'GUEST': return u.name!.length }\n  // @ts-ignore\n  return db.$queryRaw`SELECT name FROM users WHERE role = 'GUEST'` as any ?? rest?.[0]?.name.x((y) => <T,>(z: T) => z);\n}\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(cuts in prop::collection::vec((0..SEED.len(), 0..SEED.len(), 0..24_usize), 1..6)) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (from, to, len) in cuts {
            let part: Vec<char> = text.iter().skip(from).take(len).copied().collect();
            let to = to.min(text.len());
            if len % 2 == 0 {
                text.splice(to..to, part);
            } else {
                text.drain(to..(to + len).min(text.len()));
            }
        }
        let text: String = text.into_iter().collect();
        for hit in found("a.tsx", &text) {
            prop_assert!(!hit.contains("gave up"));
        }
        let (old, changes) = schemas();
        for hit in look("a.ts", &text, &old, &changes) {
            prop_assert!(!hit.message.contains("gave up") && !hit.message.contains("too long"), "{hit:?}");
        }
    }
}
