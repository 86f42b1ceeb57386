//! Restate's side: its server, a service on its Rust SDK, and a client.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use restate_sdk::prelude::*;
use tokio::runtime::Runtime;

use crate::Result;
use crate::child::{Child, Spec, output};
use crate::contender::{Contender, Ground, Running, free_addresses};

/// The service whose handler is measured.
struct Bench;

#[service]
impl Bench {
    /// That many steps that do nothing; the SDK goes on when the server has acknowledged a step's result.
    #[handler]
    async fn steps(&self, ctx: Context<'_>, count: u64) -> std::result::Result<u64, HandlerError> {
        for _ in 0..count {
            ctx.run(|| async { Ok(()) }).await?;
        }
        Ok(count)
    }
}

/// The worker: serves the service until it is ended.
pub(crate) fn work(address: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let endpoint = Endpoint::builder().bind(Bench).build();
    runtime.block_on(HttpServer::new(endpoint).listen_and_serve(address));
    Ok(())
}

/// Restate with its log on one of its two local providers.
pub(crate) struct Restate {
    pub(crate) name: &'static str,
    /// `replicated` (the default of a new server) or `local`.
    pub(crate) provider: &'static str,
}

struct Cluster {
    runtime: Runtime,
    client: reqwest::Client,
    ingress: SocketAddr,
    server: Child,
    service: Child,
}

/// Everything but addresses, folder and telemetry is the server's default; both syncs are the default too, and are
/// written down because the comparison rests on them.
fn configuration(dir: &Path, provider: &str, [node, admin, ingress]: [SocketAddr; 3]) -> String {
    let dir = dir.display();
    format!(
        r#"
cluster-name = "bench"
node-name = "bench"
base-dir = "{dir}/data"
listen-mode = "tcp"
bind-address = "{node}"
advertised-address = "http://{node}"
disable-telemetry = true
log-filter = "error"
[admin]
bind-address = "{admin}"
[ingress]
bind-address = "{ingress}"
[bifrost]
default-provider = "{provider}"
[bifrost.local]
rocksdb-disable-wal = false
rocksdb-disable-wal-fsync = false
[log-server]
rocksdb-disable-wal-fsync = false
"#
    )
}

impl Restate {
    /// What the server itself says its settings are.
    pub(crate) fn settings(&self, ground: &Ground) -> Result<String> {
        let dir = ground.fresh("restate")?;
        let file = dir.join("restate.toml");
        fs::write(&file, configuration(&dir, self.provider, free_addresses()?))?;
        let spec = Spec::new(&ground.tools.restate, &dir).args([
            "--config-file".into(),
            file.into(),
            "--dump-config".into(),
        ]);
        let all = output(&mut spec.command())?;
        let wanted = ["default-provider", "wal", "partitions"];
        let mut section = String::new();
        let mut found = Vec::new();
        for line in all.lines() {
            if line.starts_with('[') {
                line.clone_into(&mut section);
            } else if wanted.iter().any(|w| line.contains(w)) && !line.contains("compression") {
                found.push(format!("{section} {line}"));
            }
        }
        Ok(found.join("; "))
    }
}

impl Contender for Restate {
    fn name(&self) -> &'static str {
        self.name
    }

    fn start(&self, ground: &Ground, trace: Option<&Path>) -> Result<Box<dyn Running>> {
        let dir = ground.fresh("restate")?;
        let [node, admin, ingress, service] = free_addresses()?;
        let file = dir.join("restate.toml");
        fs::write(
            &file,
            configuration(&dir, self.provider, [node, admin, ingress]),
        )?;
        let args = ["restate-service".into(), service.to_string().into()];
        let service_child = Spec::new(&ground.tools.me, &dir).args(args).spawn()?;
        let args = ["--config-file".into(), file.into(), "--no-logo".into()];
        let server = Spec::new(&ground.tools.restate, &dir)
            .args(args)
            .traced(trace)
            .spawn()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_mins(10))
            .build()?;
        let mut running = Cluster {
            runtime,
            client,
            ingress,
            server,
            service: service_child,
        };
        running.get_ready(admin, service)?;
        Ok(Box::new(running))
    }
}

impl Cluster {
    /// Waits for the server, and tells it of the service.
    fn get_ready(&mut self, admin: SocketAddr, service: SocketAddr) -> Result<()> {
        let deployment = serde_json::json!({ "uri": format!("http://{service}") }).to_string();
        let start = Instant::now();
        loop {
            if self.server.ended()? || self.service.ended()? {
                return Err("Restate ended while it started".into());
            }
            let request = self
                .client
                .post(format!("http://{admin}/deployments"))
                .header("content-type", "application/json")
                .body(deployment.clone());
            let answer = self
                .runtime
                .block_on(async { request.send().await?.error_for_status() });
            match answer {
                Ok(_) => return Ok(()),
                Err(e) if start.elapsed() > Duration::from_mins(1) => return Err(e.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    async fn call(&self, steps: u64) -> Result<()> {
        let answer = self
            .client
            .post(format!("http://{}/Bench/steps", self.ingress))
            .header("content-type", "application/json")
            .body(steps.to_string())
            .send()
            .await?
            .error_for_status()?;
        let done = answer.text().await?;
        if done != steps.to_string() {
            return Err(format!("{done} instead of {steps} steps").into());
        }
        Ok(())
    }
}

impl Running for Cluster {
    fn drive(&mut self, runs: u64, steps: u64, limit: Duration) -> Result<Duration> {
        let start = Instant::now();
        self.runtime.block_on(async {
            let calls = try_join_all((0..runs).map(|_| self.call(steps)));
            tokio::time::timeout(limit, calls).await?
        })?;
        Ok(start.elapsed())
    }

    fn stop(self: Box<Self>) -> Result<()> {
        self.server.stop()?;
        self.service.stop()
    }
}
