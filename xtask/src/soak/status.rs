//! The rows of `shardkv status --json`: an array of flat objects. No more of JSON is read here than that.

/// What a node says of itself; of one that is not reachable only that.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Row {
    pub(super) reachable: bool,
    pub(super) role: String,
    pub(super) term: u64,
    pub(super) leader: Option<u64>,
    pub(super) commit: u64,
    pub(super) applied: u64,
    pub(super) last: u64,
    pub(super) keys: u64,
    pub(super) digest: String,
    pub(super) snapshot: Option<u64>,
}

pub(super) fn rows(json: &str) -> Vec<Row> {
    let objects = json.trim().trim_start_matches('[').trim_end_matches(']');
    objects.split_inclusive('}').filter(|object| object.contains('{')).map(row).collect()
}

fn row(object: &str) -> Row {
    let field = |name: &str| {
        let (_, rest) = object.split_once(&format!("\"{name}\":"))?;
        Some(rest.split([',', '}']).next()?.trim_matches('"'))
    };
    let number = |name| field(name).and_then(|text| text.parse().ok());
    let text = |name| field(name).unwrap_or_default().to_owned();
    Row {
        reachable: field("reachable") == Some("true"),
        role: text("role"),
        term: number("term").unwrap_or_default(),
        leader: number("leader"),
        commit: number("commit").unwrap_or_default(),
        applied: number("applied").unwrap_or_default(),
        last: number("last").unwrap_or_default(),
        keys: number("keys").unwrap_or_default(),
        digest: text("digest"),
        snapshot: number("snapshot"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_whether_the_node_answers_or_not() {
        let json = "[{\"endpoint\":\"127.0.0.1:1\",\"reachable\":true,\"role\":\"leader\",\"term\":3,\
                    \"leader\":1,\"commit\":9,\"applied\":8,\"last\":9,\"lag\":1,\"keys\":4,\"digest\":\"00ff\",\
                    \"snapshot\":null},{\"endpoint\":\"127.0.0.1:2\",\"reachable\":false,\
                    \"error\":\"an endpoint, perhaps\"}]\n";
        let rows = rows(json);
        let leader = Row {
            reachable: true,
            role: "leader".to_owned(),
            term: 3,
            leader: Some(1),
            commit: 9,
            applied: 8,
            last: 9,
            keys: 4,
            digest: "00ff".to_owned(),
            snapshot: None,
        };
        assert_eq!(rows, [leader, Row::default()]);
    }
}
