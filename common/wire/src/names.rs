//! Names that both ends of a connection must spell alike.
use exarch_common_base::{AgentId, RegionId};

/// ALPN of the gateway's own calls: HTTP/2, the gateway is the client.
pub const ALPN_UP: &str = "exarch-up/1";
/// ALPN of the global's calls: the gateway dials, then the roles swap and it serves HTTP/2.
pub const ALPN_DOWN: &str = "exarch-down/1";
/// ALPN of joining a region, without a certificate.
pub const ALPN_JOIN: &str = "exarch-join/1";
/// ALPN of enrolling an agent, without a certificate.
pub const ALPN_ENROL: &str = "exarch-enrol/1";
/// ALPN of an agent with its certificate: plain HTTP/2.
pub const ALPN_AGENT: &str = "h2";
/// Label of the TLS exporter (RFC 8446, 7.5) to which service tokens are bound.
pub const EXPORTER_LABEL: &str = "EXPORTER-exarch-service";
/// Response header that carries the signed answer to a request with a service token.
pub const ANSWER_HEADER: &str = "exarch-answer";

/// The global controller as issuer or audience.
pub const GLOBAL: &str = "exarch:global";

/// A region as issuer or audience: `exarch:region:reg_…`.
pub fn region(id: RegionId) -> String {
    format!("exarch:region:{id}")
}

/// The region that such a name names.
pub fn parse_region(name: &str) -> Option<RegionId> {
    name.strip_prefix("exarch:region:")?.parse().ok()
}

/// The name in a region's certificate: `exarch://federation/region/reg_…`.
pub fn region_uri(id: RegionId) -> String {
    format!("exarch://federation/region/{id}")
}

/// The region of such a certificate.
pub fn parse_region_uri(uri: &str) -> Option<RegionId> {
    uri.strip_prefix("exarch://federation/region/")?.parse().ok()
}

/// The name in an agent's certificate: `exarch://reg_…/agent/agt_…`.
pub fn agent_uri(region: RegionId, agent: AgentId) -> String {
    format!("exarch://{region}/agent/{agent}")
}

/// Region and agent of such a certificate.
pub fn parse_agent_uri(uri: &str) -> Option<(RegionId, AgentId)> {
    let (region, agent) = uri.strip_prefix("exarch://")?.split_once("/agent/")?;
    Some((region.parse().ok()?, agent.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;

    #[test]
    fn names_read_back_and_names_of_another_kind_do_not() {
        let (r, a): (RegionId, AgentId) = (Ambient::system().id(), Ambient::system().id());
        assert_eq!(parse_region(&region(r)), Some(r));
        assert_eq!(parse_region_uri(&region_uri(r)), Some(r));
        assert_eq!(parse_agent_uri(&agent_uri(r, a)), Some((r, a)));
        assert_eq!(parse_region_uri(&agent_uri(r, a)), None);
        assert_eq!(parse_agent_uri(&region_uri(r)), None);
        assert_eq!(parse_region(GLOBAL), None);
    }
}
