//! What a changed schema breaks in code, asked of a real `tsc` with clients a real Prisma has generated.
//!
//! The packages come from npm once, into `target/test-tools`; the generator runs without network and without engines.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

#[path = "typescript/project.rs"]
mod project;
#[path = "typescript/refusals.rs"]
mod refusals;
#[path = "typescript/rig.rs"]
mod rig;

use project::{IMPORT, STRICT, before, schema};
use rig::{Code, places};

/// `name` may be null.
fn nullable() -> String {
    schema("name String?\n  nick String?", "NEW DONE GONE")
}

#[tokio::test]
async fn a_column_that_may_now_be_null_is_found_where_it_is_used() {
    let code = Code::new("export const f = (u: User) => u.name.length;\n");
    let hits = code.check(&before(), &nullable()).await.unwrap();
    assert_eq!(places(&hits), ["app/src/a.ts:4:31 TS18047"]);
    assert_eq!(hits[0].message, "'u.name' is possibly 'null'.");
    assert!(
        !code.path("app/node_modules").exists(),
        "the checkout was changed"
    );
    assert!(
        !code.path("app/prisma").exists(),
        "the checkout was changed"
    );
}

#[tokio::test]
async fn code_that_expects_null_is_left_alone() {
    let code = Code::new(
        "export const f = (u: User) => (u.name ?? '').length;\n\
         export const g = (u: User) => { if (u.name) { return u.name.length; } return 0; };\n\
         export const h = (u: User) => u.name?.length;\n",
    );
    let hits = code.check(&before(), &nullable()).await.unwrap();
    assert_eq!(places(&hits), [] as [String; 0]);
}

#[tokio::test]
async fn null_is_found_where_it_is_passed_on() {
    let code = Code::new(
        "const take = (text: string) => text;\n\
         export async function f() {\n  \
           const u = await db.user.findFirstOrThrow();\n  \
           return take(u.name);\n}\n",
    );
    let hits = code.check(&before(), &nullable()).await.unwrap();
    assert_eq!(places(&hits), ["app/src/a.ts:7:15 TS2345"]);
}

#[tokio::test]
async fn a_project_that_is_not_strict_is_checked_strictly() {
    for config in [
        r#""strict": false"#,
        r#""strict": true, "strictNullChecks": false"#,
        r#""strict": true, "noCheck": true"#,
    ] {
        let code = Code::with(
            &STRICT.replace(r#""strict": true"#, config),
            &format!("{IMPORT}export const f = (u: User) => u.name.length;\n"),
        );
        let hits = code.check(&before(), &nullable()).await.unwrap();
        assert_eq!(places(&hits), ["app/src/a.ts:4:31 TS18047"], "{config}");
    }
}

#[tokio::test]
async fn a_dropped_column_is_found_where_it_is_selected() {
    let code = Code::new("export const f = () => db.user.findMany({ select: { name: true } });\n");
    let new = schema("nick String?", "NEW DONE GONE");
    let hits = code.check(&before(), &new).await.unwrap();
    assert_eq!(places(&hits), ["app/src/a.ts:4:53 TS2353"]);
}

#[tokio::test]
async fn a_removed_value_is_found_where_it_is_compared() {
    let code = Code::new(
        "export const f = (u: User) => u.status === 'GONE';\n\
         export const g = (u: User) => {\n  switch (u.status) {\n    case 'GONE':\n      return 1;\n    default:\n      return 0;\n  }\n};\n\
         export const h = () => Status.GONE;\n",
    );
    let new = schema("name String\n  nick String?", "NEW DONE");
    let hits = code.check(&before(), &new).await.unwrap();
    let expected = [
        "app/src/a.ts:4:31 TS2367",
        "app/src/a.ts:7:10 TS2678",
        "app/src/a.ts:13:31 TS2339",
    ];
    assert_eq!(places(&hits), expected);
}

#[tokio::test]
async fn errors_of_before_are_not_reported_even_when_their_message_changes() {
    let code = Code::new(
        "export const a: number = 'x';\n\
         export const f = (u: User): number => u.name;\n\
         export const g = (u: User): number => u.nick.length;\n\
         export const h = (u: User) => u.name.length;\n",
    );
    // `f` says "Type 'string'" before and "Type 'string | null'" after.
    let hits = code.check(&before(), &nullable()).await.unwrap();
    assert_eq!(places(&hits), ["app/src/a.ts:7:31 TS18047"]);
}

#[tokio::test]
async fn a_client_with_its_own_output_is_generated_for_each_schema() {
    for (provider, from) in [
        ("prisma-client-js", "./generated"),
        ("prisma-client", "./generated/client"),
    ] {
        let code = Code::with(
            STRICT,
            &format!(
                "import type {{ User }} from '{from}';\nexport const f = (u: User) => u.name.length;\n"
            ),
        );
        // Generated once and committed.
        code.write(
            "app/src/generated/index.d.ts",
            "export type User = { name: string };\n",
        );
        let own = |schema: String| {
            schema.replace(
                r#""prisma-client-js""#,
                &format!("\"{provider}\"\n  output = \"../src/generated\""),
            )
        };
        let hits = code.check(&own(before()), &own(nullable())).await.unwrap();
        assert_eq!(places(&hits), ["app/src/a.ts:2:31 TS18047"], "{provider}");
    }
}

#[tokio::test]
async fn a_composite_project_is_checked_and_writes_nothing() {
    let elsewhere = tempfile::tempdir().unwrap();
    let config = format!(
        r#""strict": true, "composite": true, "declarationMap": true, "tsBuildInfoFile": "{0}/info", "generateTrace": "{0}/trace""#,
        elsewhere.path().display()
    );
    let code = Code::with(
        &STRICT.replace(r#""strict": true"#, &config),
        &format!("{IMPORT}export const f = (u: User) => u.name.length;\n"),
    );
    let hits = code.check(&before(), &nullable()).await.unwrap();
    assert_eq!(places(&hits), ["app/src/a.ts:4:31 TS18047"]);
    assert_eq!(elsewhere.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer_also_when_the_compiler_names_files() {
    let code = Code::new(
        "import type { User as Other } from './other';\n\
         import type { User as Own } from './own';\n\
         export const f = (u: Other): Own => u;\n",
    );
    code.write(
        "app/src/other.ts",
        "import type { User as Row } from '@prisma/client';\nexport interface User { name: Row['name'] }\n",
    );
    code.write("app/src/own.ts", "export interface User { name: string }\n");
    let hits = code.check(&before(), &nullable()).await.unwrap();
    assert_eq!(places(&hits), ["app/src/a.ts:6:37 TS2322"]);
    let message = &hits[0].message;
    assert!(
        message.contains("import(\"/code/new/app/src/own\").User"),
        "{message}"
    );
    assert_eq!(code.check(&before(), &nullable()).await.unwrap(), hits);
}
