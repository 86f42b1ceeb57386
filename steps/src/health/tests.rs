use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flow_engine::driver::Stop;
use flow_engine::record::Verdict;
use flow_engine::registry::Registry;

use super::*;
use crate::host::Local;
use crate::reach::testing::{Bench, Say, failure, output, plan};

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
                .contains("`/status` is \"degraded\"")
        );
        assert!(ask("/html").await.unwrap_err().contains("no JSON"));
        assert!(
            ask("/down")
                .await
                .unwrap_err()
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
        check: json_ok(url),
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
