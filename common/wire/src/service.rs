//! Service tokens: what every request between global and gateway carries, in both directions, inside mutual TLS.
//!
//! A token is bound to one request (method, path with query, body), one direction, one pair and one TLS connection, and
//! works once. Answers are signed with the same secret and carry the request's `jti`, so neither side believes a
//! stranger.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, ExposeSecret, SecretSlice};
use exarch_common_crypto::{hash::sha256, jws, mac};
use serde::{Deserialize, Serialize};

const TYP: &str = "exarch-service+jwt";
/// A token lives at most this long, in seconds, whatever its sender says.
pub const MAX_LIFE: i64 = 60;
/// A secret is accepted this long after its follower was first used, in seconds.
pub const KEPT: i64 = 24 * 3600;
/// Clocks may differ by this much, in seconds.
pub const SKEW: i64 = 30;

/// A secret of one region and one direction.
#[derive(Clone)]
pub struct ServiceKey {
    /// Names the secret in the token's header.
    pub kid: String,
    /// 32 random bytes.
    pub secret: SecretSlice<u8>,
}

impl std::fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceKey({})", self.kid)
    }
}

impl ServiceKey {
    /// A new secret.
    pub fn generate(ambient: &Ambient) -> Self {
        let kid = B64.encode(ambient.bytes::<9>());
        Self {
            kid,
            secret: ambient.bytes::<32>().to_vec().into(),
        }
    }
}

/// The claims of a request's token, or of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Sender.
    pub iss: String,
    /// Receiver.
    pub aud: String,
    /// Made at, seconds since 1970.
    pub iat: i64,
    /// Dead at.
    pub exp: i64,
    /// Random, used once; an answer carries that of its request.
    pub jti: String,
    /// Method.
    pub htm: String,
    /// Path with query.
    pub htu: String,
    /// base64url SHA-256 of the body.
    pub bsh: String,
    /// base64url SHA-256 of the connection's exporter.
    pub cnf: String,
    /// Status, in answers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sts: Option<u16>,
}

/// What a token is about, as its sender made it and its receiver sees it.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Sender's name, see [`crate::names`].
    pub from: &'a str,
    /// Receiver's name.
    pub to: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// Path with query, as on the wire.
    pub path: &'a str,
    /// The body's bytes; of the answer, for an answer.
    pub body: &'a [u8],
    /// The exporter of the connection in use, 32 bytes.
    pub exporter: &'a [u8; 32],
}

/// Why a token is refused. The caller hears one and the same 401; this is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Malformed, of another kind, under an unknown key id, or with a wrong MAC.
    #[error("not a valid service token: {0}")]
    Token(#[from] jws::JwsError),
    /// Sender or receiver differ.
    #[error("for another pair or direction")]
    Pair,
    /// Method, path or query differ.
    #[error("for another request")]
    Request,
    /// The body differs.
    #[error("for another body")]
    Body,
    /// Made on another connection.
    #[error("for another connection")]
    Connection,
    /// Outside its life, or a life above the maximum.
    #[error("outside its life")]
    Time,
    /// The answer is to another request.
    #[error("not the answer to this request")]
    Answer,
}

fn digest(data: &[u8]) -> String {
    B64.encode(sha256(data))
}

fn claims(about: &About<'_>, now: i64, jti: String, sts: Option<u16>) -> Claims {
    Claims {
        iss: about.from.to_owned(),
        aud: about.to.to_owned(),
        iat: now,
        exp: now + MAX_LIFE,
        jti,
        htm: about.method.to_owned(),
        htu: about.path.to_owned(),
        bsh: digest(about.body),
        cnf: digest(about.exporter),
        sts,
    }
}

/// Makes the token of a request; returns it with its `jti`.
pub fn request(ambient: &Ambient, key: &ServiceKey, about: &About<'_>) -> (String, String) {
    let jti = B64.encode(ambient.bytes::<16>());
    let claims = claims(about, ambient.now().unix_timestamp(), jti.clone(), None);
    (jws::sign_hs256(key.secret.expose_secret(), TYP, &key.kid, &claims), jti)
}

