//! The `flow` binary: the command line with the workflows and steps of this repository.

use std::process::ExitCode;

use flow_cli::App;
use flow_workflows::shipped::{Promote, Release};

fn main() -> ExitCode {
    App::new().workflow(Release).workflow(Promote).main()
}
