//! How often one may come, counted before any cryptography.
use exarch_common_base::AgentId;
use exarch_common_http::Problem;
use governor::{
    DefaultKeyedRateLimiter, Quota,
    clock::{Clock, DefaultClock},
};
use std::{hash::Hash, net::IpAddr, num::NonZeroU32};

const PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// Many agents may come from one address.
const OF_AN_ADDRESS: NonZeroU32 = NonZeroU32::new(1200).expect("not zero");

/// What is counted apart for each agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SessionRoute {
    Challenge,
    Open,
    Renew,
}

/// Per replica: 60 a minute for each agent and route of a session, 1,200 for the agents of one address together, and 60 for
/// each address that enrols.
pub(super) struct Limits {
    sessions: DefaultKeyedRateLimiter<(AgentId, SessionRoute)>,
    callers: DefaultKeyedRateLimiter<IpAddr>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: DefaultKeyedRateLimiter::keyed(Quota::per_minute(PER_MINUTE)),
            callers: DefaultKeyedRateLimiter::keyed(Quota::per_minute(OF_AN_ADDRESS)),
            addresses: DefaultKeyedRateLimiter::keyed(Quota::per_minute(PER_MINUTE)),
        }
    }
}

impl Limits {
    pub(super) fn session(&self, agent: AgentId, route: SessionRoute) -> Result<(), Problem> {
        check(&self.sessions, &(agent, route))
    }

    pub(super) fn caller(&self, address: IpAddr) -> Result<(), Problem> {
        check(&self.callers, &address.to_canonical())
    }

    pub(super) fn address(&self, address: IpAddr) -> Result<(), Problem> {
        check(&self.addresses, &address.to_canonical())
    }

    /// Forgets those who have not come for a while; without it the tables grow for ever.
    pub(super) fn tidy(&self) {
        self.sessions.retain_recent();
        self.callers.retain_recent();
        self.addresses.retain_recent();
    }
}

fn check<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Problem> {
    limiter.check_key(key).map_err(|until| {
        metrics::counter!("exarch_agent_requests_limited_total").increment(1);
        Problem::too_many(until.wait_time_from(DefaultClock::default().now()))
            .detail("This is asked too often; wait as long as Retry-After says.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_first_of_a_minute_is_told_when_to_come_back() {
        let limits = Limits::default();
        let ambient = exarch_common_base::Ambient::system();
        let agent: AgentId = ambient.id();
        let mut refused = None;
        for _ in 0..70 {
            refused = refused.or(limits.session(agent, SessionRoute::Open).err());
        }
        assert_eq!(refused.unwrap().status(), 429);
        assert!(limits.session(agent, SessionRoute::Challenge).is_ok(), "another route");
        assert!(
            limits.session(ambient.id(), SessionRoute::Open).is_ok(),
            "another agent"
        );
    }

    #[test]
    fn agents_of_one_address_share_what_an_address_has() {
        let limits = Limits::default();
        let (one, mapped, other): (IpAddr, IpAddr, IpAddr) = (
            "192.0.2.1".parse().unwrap(),
            "::ffff:192.0.2.1".parse().unwrap(),
            "192.0.2.2".parse().unwrap(),
        );
        let mut refused = None;
        for _ in 0..1300 {
            refused = refused.or(limits.caller(one).err());
        }
        assert_eq!(refused.unwrap().status(), 429);
        assert!(limits.caller(mapped).is_err(), "the same address in another spelling");
        assert!(limits.caller(other).is_ok(), "another address");
    }
}
