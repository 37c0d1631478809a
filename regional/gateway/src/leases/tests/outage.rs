use super::{ask, batch};
use crate::{
    agents::testing::process,
    leases::{release, renew, request},
    testing::{Limits, World},
};
use exarch_common_http::Problem;
use exarch_common_pg::embedded::StopMode;

#[tokio::test]
async fn without_a_database_nothing_is_granted_renewed_or_released() {
    let world = World::new().await;
    let (app, cluster) = world.apart().await;
    let tenant = world.tenant("a", Limits::default());
    let agent = process(tenant, world.app.ambient.id(), world.app.ambient.id(), 1);
    cluster.stop(StopMode::Immediate).await.unwrap();
    let resource = world.app.ambient.id();
    let asked = request(&app, &agent, &ask(resource, 0)).await.unwrap_err();
    let held = exarch_common_wire::agent::Held {
        lease: world.app.ambient.id(),
        resource,
        fence: exarch_common_base::Fence::new(1, 1),
    };
    for refused in [
        Problem::from(asked),
        renew(&app, &agent, batch([held.clone()])).await.unwrap_err(),
        release(&app, &agent, batch([held])).await.unwrap_err(),
    ] {
        let told = refused.document();
        assert_eq!((told.status, told.slug()), (503, "database-unavailable"));
    }
}
