//! [`Options`]: the arguments of a soak.

use super::random;
use super::transport::Transport;

pub(super) const HELP: &str = "\
Usage: cargo xtask soak [--sharded | --netns] [--short] [--minutes M] [--seed N] [--transport T]

  --sharded      six processes with a controller and three groups, which join and leave under load
  --netns        five processes in network namespaces of their own, with TLS; links are cut one way and both, and
                 healed. Needs root and iproute2, and is skipped without
  --short        a few faults, with the development build: less than a minute
  --minutes M    random faults for this long, with the release build unless it is --short [default: 5]
  --seed N       which faults, and when [default: another each time; it is printed]
  --transport T  what nodes and clients talk over: tcp; tls, with certificates on both sides; or quic, with
                 the same certificates [default: tcp]
";

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Options {
    pub(super) sharded: bool,
    /// In network namespaces, whatever else is asked for.
    pub(super) netns: bool,
    /// The development build: `test-all` has made it anyway, and the release build takes minutes.
    pub(super) short: bool,
    pub(super) minutes: u64,
    pub(super) seed: u64,
    pub(super) transport: Transport,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Self, String> {
        let (seed, transport) = (random::fresh_seed(), Transport::Tcp);
        let mut options =
            Self { sharded: false, netns: false, short: false, minutes: 5, seed, transport };
        let mut minutes = None;
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut number = || {
                let value = args.next().and_then(|value| value.parse().ok());
                value.ok_or_else(|| format!("{arg} needs a number\n\n{HELP}"))
            };
            match arg.as_str() {
                "--sharded" => options.sharded = true,
                "--netns" => options.netns = true,
                "--short" => options.short = true,
                "--minutes" => minutes = Some(number()?),
                "--seed" => options.seed = number()?,
                "--transport" => {
                    let named = args.next().and_then(|name| {
                        Transport::ALL.into_iter().find(|transport| transport.name() == name)
                    });
                    options.transport =
                        named.ok_or_else(|| format!("{arg} needs tcp, tls or quic\n\n{HELP}"))?;
                }
                _ => return Err(format!("soak has no argument {arg:?}\n\n{HELP}")),
            }
        }
        if options.netns && (options.sharded || options.transport != Transport::Tcp) {
            return Err(format!("--netns goes without --sharded, and always with TLS\n\n{HELP}"));
        }
        options.minutes = minutes.unwrap_or(if options.short { 0 } else { options.minutes });
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_misspelt_ones_refused() {
        let parse = |args: &str| {
            Options::parse(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let transport = Transport::Tls;
        let (sharded, netns, short) = (false, false, false);
        let expected = Options { sharded, netns, short, minutes: 12, seed: 7, transport };
        assert_eq!(parse("--minutes 12 --transport tls --seed 7"), Ok(expected));
        assert!(parse("--short").is_ok_and(|options| options.short && options.minutes == 0));
        assert!(parse("--minutes 2 --short").is_ok_and(|options| options.minutes == 2));
        assert!(parse("--netns --sharded").is_err() && parse("--netns --transport tls").is_err());
        assert!(parse("--minutes").is_err() && parse("--hours 1").is_err());
        assert!(parse("--transport").is_err() && parse("--transport udp").is_err());
    }
}
