//! `shardkv certs`: an authority for a cluster, and certificates that it signs.
//!
//! All of it is files in one folder: `ca.pem` and `ca-key.pem`, `node-1.pem` and `node-1-key.pem`, `client-x.pem`
//! and `client-x-key.pem`. Keys are made with mode 0600, and nothing is overwritten unless that is asked for.

mod authority;
mod files;

use std::path::Path;

use raft_core::{ClusterId, NodeId};
use raft_transport::{CredentialFiles, Subject};

use super::print;
use crate::cli::{CertsCommand, CreateCaArgs, IssueArgs};
use crate::exit::{Done, Failure};
use authority::Authority;
use files::{Existing, Named};

pub(crate) fn certs(command: CertsCommand) -> Done {
    match command {
        CertsCommand::Authority(args) => create_ca(&args),
        CertsCommand::Node(args) => {
            let node = NodeId(args.node_id);
            let files = issue(&args.issue, |cluster| Subject::Node { cluster, node })?;
            tell_flags("Start the node with", &files)
        }
        CertsCommand::Client(args) => {
            let name = args.name;
            let files = issue(&args.issue, |cluster| Subject::Client { cluster, name })?;
            tell_flags("Give each command", &files)
        }
    }
}

fn create_ca(args: &CreateCaArgs) -> Done {
    if args.cluster_id == 0 {
        return Err(Failure::usage("a cluster is a number from 1 on"));
    }
    let named = Named::authority(&args.dir);
    named.make_folder(&args.dir)?;
    let made = Authority::make(ClusterId(args.cluster_id), args.days)?;
    named.write(&made.certificate, &made.key, Existing::Kept)?;
    tell(&Subject::Authority { cluster: ClusterId(args.cluster_id) }, args.days, &named)?;
    print(
        b"\nEach node and each client needs ca.pem. With ca-key.pem one can make nodes and clients of the \
          cluster:\nkeep it where neither nodes nor clients are.\n",
    )
}

/// Makes a certificate, and says so; the files that are needed to use it.
fn issue(
    args: &IssueArgs,
    subject: impl FnOnce(ClusterId) -> Subject,
) -> Result<CredentialFiles, Failure> {
    let authority = Authority::read(&args.dir)?;
    let subject = subject(authority.cluster);
    let named = Named::of(&args.dir, &subject);
    let made = authority.issue(&subject, args.days)?;
    let existing = if args.replace { Existing::Replaced } else { Existing::Kept };
    named.write(&made.certificate, &made.key, existing)?;
    tell(&subject, args.days, &named)?;
    Ok(named.with_authority(&args.dir))
}

fn tell(subject: &Subject, days: u32, named: &Named) -> Done {
    let (certificate, key) = (named.certificate.display(), named.key.display());
    print(
        format!(
            "{subject}, valid for {days} days\n  {certificate}  the certificate\n  {key}  its private key, \
             for nobody else\n"
        )
        .as_bytes(),
    )
}

fn tell_flags(what: &str, files: &CredentialFiles) -> Done {
    let (ca, certificate, key) =
        (files.authority.display(), files.certificate.display(), files.key.display());
    print(
        format!("\n{what}\n  --tls-ca {ca} --tls-cert {certificate} --tls-key {key}\n").as_bytes(),
    )
}

/// An authority for a cluster that ends with this process: its certificate is left in `dir`, its key nowhere.
/// The files of each node and of a client named `demo`, in this order.
pub(super) fn for_the_occasion(
    dir: &Path,
    cluster: ClusterId,
    nodes: &[NodeId],
) -> Result<(Vec<CredentialFiles>, CredentialFiles), Failure> {
    const DAYS: u32 = 30;
    let named = Named::authority(dir);
    named.make_folder(dir)?;
    let made = Authority::make(cluster, DAYS)?;
    named.write_certificate(&made.certificate, Existing::Replaced)?;
    let authority = Authority::of(&made.certificate, &made.key)?;
    let issue = |subject: Subject| {
        let (named, made) = (Named::of(dir, &subject), authority.issue(&subject, DAYS)?);
        named.write(&made.certificate, &made.key, Existing::Replaced)?;
        Ok(named.with_authority(dir))
    };
    let nodes: Result<Vec<_>, Failure> =
        nodes.iter().map(|node| issue(Subject::Node { cluster, node: *node })).collect();
    let name = "demo".parse().map_err(|error| Failure::usage(format!("{error}")))?;
    Ok((nodes?, issue(Subject::Client { cluster, name })?))
}
