use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

use super::settings::Source;
use super::*;
use crate::cli::{Cli, Command};
use crate::exit::Exit;

fn loaded(arguments: &[&str], file: &str) -> Result<Config, Failure> {
    let words = ["shardkv", "server"].iter().chain(arguments).map(OsString::from);
    let matches = Cli::command().try_get_matches_from(words).unwrap();
    let cli = Cli::from_arg_matches(&matches).unwrap();
    let Command::Server(args) = cli.command else { panic!("another command") };
    let file = file::parse(file, "test.toml")?;
    let (_, matches) = matches.subcommand().unwrap();
    let config = Config::merge(&args.flags, &cli.log, file, matches);
    config.check().map(|()| config)
}

/// A node that may be reached by any name.
const NODE: &str = "cluster_id = 7\nnode_id = 2\ndata_dir = '/tmp/x'\n\
                    insecure_plaintext = 'anyone-can-read-and-write'\n";
/// A node that nothing is said of.
const BARE: &str = "cluster_id = 7\nnode_id = 2\ndata_dir = '/tmp/x'\n";

#[test]
fn each_setting_is_merged_for_itself() {
    let file = format!("{NODE}tick = '10ms'\nheartbeat = '20ms'\nlog_format = 'json'\n");
    let config = loaded(&["--tick", "20ms", "--log-level", "debug"], &file).unwrap();
    assert_eq!(
        (config.tick.value.to_string().as_str(), config.tick.source),
        ("20ms", Source::Flag)
    );
    assert_eq!(config.heartbeat.source, Source::File);
    assert_eq!(config.heartbeat_ticks(), 1);
    assert_eq!(config.election_timeout.source, Source::Default);
    assert_eq!(config.log_format.source, Source::File);
    assert_eq!((config.log_level.value.as_str(), config.log_level.source), ("debug", Source::Flag));
}

#[test]
fn the_sample_file_holds_the_defaults_and_names_every_setting() {
    let sample = file::parse(EXAMPLE, "shardkv.example.toml").unwrap();
    let none = ArgMatches::default();
    let from_sample = Config::merge(&ServerFlags::default(), &LogFlags::default(), sample, &none);
    let required = ["cluster_id", "node_id", "data_dir"];
    for ((name, sampled, source), (_, default, _)) in
        from_sample.rows().into_iter().zip(Config::defaults().rows())
    {
        assert!(EXAMPLE.contains(&format!("{name} = ")) || name == "peers", "{name} is missing");
        if !required.contains(&name) {
            assert_eq!(sampled, default, "{name}");
            let unset = [
                "advertise",
                "groups",
                "join",
                "preferred_leaders",
                "tls_ca",
                "tls_cert",
                "tls_key",
            ]
            .contains(&name);
            assert_eq!(source == Source::Default, unset, "{name}");
        }
    }
}

#[test]
fn what_is_shown_is_a_file_that_says_the_same() {
    let file = format!("{NODE}groups = {{ 0 = [1, 2], 1 = [2] }}\n[peers]\n1 = 'a:1'\n2 = 'b:2'\n");
    let config = loaded(&["--advertise", "c:3"], &file).unwrap();
    let shown = config.to_string();
    let again = loaded(&[], &shown).unwrap();
    let values = |config: &Config| {
        config.rows().into_iter().map(|(name, value, _)| (name, value)).collect::<Vec<_>>()
    };
    assert_eq!(values(&config), values(&again), "{shown}");
    assert!(shown.contains("# flag") && shown.contains("# file") && shown.contains("# default"));
}

#[test]
fn unknown_and_senseless_settings_are_refused_by_name() {
    for (file, says) in [
        (format!("{NODE}eletion_timeout = '1s'"), "eletion_timeout"),
        (format!("{NODE}tick = 50"), "tick"),
        (format!("{NODE}tick = '50'"), "has no unit"),
        (format!("{NODE}election_timeout = '510ms'"), "a multiple of tick"),
        (format!("{NODE}heartbeat = '500ms'"), "longer than heartbeat"),
        (format!("{NODE}election_timeout = '100ms'\nheartbeat = '50ms'"), "three ticks"),
        (format!("{NODE}value_bytes_max = '5MiB'"), "value_bytes_max"),
        (format!("{NODE}listen = '0.0.0.0:7101'"), "nobody can reach"),
        (format!("{NODE}[peers]\nx = 'a:1'"), "not a node id"),
        (format!("{NODE}shards = 0"), "from 1 to 16384"),
        (format!("{NODE}mode = 'plian'"), "plian"),
        (format!("{NODE}groups = {{ 1 = [2] }}"), "where the controller is"),
        (format!("{NODE}groups = {{ 0 = [1] }}\npeers = {{ 1 = 'a:1' }}"), "no group on node 2"),
        (format!("{NODE}groups = {{ 0 = [1, 2] }}"), "replica on node 1"),
        (format!("{NODE}mode = 'plain'\ngroups = {{ 0 = [2] }}"), "a plain cluster has none"),
        ("node_id = 1\ndata_dir = 'x'".to_owned(), "`cluster_id` is not set"),
    ] {
        let failure = loaded(&[], &file).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.to_string().contains(says), "{file}: {failure}");
    }
}

