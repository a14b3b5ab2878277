//! The two workloads of a run.

use std::path::Path;
use std::process::Command;

use super::cluster::Cluster;
use super::data::Data;
use super::import::Imports;
use super::tokens::Appender;

/// Starts both.
pub(super) fn start(
    cluster: &Cluster,
    data: Data,
    dir: &Path,
    programs: &Path,
    seed: u64,
) -> Result<(Imports, Appender), String> {
    let (shardkv, endpoints) = (programs.join("shardkv"), cluster.endpoints());
    let environment = cluster.environment();
    let import = move |input: &Path, prefix: &str| {
        let mut command = Command::new(&shardkv);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.arg("import").arg(input).args(["--format", "lines", "--prefix", prefix]);
        command.args(["--endpoints", &endpoints, "--timeout", "60s"]);
        command
    };
    let imports = Imports::start(data, dir.to_owned(), import);
    let mut appender = Command::new(programs.join("examples/appender"));
    appender.envs(cluster.environment());
    appender.args(["--endpoints", &cluster.endpoints(), "--seed", &seed.to_string()]);
    let appender = Appender::start(&mut appender, &dir.join("appender.log"))?;
    Ok((imports, appender))
}
