//! Staff of the provider in a tenant by break-glass.
use super::*;
use exarch_common_base::BreakGlassId;

const MINUTES: u64 = 10;

/// A tenant with an administrator, and somebody of the provider there for some minutes.
async fn entered(f: &Fixture, role: &str) -> (Person, Person, BreakGlassId) {
    let (grant, staff) = (f.ambient.id::<BreakGlassId>(), f.ambient.id());
    let until = f.ambient.now().unix_timestamp() + 60 * MINUTES as i64;
    let admin = f.global.tenant("acme", |t| {
        t.users.push(exarch_common_wire::passport::User {
            id: staff,
            display_name: "Staff".to_owned(),
            state: "active".to_owned(),
        });
        t.memberships.push(Membership {
            id: None,
            user: staff,
            roles: vec![role.to_owned()],
            until: Some(until),
            break_glass: Some(grant),
        });
    });
    f.sync().await;
    let staff = Person {
        user: staff,
        session: f.ambient.id(),
        ..admin
    };
    (admin, staff, grant)
}

fn token(f: &Fixture, person: Person, grant: Option<BreakGlassId>) -> String {
    let mut claims = f.global.claims(person);
    claims.bg = grant.map(|grant| grant.to_string());
    f.global.sign(&claims)
}

#[tokio::test]
async fn every_request_of_a_break_glass_stands_in_the_tenants_audit_before_it_is_answered() {
    let f = fixture().await;
    let (admin, staff, grant) = entered(&f, "bg-write").await;
    let (admin, staff) = (f.global.token(admin), token(&f, staff, Some(grant)));
    assert_eq!(f.http.get("/v1/clusters", &staff).await.0, 200);
    assert_eq!(f.http.get("/v1/me", &staff).await.1["roles"], json!(["bg-write"]));
    let made = json!({ "name": "main" });
    let (status, cluster) = f.http.send(Method::POST, "/v1/clusters", Some(&staff), made).await;
    assert_eq!(status, 201);
    let mut stream = f.http.watch("/v1/hosts", &staff).await;
    stream.expect("page").await;
    let (status, rows) = f.http.get("/v1/provider-access", &admin).await;
    assert_eq!(status, 200, "{rows}");
    let rows = rows["items"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["action"].as_str().unwrap(), row["target"]["id"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("break_glass.access", "GET /v1/hosts"),
            ("cluster.create", cluster["id"].as_str().unwrap()),
            ("break_glass.access", "POST /v1/clusters"),
            ("break_glass.access", "GET /v1/me"),
            ("break_glass.access", "GET /v1/clusters"),
        ]
    );
    assert!(rows.iter().all(|row| row["break_glass_id"] == grant.to_string()));
    assert_eq!(
        f.http.get("/v1/audit", &admin).await.1["items"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    // whoever came that way does not read what the tenant reads of them
    assert_eq!(f.http.get("/v1/provider-access", &staff).await.0, 403);
}

#[tokio::test]
async fn a_break_glass_is_its_tokens_and_a_membership_the_others() {
    let f = fixture().await;
    let (admin, staff, grant) = entered(&f, "bg-read").await;
    assert_eq!(f.http.get("/v1/clusters", &token(&f, staff, Some(grant))).await.0, 200);
    let other = f.ambient.id();
    for wrong in [
        token(&f, staff, None),
        token(&f, staff, Some(other)),
        token(&f, admin, Some(grant)),
    ] {
        assert_eq!(f.http.problem("/v1/clusters", &wrong).await, unauthenticated());
    }
    let mut claims = f.global.claims(staff);
    claims.bg = Some("everything".to_owned());
    assert_eq!(
        f.http.problem("/v1/clusters", &f.global.sign(&claims)).await,
        unauthenticated()
    );
}

#[tokio::test]
async fn no_name_gives_what_a_break_glass_gives_and_it_gives_nothing_else() {
    let f = fixture().await;
    let member = f
        .global
        .tenant("acme", |t| t.memberships[0].roles = vec!["bg-write".to_owned()]);
    let (_, staff, grant) = entered(&f, "tenant-admin").await;
    let member = f.http.problem("/v1/clusters", &f.global.token(member)).await;
    assert_eq!(member, (403, "permission-denied".to_owned()));
    let staff = f.http.problem("/v1/clusters", &token(&f, staff, Some(grant))).await;
    assert_eq!(staff, (403, "permission-denied".to_owned()));
}

#[tokio::test]
async fn the_region_ends_it_by_its_own_clock_and_streams_with_it() {
    let f = fixture().await;
    let (_, staff, grant) = entered(&f, "bg-read").await;
    let staff = token(&f, staff, Some(grant));
    let mut stream = f.http.watch("/v1/clusters", &staff).await;
    stream.expect("page").await;
    f.advance(Duration::from_secs(60 * MINUTES - 1)).await;
    assert_eq!(f.http.get("/v1/clusters", &staff).await.0, 200);
    f.advance(Duration::from_secs(1)).await;
    assert_eq!(f.http.problem("/v1/clusters", &staff).await, unauthenticated());
    assert_eq!(stream.expect("end").await["status"], 401);
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn whoever_came_by_break_glass_is_given_nothing_that_outlasts_it() {
    let f = fixture().await;
    let (admin, staff, grant) = entered(&f, "bg-read").await;
    let admin = f.global.token(admin);
    let (_, cluster) = f
        .http
        .send(Method::POST, "/v1/clusters", Some(&admin), json!({"name": "main"}))
        .await;
    let binding = json!({"cluster_id": cluster["id"], "user_id": staff.user, "role": "cluster-admin"});
    let (status, told) = f.http.send(Method::POST, "/v1/bindings", Some(&admin), binding).await;
    assert_eq!((status.as_u16(), slug(&told).as_str()), (422, "invalid-binding"));
    assert_eq!(f.http.get("/v1/clusters", &token(&f, staff, Some(grant))).await.0, 200);
}
