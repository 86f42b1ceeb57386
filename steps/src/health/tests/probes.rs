//! Ports, commands and lists of questions.

use super::*;
use crate::means::probes::Check;
use crate::means::probes::probe::Port;
use crate::means::probes::probe::Reply;
use crate::means::probes::probe::Run;
use crate::means::probes::unwell::Unwell;

fn port(of: &str, via_host: Option<&str>, own_host: Option<&str>) -> Probe {
    let address: SocketAddr = of.parse().unwrap();
    Probe::Port(Port {
        address: address.ip().to_string(),
        port: address.port(),
        via_host: via_host.map(str::to_owned),
        own_host: own_host.map(str::to_owned),
        timeout_seconds: 5,
    })
}

fn run(command: &[&str], says: Option<&str>) -> Probe {
    Probe::Command(Run {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        via_host: Some("here".into()),
        says: says.map(str::to_owned),
        timeout_seconds: 1,
    })
}

async fn ask(probe: &Probe) -> Result<Reply, Unwell> {
    probe.ask(&hosts()).await
}

#[tokio::test]
async fn a_port_is_well_when_it_takes_a_connection_and_closed_only_where_its_own_host_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap().to_string();
    let gone = closed();
    let gone = gone.trim_start_matches("http://").trim_end_matches('/');
    for via in [None, Some("here")] {
        let answer = ask(&port(&open, via, None)).await;
        assert!(answer.is_ok(), "{via:?}: {answer:?}");
    }
    let unreached = ask(&port(gone, None, None)).await.unwrap_err();
    assert!(matches!(unreached, Unwell::Unreached(_)), "{unreached}");
    for (via, own) in [(Some("here"), None), (None, Some("here"))] {
        let sick = ask(&port(gone, via, own)).await.unwrap_err();
        assert!(
            matches!(&sick, Unwell::Sick(why) if why.contains("refused")),
            "{sick}"
        );
    }
    let nobody = ask(&port(gone, Some("nowhere"), None)).await.unwrap_err();
    assert!(matches!(nobody, Unwell::Unreached(_)), "{nobody}");
}

#[tokio::test]
async fn a_command_speaks_by_its_status_and_its_words_and_one_that_cannot_start_says_nothing() {
    let well = ask(&run(&["echo", "all is well"], Some("well")))
        .await
        .unwrap();
    assert_eq!(well.body, "all is well\n");
    let sick = [
        run(&["false"], None),
        run(&["echo", "all is well"], Some("ill")),
        run(&["sleep", "10"], None),
    ];
    for probe in &sick {
        let why = ask(probe).await.unwrap_err();
        assert!(matches!(why, Unwell::Sick(_)), "{}: {why}", probe.name());
    }
    for words in [&["no-such-program-at-all"][..], &[]] {
        let why = ask(&run(words, None)).await.unwrap_err();
        assert!(matches!(why, Unwell::Unreached(_)), "{words:?}: {why}");
    }
}

#[test]
fn one_page_is_stored_as_it_was_before_there_were_lists_and_a_list_reads_back() {
    let page = Check::ok("http://h/");
    let health = |check: Checks| Health {
        check,
        within_seconds: 1,
        stable_for_seconds: 0,
    };
    let one = serde_json::to_string(&health(page.clone().into())).unwrap();
    insta::assert_snapshot!(one, @r#"{"check":{"url":"http://h/","status":200,"body":"any","ca_file":null,"via_host":null,"own_host":null,"timeout_seconds":10},"within_seconds":1,"stable_for_seconds":0}"#);
    let several: Checks = [
        page.into(),
        port("127.0.0.1:5432", None, None),
        run(&["true"], None),
    ]
    .into_iter()
    .collect();
    let text = serde_json::to_string(&health(several.clone())).unwrap();
    let read: Health = serde_json::from_str(&text).unwrap();
    assert_eq!(read.check, several);
    let empty: Checks = [].into_iter().collect();
    let text = serde_json::to_string(&empty).unwrap();
    assert_eq!(text, "[]");
}

async fn end_of(checks: impl IntoIterator<Item = Probe>) -> (Arc<flow_engine::run::Run>, Stop) {
    let bench = Bench::new(registry);
    let check = checks.into_iter().collect();
    let plan = plan(
        |p| {
            p.step("prep/say", Say::new(1));
        },
        |p| {
            p.step(
                "prod/health",
                Health {
                    check,
                    within_seconds: 1,
                    stable_for_seconds: 0,
                },
            );
        },
    );
    bench.start("r-one", plan).await
}

#[tokio::test]
async fn a_list_is_well_when_all_of_it_is_and_what_is_sick_is_named() {
    let server = serve(|_, _| reply("200 OK", r#"{"status":"ok"}"#));
    let page = || Probe::from(json_ok(server.url("/")));
    let (well, stop) = end_of([page(), run(&["true"], None)]).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed));
    let healthy: Healthy = output(&well, "prod/health");
    assert_eq!((healthy.status, healthy.asked.len()), (Some(200), 2));
    let (sick, _) = end_of([page(), run(&["false"], None)]).await;
    let message = failure(&sick, "prod/health").message;
    assert!(message.starts_with("`false` was not healthy"), "{message}");
    let (nothing, _) = end_of([]).await;
    let message = failure(&nothing, "prod/health").message;
    assert!(message.contains("no question"), "{message}");
}
