//! Connections that break while production is being changed.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::kills::{assert_each_deploy_happened_once, assert_each_step_is_done_once};
use crate::project::Wishes;
use crate::world::{World, assert_same};

/// How often the connection is cut in mid-deploy.
const CUTS: usize = 6;
/// A deploy that says much for eight seconds before it does its work.
const TALK: &str = "for n in $(seq 1 400); do echo \"line $n, ünd möre\"; sleep 0.02; done; \
                    exec deploy/scripts/release.sh deploy \"$1\"";

#[test]
fn a_deploy_whose_connection_is_cut_goes_on_and_none_of_its_output_is_lost_or_doubled() {
    let deploy = ["sh", "-c", TALK, "deploy", "{commit}"];
    let mut world = World::with(&Wishes {
        deploy: deploy.map(str::to_owned).to_vec(),
        ..Wishes::default()
    });
    let mut driver = world.start("release", "good");
    world.until("the deploy", &mut driver, &[], |_, driver| {
        driver
            .said()
            .contains("prod/deploy | line 20,")
            .then_some(())
    });
    let mut cut = 0;
    let mut at = Instant::now();
    world.until("all cuts", &mut driver, &[], |world, driver| {
        if Instant::now() < at {
            return None;
        }
        let ended = driver.said().contains(" prod/deploy done");
        assert!(!ended, "the deploy was over after {cut} cuts");
        // Between two connections there is nothing to cut.
        if world.sandbox.cut_ssh("prod").expect("prod") > 0 {
            cut += 1;
            at = Instant::now() + Duration::from_millis(1200);
        }
        (cut == CUTS).then_some(())
    });
    assert_eq!(world.finish(&mut driver), 0);
    let run = world.run();
    assert_each_deploy_happened_once(&world, &run);
    assert_each_step_is_done_once(&world.export(&run));
    world.assert_journal_is_whole();
    assert_output_is_whole(&world, &run);
}

/// What was kept of the deploy's output is the job's own log to the byte, after the line that says where that is. What
/// is shown of it is the same, but for colours.
fn assert_output_is_whole(world: &World, run: &str) {
    let host = world.sandbox.host("prod").expect("prod");
    let job = Path::new("flow").join(run).join("prod_deploy.1");
    let theirs = std::fs::read_to_string(host.data_here.join(&job).join("log"));
    let theirs = theirs.expect("the job's log");
    assert!(theirs.contains("line 400, ünd möre\n"), "{theirs}");
    let kept = world.project.join(".flow/logs").join(run);
    let kept = std::fs::read_to_string(kept.join("prod~deploy.log")).expect("what was kept");
    let first = format!("started on `prod` in {}\n", host.data.join(job).display());
    assert_same(&kept, &(first + &theirs));
    let shown = world.flow(&["logs", run, "prod/deploy"]).expect(0);
    assert_same(&shown.out, &without_colours(&kept));
}

/// pm2 colours its output even where nobody sees it.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('m').expect("a colour ends with m");
        plain.push_str(rest);
    }
    plain
}
