//! Every kind of step a workflow of this binary uses, in one list a reader can see.

use flow_engine::registry::Registry;
use flow_steps::means::checklist::Checklist;
use flow_steps::means::migrations::MigrationReview;
use flow_steps::means::read_only::freeze::Freeze;
use flow_steps::means::signature::sign_off::SignOff;
use flow_steps::means::signature::starter::Starter;
use flow_steps::{
    code, deploy, drift, gate, health, identity, lease, mail, people, pg, pm2, schema, watch,
};

/// What this binary can run.
pub fn registry() -> Registry {
    let registry = Registry::default()
        .with::<code::CodeSnapshot>()
        .with::<schema::EnumUsage>()
        .with::<schema::NullableAccess>()
        .with::<deploy::Deploy>()
        .with::<deploy::InPlace>()
        .with::<drift::DeployedDrift>()
        .with::<drift::SchemaDrift>()
        .with::<gate::BackupFresh>()
        .with::<gate::Preflight>()
        .with::<gate::Promotion>()
        .with::<health::Health>()
        .with::<identity::Identity>()
        .with::<lease::HostLease>()
        .with::<lease::ReleaseLease>()
        .with::<mail::Notify>()
        .with::<Checklist>()
        .with::<people::Keys>()
        .with::<SignOff>()
        .with::<Starter>();
    let registry = registry
        .with::<pg::Baseline>()
        .with::<pg::CopySafe>()
        .with::<pg::CountsMatch>()
        .with::<pg::ExpectedShape>()
        .with::<pg::DataPolicy>()
        .with::<Freeze>()
        .with::<pg::Integrity>()
        .with::<pg::MigrationsApplied>()
        .with::<pg::RecordState>()
        .with::<pg::RestoreProof>()
        .with::<pg::RestoreRehearsal>()
        .with::<pg::Rights>()
        .with::<pg::TakeBack>()
        .with::<pg::TakeBackup>()
        .with::<pg::Thaw>();
    registry
        .with::<pm2::Online>()
        .with::<pm2::Processes>()
        .with::<pm2::Restarted>()
        .with::<MigrationReview>()
        .with::<schema::MigrationsAgain>()
        .with::<schema::MigrationSafety>()
        .with::<schema::Replay>()
        .with::<schema::UniqueSafe>()
        .with::<watch::Reconnect>()
        .with::<watch::Watch>()
}
