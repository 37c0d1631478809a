//! After each step: what is next, or the session.
use super::{
    answer::{Answer, NextStep, Step, TenantName, signed_in},
    store::{self, Account, Ticket},
};
use crate::{
    app::App,
    audit,
    gate::Origin,
    memberships::{self, Seat},
    second_factor::{self, Enrolment, RecoveryCodes},
    sessions::{self, Session, SessionKind},
    tenants::TenantKey,
    users,
};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Json, Problem};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::{Actor, PROVIDER};
use serde_json::json;
use time::OffsetDateTime;

/// What the steps so far have proved, and what was asked for.
pub struct Proved {
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// When the password was given.
    pub auth_time: OffsetDateTime,
    /// What the client keeps.
    pub kind: SessionKind,
    /// The tenant asked for.
    pub tenant: Option<TenantKey>,
    /// Made by the step before, to be shown with the answer.
    pub recovery_codes: Option<RecoveryCodes>,
}

/// The next step's ticket, or the session; the caller commits, and nudges the passports.
pub async fn proceed(
    app: &App,
    origin: &Origin,
    tx: &mut SystemTx,
    account: Account,
    proved: Proved,
) -> Result<Response, Problem> {
    let seats = memberships::seats(app, account.id).await?;
    let asked_by_tenant = seats.iter().any(|seat| seat.tenant.second_factor_required);
    if (asked_by_tenant || account.needs_second_factor()) && !second_factor::is_mfa(&proved.amr) {
        let asked = match account.second_factor {
            true => Asked::default(),
            false => Asked {
                enrolment: Some(enrolment(app, tx, &account).await?),
                ..Asked::default()
            },
        };
        return ticket(app, tx, &account, proved, Step::SecondFactor, asked).await;
    }
    if account.must_change_password {
        return ticket(app, tx, &account, proved, Step::ChangePassword, Asked::default()).await;
    }
    let seat = match choose(&account, seats, proved.tenant.as_ref()) {
        Choice::Seat(seat) => Some(seat),
        Choice::NoTenant => None,
        Choice::Ask(seats) => {
            let tenants = seats.iter().map(|seat| TenantName::from(&seat.tenant)).collect();
            let asked = Asked {
                tenants: Some(tenants),
                ..Asked::default()
            };
            return ticket(app, tx, &account, proved, Step::SelectTenant, asked).await;
        }
        Choice::NotThere => {
            return Err(Problem::not_found("tenant-not-found").detail("You have no place in a tenant of this name."));
        }
        Choice::Nowhere => {
            return Err(Problem::forbidden("no-tenant")
                .detail("Your account has no place in any tenant: ask an administrator to give you one."));
        }
    };
    finish(app, origin, tx, &account, seat, proved).await
}

enum Choice {
    Seat(Seat),
    NoTenant,
    Ask(Vec<Seat>),
    NotThere,
    Nowhere,
}

/// Zero tenants: said so, unless staff. One: chosen. More: the one asked for, the last used, or asked.
fn choose(account: &Account, mut seats: Vec<Seat>, asked: Option<&TenantKey>) -> Choice {
    let at = |found: &dyn Fn(&Seat) -> bool| seats.iter().position(found);
    if let Some(key) = asked {
        return match at(&|seat| key.names(seat.tenant.id, &seat.tenant.slug)) {
            Some(at) => Choice::Seat(seats.swap_remove(at)),
            None => Choice::NotThere,
        };
    }
    let last = at(&|seat| Some(seat.tenant.id) == account.last_tenant);
    match (seats.len(), last) {
        (0, _) if account.staff.is_empty() => Choice::Nowhere,
        (0, _) => Choice::NoTenant,
        (1, _) => Choice::Seat(seats.swap_remove(0)),
        (_, Some(at)) => Choice::Seat(seats.swap_remove(at)),
        (_, None) => Choice::Ask(seats),
    }
}

async fn enrolment(app: &App, tx: &mut SystemTx, account: &Account) -> Result<Enrolment, Problem> {
    let person = users::find(app, tx.conn(), account.id).await?;
    let person = person.ok_or_else(crate::gate::unauthenticated)?;
    second_factor::begin(app, tx.conn(), account.id, &person.email).await
}

/// What goes with a step.
#[derive(Default)]
struct Asked {
    tenants: Option<Vec<TenantName>>,
    enrolment: Option<Enrolment>,
}

