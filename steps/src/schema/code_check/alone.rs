//! The check without a run: for `flow lint --code` and CI.

use flow_engine::step::StepError;

use super::{CodeAt, CodeChecked, Subjects};

impl CodeAt {
    /// What the two steps find together, with `base`, a full commit of this repository, in place of what is deployed:
    /// [`host`](CodeAt::host) and [`dir`](CodeAt::dir) are not looked at. Nobody is asked to accept anything, and
    /// nothing is left out of [`CodeChecked::found`]. `say` is told in words what goes on.
    ///
    /// Fails as the steps do: on a commit that is not here, on a schema that cannot be read. That types could not be
    /// checked is no failure; [`CodeChecked::not_typed`] says so. Reads only.
    pub async fn check_against(
        &self,
        base: &str,
        say: impl Fn(String) + Send + Sync,
    ) -> Result<CodeChecked, StepError> {
        let mut checked = CodeChecked {
            deployed: Some(base.to_owned()),
            ..CodeChecked::default()
        };
        match self.compare(base.to_owned()).await? {
            Subjects::NoSchema(why) | Subjects::OneSchema(why) => checked.not_typed = Some(why),
            Subjects::Nothing(_, changes) => checked.changes = changes,
            Subjects::Both(looked) => {
                let (typed, not_typed) = self.types(&looked, &say).await;
                say("looking at the syntax".to_owned());
                checked.found = looked.syntax(|_| {}, |_| true).await?;
                checked.found.extend(typed);
                checked.not_typed = not_typed;
                checked.changes = looked.changes.clone();
            }
        }
        checked.found.sort();
        checked.found.dedup();
        Ok(checked)
    }
}
