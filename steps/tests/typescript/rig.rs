//! A small project with a real TypeScript and a real Prisma, installed once into the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use flow_steps::codecheck::Hit;
use flow_steps::codecheck::types::{NotChecked, Project, differential};

const PACKAGES: &str = r#"{
  "private": true,
  "dependencies": { "@prisma/client": "6.19.0", "prisma": "6.19.0", "typescript": "5.9.3" }
}
"#;

/// The `node_modules` with the three packages.
pub(crate) fn node_modules() -> &'static PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-tools");
        let dir = tools.join("typescript-5.9.3-prisma-6.19.0");
        if !dir.exists() {
            fs::create_dir_all(&tools).unwrap();
            let part = tempfile::tempdir_in(&tools).unwrap();
            fs::write(part.path().join("package.json"), PACKAGES).unwrap();
            let install = Command::new("npm")
                .args(["install", "--ignore-scripts", "--no-package-lock"])
                .args(["--prefer-offline", "--no-audit", "--no-fund", "--prefix"])
                .arg(part.path())
                .output()
                .expect("these tests need npm");
            assert!(install.status.success(), "npm install: {install:?}");
            let part = part.keep();
            // Another process may have been quicker.
            if fs::rename(&part, &dir).is_err() {
                assert!(dir.exists());
                fs::remove_dir_all(&part).unwrap();
            }
        }
        dir.canonicalize().unwrap().join("node_modules")
    })
}

pub(crate) const HEAD: &str = r#"datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}

generator client {
  provider = "prisma-client-js"
}
"#;

/// A schema with this model and these values of an enum.
pub(crate) fn schema(fields: &str, values: &str) -> String {
    format!(
        "{HEAD}\nenum Status {{\n  {}\n}}\n\nmodel User {{\n  id Int @id\n  status Status\n  {fields}\n}}\n",
        values.replace(' ', "\n  ")
    )
}

/// `name` is required.
pub(crate) fn before() -> String {
    schema("name String\n  nick String?", "NEW DONE GONE")
}

pub(crate) const STRICT: &str = r#"{
  "compilerOptions": {
    "target": "ES2022", "module": "commonjs", "moduleResolution": "node", "strict": true, "skipLibCheck": true
  },
  "include": ["src"]
}
"#;

pub(crate) const IMPORT: &str = "import { PrismaClient, Status, type User } from '@prisma/client';\n\
    export const db = new PrismaClient();\n\
    export const statuses: Status[] = [];\n";

/// A checkout with one file of code, which follows [`IMPORT`] and so begins in line 4.
pub(crate) struct Code {
    dir: tempfile::TempDir,
    pub(crate) project: Project,
}

impl Code {
    pub(crate) fn new(code: &str) -> Self {
        Self::with(STRICT, &format!("{IMPORT}{code}"))
    }

    pub(crate) fn with(tsconfig: &str, code: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = Project {
            checkout: dir.path().to_owned(),
            folder: "app".to_owned(),
            schema: "app/prisma/schema.prisma".to_owned(),
            node_modules: node_modules().clone(),
        };
        let it = Self { dir, project };
        it.write("app/package.json", "{}");
        it.write("app/tsconfig.json", tsconfig);
        it.write("app/src/a.ts", code);
        it
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Uses a folder of dependencies in which these packages are replaced by a script.
    pub(crate) fn replace(&mut self, script: &str, text: &str) {
        let fake = self.dir.path().join("fake");
        fs::create_dir_all(&fake).unwrap();
        let replaced = script.split('/').next().unwrap();
        for entry in fs::read_dir(node_modules()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != replaced {
                std::os::unix::fs::symlink(entry.path(), fake.join(entry.file_name())).unwrap();
            }
        }
        let file = fake.join(script);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self.project.node_modules = fake;
    }

    pub(crate) async fn check(&self, old: &str, new: &str) -> Result<Vec<Hit>, NotChecked> {
        self.within(Duration::from_mins(2), old, new).await
    }

    pub(crate) async fn within(
        &self,
        limit: Duration,
        old: &str,
        new: &str,
    ) -> Result<Vec<Hit>, NotChecked> {
        differential(&self.project, old, new, limit, |_| ()).await
    }

    pub(crate) async fn not_checked(&self) -> String {
        let why = self.check(&before(), &before()).await.unwrap_err();
        why.to_string()
    }
}

/// File, line, column and code of each.
pub(crate) fn places(hits: &[Hit]) -> Vec<String> {
    hits.iter()
        .map(|hit| {
            assert_eq!(hit.kind, "type-error");
            format!("{}:{}:{} {}", hit.file, hit.line, hit.column, hit.about)
        })
        .collect()
}
