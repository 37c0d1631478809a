//! In the place of authentication: who calls is found in a header, and the policy is asked what the real gate asks.
use super::*;

/// The header.
pub(super) const WHO: &str = "x-test-caller";

#[derive(Clone)]
pub(super) struct TestGate {
    pub(super) app: App,
    pub(super) known: Arc<Mutex<Vec<Known>>>,
}

#[derive(Clone)]
pub(super) enum Known {
    Person(TenantId, Caller),
    Agent(AgentCaller),
    Nobody,
}

impl TestGate {
    pub(super) fn learn(&self, who: Known) -> usize {
        let mut known = self.known.lock().unwrap();
        known.push(who);
        known.len() - 1
    }
}

impl Gate for TestGate {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        let who = parts
            .headers
            .get(WHO)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let known = who.and_then(|who| self.known.lock().unwrap().get(who).cloned());
        match (known, kind) {
            (Some(Known::Agent(agent)), RouteKind::Agent) => {
                parts.extensions.insert(agent);
            }
            (Some(Known::Person(tenant, caller)), RouteKind::SelfOnly | RouteKind::Needs(_)) => {
                parts.extensions.insert(InForce(tenant));
                let caller = UserCaller {
                    caller,
                    tenant,
                    break_glass: None,
                    owner: None,
                    decided_offline: false,
                    ids: self.app.ambient.clone(),
                    origin: Origin::of(parts),
                    refusals: self.app.refusals.clone(),
                    decided_by: None,
                };
                if let RouteKind::Needs(permission) = kind {
                    let target = caller.widest(permission.scope());
                    policy::allows(&caller, permission, target).map_err(|refusal| caller.refused(&refusal))?;
                }
                parts.extensions.insert(caller.asking());
                parts.extensions.insert(caller);
            }
            (_, RouteKind::Public) => {}
            _ => return Err(crate::gate::unauthenticated()),
        }
        Ok(())
    }

    fn answers(&self) -> Option<Answers> {
        Some(self.app.answers.clone())
    }

    fn watches(&self) -> Option<Watches> {
        Some(self.app.watches.clone())
    }
}