/// Makes the token of the answer with `status` to the request `jti`. `about` has the answer's direction and body.
pub fn answer(ambient: &Ambient, key: &ServiceKey, about: &About<'_>, jti: &str, status: u16) -> String {
    let claims = claims(about, ambient.now().unix_timestamp(), jti.to_owned(), Some(status));
    jws::sign_hs256(key.secret.expose_secret(), TYP, &key.kid, &claims)
}

fn check<'k>(
    token: &str,
    keys: impl FnOnce(&str) -> Option<&'k ServiceKey>,
    about: &About<'_>,
) -> Result<Claims, Refusal> {
    let claims: Claims = jws::verify_hs256(token, TYP, |kid| keys(kid).map(|key| key.secret.expose_secret()))?;
    let same = |a: &str, b: &str| mac::equal(a.as_bytes(), b.as_bytes());
    if claims.iss != about.from || claims.aud != about.to {
        return Err(Refusal::Pair);
    }
    if claims.htm != about.method || claims.htu != about.path {
        return Err(Refusal::Request);
    }
    if !same(&claims.bsh, &digest(about.body)) {
        return Err(Refusal::Body);
    }
    if !same(&claims.cnf, &digest(about.exporter)) {
        return Err(Refusal::Connection);
    }
    Ok(claims)
}

/// Checks a request's token against the request as it arrived. `keys` gives the sender's key of an id; spending the
/// `jti` is the caller's part.
///
/// # Errors
/// [`Refusal`].
pub fn verify_request<'k>(
    token: &str,
    keys: impl FnOnce(&str) -> Option<&'k ServiceKey>,
    about: &About<'_>,
    now: i64,
) -> Result<Claims, Refusal> {
    let claims = verify_challenged(token, keys, about)?;
    let life = claims.exp.saturating_sub(claims.iat);
    let in_time = (0..=MAX_LIFE).contains(&life) && claims.iat <= now + SKEW && now <= claims.exp.saturating_add(SKEW);
    if in_time { Ok(claims) } else { Err(Refusal::Time) }
}

/// The same without the window of time: for probes, whose challenge proves freshness, and which must also reach a
/// region whose clock is wrong. The claims' `iat` then tells the skew.
///
/// # Errors
/// [`Refusal`], never [`Refusal::Time`].
pub fn verify_challenged<'k>(
    token: &str,
    keys: impl FnOnce(&str) -> Option<&'k ServiceKey>,
    about: &About<'_>,
) -> Result<Claims, Refusal> {
    let claims = check(token, keys, about)?;
    if claims.sts.is_some() {
        Err(Refusal::Answer)
    } else {
        Ok(claims)
    }
}

