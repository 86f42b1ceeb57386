//! Starts a sandbox in the folder given and ends it when standard input ends.
#![expect(clippy::print_stdout, reason = "an example for people")]

use std::time::Instant;

use flow_sandbox::{Options, Sandbox};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("which folder?")?;
    let begun = Instant::now();
    let sandbox = Sandbox::up(dir.as_ref(), &Options::default(), &mut |line| {
        println!("{line}");
    })?;
    println!(
        "up after {:.1?}: {}",
        begun.elapsed(),
        sandbox.explanation()
    );
    println!("ssh -F {} prod", sandbox.ssh_config().display());
    for host in sandbox.hosts() {
        println!("{}: ssh port {}, {}", host.name, host.port, host.base_url);
    }
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    let ending = Instant::now();
    sandbox.down()?;
    println!("down after {:.1?}", ending.elapsed());
    Ok(())
}
