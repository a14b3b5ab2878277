//! What must hold of the data at the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::cluster::Cluster;
use super::import::Slot;
use super::tokens::Told;

/// The exports are the inputs, and every acknowledged token is there once. A line that says so, and how many of
/// the unknown are there.
pub(super) fn contents(
    cluster: &Cluster,
    dir: &Path,
    slots: &[Slot],
    told: &Told,
) -> Result<(String, u64), String> {
    for Slot { prefix, input } in slots {
        let file = dir.join("export.txt");
        export(cluster, &file, prefix, "lines")?;
        let read =
            |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let (exported, imported) = (read(&file)?, read(input)?);
        if exported != imported {
            let at = exported.iter().zip(&imported).take_while(|(a, b)| a == b).count();
            return Err(format!(
                "the export of {prefix} ({} bytes) differs from {} ({} bytes) at byte {at}",
                exported.len(),
                input.display(),
                imported.len()
            ));
        }
    }
    let file = dir.join("tokens.tsv");
    export(cluster, &file, "token/", "tsv")?;
    let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let values: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(key, value)| {
            (format!("token/{}", key.trim_start_matches("token/")), value.to_owned())
        })
        .collect();
    let (wrong, unknown_done) = told.check(&values);
    if let Some(first) = wrong.first() {
        return Err(format!("{} things are wrong with the tokens; first: {first}", wrong.len()));
    }
    let line = format!(
        "{} exports are their inputs, byte for byte; {} acknowledged tokens are there once each; of {} \
             unknown ones {unknown_done} are, once",
        slots.len(),
        told.acks(),
        told.unknown()
    );
    Ok((line, unknown_done))
}

fn export(cluster: &Cluster, file: &Path, prefix: &str, format: &str) -> Result<(), String> {
    let mut command = cluster.client(&["export", "--prefix", prefix, "--format", format]);
    let output = command.arg(file).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "the export of {prefix} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
