//! The protocol's three checklists (version 1.0.0, phases 2, 3 and 6), and those of a team that words its own. The keys are
//! stored in the journal for ever.

use flow_steps::means::checklist::{Checklist, Item};

use crate::config::{self, Config, Data, Place};

type Text = (&'static str, &'static str);

/// Phase 2, on test.
const TEST_FEATURES: [Text; 9] = [
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
const STAGE_FEATURES: [Text; 9] = [
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
const PROD_SMOKE: [Text; 6] = [
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

/// Who answers the protocol's own.
const ROLE: &str = "qa";

/// What people look at on an environment: the last part of the step's key, and the list.
pub(super) fn of(config: &Config, at: &Place) -> Vec<(String, Checklist)> {
    let step = if at.is_production {
        "smoke"
    } else {
        "features"
    };
    let limit = at.is_production.then_some(config.signoff.smoke_minutes);
    let named = |title: &str| format!("{title} ({})", config.app.name);
    let Some(own) = &at.env.checklist else {
        let (title, texts) = protocol(at);
        let list = Checklist {
            title: named(&title),
            items: texts.iter().map(required).collect(),
            who: ROLE.into(),
            deadline_minutes: limit,
        };
        return vec![(step.to_owned(), list)];
    };
    let one = |list: &config::Checklist| {
        let key = match &list.name {
            None => step.to_owned(),
            Some(name) => format!("{step}-{name}"),
        };
        let list = Checklist {
            title: named(&list.title),
            items: list.items.iter().map(item).collect(),
            who: list.role.clone(),
            deadline_minutes: list.minutes.or(limit),
        };
        (key, list)
    };
    own.iter().map(one).collect()
}

/// The protocol's title and items for an environment.
fn protocol(at: &Place) -> (String, &'static [Text]) {
    if at.is_production {
        return ("Smoke test on production".into(), &PROD_SMOKE);
    }
    let name = if at.name == "stage" {
        "staging"
    } else {
        at.name
    };
    match at.data {
        Data::Own => (format!("Features on {name}"), &TEST_FEATURES),
        Data::Copy => (
            format!("Features on {name} with production's data"),
            &STAGE_FEATURES,
        ),
    }
}

fn required((key, text): &Text) -> Item {
    Item {
        key: (*key).into(),
        text: (*text).into(),
        required: true,
    }
}

fn item(item: &config::Item) -> Item {
    Item {
        key: item.key.clone(),
        text: item.text.clone(),
        required: item.required,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_of_the_protocol_has_its_number_of_items_under_distinct_keys() {
        for (list, count) in [
            (&TEST_FEATURES[..], 9),
            (&STAGE_FEATURES[..], 9),
            (&PROD_SMOKE[..], 6),
        ] {
            let keys: std::collections::BTreeSet<_> = list.iter().map(|(key, _)| key).collect();
            assert_eq!(keys.len(), count);
        }
    }
}
