//! What a host that does not answer means for a script that may run there.

use flow_engine::retry::Policy;

use super::*;
use crate::deploy::kept::of_job;
use crate::means::host::HostError;
use crate::means::host::job::JobError;

/// Meets one of the errors of a job.
#[derive(Serialize, Deserialize)]
struct Meeting(String);

impl Meeting {
    fn error(&self) -> JobError {
        let host = || "here".to_owned();
        let program = || "sh".to_owned();
        match self.0.as_str() {
            "no way there" => JobError::Host(HostError::Unreachable {
                host: host(),
                why: "no route".into(),
            }),
            "cut" => JobError::Host(HostError::Lost {
                host: host(),
                program: program(),
            }),
            "no answer in time" => JobError::Host(HostError::Deadline {
                host: host(),
                program: program(),
                seconds: 1,
            }),
            "another one took over" => JobError::Fenced { seen: 2, ours: 1 },
            "writers were let in" => JobError::Thawed { host: host() },
            _ => JobError::Invalid {
                folder: "/jobs".into(),
                why: "it has no name".into(),
            },
        }
    }
}

#[async_trait]
impl Step for Meeting {
    const KIND: &'static str = "test.meeting";
    type Output = ();

    fn summary(&self) -> String {
        self.0.clone()
    }

    fn policy(&self) -> Policy {
        Policy {
            patience_s: 0,
            ..Policy::within(60)
        }
    }

    async fn run(&self, cx: &Cx) -> Result<(), StepError> {
        Err(of_job(cx, &self.error()))
    }
}

#[tokio::test]
async fn silence_is_no_evidence_and_only_a_no_of_the_job_itself_is() {
    let step = 0;
    for (what, why) in [
        ("no way there", ParkReason::Unreached { step }),
        ("cut", ParkReason::Unreached { step }),
        ("no answer in time", ParkReason::Unreached { step }),
        ("another one took over", ParkReason::Unknown { step }),
        ("writers were let in", ParkReason::Unknown { step }),
        ("no name", ParkReason::StepFailed { step }),
    ] {
        let bench = Bench::new(|| registry().with::<Meeting>());
        let plan = plan(
            |p| {
                p.step("prep/deploy", Meeting(what.into()));
            },
            |p| {
                p.step("prod/say", Say::new(1));
            },
        );
        let (run, ended) = bench.start("r-one", plan).await;
        assert_eq!(ended, Stop::Parked(why), "{what}: {:?}", run.steps[0]);
    }
}
