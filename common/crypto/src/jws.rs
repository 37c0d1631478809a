//! JWS compact tokens (RFC 7515) with a header that is pinned, never believed.
//!
//! The verifier says which algorithm and type it takes; the header must say the same and hold `alg`, `typ` and `kid`
//! and nothing else. So `none`, algorithm swaps, `jwk`, `jku`, `x5u` and `crit` have no way in.
use crate::{
    mac,
    sign::{KeyError, PublicKey, SigningKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// No token of ours is longer; anything longer is refused before it is looked at.
pub const MAX_LENGTH: usize = 8 * 1024;

/// Why a token is not believed. Callers answer every one of them with the same 401; the difference is for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three base64url parts, too long, or no JSON of the expected shape inside.
    #[error("malformed token")]
    Malformed,
    /// Another algorithm or type, or a header member that is not ours.
    #[error("token of another kind")]
    Kind,
    /// No key of that id.
    #[error("unknown key id")]
    UnknownKey,
    /// The signature or MAC does not match.
    #[error("bad signature")]
    Signature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

fn signing_input(alg: &str, typ: &str, kid: &str, claims: &impl Serialize) -> String {
    let header = Header {
        alg: alg.into(),
        typ: typ.into(),
        kid: kid.into(),
    };
    let part = |json: Result<Vec<u8>, serde_json::Error>| {
        B64.encode(json.expect("claims are plain structures, which serialize to JSON"))
    };
    format!(
        "{}.{}",
        part(serde_json::to_vec(&header)),
        part(serde_json::to_vec(claims))
    )
}

/// Signs `claims` with `key`; the header is `{"alg","typ","kid"}`.
///
/// # Errors
/// The module refused.
pub fn sign(key: &SigningKey, typ: &str, kid: &str, claims: &impl Serialize) -> Result<String, KeyError> {
    let input = signing_input(key.algorithm().name(), typ, kid, claims);
    let signature = key.sign(input.as_bytes())?;
    Ok(format!("{input}.{}", B64.encode(signature)))
}

/// The same with HMAC-SHA-256 (`HS256`).
pub fn sign_hs256(secret: &[u8], typ: &str, kid: &str, claims: &impl Serialize) -> String {
    let input = signing_input("HS256", typ, kid, claims);
    let tag = mac::hmac_sha256(secret, input.as_bytes());
    format!("{input}.{}", B64.encode(tag))
}

struct Parts<'a> {
    header: Header,
    input: &'a [u8],
    claims: &'a str,
    signature: Vec<u8>,
}

fn parts(token: &str) -> Result<Parts<'_>, JwsError> {
    if token.len() > MAX_LENGTH {
        return Err(JwsError::Malformed);
    }
    let (input, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
    let (header, claims) = input.split_once('.').ok_or(JwsError::Malformed)?;
    if claims.contains('.') {
        return Err(JwsError::Malformed);
    }
    let header = B64.decode(header).map_err(|_| JwsError::Malformed)?;
    let value: serde_json::Value = serde_json::from_slice(&header).map_err(|_| JwsError::Malformed)?;
    if !value.is_object() {
        return Err(JwsError::Malformed);
    }
    // From the bytes, not from `value`: a map would have swallowed a member given twice.
    let header = serde_json::from_slice(&header).map_err(|_| JwsError::Kind)?;
    let signature = B64.decode(signature).map_err(|_| JwsError::Malformed)?;
    Ok(Parts {
        header,
        input: input.as_bytes(),
        claims,
        signature,
    })
}

fn claims<C: DeserializeOwned>(part: &str) -> Result<C, JwsError> {
    let json = B64.decode(part).map_err(|_| JwsError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| JwsError::Malformed)
}

/// The key id that a token names, unverified: for choosing where to look, never for deciding.
pub fn peek_kid(token: &str) -> Option<String> {
    parts(token).ok().map(|p| p.header.kid)
}

/// Verifies a token of type `typ`, signed by the key that `keys` knows under the header's id, and reads its claims.
/// Times, issuer and audience are for the caller to judge.
///
/// # Errors
/// [`JwsError`].
pub fn verify<C: DeserializeOwned>(
    token: &str,
    typ: &str,
    keys: impl FnOnce(&str) -> Option<PublicKey>,
) -> Result<C, JwsError> {
    let p = parts(token)?;
    if p.header.typ != typ {
        return Err(JwsError::Kind);
    }
    let key = keys(&p.header.kid).ok_or(JwsError::UnknownKey)?;
    if p.header.alg != key.algorithm().name() {
        return Err(JwsError::Kind);
    }
    if !key.verify(p.input, &p.signature) {
        return Err(JwsError::Signature);
    }
    claims(p.claims)
}

/// The same for `HS256`; `secrets` gives the secret of a key id.
///
/// # Errors
/// [`JwsError`].
pub fn verify_hs256<C: DeserializeOwned, S: AsRef<[u8]>>(
    token: &str,
    typ: &str,
    secrets: impl FnOnce(&str) -> Option<S>,
) -> Result<C, JwsError> {
    let p = parts(token)?;
    if p.header.alg != "HS256" || p.header.typ != typ {
        return Err(JwsError::Kind);
    }
    let secret = secrets(&p.header.kid).ok_or(JwsError::UnknownKey)?;
    if !mac::equal(&mac::hmac_sha256(secret.as_ref(), p.input), &p.signature) {
        return Err(JwsError::Signature);
    }
    claims(p.claims)
}

/// The public key as a JWK (RFC 7517), with `kid`, `alg` and `use`.
pub fn jwk(key: &PublicKey, kid: &str) -> serde_json::Value {
    let raw = key.raw();
    let coordinates = |size: usize| (B64.encode(&raw[1..=size]), B64.encode(&raw[1 + size..]));
    let (alg, kid) = (key.algorithm().name(), kid.to_owned());
    match key.algorithm() {
        crate::sign::Algorithm::Es256 => {
            let (x, y) = coordinates(32);
            serde_json::json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": alg, "use": "sig"})
        }
        crate::sign::Algorithm::Es384 => {
            let (x, y) = coordinates(48);
            serde_json::json!({"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": kid, "alg": alg, "use": "sig"})
        }
        crate::sign::Algorithm::Ed25519 => {
            serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(raw), "kid": kid, "alg": alg, "use": "sig"})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::Algorithm;
    use proptest::prelude::*;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Claims {
        sub: String,
        exp: i64,
    }

    fn example() -> Claims {
        Claims {
            sub: "usr".into(),
            exp: 7,
        }
    }

    fn token_of(header: &str, body: &str, key: &SigningKey) -> String {
        let input = format!("{}.{}", B64.encode(header), B64.encode(body));
        let signature = key.sign(input.as_bytes()).unwrap();
        format!("{input}.{}", B64.encode(signature))
    }

    #[test]
    fn a_token_reads_back_under_its_key_and_type_only() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let token = sign(&key, "at+jwt", "k1", &example()).unwrap();
        let public = |kid: &str| (kid == "k1").then(|| key.public());
        assert_eq!(verify::<Claims>(&token, "at+jwt", public), Ok(example()));
        assert_eq!(
            verify::<Claims>(&token, "exarch-grant+jwt", public),
            Err(JwsError::Kind)
        );
        assert_eq!(verify::<Claims>(&token, "at+jwt", |_| None), Err(JwsError::UnknownKey));
        let other = SigningKey::generate(Algorithm::Es256).unwrap().public();
        assert_eq!(
            verify::<Claims>(&token, "at+jwt", |_| Some(other)),
            Err(JwsError::Signature)
        );
    }

    #[test]
    fn attackers_headers_are_refused() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let body = r#"{"sub":"usr","exp":7}"#;
        for header in [
            r#"{"alg":"none","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"HS256","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"ES384","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","jwk":{}}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","jku":"http://x"}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","x5u":"http://x"}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":["b64"]}"#,
            r#"{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"k"}"#,
            r#"{"alg":"ES256","typ":"JWT","kid":"k"}"#,
            r#"{"alg":"ES256","kid":"k"}"#,
            r#"{"alg":"ES256","typ":"at+jwt"}"#,
            r#"[]"#,
        ] {
            let token = token_of(header, body, &key);
            assert!(
                verify::<Claims>(&token, "at+jwt", |_| Some(key.public())).is_err(),
                "{header}"
            );
        }
        let good = token_of(r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#, body, &key);
        assert_eq!(verify::<Claims>(&good, "at+jwt", |_| Some(key.public())), Ok(example()));
    }

    #[test]
    fn a_mac_made_with_the_public_key_is_refused() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let forged = sign_hs256(key.public().raw(), "at+jwt", "k", &example());
        assert_eq!(
            verify::<Claims>(&forged, "at+jwt", |_| Some(key.public())),
            Err(JwsError::Kind)
        );
    }

    #[test]
    fn claims_given_twice_or_of_another_type_are_refused() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let header = r#"{"alg":"ES256","typ":"t","kid":"k"}"#;
        for body in [
            r#"{"sub":"a","sub":"b","exp":7}"#,
            r#"{"sub":"a","exp":"7"}"#,
            r#"{"sub":"a"}"#,
            "",
            "7",
        ] {
            let token = token_of(header, body, &key);
            assert_eq!(
                verify::<Claims>(&token, "t", |_| Some(key.public())),
                Err(JwsError::Malformed),
                "{body}"
            );
        }
    }

    #[test]
    fn every_cut_and_every_flipped_character_is_refused() {
        let token = sign_hs256(b"secret", "t", "k", &example());
        let check = |t: &str| verify_hs256::<Claims, _>(t, "t", |_| Some(b"secret"));
        assert_eq!(check(&token), Ok(example()));
        for cut in 0..token.len() {
            assert!(check(&token[..cut]).is_err());
        }
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(check(&String::from_utf8(bytes).unwrap()).is_err(), "at {at}");
        }
        assert_eq!(check(&".".repeat(1_000_000)), Err(JwsError::Malformed));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_verifier_panic(text in "[A-Za-z0-9_.=-]{0,200}") {
            let refused = verify_hs256::<Claims, _>(&text, "t", |_| Some(b"secret")).is_err();
            prop_assert!(refused);
        }
    }
}
