//! The TOML file.

use std::path::Path;

pub(super) use super::settings::FileSettings;
use crate::exit::Failure;

/// Far beyond any real settings file, so that a wrong path (a log, a device) is not read for ever.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a settings file. Unknown keys are errors: a misspelt setting must not be ignored.
pub(super) fn read(path: &Path) -> Result<FileSettings, Failure> {
    let name = path.display();
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!("cannot read the settings file {name}: {error}"))
            .hint("`shardkv config example` prints a file to begin with")
    };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(Failure::usage(format!("{name} has {size} bytes: that is no settings file")));
    }
    parse(&std::fs::read_to_string(path).map_err(unreadable)?, &name.to_string())
}

pub(super) fn parse(text: &str, name: &str) -> Result<FileSettings, Failure> {
    toml::from_str(text).map_err(|error| {
        Failure::usage(format!("the settings file {name} is not understood:\n{error}"))
            .hint("`shardkv config example` prints a file with every setting explained")
    })
}
