//! A schema in several files.

use super::*;

/// The schema in a folder, the way a team says so, and the same migrations.
async fn in_a_folder(says: (&str, &str)) -> Rig {
    let at = SCHEMA.find("enum Status").unwrap();
    let tasks = SCHEMA.find("model Task").unwrap();
    let rig = Rig::new(
        "public",
        &SCHEMA[..at],
        &[INIT],
        &format!("{INIT}{HISTORY}"),
    )
    .await;
    let models = rig.dir.path().join("prisma/models");
    std::fs::create_dir(&models).unwrap();
    std::fs::write(models.join("project.prisma"), &SCHEMA[at..tasks]).unwrap();
    std::fs::write(
        models.join("task.prisma"),
        SCHEMA[tasks..].replace("  notes", "  due DateTime?\n  notes"),
    )
    .unwrap();
    std::fs::write(rig.dir.path().join(says.0), says.1).unwrap();
    git(rig.dir.path(), &["add", "."]);
    git(rig.dir.path(), &["commit", "-qm", "folder"]);
    rig
}

#[tokio::test]
async fn a_schema_in_a_folder_that_prisma_is_told_of_is_compared_whole() {
    for says in [
        ("package.json", "{\"prisma\":{\"schema\":\"./prisma\"}}"),
        (
            "prisma.config.ts",
            "export default defineConfig({ schema: 'prisma' })",
        ),
        ("flow.toml", ""),
    ] {
        let rig = in_a_folder(says).await;
        let mut step = rig.before();
        step.of.schema = String::new();
        if says.0 == "flow.toml" {
            step.of.schema = "prisma".into();
        }
        let given = (!step.of.schema.is_empty()).then_some("prisma");
        let what = asked(step).await;
        assert!(what.starts_with("1 warnings; "), "{says:?}: {what}");
        assert!(
            what.contains("prisma/models/task.prisma") && what.contains("\"due\""),
            "{says:?}: {what}"
        );
        let folder = rig.dir.path().join("prisma/migrations");
        let here = beside(&folder, Some((rig.dir.path(), given)))
            .await
            .unwrap();
        assert_eq!(here.files.len(), 3, "{says:?}: {here:?}");
    }
}

#[tokio::test]
async fn an_incomplete_schema_stops_a_release_before_anything_is_changed_and_never_after_a_deploy()
{
    let part = SCHEMA.replace("model Task {", "model Other {");
    let sql = format!("{INIT}{HISTORY}{}", applied("public", "000"));
    let rig = Rig::new("public", &part, &[INIT], &sql).await;
    let (done, stop) = run(rig.before()).await;
    assert_eq!(stop, Stop::Parked(ParkReason::StepFailed { step: 0 }));
    let said = failure(&done, "schema/drift").message;
    assert!(
        said.contains("prisma/schema.prisma:12: the type `Task` of the field `Project.tasks`"),
        "{said}"
    );
    let (done, _) = run(rig.after(DriftReport::default())).await;
    let report: DriftReport = output(&done, "schema/drift");
    assert_eq!(report.findings, []);
    assert!(report.compared[1].contains("incomplete"), "{report:?}");
}