/// Checks the signed answer with `status` to the request `jti`. Time is not judged: `jti` and connection prove that
/// the answer is fresh.
///
/// # Errors
/// [`Refusal`].
pub fn verify_answer<'k>(
    token: &str,
    keys: impl FnOnce(&str) -> Option<&'k ServiceKey>,
    about: &About<'_>,
    jti: &str,
    status: u16,
) -> Result<Claims, Refusal> {
    let claims = check(token, keys, about)?;
    if claims.jti == jti && claims.sts == Some(status) {
        Ok(claims)
    } else {
        Err(Refusal::Answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const ABOUT: About<'static> = About {
        from: "exarch:region:reg_1",
        to: "exarch:global",
        method: "POST",
        path: "/federation/v1/acknowledge?x=1",
        body: b"{}",
        exporter: &[7; 32],
    };

    fn fixture() -> (Ambient, ServiceKey, i64) {
        let (ambient, _) = Ambient::manual(datetime!(2026-01-01 0:00 UTC), 1);
        let key = ServiceKey::generate(&ambient);
        let now = ambient.now().unix_timestamp();
        (ambient, key, now)
    }

    #[test]
    fn a_token_is_good_for_the_very_request_it_was_made_for() {
        let (ambient, key, now) = fixture();
        let (token, jti) = request(&ambient, &key, &ABOUT);
        let verify = |about: About<'_>| verify_request(&token, |kid| (kid == key.kid).then_some(&key), &about, now);
        assert_eq!(verify(ABOUT).unwrap().jti, jti);
        assert_eq!(verify(About { body: b"{ }", ..ABOUT }), Err(Refusal::Body));
        assert_eq!(
            verify(About {
                path: "/federation/v1/acknowledge",
                ..ABOUT
            }),
            Err(Refusal::Request)
        );
        assert_eq!(
            verify(About {
                path: "/federation/v1/acknowledge?x=2",
                ..ABOUT
            }),
            Err(Refusal::Request)
        );
        assert_eq!(verify(About { method: "PUT", ..ABOUT }), Err(Refusal::Request));
        assert_eq!(
            verify(About {
                exporter: &[8; 32],
                ..ABOUT
            }),
            Err(Refusal::Connection)
        );
        assert_eq!(
            verify(About {
                from: ABOUT.to,
                to: ABOUT.from,
                ..ABOUT
            }),
            Err(Refusal::Pair)
        );
        assert_eq!(
            verify(About {
                from: "exarch:region:reg_2",
                ..ABOUT
            }),
            Err(Refusal::Pair)
        );
    }

    #[test]
    fn a_token_is_good_within_its_minute_and_the_skew() {
        let (ambient, key, now) = fixture();
        let (token, _) = request(&ambient, &key, &ABOUT);
        let at = |t: i64| verify_request(&token, |_| Some(&key), &ABOUT, t).map(|_| ());
        assert_eq!(at(now - 30), Ok(()));
        assert_eq!(at(now - 31), Err(Refusal::Time));
        assert_eq!(at(now + 90), Ok(()));
        assert_eq!(at(now + 91), Err(Refusal::Time));
    }

    #[test]
    fn a_longer_life_than_a_minute_is_refused_whatever_the_sender_says() {
        let (_, key, now) = fixture();
        let long = Claims {
            exp: now + 61,
            ..claims(&ABOUT, now, "j".into(), None)
        };
        let token = jws::sign_hs256(key.secret.expose_secret(), TYP, &key.kid, &long);
        assert_eq!(verify_request(&token, |_| Some(&key), &ABOUT, now), Err(Refusal::Time));
        let backwards = Claims { exp: now - 1, ..long };
        let token = jws::sign_hs256(key.secret.expose_secret(), TYP, &key.kid, &backwards);
        assert_eq!(verify_request(&token, |_| Some(&key), &ABOUT, now), Err(Refusal::Time));
    }

    #[test]
    fn an_answer_answers_one_request_with_one_status() {
        let (ambient, key, now) = fixture();
        let (_, jti) = request(&ambient, &key, &ABOUT);
        let back = About {
            from: ABOUT.to,
            to: ABOUT.from,
            body: b"ok",
            ..ABOUT
        };
        let token = answer(&ambient, &key, &back, &jti, 200);
        assert!(verify_answer(&token, |_| Some(&key), &back, &jti, 200).is_ok());
        assert_eq!(
            verify_answer(&token, |_| Some(&key), &back, &jti, 401),
            Err(Refusal::Answer)
        );
        assert_eq!(
            verify_answer(&token, |_| Some(&key), &back, "other", 200),
            Err(Refusal::Answer)
        );
        // An answer sent back as a request is nobody's request.
        assert_eq!(verify_request(&token, |_| Some(&key), &back, now), Err(Refusal::Answer));
    }

    #[test]
    fn another_secret_and_a_shortened_mac_are_refused() {
        let (ambient, key, now) = fixture();
        let (token, _) = request(&ambient, &key, &ABOUT);
        let other = ServiceKey {
            kid: key.kid.clone(),
            secret: vec![0; 32].into(),
        };
        assert!(verify_request(&token, |_| Some(&other), &ABOUT, now).is_err());
        assert!(verify_request(&token[..token.len() - 4], |_| Some(&key), &ABOUT, now).is_err());
        assert!(verify_request(&token, |_| None, &ABOUT, now).is_err());
    }
}
