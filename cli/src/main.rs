//! The `flow` binary: the command line with the steps and workflows of this repository.

use std::process::ExitCode;

use flow_cli::App;

fn main() -> ExitCode {
    App::new().main()
}
