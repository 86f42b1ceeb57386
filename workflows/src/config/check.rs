//! How an application is asked for its health, as the steps do it.

use flow_steps::means::probes::Check;
use flow_steps::means::probes::checks::Checks;

use super::{AskedFrom, Config, Health, Place};

impl Config {
    /// How an environment's application, or that of a further host, is asked for its health.
    pub(crate) fn check(&self, at: &Place) -> Checks {
        let env = at.env;
        let url = match &env.health {
            Health::Page(url) => url,
            Health::List(all) => {
                return all
                    .iter()
                    .map(|asked| asked.probe(&self.dir, at.name))
                    .collect();
            }
        };
        let ca = env.health_ca.as_ref();
        let ok = Check::ok(url);
        Checks::from(Check {
            status: env.healthy.status.unwrap_or(ok.status),
            body: env.healthy.body(),
            ca_file: ca.map(|path| self.path(path).display().to_string()),
            via_host: (env.health_from == AskedFrom::Host).then(|| at.name.to_owned()),
            own_host: Some(at.name.to_owned()),
            ..ok
        })
    }
}
