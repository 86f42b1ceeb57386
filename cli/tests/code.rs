//! `flow lint --code` as CI uses it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn environment(name: &str) -> String {
    format!(
        "[env.{name}]\nssh = \"{name}\"\napp_dir = \"/srv/app\"\nbackup_dir = \"/srv/backups\"\nflow_dir = \"/srv/flow\"\n\
         deploy = [\"./deploy.sh\"]\nhealth = \"https://app.example.org/health\"\ndatabase = {{ user = \"postgres\", name = \"postgres\" }}\n"
    )
}

struct Project(tempfile::TempDir);

const MODEL: &str = "model Task {\n  id String @id\n  title String\n}\n";

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().expect("a folder"));
        let environments: String = ["test", "stage", "prod"].map(environment).concat();
        project.write(
            "flow.toml",
            &format!("[app]\nname = \"demo\"\nmigrations = \"prisma/migrations\"\n{environments}"),
        );
        project.git(&["init", "--quiet"]);
        project.commit(MODEL, "");
        project
    }

    fn dir(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn git(&self, args: &[&str]) {
        let git = Command::new("git")
            .current_dir(self.dir())
            .args(["-c", "user.name=d", "-c", "user.email=d@example.org"])
            .args(args)
            .output()
            .expect("git runs");
        assert!(git.status.success(), "{args:?}: {git:?}");
    }

    fn commit(&self, schema: &str, code: &str) {
        self.write("prisma/schema.prisma", schema);
        self.write("src/a.ts", code);
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", "x"]);
    }

    fn lint(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_flow"))
            .current_dir(self.dir())
            .env_remove("FLOW_CONFIG")
            .args(["lint", "--code"])
            .args(args)
            .output()
            .expect("flow runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

#[test]
fn a_schema_that_code_cannot_tell_apart_is_nothing_to_check() {
    let project = Project::new();
    project.commit(&format!("// why\n{MODEL}"), "");
    let (code, out, err) = project.lint(&["--since", "HEAD~1"]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.starts_with("nothing to check: "), "{out}");
}

#[test]
fn what_is_unguarded_is_named_with_its_place_and_a_missing_compiler_is_said() {
    let project = Project::new();
    let code = "import { type Task } from '@prisma/client';\nexport const f = (t: Task) => t.title!.length;\n";
    project.commit(&MODEL.replace("title String", "title String?"), code);
    let (exit, out, err) = project.lint(&["--since", "HEAD~1"]);
    assert_eq!(exit, Some(1), "{out}{err}");
    assert!(
        out.contains("src/a.ts:2:") && out.contains("[non-null-assertion] Task.title (HEAD): "),
        "{out}"
    );
    assert!(out.contains("\nnot type-checked: "), "{out}");
    let (exit, out, _) = project.lint(&["--since", "HEAD~1", "--format", "json"]);
    assert_eq!(exit, Some(1));
    let json: Value = serde_json::from_str(&out).expect("JSON alone on stdout");
    assert_eq!(json["found"][0]["kind"], "non-null-assertion");
    assert_eq!(json["found"][0]["version"], "new");
    assert!(json["not_typed"].is_string(), "{out}");
}

#[test]
fn what_it_cannot_do_is_a_usage_error() {
    let project = Project::new();
    for args in [
        &[][..],
        &["--since", "no-such"],
        &["--since", "HEAD", "--format", "sarif"],
        &["--since", "HEAD", "prisma/migrations"],
    ] {
        assert_eq!(project.lint(args).0, Some(2), "{args:?}");
    }
}
