//! `shardkv export`: records in the order of their keys.
//!
//! Page by page: each page is linearizable, as of one moment; what is written meanwhile shows, or not, by
//! where its key is. A file is replaced only when the export is whole.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kv::Scan;
use tempfile::NamedTempFile;
use tokio::time::Instant;

use super::broken_output;
use super::progress::bar;
use crate::cli::{ExportArgs, Format};
use crate::client::{clerk, failure};
use crate::exit::{Done, Failure};
use crate::records::{format_of, write};

pub(crate) async fn export(args: ExportArgs) -> Done {
    let format = format_of(&args.file, args.format)?;
    if args.file == "-" {
        let mut out = BufWriter::new(stdout().lock());
        copy(&args, format, &mut |bytes| out.write_all(bytes).or_else(broken_output)).await?;
        return out.flush().or_else(broken_output);
    }
    let path = Path::new(&args.file);
    let unwritable = |error: std::io::Error| {
        Failure::refused(format!("cannot write {}: {error}", path.display()))
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let file = tempfile::Builder::new()
        .prefix(".shardkv-export-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(unwritable)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    copy(&args, format, &mut |bytes| out.write_all(bytes).map_err(unwritable)).await?;
    let file = out.into_inner().map_err(|error| unwritable(error.into_error()))?;
    replace(file, path, directory).map_err(unwritable)
}

/// Durable under its name, or not there at all.
fn replace(file: NamedTempFile, path: &Path, directory: &Path) -> std::io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

async fn copy(args: &ExportArgs, format: Format, sink: &mut impl FnMut(&[u8]) -> Done) -> Done {
    let prefix = args.prefix.as_bytes();
    let mut pages = clerk(&args.connect, 1)?.pages(Scan::prefix(prefix));
    let (bar, begun) = (bar(None), Instant::now());
    let (mut records, mut bytes, mut text) = (0_u64, 0_u64, Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| failure(error, &args.connect))?;
        text.clear();
        for (key, value, _) in &page {
            write(format, key, value, prefix.len(), &mut text).map_err(Failure::refused)?;
        }
        records += page.len() as u64;
        bytes += text.len() as u64;
        sink(&text)?;
        bar.set_message(format!("{records} records"));
        bar.tick();
    }
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("export: {records} records, {bytes} bytes in {seconds:.1} s");
    Ok(())
}
