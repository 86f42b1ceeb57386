//! The new code and the deployed one, each a commit of a real repository, against the new schema.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

#[path = "../lint/tests/typescript/project.rs"]
mod project;

use std::path::Path;
use std::process::Command;

use flow_steps::schema::{CodeAt, CodeChecked, CodeFolder, Version};

use project::{IMPORT, STRICT, before, node_modules, schema};

/// A repository with a project in `app`, and its commits.
struct Repository(tempfile::TempDir);

impl Repository {
    fn new() -> Self {
        let it = Self(tempfile::tempdir().unwrap());
        it.git(&["init", "--quiet"]);
        it
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.0.path())
            .args(["-c", "user.name=d", "-c", "user.email=d@example.org"])
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        self.write_in("app", path, text);
    }

    fn write_in(&self, folder: &str, path: &str, text: &str) {
        let path = self.0.path().join(folder).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn commit(&self, schema: &str, code: &str) -> String {
        self.write("package.json", "{}");
        self.write("tsconfig.json", STRICT);
        self.write("prisma/schema.prisma", schema);
        self.write("src/a.ts", &format!("{IMPORT}{code}"));
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--allow-empty", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn code(&self, commit: &str, modules: &Path) -> CodeAt {
        CodeAt {
            repo: self.0.path().to_str().unwrap().to_owned(),
            commit: commit.to_owned(),
            schema: "app/prisma/schema.prisma".into(),
            folder: "app".into(),
            node_modules: modules.to_str().unwrap().to_owned(),
            further: Vec::new(),
            host: String::new(),
            dir: String::new(),
        }
    }

    async fn check(&self, base: &str, commit: &str, modules: &Path) -> CodeChecked {
        let code = self.code(commit, modules);
        code.check_against(base, |_| ()).await.unwrap()
    }
}

/// Whose code, the line and the compiler's code of every error of types.
fn errors(checked: &CodeChecked) -> Vec<(Version, u32, &str)> {
    assert_eq!(checked.not_typed, None);
    let typed = checked.found.iter().filter(|f| f.hit.kind == "type-error");
    typed
        .map(|f| (f.version, f.hit.line, f.hit.about.as_str()))
        .collect()
}

fn without_name() -> String {
    schema("nick String?", "NEW DONE GONE")
}

fn without_gone() -> String {
    schema("name String\n  nick String?", "NEW DONE")
}

#[tokio::test]
async fn a_dropped_column_that_only_the_deployed_code_selects_is_found_there() {
    let repository = Repository::new();
    let deployed = repository.commit(
        &before(),
        "export const f = () => db.user.findMany({ select: { name: true } });\n",
    );
    let new = repository.commit(
        &without_name(),
        "export const f = () => db.user.findMany({ select: { id: true } });\n",
    );
    let checked = repository.check(&deployed, &new, node_modules()).await;
    assert_eq!(errors(&checked), [(Version::Deployed, 4, "TS2353")]);
}

#[tokio::test]
async fn a_removed_value_that_only_the_deployed_code_switches_on_is_found_there() {
    let repository = Repository::new();
    let switch = |value: &str| {
        format!(
            "export const g = (u: User) => {{\n  switch (u.status) {{\n    case '{value}':\n      return 1;\n    default:\n      return 0;\n  }}\n}};\n"
        )
    };
    let deployed = repository.commit(&before(), &switch("GONE"));
    let new = repository.commit(&without_gone(), &switch("DONE"));
    let checked = repository.check(&deployed, &new, node_modules()).await;
    assert_eq!(errors(&checked), [(Version::Deployed, 6, "TS2678")]);
    let by_syntax = checked.found.iter().any(|f| {
        f.version == Version::Deployed
            && f.hit.kind == "removed-value"
            && f.hit.about == "Status.GONE"
    });
    assert!(by_syntax, "{:?}", checked.found);
}

#[tokio::test]
async fn new_code_that_forgets_null_is_found_and_what_was_wrong_before_is_not() {
    let repository = Repository::new();
    let wrong = "export const wrong: number = 'x';\n";
    let deployed = repository.commit(&before(), wrong);
    let new = repository.commit(
        &schema("name String?\n  nick String?", "NEW DONE GONE"),
        &format!("{wrong}export const f = (u: User) => u.name.length;\n"),
    );
    let checked = repository.check(&deployed, &new, node_modules()).await;
    assert_eq!(errors(&checked), [(Version::New, 5, "TS18047")]);
}

#[tokio::test]
async fn every_folder_is_type_checked_by_itself_and_one_without_a_compiler_is_named() {
    let repository = Repository::new();
    for (path, text) in [("package.json", "{}"), ("tsconfig.json", STRICT)] {
        repository.write_in("worker", path, text);
    }
    let worker = |code: &str| repository.write_in("worker", "src/b.ts", &format!("{IMPORT}{code}"));
    let unchanged = "export const x = 1;\n";
    worker("export const f = (u: User) => u.status;\n");
    let deployed = repository.commit(&before(), unchanged);
    worker("export const f = (u: User) => u.name.length;\n");
    let new = repository.commit(
        &schema("name String?\n  nick String?", "NEW DONE GONE"),
        unchanged,
    );
    let with = |modules: &Path| {
        let mut code = repository.code(&new, modules);
        code.further.push(CodeFolder {
            folder: "worker".into(),
            node_modules: code.node_modules.clone(),
        });
        code
    };
    let checked = with(node_modules()).check_against(&deployed, |_| ()).await;
    let checked = checked.unwrap();
    assert_eq!(errors(&checked), [(Version::New, 4, "TS18047")]);
    let found = checked.found.iter().find(|f| f.hit.kind == "type-error");
    assert_eq!(found.unwrap().hit.file, "worker/src/b.ts");

    let nothing = tempfile::tempdir().unwrap();
    let checked = with(nothing.path()).check_against(&deployed, |_| ()).await;
    let why = checked.unwrap().not_typed.unwrap();
    for which in [
        "the new code in `app`: ",
        "the deployed code in `app`: ",
        "the new code in `worker`: ",
        "the deployed code in `worker`: ",
    ] {
        assert!(why.contains(which), "{why}");
    }
}

#[tokio::test]
async fn without_a_compiler_it_says_so_and_still_looks_at_the_syntax() {
    let repository = Repository::new();
    let code = "export const f = (u: User) => u.name!.length;\n";
    let deployed = repository.commit(&before(), code);
    let new = repository.commit(
        &schema("name String?\n  nick String?", "NEW DONE GONE"),
        code,
    );
    let nothing = tempfile::tempdir().unwrap();
    let checked = repository.check(&deployed, &new, nothing.path()).await;
    let why = checked.not_typed.unwrap();
    assert!(why.contains("typescript"), "{why}");
    let kinds: Vec<_> = checked
        .found
        .iter()
        .map(|f| (f.version, &*f.hit.kind))
        .collect();
    let expected = [Version::New, Version::Deployed].map(|v| (v, "non-null-assertion"));
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_schema_that_says_the_same_asks_nothing_of_the_compiler() {
    let repository = Repository::new();
    let deployed = repository.commit(&before(), "export const wrong: number = 'x';\n");
    let new = repository.commit(&format!("// why\n{}", before()), "export const x = 1;\n");
    let nothing = tempfile::tempdir().unwrap();
    let checked = repository.check(&deployed, &new, nothing.path()).await;
    assert!(checked.changes.concern_nothing());
    assert_eq!((checked.not_typed, checked.found), (None, Vec::new()));
}
