use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use flow_sandbox::{Isolation, Options, Sandbox, SandboxError};

use crate::KIND;
use crate::shared::{alive, eventually, mentioning, options, short_dir, ssh_ok, works};

/// Set for the process that plays an owner which is killed.
const OWNER: &str = "FLOW_SANDBOX_TEST_OWNER";

#[test]
fn down_leaves_no_process_no_mount_and_no_folder() {
    if !works() {
        return;
    }
    let home = short_dir();
    let dir = home.path().join("s");
    let sandbox = Sandbox::up(&dir, &options(), &mut |_| ()).expect("starts");
    ssh_ok(
        &sandbox,
        "prod",
        "setsid sleep 300 < /dev/null > /dev/null 2>&1 &",
    );
    // A session that is idle, as a library keeps it open.
    let idle = sandbox
        .ssh("test")
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh runs");
    let pids = sandbox.processes();
    assert!(pids.len() > 20, "{pids:?}");
    let name = dir.display().to_string();
    sandbox.down().expect("ends");
    let mut idle = idle;
    idle.kill().ok();
    idle.wait().expect("ends");
    assert_eq!(mentioning(&name), "");
    assert!(pids.iter().all(|pid| !alive(*pid)), "{pids:?}");
    assert!(!dir.exists());
    assert!(
        !std::fs::read_to_string("/proc/self/mounts")
            .expect("mounts")
            .contains(&name)
    );
}

/// Cgroups of the containers of the sandbox with this id.
fn cgroups(id: &str) -> String {
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-maxdepth", "2", "-name"]);
    find.arg(format!("flow-sandbox-{id}*"));
    String::from_utf8(find.output().expect("find runs").stdout).expect("UTF-8")
}

#[test]
fn a_second_up_ends_what_a_killed_owner_left_behind() {
    if !works() {
        return;
    }
    let home = short_dir();
    let dir = home.path().join("s");
    let mut owner = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "life::the_owner_that_is_killed", "--nocapture"])
        .env(OWNER, &dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(owner.stdout.take().expect("a pipe")).lines();
    // libtest writes the test's name on the same line.
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.contains("pids "))
        .expect("the owner is up");
    let pids: Vec<u32> = line
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(pids.len() > 20, "{line}");
    assert!(matches!(
        Sandbox::up(&dir, &options(), &mut |_| ()),
        Err(SandboxError::Busy(_))
    ));
    owner.kill().expect("killed");
    owner.wait().expect("ends");
    assert!(
        pids.iter().filter(|pid| alive(**pid)).count() > 10,
        "the hosts outlive their owner"
    );
    let id = std::fs::read_to_string(dir.join("sandbox.id")).expect("an id");
    if KIND == Isolation::Containers {
        assert_ne!(cgroups(id.trim()), "");
    }
    let second = Sandbox::up(&dir, &options(), &mut |_| ()).expect("starts");
    assert!(
        pids.iter()
            .all(|pid| !alive(*pid) || second.processes().contains(pid)),
        "{pids:?}"
    );
    assert_eq!(cgroups(id.trim()), "");
    assert_eq!(ssh_ok(&second, "prod", "echo $DAP_HOST"), "prod");
    // Now the power cut of everything but the owner's folder.
    for host in flow_sandbox::HOSTS {
        second.kill_host(host).expect("ends");
    }
    drop(second);
    let third = Sandbox::up(&dir, &options(), &mut |_| ()).expect("starts");
    assert_eq!(
        third
            .sql("prod", "select count(*) from \"Customer\"")
            .expect("SQL"),
        "120"
    );
}

/// Does nothing by itself; [`a_second_up_ends_what_a_killed_owner_left_behind`] runs it in a process of its own.
#[test]
#[expect(clippy::print_stdout, reason = "tells its parent the pids")]
fn the_owner_that_is_killed() {
    let Some(dir) = std::env::var_os(OWNER) else {
        return;
    };
    let sandbox = Sandbox::up(dir.as_ref(), &options(), &mut |_| ()).expect("starts");
    let pids: Vec<String> = sandbox.processes().iter().map(u32::to_string).collect();
    println!("\npids {}", pids.join(" "));
    std::thread::sleep(std::time::Duration::from_mins(1));
}

#[test]
fn a_folder_that_is_no_sandbox_is_not_touched() {
    let home = short_dir();
    let file = home.path().join("precious");
    std::fs::write(&file, "text").expect("written");
    let refused = Sandbox::up(home.path(), &options(), &mut |_| ());
    assert!(
        matches!(refused, Err(SandboxError::Folder { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), "text");
}

#[test]
fn a_kept_sandbox_leaves_its_logs_but_no_process() {
    if !works() {
        return;
    }
    let home = short_dir();
    let dir = home.path().join("s");
    let options = Options {
        keep: true,
        ..options()
    };
    drop(Sandbox::up(&dir, &options, &mut |_| ()).expect("starts"));
    assert!(dir.join("hosts/prod/log/sshd.log").is_file());
    eventually("its processes are gone", || {
        mentioning(&dir.display().to_string()).is_empty()
    });
}

#[test]
fn the_people_have_keys_that_verify() {
    let Some(shared) = crate::shared::sandbox() else {
        return;
    };
    let people = shared.sandbox.people();
    assert_eq!(
        people
            .iter()
            .map(|person| &*person.role)
            .collect::<Vec<_>>(),
        ["developer", "qa", "devops", "tech-lead"]
    );
    let file = shared.sandbox.dir().join("signed");
    std::fs::write(&file, "text").expect("written");
    let keygen = || Command::new("ssh-keygen");
    let signed = keygen()
        .args(["-q", "-Y", "sign", "-n", "test", "-f"])
        .arg(&people[0].key)
        .arg(&file)
        .status();
    assert!(signed.expect("runs").success());
    let verified = keygen()
        .args(["-Y", "verify", "-n", "test", "-I", &people[0].email, "-f"])
        .arg(shared.sandbox.allowed_signers())
        .arg("-s")
        .arg(shared.sandbox.dir().join("signed.sig"))
        .stdin(std::fs::File::open(&file).expect("readable"))
        .stdout(Stdio::null())
        .status();
    assert!(verified.expect("runs").success());
}
