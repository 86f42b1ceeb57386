//! Values that may be missing.

use super::*;

const A_VALUE_THAT_MAY_BE_NULL_IS_NOT_TO_BE_OPENED: &[(&str, &[&str])] = &[
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
];

#[test]
fn a_value_that_may_be_null_is_not_to_be_opened() {
    check(A_VALUE_THAT_MAY_BE_NULL_IS_NOT_TO_BE_OPENED);
}

const A_GUARD_OF_THE_SAME_VALUE_PROVES_IT: &[(&str, &[&str])] = &[
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
];

#[test]
fn a_guard_of_the_same_value_proves_it() {
    check(A_GUARD_OF_THE_SAME_VALUE_PROVES_IT);
}

const A_GUARD_OF_SOMETHING_ELSE_PROVES_NOTHING: &[(&str, &[&str])] = &[
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
];

#[test]
fn a_guard_of_something_else_proves_nothing() {
    check(A_GUARD_OF_SOMETHING_ELSE_PROVES_NOTHING);
}

const WHAT_HIDES_A_VALUE_FROM_THE_COMPILER_IS_FOUND: &[(&str, &[&str])] = &[
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
];

#[test]
fn what_hides_a_value_from_the_compiler_is_found() {
    check(WHAT_HIDES_A_VALUE_FROM_THE_COMPILER_IS_FOUND);
}
