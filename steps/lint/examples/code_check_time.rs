//! How long a differential check of types takes beside one run of the compiler, on a project that is made up.
//!
//! `cargo run --release -p flow-lint --example code_check_time -- NODE_MODULES [FILES]`, with `typescript`, `prisma`
//! and `@prisma/client` in that folder.

#![expect(clippy::print_stdout, reason = "an example program answers on stdout")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flow_lint::code::types::{Project, differential};

/// Models of the schema, and fields of each: what a mid-size application has.
const MODELS: usize = 30;

const CONFIG: &str = r#"{"compilerOptions": {"target": "ES2022", "module": "commonjs", "moduleResolution": "node",
  "strict": true, "skipLibCheck": true}, "include": ["src"]}"#;

fn schema(nullable: bool) -> String {
    let mut text =
        "datasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n\
        generator client {\n  provider = \"prisma-client-js\"\n  engineType = \"client\"\n}\n"
            .to_owned();
    for model in 0..MODELS {
        let mark = if nullable && model == 0 { "?" } else { "" };
        let _infallible = writeln!(
            text,
            "model M{model} {{\n  id Int @id\n  title String{mark}"
        );
        for field in 0..10 {
            let _infallible = writeln!(text, "  f{field} String\n  n{field} Int?");
        }
        text.push_str("}\n");
    }
    text
}

/// A file with twenty functions that query, map and pass on.
fn file(number: usize) -> String {
    let model = number % MODELS;
    let mut text = format!(
        "import {{ PrismaClient, type M{model} }} from '@prisma/client';\nconst db = new PrismaClient();\n\
         const take = (text: string) => text.trim();\n"
    );
    for at in 0..20 {
        let field = at % 10;
        let _infallible = write!(
            text,
            "export async function load{at}(id: number) {{\n  \
               const all = await db.m{model}.findMany({{ where: {{ id, f{field}: 'x' }}, orderBy: {{ id: 'asc' }} }});\n  \
               return all.map((each) => ({{ title: take(each.title), sum: (each.n{field} ?? 0) + each.f{field}.length }}));\n}}\n\
             export const name{at} = (it: M{model}) => `${{it.title.toUpperCase()}} ${{it.f{field}}}`;\n"
        );
    }
    text
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    std::fs::write(path, text)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let modules = args.next().ok_or("name a node_modules folder")?;
    let node_modules = PathBuf::from(modules).canonicalize()?;
    let files: usize = args.next().map_or(Ok(300), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let at = dir.path();
    write(&at.join("tsconfig.json"), CONFIG)?;
    write(&at.join("package.json"), "{}")?;
    for number in 0..files {
        write(&at.join(format!("src/{number}.ts")), &file(number))?;
    }
    let project = Project {
        checkout: at.to_owned(),
        folder: String::new(),
        schema: "schema.prisma".into(),
        node_modules: node_modules.clone(),
    };
    let began = Instant::now();
    let say = |what: &str| println!("{:6.1} s  {what}", began.elapsed().as_secs_f64());
    let limit = Duration::from_mins(10);
    let hits = differential(&project, &schema(false), &schema(true), limit, say).await?;
    let whole = began.elapsed();
    println!("{} places, {:.1} s", hits.len(), whole.as_secs_f64());

    // The compiler alone, with a client of its own.
    let own = at.join("node_modules");
    let copied = Command::new("cp")
        .arg("-a")
        .args([&node_modules, &own])
        .status()?;
    write(&at.join("schema.prisma"), &schema(false))?;
    let node = |script: &str, args: &[&str]| {
        let mut command = Command::new("node");
        command.current_dir(at).arg(own.join(script)).args(args);
        // Nothing is downloaded; generating needs none of them.
        command.env("PRISMA_SCHEMA_ENGINE_BINARY", "/bin/true");
        command.env("PRISMA_QUERY_ENGINE_BINARY", "/bin/true");
        command.env("PRISMA_QUERY_ENGINE_LIBRARY", "/bin/true");
        command.output()
    };
    let made = node(
        "prisma/build/index.js",
        &["generate", "--schema", "schema.prisma"],
    )?;
    if !(copied.success() && made.status.success()) {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
    }
    let began = Instant::now();
    let one = node("typescript/bin/tsc", &["--noEmit", "-p", "."])?;
    let alone = began.elapsed();
    println!(
        "one run of tsc ({}): {:.1} s; the differential check takes {:.2} of it",
        one.status,
        alone.as_secs_f64(),
        whole.as_secs_f64() / alone.as_secs_f64()
    );
    Ok(())
}