#[test]
fn a_node_is_a_member_wherever_it_is_listed() {
    let ids = |config: &Config| config.members().iter().map(|id| id.0).collect::<Vec<_>>();
    let alone = loaded(&[], NODE).unwrap();
    assert_eq!(ids(&alone), [2]);
    let listed = loaded(&["--peers", "1=a:1,2=b:2"], NODE).unwrap();
    assert_eq!(ids(&listed), [1, 2]);
    assert_eq!(listed.advertised(&"z:9".into()), "b:2".into());
    let unlisted = loaded(&["--peers", "1=a:1,3=b:2"], NODE).unwrap();
    assert_eq!(ids(&unlisted), [1, 3, 2]);
    assert_eq!(unlisted.advertised(&"z:9".into()), "z:9".into());
}

#[test]
fn plaintext_stays_on_this_machine() {
    for (settings, stranger) in [
        ("listen = '192.0.2.1:7101'", "192.0.2.1:7101"),
        ("listen = '0.0.0.0:7101'\nadvertise = '127.0.0.1:7101'", "0.0.0.0:7101"),
        ("listen = '[::]:7101'\nadvertise = 'localhost:7101'", "[::]:7101"),
        ("advertise = 'node-a:7101'", "node-a:7101"),
        ("[peers]\n1 = '127.0.0.1:1'\n2 = '127.0.0.1:2'\n3 = '10.0.0.3:7101'", "10.0.0.3:7101"),
        // Names are not what they look like.
        ("[peers]\n1 = '127.0.0.1.example.net:1'\n2 = '[::1]:2'", "127.0.0.1.example.net:1"),
        ("[peers]\n1 = 'localhost.example.net:1'\n2 = '[::1]:2'", "localhost.example.net:1"),
    ] {
        let failure = loaded(&[], &format!("{BARE}{settings}")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{settings}");
        let says = format!("{stranger} is not of this machine for certain");
        assert!(failure.to_string().contains(&says), "{settings}: {failure}");
        assert!(failure.remedy.contains("--insecure-plaintext anyone-can-read-and-write"));

        let loud = ["--insecure-plaintext", "anyone-can-read-and-write"];
        let config = loaded(&loud, &format!("{BARE}{settings}")).unwrap();
        let exposed = Security::Plaintext(Exposure::AnyoneCanReadAndWrite);
        assert_eq!(config.security().unwrap(), exposed);
        let tls = ["--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"];
        let config = loaded(&tls, &format!("{BARE}{settings}")).unwrap();
        assert!(matches!(config.security().unwrap(), Security::MutualTls(_)));
    }
    let peers = "[peers]\n1 = 'localhost:1'\n2 = '[::1]:2'\n3 = '127.9.9.9:3'";
    let config = loaded(&[], &format!("{BARE}{peers}")).unwrap();
    assert_eq!(config.security().unwrap(), Security::Plaintext(Exposure::LoopbackOnly));
}

#[test]
fn the_files_of_tls_are_three_or_none() {
    let flags = ["--tls-ca", "--tls-cert", "--tls-key"];
    for left_out in flags {
        let given = flags.iter().filter(|flag| **flag != left_out);
        let given: Vec<_> = given.flat_map(|flag| [*flag, "x"]).collect();
        let failure = loaded(&given, BARE).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.to_string().contains(&format!("{left_out} is missing")), "{failure}");
    }
    let all: Vec<_> = flags.iter().flat_map(|flag| [*flag, "x"]).collect();
    let failure = loaded(&all, NODE).unwrap_err();
    assert!(failure.to_string().contains("both TLS and plaintext"), "{failure}");
}

#[test]
fn quic_is_never_without_tls() {
    let failure = loaded(&["--transport", "quic"], BARE).unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.to_string().contains("QUIC is never without TLS"), "{failure}");
    let tls = ["--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"];
    for (transport, is_quic) in [("quic", true), ("tcp", false)] {
        let config = loaded(&[&tls[..], &["--transport", transport]].concat(), BARE).unwrap();
        assert_eq!(matches!(config.security().unwrap(), Security::Quic(_)), is_quic);
    }
}