async fn ticket(
    app: &App,
    tx: &mut SystemTx,
    account: &Account,
    proved: Proved,
    step: Step,
    asked: Asked,
) -> Result<Response, Problem> {
    let secret = URL_SAFE_NO_PAD.encode(app.ambient.bytes::<32>());
    let ticket = Ticket {
        user: account.id,
        step,
        kind: proved.kind,
        tenant: proved.tenant.map(|key| key.to_string()),
        amr: proved.amr,
        auth_time: proved.auth_time,
        expires_at: app.ambient.now() + app.settings.sign_in.ticket,
        totp: asked.enrolment.as_ref().map(|enrolment| enrolment.id),
    };
    store::insert_ticket(tx.conn(), &sha256(secret.as_bytes()), &ticket).await?;
    let next = NextStep {
        next: step,
        ticket: secret,
        tenants: asked.tenants,
        enrolment: asked.enrolment,
        recovery_codes: proved.recovery_codes,
    };
    Ok(Json(Answer::Next(next)).into_response())
}

async fn finish(
    app: &App,
    origin: &Origin,
    tx: &mut SystemTx,
    account: &Account,
    seat: Option<Seat>,
    proved: Proved,
) -> Result<Response, Problem> {
    let tenant = seat.as_ref().map(|seat| seat.tenant.id);
    let session = Session {
        id: app.ambient.id(),
        user: account.id,
        tenant,
        break_glass: None,
        kind: proved.kind,
        amr: proved.amr,
        auth_time: proved.auth_time,
        expires_at: app.ambient.now() + sessions::life(app, &account.staff),
    };
    let roles = memberships::role_names(seat.as_ref(), account.staff.iter().copied());
    let (started, displaced) = sessions::start(app, tx.conn(), &session, &origin.source, &roles).await?;
    if let Some(tenant) = tenant {
        store::set_last_tenant(tx.conn(), account.id, tenant).await?;
    }
    let user = users::find(app, tx.conn(), account.id).await?;
    let user = user.ok_or_else(crate::gate::unauthenticated)?;
    let actor = Actor::new("user", account.id);
    let entry = origin
        .entry(
            app,
            tenant.unwrap_or(PROVIDER),
            actor,
            "session.begin",
            ("session", session.id),
        )
        .after(json!({ "kind": session.kind.as_str(), "amr": session.amr, "displaced": displaced.count() }));
    audit::record(tx, &entry).await?;
    displaced.touch(app, tx).await?;
    Ok(signed_in(
        &user,
        seat.as_ref().map(|seat| &seat.tenant),
        started,
        proved.recovery_codes,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memberships::TenantBrief;
    use exarch_common_authz::{Role, TenantState};
    use uuid::Uuid;

    fn account(staff: &[Role], last: Option<u128>) -> Account {
        Account {
            id: Uuid::from_u128(9).into(),
            active: true,
            password_hash: None,
            must_change_password: false,
            last_tenant: last.map(|n| Uuid::from_u128(n).into()),
            staff: staff.to_vec(),
            email_index: [0; 32],
            second_factor: false,
        }
    }

    fn seat(n: u128) -> Seat {
        Seat {
            tenant: TenantBrief {
                id: Uuid::from_u128(n).into(),
                slug: format!("t{n}").parse().unwrap(),
                name: n.to_string(),
                state: TenantState::Active,
                second_factor_required: false,
            },
            membership: None,
            roles: vec![Role::ReadOnly.into()],
            regions: None,
            until: None,
            emergency: None,
        }
    }

    fn chosen(choice: Choice) -> String {
        match choice {
            Choice::Seat(seat) => seat.tenant.slug.to_string(),
            Choice::NoTenant => "none".into(),
            Choice::Ask(seats) => format!("ask {}", seats.len()),
            Choice::NotThere => "404".into(),
            Choice::Nowhere => "403".into(),
        }
    }

    #[test]
    fn the_tenant_is_chosen_asked_for_or_missing() {
        let user = account(&[], None);
        let slug = |text: &str| TenantKey::Slug(text.parse().unwrap());
        assert_eq!(chosen(choose(&user, vec![], None)), "403");
        assert_eq!(
            chosen(choose(&account(&[Role::SystemAdmin], None), vec![], None)),
            "none"
        );
        assert_eq!(chosen(choose(&user, vec![seat(1)], None)), "t1");
        assert_eq!(chosen(choose(&user, vec![seat(1), seat(2)], None)), "ask 2");
        let last = account(&[], Some(2));
        assert_eq!(chosen(choose(&last, vec![seat(1), seat(2)], None)), "t2");
        assert_eq!(chosen(choose(&last, vec![seat(1), seat(3)], None)), "ask 2");
        assert_eq!(chosen(choose(&user, vec![seat(1), seat(2)], Some(&slug("t1")))), "t1");
        assert_eq!(chosen(choose(&user, vec![seat(1)], Some(&slug("t2")))), "404");
    }
}
