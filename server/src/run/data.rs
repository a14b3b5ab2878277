//! One request each: get, put, append, del, cas; and scan.

use std::ffi::{OsStr, OsString};
use std::io::{BufWriter, IsTerminal, Write, stdout};
use std::os::unix::ffi::OsStrExt;

use kv::{Expect, Scan, SwapOutcome};

use super::{broken_output, print};
use crate::cli::{CasArgs, DelArgs, GetArgs, PutArgs, ScanArgs};
use crate::client::{bytes_of, clerk, failure, value_of};
use crate::exit::{Done, Failure};
use crate::records::{escape, json, to_hex};

/// A key as messages show it.
fn shown(key: &OsStr) -> String {
    String::from_utf8_lossy(&key.as_bytes()[..key.len().min(80)]).into_owned()
}

pub(crate) async fn get(args: GetArgs) -> Done {
    let key = bytes_of(&args.key, args.hex)?;
    let found = clerk(&args.connect, 1)?.get(&key).await;
    let Some(item) = found.map_err(|error| failure(error, &args.connect))? else {
        return Err(Failure::refused(format!("there is no key `{}`", shown(&args.key))));
    };
    if args.json {
        let mut line = json(&key, &item.value, Some(item.version.0));
        line.push('\n');
        return print(line.as_bytes());
    }
    if args.hex {
        return print(format!("{}\n", to_hex(&item.value)).as_bytes());
    }
    print(&item.value)?;
    match stdout().is_terminal() {
        true => print(b"\n"),
        false => Ok(()),
    }
}

pub(crate) async fn put(args: PutArgs) -> Done {
    let (key, value) = (bytes_of(&args.key, args.hex)?, value_of(&args.value, args.hex)?);
    let put = clerk(&args.connect, 1)?.put(&key, &value).await;
    let version = put.map_err(|error| failure(error, &args.connect))?;
    print(format!("version {}\n", version.0).as_bytes())
}

pub(crate) async fn append(args: PutArgs) -> Done {
    let (key, value) = (bytes_of(&args.key, args.hex)?, value_of(&args.value, args.hex)?);
    let appended = clerk(&args.connect, 1)?.append(&key, &value).await;
    let done = appended.map_err(|error| failure(error, &args.connect))?;
    print(format!("version {}, length {}\n", done.index.0, done.length).as_bytes())
}

pub(crate) async fn del(args: DelArgs) -> Done {
    let key = bytes_of(&args.key, args.hex)?;
    let deleted = clerk(&args.connect, 1)?.delete(&key).await;
    let done = deleted.map_err(|error| failure(error, &args.connect))?;
    let found = if done.existed { "deleted" } else { "there was no such key" };
    print(format!("version {}, {found}\n", done.index.0).as_bytes())
}

pub(crate) async fn cas(args: CasArgs) -> Done {
    let (key, value) = (bytes_of(&args.key, args.hex)?, value_of(&args.value, args.hex)?);
    let expected = args.expect.as_ref().map(|expect| bytes_of(expect, args.hex)).transpose()?;
    let expect = match (&expected, args.version) {
        (Some(value), _) => Expect::Value(value),
        (None, Some(version)) => Expect::Version(version.into()),
        (None, None) => Expect::Absent,
    };
    let swapped = clerk(&args.connect, 1)?.compare_and_set(&key, expect, Some(&value)).await;
    let swap = swapped.map_err(|error| failure(error, &args.connect))?;
    match swap.outcome {
        SwapOutcome::Swapped => print(format!("version {}\n", swap.index.0).as_bytes()),
        SwapOutcome::Mismatch { current } => {
            let key = shown(&args.key);
            let is = match current {
                Some(version) => format!("its version is {}", version.0),
                None => "there is no such key".to_owned(),
            };
            Err(Failure::refused(format!("`{key}` is not as expected: {is}"))
                .hint(format!("`shardkv get --json {key}` shows it; nothing was changed")))
        }
    }
}

pub(crate) async fn scan(args: ScanArgs) -> Done {
    let key_of =
        |key: &Option<OsString>| key.as_ref().map(|key| bytes_of(key, args.hex)).transpose();
    let range = match key_of(&args.prefix)? {
        Some(prefix) => Scan::prefix(prefix),
        None => Scan::range(key_of(&args.from)?.unwrap_or_default(), key_of(&args.to)?),
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let page_entries = u32::try_from(left).unwrap_or(u32::MAX);
    let mut pages = clerk(&args.connect, 1)?.pages(range.limit(page_entries));
    let mut out = BufWriter::new(stdout().lock());
    while left > 0 {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| failure(error, &args.connect))?;
        for (key, value, version) in page.iter().take(left.try_into().unwrap_or(usize::MAX)) {
            left -= 1;
            let line = entry(&args, key, value, version.0);
            if let Err(error) = out.write_all(&line) {
                return broken_output(error);
            }
        }
    }
    out.flush().or_else(broken_output)
}

/// An entry as a line of the output.
fn entry(args: &ScanArgs, key: &[u8], value: &[u8], version: u64) -> Vec<u8> {
    let mut line = Vec::with_capacity(key.len() + value.len() + 2);
    let put = |bytes: &[u8], line: &mut Vec<u8>| match args.hex {
        true => line.extend_from_slice(to_hex(bytes).as_bytes()),
        false => escape(bytes, line),
    };
    if args.json {
        line.extend_from_slice(json(key, value, Some(version)).as_bytes());
    } else {
        put(key, &mut line);
        if !args.keys_only {
            line.push(b'\t');
            put(value, &mut line);
        }
    }
    line.push(b'\n');
    line
}
