use serde::{Deserialize, Serialize};

use super::*;
use crate::plan::OnFailure;
use crate::planner::Planner;

#[derive(Serialize, Deserialize)]
struct One {}
#[derive(Serialize, Deserialize)]
struct Two {}

macro_rules! of_one_kind {
    ($($step:ty),*) => {$(
        #[async_trait]
        impl Step for $step {
            const KIND: &'static str = "test.same";
            type Output = ();

            fn summary(&self) -> String {
                "does nothing".into()
            }

            async fn run(&self, _: &Cx) -> Result<(), StepError> {
                Ok(())
            }
        }
    )*};
}

of_one_kind!(One, Two);

#[test]
fn two_types_of_one_kind_are_named_both_and_no_step_of_that_kind_is_loaded() {
    let mut planner = Planner::new("test", "1", "prod", "flow test");
    planner.phase("only", "only", OnFailure::Park, |p| {
        p.step("only/one", One {});
    });
    let plan = planner.finish().expect("a sound plan");
    let alone = Registry::default().with::<One>();
    assert_eq!(alone.clash(), None);
    assert!(alone.load(&plan.nodes[0]).is_ok());

    let both = alone.with::<Two>();
    let clash = both.clash().expect("a clash").to_string();
    assert_eq!(
        clash,
        "two steps have the kind `test.same`: flow_engine::registry::tests::One and flow_engine::registry::tests::Two"
    );
    let refused = both.load(&plan.nodes[0]).err().map(|e| e.to_string());
    assert_eq!(refused, Some(clash));
}

#[test]
fn the_same_type_twice_is_no_clash() {
    let registry = Registry::default().with::<One>().with::<One>();
    assert_eq!(registry.clash(), None);
    assert_eq!(registry.kinds().collect::<Vec<_>>(), ["test.same"]);
}
