//! The protocol's three checklists (version 1.0.0, phases 2, 3 and 6). The keys are stored in the journal for ever.

use super::checklist::Item;

type Text = (&'static str, &'static str);

/// Phase 2, on test.
pub const TEST_FEATURES: [Text; 9] = [
    ("login", "Login works"),
    ("customers", "Customer list loads"),
    (
        "adoption-plans",
        "Existing adoption plans display correctly",
    ),
    ("customer-products", "Can view existing customer products"),
    ("edit-plans", "Can edit existing adoption plans"),
    ("task-status", "Can update existing task statuses"),
    (
        "history",
        "All historical data displays (notes, audit trails)",
    ),
    ("create-plan", "Create new adoption plan works"),
    ("licences", "License filtering works correctly"),
];

/// Phase 3, on staging with production data.
pub const STAGE_FEATURES: [Text; 9] = [
    ("customers", "All existing customers load"),
    ("products", "All existing products load"),
    ("adoption-plans", "All existing adoption plans load"),
    ("tasks", "All existing tasks display with correct data"),
    ("history", "Historical notes and audit trails intact"),
    ("crud", "Can perform all CRUD operations"),
    ("licences", "License filtering matches expectations"),
    ("graphql-errors", "No GraphQL errors in console"),
    ("react-errors", "No React errors in console"),
];

/// Phase 6, on production.
pub const PROD_SMOKE: [Text; 6] = [
    ("login", "Login with a real user account"),
    ("customer", "Load an existing customer (verify data intact)"),
    (
        "adoption-plan",
        "View an existing adoption plan (verify tasks intact)",
    ),
    ("history", "Task notes and audit trail visible"),
    ("edit", "Perform one edit operation (verify it saves)"),
    ("licences", "License filtering works"),
];

/// The items of one of these lists, all of them required.
pub fn items(texts: &[Text]) -> Vec<Item> {
    let item = |(key, text): &Text| Item {
        key: (*key).into(),
        text: (*text).into(),
        required: true,
    };
    texts.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_has_the_protocols_number_of_items_under_distinct_keys() {
        for (list, count) in [
            (&TEST_FEATURES[..], 9),
            (&STAGE_FEATURES[..], 9),
            (&PROD_SMOKE[..], 6),
        ] {
            let keys: std::collections::BTreeSet<_> = list.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), count);
            assert!(items(list).iter().all(|i| i.required));
        }
    }
}
