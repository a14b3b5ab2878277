//! `shardkv`: see the library of this package, which is all of it.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    shardkv_server::main()
}
