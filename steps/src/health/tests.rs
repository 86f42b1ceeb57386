use crate::means::host::Hosts;
use crate::means::probes::Body;
use crate::means::probes::Check;
use crate::means::probes::unwell::Unwell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flow_engine::driver::Stop;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;

use super::*;
use crate::means::host::Local;
use crate::means::reach::testing::{Bench, Say, failure, output, plan};

mod probes;

/// A tiny server that answers each request with what `answer` makes of its number and path.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

pub(crate) fn serve(answer: impl Fn(usize, &str) -> String + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // Ends with the test process; it holds nothing but this port.
    std::thread::spawn(move || {
        for stream in listener.incoming().take(10_000) {
            let Ok(mut stream) = stream else { break };
            let mut request = [0; 4096];
            let n = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..n]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            let reply = answer(count.fetch_add(1, Ordering::SeqCst), &path);
            drop(stream.write_all(reply.as_bytes()));
        }
    });
    Server { address, asked }
}

pub(crate) fn reply(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn hosts() -> Hosts {
    Hosts::new().with(Local::new("here"))
}

fn registry() -> Registry {
    Registry::default().with::<Health>()
}

fn json_ok(url: String) -> Check {
    Check {
        body: Body::Json {
            pointer: "/status".into(),
            value: "ok".into(),
        },
        ..Check::ok(url)
    }
}

#[tokio::test]
async fn a_200_that_does_not_say_healthy_is_not_healthy() {
    let server = serve(|_, path| match path {
        "/sick" => reply("200 OK", r#"{"status":"degraded"}"#),
        "/well" => reply("200 OK", r#"{"status":"ok"}"#),
        "/html" => reply("200 OK", "<html>maintenance</html>"),
        _ => reply("503 Service Unavailable", "no"),
    });
    for via_host in [None, Some("here".to_owned())] {
        let ask = async |path: &str| {
            let check = Check {
                via_host: via_host.clone(),
                ..json_ok(server.url(path))
            };
            check.ask(&hosts()).await
        };
        assert_eq!(ask("/well").await.unwrap().status, 200);
        assert!(
            ask("/sick")
                .await
                .unwrap_err()
                .to_string()
                .contains("`/status` is \"degraded\"")
        );
        assert!(
            ask("/html")
                .await
                .unwrap_err()
                .to_string()
                .contains("no JSON")
        );
        assert!(
            ask("/down")
                .await
                .unwrap_err()
                .to_string()
                .contains("status 503 instead of 200")
        );
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = serve(|_, _| reply("200 OK", "other"));
    let away = format!("http://localhost:{}/", other.address.port());
    let server = serve(move |_, path| {
        match path {
        "/away" => format!("HTTP/1.1 302 Found\r\nLocation: {away}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        "/home" => "HTTP/1.1 302 Found\r\nLocation: /well\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
        _ => reply("200 OK", "well"),
    }
    });
    assert!(Check::ok(server.url("/away")).ask(&hosts()).await.is_err());
    assert_eq!(other.asked.load(Ordering::SeqCst), 0);
    assert_eq!(
        Check::ok(server.url("/home"))
            .ask(&hosts())
            .await
            .unwrap()
            .body,
        "well"
    );
}

#[tokio::test]
async fn an_endless_body_and_a_silent_server_are_bounded() {
    let server = serve(|_, _| reply("200 OK", &"x".repeat(300 * 1024)));
    let error = Check::ok(server.url("/")).ask(&hosts()).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("more than 262144 bytes"), "{error}");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let check = Check {
        timeout_seconds: 1,
        ..Check::ok(format!("http://{}/", silent.local_addr().unwrap()))
    };
    assert!(check.ask(&hosts()).await.is_err());
    assert!(
        Check::ok("http://user:word@127.0.0.1/")
            .ask(&hosts())
            .await
            .is_err()
    );
}

fn health(url: String, within_seconds: u64, stable_for_seconds: u64) -> Health {
    Health {
        check: json_ok(url).into(),
        within_seconds,
        stable_for_seconds,
    }
}

#[tokio::test]
async fn it_waits_until_healthy_and_begins_anew_after_a_relapse() {
    // Down, well, down again, then well.
    let server = serve(|n, _| match n {
        0 | 2 => reply("503 Service Unavailable", ""),
        _ => reply("200 OK", r#"{"status":"ok"}"#),
    });
    let bench = Bench::new(registry);
    let url = server.url("/health");
    let plan = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step("prod/health", health(url, 20, 2));
        },
    );
    let (run, stop) = bench.start("r-one", plan).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let healthy: Healthy = output(&run, "prod/health");
    assert!(
        healthy.questions >= 5 && healthy.after_seconds >= 2,
        "{healthy:?}"
    );
}

#[tokio::test]
async fn what_never_gets_healthy_fails_with_the_last_answer() {
    let server = serve(|_, _| reply("200 OK", r#"{"status":"starting"}"#));
    let bench = Bench::new(registry);
    let url = server.url("/health");
    let plan = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step("prod/health", health(url, 1, 0));
        },
    );
    let (run, stop) = bench.start("r-one", plan).await;
    assert!(matches!(stop, Stop::Parked(_)), "{stop:?}");
    let message = failure(&run, "prod/health").message;
    assert!(
        message.contains("`/status` is \"starting\", not \"ok\""),
        "{message}"
    );
}

/// This machine with another folder first in its path: what a host has that this side does not.
struct WithPath(Local, String);

impl WithPath {
    fn new(first: &std::path::Path) -> Self {
        let rest = std::env::var("PATH").unwrap();
        WithPath(Local::new("here"), format!("{}:{rest}", first.display()))
    }
}

#[async_trait]
impl crate::means::host::Host for WithPath {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn spawn(
        &self,
        command: &crate::means::host::Command,
    ) -> Result<crate::means::host::Process, crate::means::host::HostError> {
        self.0.spawn(&command.clone().env("PATH", &self.1)).await
    }
}

/// A port that nothing listens on.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

fn on_its_host(url: String) -> Check {
    Check {
        own_host: Some("here".into()),
        timeout_seconds: 2,
        ..json_ok(url)
    }
}

#[tokio::test]
async fn an_address_that_is_out_of_reach_from_here_only_is_unreached_and_a_refusal_on_its_host_is_evidence()
 {
    let server = serve(|_, _| reply("200 OK", r#"{"status":"ok"}"#));
    // A name that nobody here knows; its host reaches it by its loopback.
    let url = format!("http://nowhere.invalid:{}/health", server.address.port());
    let unwell = on_its_host(url.clone()).ask(&hosts()).await.unwrap_err();
    // curl on the host does not know the name either, so the host could not ask by it.
    assert!(matches!(unwell, Unwell::Unreached(_)), "{unwell}");

    let refused = on_its_host(closed()).ask(&hosts()).await.unwrap_err();
    assert!(
        matches!(&refused, Unwell::Sick(why) if why.contains("nothing well answers on `here` itself")),
        "{refused}"
    );
    let alone = Check::ok(closed()).ask(&hosts()).await.unwrap_err();
    assert!(matches!(alone, Unwell::Unreached(_)), "{alone}");
    let other = Check {
        own_host: Some("away".into()),
        ..Check::ok(closed())
    };
    let away = other.ask(&hosts()).await.unwrap_err();
    assert!(matches!(away, Unwell::Unreached(_)), "{away}");
}

#[tokio::test]
async fn an_address_healthy_on_its_own_host_and_dead_from_here_is_unreached() {
    let server = serve(|_, _| reply("200 OK", r#"{"status":"ok"}"#));
    // The host's curl finds the application where this side's client meets a closed port.
    let dir = tempfile::tempdir().unwrap();
    let curl = dir.path().join("curl");
    let real = format!(
        "exec /usr/bin/env curl -s -w '\\n%{{http_code}}' {}",
        server.url("/")
    );
    std::fs::write(&curl, format!("#!/bin/sh\nPATH=${{PATH#*:}}\n{real}\n")).unwrap();
    std::fs::set_permissions(&curl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let host = WithPath::new(dir.path());
    let unwell = on_its_host(closed())
        .ask(&Hosts::new().with(host))
        .await
        .unwrap_err();
    assert!(
        matches!(&unwell, Unwell::Unreached(why) if why.contains("healthy when asked on `here` itself")),
        "{unwell}"
    );
}

#[tokio::test]
async fn an_application_that_is_ill_by_its_name_is_ill_whatever_answers_on_the_loopback() {
    let server = serve(|_, path| match path {
        "/ill" => reply("200 OK", r#"{"status":"down"}"#),
        _ => reply("200 OK", r#"{"status":"ok"}"#),
    });
    // The host's curl meets the application by its name and another one on its loopback.
    let dir = tempfile::tempdir().unwrap();
    let curl = dir.path().join("curl");
    let text = format!(
        "#!/bin/sh\nPATH=${{PATH#*:}}\ncase \"$*\" in *--connect-to*) at={} ;; *) at={} ;; esac\n\
         exec /usr/bin/env curl -s -w '\\n%{{http_code}}' \"$at\"\n",
        server.url("/well"),
        server.url("/ill")
    );
    std::fs::write(&curl, text).unwrap();
    std::fs::set_permissions(&curl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let host = WithPath::new(dir.path());
    let unwell = on_its_host(closed())
        .ask(&Hosts::new().with(host))
        .await
        .unwrap_err();
    assert!(
        matches!(&unwell, Unwell::Sick(why) if why.contains("on `here`") && why.contains("down")),
        "{unwell}"
    );
}

#[tokio::test]
async fn what_could_not_be_asked_in_the_end_is_no_failure_of_the_release() {
    let bench = Bench::new(registry);
    let step = Health {
        check: Check::ok(closed()).into(),
        within_seconds: 1,
        stable_for_seconds: 0,
    };
    let mut plan = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step("prod/change", crate::means::reach::testing::Change);
            p.step("prod/health", step);
        },
    );
    plan.nodes.last_mut().unwrap().policy.patience_s = 0;
    let (_, end) = bench.start("r-one", plan).await;
    assert!(
        matches!(
            end,
            Stop::Parked(flow_engine::record::ParkReason::Unreached { .. })
        ),
        "{end:?}"
    );
}
