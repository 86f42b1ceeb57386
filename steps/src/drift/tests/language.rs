//! Every form of Prisma's language, beside what Prisma itself makes of it.

use super::*;

const SCHEMA: &str = include_str!("language/schema.prisma");
const MIGRATION: &str = include_str!("language/migration.sql");

#[tokio::test]
async fn what_prisma_makes_of_a_schema_differs_from_it_in_nothing() {
    let sql = format!("{MIGRATION}{HISTORY}{}", applied("public", "000"));
    let rig = Rig::new("public", SCHEMA, &[MIGRATION], &sql).await;
    let (done, _) = run(rig.before()).await;
    let report: DriftReport = output(&done, "schema/drift");
    assert_eq!(report.findings, []);
    let all = "schema.prisma and the migrations: 17 tables with 98 columns compared, 0 differences; not compared, because text does not \
               tell: 5 (\"Plain\".\"l\" (default), \"Plain\".\"m\" (default), \"Types\".\"cc\" (type), \"Types\".\"dd\" (type), \
               \"Types\".\"hh\" (type))";
    assert_eq!(report.compared[0], all);
    let (done, _) = run(rig.after(report)).await;
    let report: DriftReport = output(&done, "schema/drift");
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn an_index_in_another_order_or_by_another_method_or_operator_is_a_difference() {
    for (ours, theirs) in [
        ("\"b\", \"c\" DESC", "\"b\", \"c\""),
        ("USING HASH (\"e\")", "(\"e\")"),
        ("\"d\" text_pattern_ops", "\"d\""),
        ("\"j\" jsonb_path_ops", "\"j\""),
    ] {
        assert!(MIGRATION.contains(ours), "{ours}");
        let migration = MIGRATION.replace(ours, theirs);
        let rig = Rig::new("public", SCHEMA, &[&migration], HISTORY).await;
        let what = asked(rig.before()).await;
        assert!(what.contains("warnings; next: schema-drift"), "{what}");
    }
}
