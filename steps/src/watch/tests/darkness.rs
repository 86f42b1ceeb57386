//! Time in which nobody could look does not count, and says nothing.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_took_as_long_as_a_sleep_does_not_count() {
    let pm2 = Pm2::start();
    chatty(&pm2);
    // pm2, whose second answer takes twelve seconds: for this side nothing tells it from a machine that slept.
    let slow = pm2.home.path().join("slow");
    let count = pm2.home.path().join("count");
    let text = format!(
        "#!/bin/sh\necho x >> {count}\n[ \"$(wc -l < {count})\" = 3 ] && sleep 12\nexec {} \"$@\"\n",
        pm2.prefix.join(" "),
        count = count.display()
    );
    std::fs::write(&slow, text).unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bench = Bench::new(registry);
    let begun = std::time::Instant::now();
    let watch = Watch {
        pm2: vec![slow.to_str().unwrap().into()],
        ..watch(&pm2, 12)
    };
    let (run, stop) = bench.start("r-one", of(watch)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    let shown = bench.shown();
    assert!(shown.contains("that does not count"), "{shown}");
    // Twelve seconds watched, and twelve that were not.
    assert!(
        begun.elapsed() >= Duration::from_secs(23),
        "{:?}",
        begun.elapsed()
    );
    let watched: Watched = output(&run, "prod/watch");
    assert!((12..=17).contains(&watched.seconds), "{watched:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_cannot_be_asked_for_a_while_is_not_ill() {
    let pm2 = Pm2::start();
    chatty(&pm2);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let bench = Bench::new(registry);
    // No way to it from here for half a minute; it has no host of its own that could be asked instead.
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(30));
        let listener = TcpListener::bind(port).unwrap();
        for stream in listener.incoming().take(1_000) {
            let Ok(mut stream) = stream else { break };
            let mut request = [0; 4096];
            let _ignored = std::io::Read::read(&mut stream, &mut request);
            let _gone = std::io::Write::write_all(&mut stream, reply("200 OK", "ok").as_bytes());
        }
    });
    let watch = Watch {
        health: Some(crate::means::probes::Check::ok(format!("http://{port}/")).into()),
        ..watch(&pm2, 6)
    };
    let begun = std::time::Instant::now();
    let (run, stop) = bench.start("r-one", of(watch)).await;
    assert_eq!(stop, Stop::Finished(Verdict::Completed), "{:?}", run.steps);
    assert!(begun.elapsed() >= Duration::from_secs(30));
    let shown = bench.shown();
    assert!(shown.contains("this time does not count"), "{shown}");
    let watched: Watched = output(&run, "prod/watch");
    assert!((6..=12).contains(&watched.seconds), "{watched:?}");
}
