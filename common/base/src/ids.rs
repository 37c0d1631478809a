//! Ids are types and show their kind: `lse_0197…` parses as a [`LeaseId`]; `agt_0197…` in its place does not.
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Why a text is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_ and 32 lower-case hexadecimal digits")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// What all ids have in common.
pub trait Id: Copy + From<Uuid> + fmt::Display + FromStr<Err = IdError> {
    /// The readable prefix, without the underscore.
    const PREFIX: &'static str;
    /// The UUID inside.
    fn uuid(self) -> Uuid;
}

fn parse(text: &str, prefix: &'static str) -> Result<Uuid, IdError> {
    let hex = text
        .strip_prefix(prefix)
        .and_then(|t| t.strip_prefix('_'))
        .ok_or(IdError { prefix })?;
    // One spelling only: an id is compared as text by people and by other software.
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(IdError { prefix });
    }
    Uuid::try_parse(hex).map_err(|_| IdError { prefix })
}

macro_rules! ids {
    ($($name:ident $prefix:literal $doc:literal;)*) => {$(
        #[doc = concat!("The id of ", $doc, ": `", $prefix, "_` and 32 hexadecimal digits of a UUID version 7.")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The same id as a type; for constants, elsewhere `From` does.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    TenantId "ten" "a tenant";
    UserId "usr" "a user";
    RegionId "reg" "a region";
    ClusterId "clu" "a cluster";
    HostId "hst" "a host";
    AgentId "agt" "an agent";
    ResourceId "res" "a resource";
    WorkloadId "wrk" "a workload";
    LeaseId "lse" "a lease";
    TaskId "tsk" "a task";
    KeyId "key" "a key";
    SessionId "ses" "a session";
    MembershipId "mem" "a membership";
    EntitlementId "ent" "an entitlement";
    InvitationId "inv" "an invitation";
    RoleId "rol" "a role";
    BreakGlassId "bgl" "a break-glass grant";
    BindingId "bnd" "a role binding";
    TokenId "tok" "a join or bootstrap token";
    InstanceId "ins" "one running replica";
    RequestId "req" "a request";
    DecisionId "dec" "a decision of the policy";
    OperationId "opn" "a long operation";
    AuditId "aud" "an audit row";
    ProbeId "prb" "a health probe";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_of_another_kind_does_not_parse() {
        let id = AgentId::from(Uuid::from_u128(7));
        assert_eq!(id.to_string(), "agt_00000000000000000000000000000007");
        assert_eq!(id.to_string().parse::<LeaseId>(), Err(IdError { prefix: "lse" }));
    }

    #[test]
    fn only_the_one_spelling_is_accepted() {
        for bad in [
            "",
            "agt",
            "agt_",
            "agt_0000000000000000000000000000000",
            "agt_000000000000000000000000000000070",
            "AGT_00000000000000000000000000000007",
            "agt_0000000000000000000000000000000A",
            "agt_00000000-0000-0000-0000-000000000007",
            "agt_0000000000000000000000000000000\u{0}",
            " agt_00000000000000000000000000000007",
        ] {
            assert!(bad.parse::<AgentId>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same(raw: u128) {
            let id = LeaseId::from(Uuid::from_u128(raw));
            prop_assert_eq!(id.to_string().parse::<LeaseId>(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,48}") {
            let _ = text.parse::<TenantId>();
        }
    }
}
