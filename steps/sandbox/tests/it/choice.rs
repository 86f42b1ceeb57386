use flow_sandbox::{Isolation, Options, Sandbox};

use crate::shared::{containers_work, short_dir};

#[test]
fn the_best_kind_that_works_is_taken_and_the_reason_given() {
    let dir = short_dir();
    let sandbox = Sandbox::up(&dir.path().join("s"), &Options::default(), &mut |_| ());
    let sandbox = sandbox.expect("some kind starts on every machine");
    let told = sandbox.explanation();
    let asked = std::env::var("FLOW_SANDBOX").unwrap_or_default();
    if asked == "plain" {
        assert_eq!(sandbox.isolation(), Isolation::Plain);
        assert!(told.contains("asked for"), "{told}");
    } else if containers_work() {
        assert_eq!(sandbox.isolation(), Isolation::Containers, "{told}");
        assert!(told.contains("docker"), "{told}");
    } else {
        assert_eq!(sandbox.isolation(), Isolation::Plain);
        assert!(told.contains("containers do not work here: "), "{told}");
    }
}

#[test]
fn two_sandboxes_of_hosts_in_containers_run_side_by_side() {
    let (Some(first), true) = (crate::shared::sandbox(), containers_work()) else {
        return;
    };
    let dir = short_dir();
    let second = Sandbox::up(
        &dir.path().join("s"),
        &crate::shared::options(),
        &mut |_| (),
    )
    .expect("starts");
    for host in flow_sandbox::HOSTS {
        let _alone = crate::shared::alone_on(host);
        let (one, two) = (
            first.sandbox.host(host).expect("a host"),
            second.host(host).expect("a host"),
        );
        assert_ne!(one.address, two.address);
        assert_eq!(
            crate::shared::ssh_ok(&second, host, "echo $DAP_HOST $DAP_ADDRESS"),
            format!("{host} {}", two.address)
        );
    }
    second.down().expect("ends");
    assert_eq!(
        first.sandbox.sql("prod", "select 1").expect("unharmed"),
        "1"
    );
}
