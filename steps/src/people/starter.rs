//! `people.starter`: who started a release, named before anybody answers for it.

use async_trait::async_trait;
use flow_engine::step::{Cx, Step, StepError};

use crate::means::kinds;
use crate::means::reports::people::Signer;
use crate::means::signature::origin;
use crate::means::signature::starter::{Starter, judge};
use crate::means::signature::verify::SignOffRefusal;

#[async_trait]
impl Step for Starter {
    const KIND: &'static str = kinds::STARTER;
    type Output = Signer;

    fn summary(&self) -> String {
        "name who started this release, by the signature of the start: they do not answer for it"
            .into()
    }

    async fn run(&self, cx: &Cx) -> Result<Signer, StepError> {
        let people = origin::needed(cx).await?;
        let signer = judge(cx.run(), &people).await.map_err(|why| match why {
            SignOffRefusal::Unchecked(_) => {
                StepError::unreached("the signature of the start could not be checked")
                    .because(&why)
            }
            _ => {
                StepError::refuse("who started this run is not certain, so nobody could be barred")
                    .because(&why)
                    .hint(format!("flow cancel {} --reason …", cx.run_id()))
                    .hint("flow start --key FILE …     anew, with a key that the roster names")
            }
        })?;
        cx.log(format!("started by {signer}"));
        Ok(signer)
    }
}
