//! Region tokens of federated API keys: what the global gives for a key's secret, for one region and a quarter of an hour at most.
//!
//! They are of a type of their own, so that nothing takes one for a person's: a key may do less than its owner, and a region
//! that knows nothing of keys knows nothing of such a token.
use crate::{
    names,
    user_token::{Refusal, Version, in_time},
};
use exarch_common_base::{KeyId, RegionId, TenantId};
use exarch_common_crypto::{
    jws,
    sign::{KeyError, PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize};

/// Their `typ`.
pub const TYP: &str = "exarch-key+jwt";

/// What one says. What the key may do is in the region's passport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The discovery document's issuer.
    pub iss: String,
    /// The key.
    pub sub: KeyId,
    /// `exarch:region:<id>`.
    pub aud: String,
    /// Made at, seconds since 1970.
    pub iat: i64,
    /// Good from.
    pub nbf: i64,
    /// Dead at.
    pub exp: i64,
    /// Unique.
    pub jti: String,
    /// The key's tenant.
    pub tid: TenantId,
    /// The region.
    pub rid: RegionId,
    /// The version of the tenant's section when the token was minted.
    pub ten_v: Version,
}

/// Signs a token.
///
/// # Errors
/// The module refused.
pub fn sign(key: &SigningKey, kid: &str, claims: &Claims) -> Result<String, KeyError> {
    jws::sign(key, TYP, kid, claims)
}

/// Verifies a token for one issuer and region at `now`, allowing `skew` seconds as [`crate::user_token::verify`] does.
///
/// # Errors
/// [`Refusal`].
pub fn verify(
    token: &str,
    keys: impl FnOnce(&str) -> Option<PublicKey>,
    issuer: &str,
    region: RegionId,
    now: i64,
    skew: i64,
) -> Result<Claims, Refusal> {
    let claims: Claims = jws::verify(token, TYP, keys)?;
    if claims.iss != issuer {
        return Err(Refusal::Issuer);
    }
    if claims.rid != region || claims.aud != names::region(region) {
        return Err(Refusal::Audience);
    }
    in_time(claims.iat, claims.nbf, claims.exp, now, skew)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_token;
    use exarch_common_base::Ambient;
    use exarch_common_crypto::sign::Algorithm;

    #[test]
    fn a_keys_token_is_for_one_region_and_time_and_is_no_persons() {
        let ambient = Ambient::system();
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let (here, there): (RegionId, RegionId) = (ambient.id(), ambient.id());
        let claims = Claims {
            iss: "http://localhost:8440".into(),
            sub: ambient.id(),
            aud: names::region(here),
            iat: 1000,
            nbf: 1000,
            exp: 1900,
            jti: "j".into(),
            tid: ambient.id(),
            rid: here,
            ten_v: Version(1, 2),
        };
        let token = sign(&key, "k", &claims).unwrap();
        let keys = |_: &str| Some(key.public());
        let at = |issuer: &str, region, now| verify(&token, keys, issuer, region, now, 30).map(|_| ());
        assert_eq!(at(&claims.iss, here, 1000), Ok(()));
        assert_eq!(at(&claims.iss, there, 1000), Err(Refusal::Audience));
        assert_eq!(at("http://elsewhere", here, 1000), Err(Refusal::Issuer));
        assert_eq!(at(&claims.iss, here, 969), Err(Refusal::Early));
        assert_eq!(at(&claims.iss, here, 1930), Err(Refusal::Expired));
        let other = Claims {
            rid: there,
            ..claims.clone()
        };
        let other = sign(&key, "k", &other).unwrap();
        for region in [here, there] {
            assert!(
                verify(&other, keys, &claims.iss, region, 1000, 30).is_err(),
                "audience and region must agree"
            );
        }
        let persons = user_token::verify(&token, keys, &claims.iss, &claims.aud, 1000, 30);
        assert_eq!(persons, Err(Refusal::Token(jws::JwsError::Kind)));
    }
}
