//! Access tokens of users: one for the global, one for each region, of one shape (RFC 9068).
use exarch_common_base::{RegionId, SessionId, TenantId, UserId};
use exarch_common_crypto::{
    jws::{self, JwsError},
    sign::{KeyError, PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize};

/// `typ` of both.
pub const TYP: &str = "at+jwt";

/// The version of a passport or of one of its sections: order is (generation, version).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u64, pub u64);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What only a region token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InRegion {
    /// The region.
    pub rid: RegionId,
    /// When the session ends at the latest, seconds since 1970.
    pub sxp: i64,
    /// The version of the tenant's section when the token was minted.
    pub ten_v: Version,
}

/// The key that a token is bound to (RFC 9449).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Thumbprint of the DPoP key (RFC 7638).
    pub jkt: String,
}

/// Claims of an access token. Permissions are never in it: roles are names, and what they permit is decided at use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The discovery document's issuer.
    pub iss: String,
    /// The user.
    pub sub: UserId,
    /// `exarch:global`, or `exarch:region:<id>`.
    pub aud: String,
    /// Made at, seconds since 1970.
    pub iat: i64,
    /// Good from.
    pub nbf: i64,
    /// Dead at.
    pub exp: i64,
    /// Unique.
    pub jti: String,
    /// The session.
    pub sid: SessionId,
    /// The tenant in force; none for staff without a tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<TenantId>,
    /// Roles in that tenant and at system scope.
    pub roles: Vec<String>,
    /// How the person signed in (RFC 8176).
    pub amr: Vec<String>,
    /// When.
    pub auth_time: i64,
    /// In a region token only.
    #[serde(flatten)]
    pub region: Option<InRegion>,
    /// Break-glass grant, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bg: Option<String>,
    /// Bound to a DPoP key, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// Why a token is not accepted. Callers answer 401 to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Malformed, of another kind, unknown key, or a bad signature.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// Another issuer.
    #[error("made by another issuer")]
    Issuer,
    /// For another audience, or a region token whose region is not its audience.
    #[error("for another audience")]
    Audience,
    /// Expired.
    #[error("expired")]
    Expired,
    /// Made in the future, or not good yet, or a life turned around.
    #[error("not good yet")]
    Early,
}

/// Signs a token.
///
/// # Errors
/// The module refused.
pub fn sign(key: &SigningKey, kid: &str, claims: &Claims) -> Result<String, KeyError> {
    jws::sign(key, TYP, kid, claims)
}

/// Verifies a token for one issuer and audience at `now`, allowing `skew` seconds for `iat` and `nbf`; a dead token is
/// dead at `exp` plus `skew`.
///
/// # Errors
/// [`Refusal`].
pub fn verify(
    token: &str,
    keys: impl FnOnce(&str) -> Option<PublicKey>,
    issuer: &str,
    audience: &str,
    now: i64,
    skew: i64,
) -> Result<Claims, Refusal> {
    let claims: Claims = jws::verify(token, TYP, keys)?;
    if claims.iss != issuer {
        return Err(Refusal::Issuer);
    }
    let region = claims.region.as_ref().map(|r| crate::names::region(r.rid));
    if claims.aud != audience || region.unwrap_or_else(|| crate::names::GLOBAL.to_owned()) != audience {
        return Err(Refusal::Audience);
    }
    in_time(claims.iat, claims.nbf, claims.exp, now, skew)?;
    Ok(claims)
}

/// Whether a token with these times is good at `now`.
pub(crate) fn in_time(iat: i64, nbf: i64, exp: i64, now: i64, skew: i64) -> Result<(), Refusal> {
    if iat > now + skew || nbf > now + skew || exp < iat {
        return Err(Refusal::Early);
    }
    if now >= exp.saturating_add(skew) {
        return Err(Refusal::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;
    use exarch_common_crypto::sign::Algorithm;

    fn claims(region: Option<InRegion>) -> Claims {
        let ambient = Ambient::system();
        Claims {
            iss: "http://localhost:8440".into(),
            sub: ambient.id(),
            aud: region
                .as_ref()
                .map_or(crate::names::GLOBAL.into(), |r| crate::names::region(r.rid)),
            iat: 1000,
            nbf: 1000,
            exp: 1900,
            jti: "j".into(),
            sid: ambient.id(),
            tid: Some(ambient.id()),
            roles: vec!["tenant-admin".into()],
            amr: vec!["pwd".into()],
            auth_time: 1000,
            region,
            bg: None,
            cnf: None,
        }
    }

    #[test]
    fn a_region_token_is_worth_nothing_in_another_region_or_at_the_global() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let (here, there): (RegionId, RegionId) = (Ambient::system().id(), Ambient::system().id());
        let made = claims(Some(InRegion {
            rid: here,
            sxp: 5000,
            ten_v: Version(1, 2),
        }));
        let token = sign(&key, "k", &made).unwrap();
        let at = |audience: &str| verify(&token, |_| Some(key.public()), &made.iss, audience, 1000, 30);
        assert_eq!(at(&crate::names::region(here)).as_ref(), Ok(&made));
        assert_eq!(at(&crate::names::region(there)), Err(Refusal::Audience));
        assert_eq!(at(crate::names::GLOBAL), Err(Refusal::Audience));
    }

    #[test]
    fn audience_and_region_must_agree() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let (here, there): (RegionId, RegionId) = (Ambient::system().id(), Ambient::system().id());
        let mut made = claims(Some(InRegion {
            rid: here,
            sxp: 5000,
            ten_v: Version(1, 2),
        }));
        made.aud = crate::names::region(there);
        let token = sign(&key, "k", &made).unwrap();
        for audience in [crate::names::region(here), crate::names::region(there)] {
            assert!(verify(&token, |_| Some(key.public()), &made.iss, &audience, 1000, 30).is_err());
        }
    }

    #[test]
    fn times_and_issuer_are_judged() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let made = claims(None);
        let token = sign(&key, "k", &made).unwrap();
        let at = |now: i64, issuer: &str| {
            verify(&token, |_| Some(key.public()), issuer, crate::names::GLOBAL, now, 30).map(|_| ())
        };
        assert_eq!(at(1000, &made.iss), Ok(()));
        assert_eq!(at(1929, &made.iss), Ok(()));
        assert_eq!(at(1930, &made.iss), Err(Refusal::Expired));
        assert_eq!(at(969, &made.iss), Err(Refusal::Early));
        assert_eq!(at(1000, "http://elsewhere"), Err(Refusal::Issuer));
    }
}
