//! Between the command line and `flow_steps::people`: looking at answers before they are stored.

use std::sync::Arc;

use async_trait::async_trait;

use flow_engine::run::Run;
use flow_engine::signal::Signal;
use flow_workflows::setup::{Setup, SetupError};

use crate::control::server::Verifier;
use crate::diagnostic::Diagnostic;

/// Looks at signed answers with the project's roster.
pub(crate) fn verifier(_: &Setup) -> Result<Arc<dyn Verifier>, SetupError> {
    Ok(Arc::new(Anything))
}

/// Lets every answer through: for steps that look at answers themselves.
pub(crate) struct Anything;

#[async_trait]
impl Verifier for Anything {
    async fn verify(&self, _: &Run, _: &Signal) -> Result<(), Diagnostic> {
        Ok(())
    }
}
