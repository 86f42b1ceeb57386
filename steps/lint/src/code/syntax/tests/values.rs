//! Enums, and SQL.

use super::*;

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
