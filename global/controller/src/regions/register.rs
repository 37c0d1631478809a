//! `POST /v1/regions`: a new region, and the token with which its gateway joins.
use super::{
    LifeCycle, Region, Shown, join_token, show,
    store::{self, NewToken},
};
use crate::{app::App, audit, gate::Who, health, passports};
use axum::{
    extract::State,
    http::{StatusCode, Uri},
};
use exarch_common_authz::{Permit, Target, perm};
use exarch_common_base::{ExposeSecret, RegionId, SecretString, Slug};
use exarch_common_http::{
    Json, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::{OnConstraint, SystemTx};
use exarch_common_wire::audit::PROVIDER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

const NAME: usize = 200;

/// A region to be registered.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct NewRegion {
    /// Its name in addresses: lower-case letters, digits and hyphens. Never used again, not even after its removal.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    slug: Slug,
    /// Its name for people.
    name: String,
    /// Where its users reach it: `https://…` without a path.
    url: String,
    /// Where its console is, when elsewhere.
    #[serde(default)]
    console_url: Option<String>,
}

/// What lets one gateway join; shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct JoinToken {
    /// Give it to the gateway on standard input, never on a command line.
    token: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// To be run on the gateway's host.
    line: String,
}

/// A region that was registered.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    region: Shown,
    join_token: JoinToken,
}

/// Registers a region.
#[utoipa::path(post, path = "/v1/regions", tag = "regions", operation_id = "registerRegion", request_body = NewRegion,
    responses((status = 201, description = "Registered; the token is not shown again", body = Registered),
              (status = 409, description = "The slug is, or was, another region's")))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Who,
    once: Once,
    Json(input): Json<NewRegion>,
) -> Result<Kept, Problem> {
    let permit = who.check::<perm::region::Register>(&app, Target::System)?;
    run(&app, &who, &permit, once, input).await
}

async fn run(
    app: &App,
    who: &Who,
    permit: &Permit<perm::region::Register>,
    once: Once,
    input: NewRegion,
) -> Result<Kept, Problem> {
    check(&input.name, &input.url, input.console_url.as_deref())?;
    let now = app.ambient.now();
    let region = Region {
        id: app.ambient.id(),
        slug: input.slug,
        name: input.name,
        url: input.url,
        console_url: input.console_url,
        lifecycle: LifeCycle::Registered,
        version: 1,
    };
    let id = region.id;
    let mut tx = SystemTx::begin(&app.app_pool, "register-region").await?;
    store::insert(tx.conn(), &region, now)
        .await
        .on_constraint("region_slug_key", || {
            Problem::conflict("region-slug-taken")
                .detail(format!(
                    "{} is the slug of a region, or was; slugs are never used again.",
                    region.slug
                ))
                .error("/slug", "is or was another region's")
        })?;
    health::found(tx.conn(), region.id).await?;
    let join_token = make_token(app, who, permit, &mut tx, region.id, now).await?;
    let after = json!({"slug": region.slug, "name": region.name, "url": region.url, "console_url": region.console_url});
    let entry = who
        .entry(app, PROVIDER, "region.register", ("region", region.id))
        .after(after);
    audit::record(&mut tx, &entry).await?;
    passports::found(app, tx.conn(), region.id).await?;
    let mut shown = show(app, tx.conn(), vec![region]).await?;
    let registered = Registered {
        region: shown.remove(0),
        join_token,
    };
    once.commit(tx, id, (StatusCode::CREATED, Json(registered))).await
}

/// A new token in the place of those before it.
pub(super) async fn make_token(
    app: &App,
    who: &Who,
    _permit: &Permit<perm::region::Register>,
    tx: &mut SystemTx,
    region: RegionId,
    now: OffsetDateTime,
) -> Result<JoinToken, Problem> {
    let (token, hash) = join_token::generate(&app.ambient);
    let kept = NewToken {
        id: app.ambient.id(),
        region,
        hash,
        created_by: who.user(),
        created_at: now,
        expires_at: now + join_token::LIFE,
    };
    store::supersede_tokens(tx.conn(), region, now).await?;
    store::insert_token(tx.conn(), &kept).await?;
    Ok(shown_once(app, &token, kept.expires_at))
}

fn shown_once(app: &App, token: &SecretString, expires_at: OffsetDateTime) -> JoinToken {
    JoinToken {
        token: token.expose_secret().to_owned(),
        expires_at,
        line: format!(
            "exarch-gateway join --global {} --ca-pin {} --token-file -",
            app.settings.federation.url,
            app.keys.federation_ca().pin()
        ),
    }
}

/// Whether a region can be registered with these.
///
/// # Errors
/// 422 with the member that cannot be accepted.
pub(super) fn check(name: &str, url: &str, console_url: Option<&str>) -> Result<(), Problem> {
    let refused = |pointer, reason| {
        Problem::unprocessable("invalid-value")
            .detail("A value in the body cannot be accepted; see errors.")
            .error(pointer, reason)
    };
    if name.is_empty() || name != name.trim() || name.chars().count() > NAME || name.chars().any(char::is_control) {
        return Err(refused(
            "/name",
            "must have 1 to 200 characters, without spaces at its ends",
        ));
    }
    if !is_origin(url) {
        return Err(refused("/url", ORIGIN));
    }
    if console_url.is_some_and(|url| !is_origin(url)) {
        return Err(refused("/console_url", ORIGIN));
    }
    Ok(())
}

const ORIGIN: &str = "must be https:// or http:// with a host, without a path, a password or a slash at the end";

/// People are sent there: nothing but a place on the web.
fn is_origin(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri
        .authority()
        .is_some_and(|a| !a.host().is_empty() && !a.as_str().contains('@'));
    let web = matches!(uri.scheme_str(), Some("https" | "http"));
    web && host && uri.path() == "/" && uri.query().is_none() && !url.ends_with('/') && !url.contains('#')
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn people_are_sent_to_places_on_the_web_alone() {
        for good in [
            "https://eu.example:9440",
            "http://127.0.0.1:9440",
            "http://eu-north.localhost:9440",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "eu.example",
            "javascript:alert(1)",
            "https://",
            "https://eu.example/",
            "https://eu.example/x",
            "https://eu.example?x",
            "https://a@eu.example",
            "https://eu.example#x",
            "ftp://eu.example",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
