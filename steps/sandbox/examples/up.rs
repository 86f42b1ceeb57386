//! Starts a sandbox in the folder given, of five hosts when `five` follows, and ends it when standard input ends.
#![expect(clippy::print_stdout, reason = "an example for people")]

use std::time::Instant;

use flow_sandbox::{Layout, Options, Sandbox};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("which folder?")?;
    let layout = match std::env::args().nth(2).as_deref() {
        None => Layout::Environments,
        Some("five") => Layout::FiveHosts,
        Some(other) => return Err(format!("`{other}` is no layout; `five` is").into()),
    };
    let options = Options {
        layout,
        ..Options::default()
    };
    let begun = Instant::now();
    let sandbox = Sandbox::up(dir.as_ref(), &options, &mut |line| {
        println!("{line}");
    })?;
    println!(
        "up after {:.1?}: {}",
        begun.elapsed(),
        sandbox.explanation()
    );
    let first = &sandbox.hosts()[0].name;
    println!("ssh -F {} {first}", sandbox.ssh_config().display());
    for host in sandbox.hosts() {
        println!("{}: ssh port {}, {}", host.name, host.port, host.base_url);
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    let ending = Instant::now();
    sandbox.down()?;
    println!("down after {:.1?}", ending.elapsed());
    Ok(())
}
