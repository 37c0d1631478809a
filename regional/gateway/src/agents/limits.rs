//! How often one may come, counted before any cryptography.
use exarch_common_base::{AgentId, Ambient, BootTime};
use exarch_common_http::Problem;
use governor::{Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, state::keyed::DefaultKeyedStateStore};
use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

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

/// The time since boot, as the limiters read it.
#[derive(Clone)]
struct SinceBoot(Ambient);

impl Clock for SinceBoot {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.boot().since(BootTime::from_nanos(0))
    }
}

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, SinceBoot, NoOpMiddleware<Duration>>;

/// Per replica: 60 a minute for each agent and route of a session, 1,200 for the agents of one address together, and 60 for
/// each address that enrols.
pub(super) struct Limits {
    clock: SinceBoot,
    sessions: Limiter<(AgentId, SessionRoute)>,
    callers: Limiter<IpAddr>,
    addresses: Limiter<IpAddr>,
}

impl Limits {
    pub(super) fn new(ambient: &Ambient) -> Self {
        fn limiter<K: Hash + Eq + Clone>(per_minute: NonZeroU32, clock: &SinceBoot) -> Limiter<K> {
            RateLimiter::new(
                Quota::per_minute(per_minute),
                DefaultKeyedStateStore::default(),
                clock.clone(),
            )
        }
        let clock = SinceBoot(ambient.clone());
        Self {
            sessions: limiter(PER_MINUTE, &clock),
            callers: limiter(OF_AN_ADDRESS, &clock),
            addresses: limiter(PER_MINUTE, &clock),
            clock,
        }
    }

    /// In this order: what one agent asks too often is not taken from the others at its address.
    pub(super) fn session(&self, agent: AgentId, route: SessionRoute, address: IpAddr) -> Result<(), Problem> {
        self.check(&self.sessions, &(agent, route))?;
        self.check(&self.callers, &address.to_canonical())
    }

    pub(super) fn address(&self, address: IpAddr) -> Result<(), Problem> {
        self.check(&self.addresses, &address.to_canonical())
    }

    /// Forgets those who have not come for a while; without it the tables grow for ever.
    pub(super) fn tidy(&self) {
        self.sessions.retain_recent();
        self.callers.retain_recent();
        self.addresses.retain_recent();
    }

    fn check<K: Hash + Eq + Clone>(&self, limiter: &Limiter<K>, key: &K) -> Result<(), Problem> {
        limiter.check_key(key).map_err(|until| {
            metrics::counter!("exarch_agent_requests_limited_total").increment(1);
            Problem::too_many(until.wait_time_from(self.clock.now()))
                .detail("This is asked too often; wait as long as Retry-After says.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::ManualClock;
    use std::net::Ipv4Addr;
    use time::macros::datetime;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    /// Limits on a clock that stands still unless it is moved.
    fn limits() -> (Limits, Ambient, ManualClock) {
        let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 5);
        (Limits::new(&ambient), ambient, clock)
    }

    #[test]
    fn the_sixty_first_of_a_minute_is_told_when_to_come_back() {
        let (limits, ambient, clock) = limits();
        let agent: AgentId = ambient.id();
        let come = || limits.session(agent, SessionRoute::Open, HERE);
        for nth in 1..=60 {
            assert!(come().is_ok(), "{nth}");
        }
        assert_eq!(come().unwrap_err().status(), 429);
        assert!(
            limits.session(agent, SessionRoute::Challenge, HERE).is_ok(),
            "another route"
        );
        assert!(
            limits.session(ambient.id(), SessionRoute::Open, HERE).is_ok(),
            "another agent"
        );
        clock.advance(Duration::from_secs(1));
        assert!(come().is_ok() && come().is_err(), "one more each second");
    }

    #[test]
    fn agents_of_one_address_share_what_an_address_has() {
        let (limits, ambient, _clock) = limits();
        let (mapped, other): (IpAddr, IpAddr) = ("::ffff:192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let come = |address| limits.session(ambient.id(), SessionRoute::Open, address);
        for nth in 1..=1200 {
            assert!(come(HERE).is_ok(), "{nth}");
        }
        assert_eq!(come(HERE).unwrap_err().status(), 429);
        assert!(come(mapped).is_err(), "the same address in another spelling");
        assert!(come(other).is_ok(), "another address");
    }

    #[test]
    fn what_one_agent_asks_too_often_is_not_taken_from_the_others_at_its_address() {
        let (limits, ambient, _clock) = limits();
        let agent: AgentId = ambient.id();
        for _ in 0..2000 {
            let _ = limits.session(agent, SessionRoute::Open, HERE);
        }
        assert!(limits.session(ambient.id(), SessionRoute::Open, HERE).is_ok());
    }
}
