//! The text of a small project, and a real TypeScript and a real Prisma for it, installed once into the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PACKAGES: &str = r#"{
  "private": true,
  "dependencies": { "@prisma/client": "6.19.0", "prisma": "6.19.0", "typescript": "5.9.3" }
}
"#;

/// The `node_modules` with the three packages.
pub(crate) fn node_modules() -> &'static PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut roots = above.filter(|each| each.join("Cargo.lock").is_file());
        let tools = roots.next().unwrap().join("target/test-tools");
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
