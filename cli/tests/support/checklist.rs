//! What people go through on each environment.

/// The items of the protocol's checklists.
pub(crate) fn items(step: &str) -> &'static [&'static str] {
    match step {
        "test/features" => &[
            "login",
            "customers",
            "adoption-plans",
            "customer-products",
            "edit-plans",
            "task-status",
            "history",
            "create-plan",
            "licences",
        ],
        "stage/features" => &[
            "customers",
            "products",
            "adoption-plans",
            "tasks",
            "history",
            "crud",
            "licences",
            "graphql-errors",
            "react-errors",
        ],
        "prod/smoke" => &[
            "login",
            "customer",
            "adoption-plan",
            "history",
            "edit",
            "licences",
        ],
        other => panic!("`{other}` is no checklist of the protocol"),
    }
}
