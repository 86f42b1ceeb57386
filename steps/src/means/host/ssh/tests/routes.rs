//! Ways to a machine: proxy commands, jump hosts, included files and matches.

use super::agent::Agent;
use super::*;

fn ok() -> Command {
    Command::script("echo ok")
}

/// A host of an ssh configuration with this text.
fn configured(sshd: &Sshd, text: &str) -> SshHost {
    let file = sshd.path("ssh_config");
    std::fs::write(&file, text).unwrap();
    let mut config = SshConfig::new("box", "box");
    config.config_file = Some(file);
    SshHost::new(config)
}

/// A program that copies bytes between its input and output and a port here: what `nc` does.
const COPY: &str = "import os, socket, sys, threading\n\
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n\
    def up():\n    while True:\n        b = os.read(0, 65536)\n        if not b: break\n        s.sendall(b)\n    s.shutdown(1)\n\
    threading.Thread(target=up, daemon=True).start()\n\
    while True:\n    b = s.recv(65536)\n    if not b: break\n    os.write(1, b)\n";

#[tokio::test]
async fn a_proxy_command_carries_the_connection_and_ends_with_it() {
    let sshd = Sshd::start();
    std::fs::write(sshd.path("copy.py"), COPY).unwrap();
    let dir = sshd.dir.path().display();
    std::fs::write(
        sshd.path("proxy"),
        format!(
            "echo $$ \"$@\" > {dir}/ran; exec python3 {dir}/copy.py 127.0.0.1 {}\n",
            sshd.port
        ),
    )
    .unwrap();
    let text = sshd.block(
        "box",
        &format!(
            " IdentitiesOnly yes\n IdentityAgent none\n ProxyCommand sh {dir}/proxy %n %r %h:%p"
        ),
    );
    // The address itself leads nowhere: only the command does.
    let text = text.replace("HostName 127.0.0.1", "HostName box.invalid");
    sshd.record(&sshd.line("ed25519").replace("127.0.0.1", "box.invalid"));
    let host = configured(&sshd, &text);
    assert_eq!(host.run(&ok()).await.unwrap(), "ok");
    let big = Command::script("head -c 3000000 /dev/zero");
    assert_eq!(host.output(&big).await.unwrap().stdout.len(), 3_000_000);
    let ran = std::fs::read_to_string(sshd.path("ran")).unwrap();
    let (pid, named) = ran.trim().split_once(' ').unwrap();
    assert!(named.starts_with("box "), "{named}");
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    drop(host);
    let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists();
    for _ in 0..400 {
        if gone() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(gone(), "the command outlived its connection");
    // A machine that is not on record is refused through a proxy, too.
    sshd.record("");
    let refused = configured(&sshd, &text).run(&ok()).await;
    assert!(
        matches!(refused, Err(HostError::HostKey { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_proxy_command_that_fails_is_told_in_its_own_words() {
    let sshd = Sshd::start();
    let text = sshd.block("box", " ProxyCommand echo no such tunnel >&2; exit 3");
    let error = configured(&sshd, &text).run(&ok()).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, HostError::Unreachable { .. }), "{said}");
    assert!(said.contains("no such tunnel"), "{said}");
}

#[tokio::test]
async fn a_host_name_with_shell_in_it_is_never_run() {
    let sshd = Sshd::start();
    let mark = sshd.path("mark");
    let text = format!(
        "Host *\n ProxyCommand nc %h %p\n HostName x;touch${{IFS}}{}\n",
        mark.display()
    );
    let error = configured(&sshd, &text).run(&ok()).await.unwrap_err();
    assert!(matches!(error, HostError::Config { .. }), "{error}");
    assert!(!mark.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_jump_hosts_are_gone_through_in_order_and_each_key_is_checked() {
    let (first, second, inner) = (Sshd::start(), Sshd::start(), Sshd::start());
    let alone = " IdentityAgent none";
    let text = format!(
        "{}{}{}",
        first.block("first", alone),
        second.block("second", alone),
        inner.block("box", &format!("{alone}\n ProxyJump first,second"))
    );
    let host = configured(&inner, &text);
    assert_eq!(host.run(&ok()).await.unwrap(), "ok");
    assert_eq!(first.connections().len(), 1);
    assert_eq!(second.connections().len(), 1);
    drop(host);
    for sshd in [&first, &second, &inner] {
        sshd.record("");
        let refused = configured(&inner, &text).run(&ok()).await.unwrap_err();
        assert!(
            refused.to_string().contains("no key is on record"),
            "{refused}"
        );
        sshd.record(&sshd.line("ed25519"));
    }
    assert_eq!(configured(&inner, &text).run(&ok()).await.unwrap(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_host_behind_a_proxy_command_works_as_well() {
    let (gate, inner) = (Sshd::start(), Sshd::start());
    std::fs::write(inner.path("copy.py"), COPY).unwrap();
    let proxy = format!(
        " IdentityAgent none\n ProxyCommand python3 {}/copy.py %h %p",
        inner.dir.path().display()
    );
    let text = format!(
        "{}{}",
        gate.block("gate", &proxy),
        inner.block("box", " IdentityAgent none\n ProxyJump gate")
    );
    let host = configured(&inner, &text);
    assert_eq!(host.run(&ok()).await.unwrap(), "ok");
    assert_eq!(gate.connections().len(), 1);
}

#[tokio::test]
async fn included_files_and_matches_lead_where_ssh_leads() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.dir.path());
    agent.add(&sshd.path("id"));
    let block = sshd.block("never", "");
    let rest: Vec<&str> = block.lines().skip(1).collect();
    let rest = rest.join("\n");
    std::fs::write(
        sshd.path("included"),
        format!(
            "Match originalhost box exec \"test -e {}\"\n{rest}\n IdentityAgent {}\n",
            sshd.path("included").display(),
            agent.socket.display()
        ),
    )
    .unwrap();
    let text = format!(
        "Include {}\nHost box\n HostName box.invalid\n IdentityAgent none\n",
        sshd.path("included").display()
    );
    std::fs::rename(sshd.path("id"), sshd.path("away")).unwrap();
    let host = configured(&sshd, &text);
    assert_eq!(host.run(&ok()).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_setting_that_is_not_honoured_is_refused_before_anything_is_connected() {
    let sshd = Sshd::start();
    for (setting, said) in [
        ("CheckHostIP yes", "checkhostip"),
        ("RemoteCommand tmux", "remotecommand"),
        ("SetEnv STAGE=prod", "deploy_env"),
        ("PKCS11Provider /usr/lib/p11.so", "ssh-add -s"),
        ("BindAddress 127.0.0.1", "bindaddress"),
        ("IdentityFile ~/.ssh/%C", "`%C`"),
    ] {
        let text = sshd.block("box", &format!(" {setting}"));
        let error = configured(&sshd, &text).run(&ok()).await.unwrap_err();
        assert!(matches!(error, HostError::Config { .. }), "{error}");
        assert!(error.to_string().contains(said), "{setting}: {error}");
    }
    // One is the rig's own, which looks whether the server is up.
    assert!(sshd.log().matches("Connection from").count() <= 1);
    let lists = " IdentityAgent none\n Ciphers aes256-ctr\n MACs hmac-sha2-512\n KexAlgorithms ecdh-sha2-nistp384\n HostKeyAlgorithms ssh-ed25519\n AddressFamily inet";
    let text = sshd.block("box", lists);
    assert_eq!(configured(&sshd, &text).run(&ok()).await.unwrap(), "ok");
    let text = sshd.block("box", " HostKeyAlgorithms rsa-sha2-512");
    let error = configured(&sshd, &text).run(&ok()).await.unwrap_err();
    assert!(error.to_string().contains("HostKeyAlgorithms"), "{error}");
}
