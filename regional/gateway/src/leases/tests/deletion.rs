//! A resource that is deleted, and those who want it.
use super::{Scene, ask, batch, granted, name_of};
use crate::{
    leases::{GrantError, never_given, release, request},
    testing::{World, whole},
};
use exarch_common_base::Fence;
use exarch_common_pg::TenantTx;

#[tokio::test]
async fn what_is_deleted_is_granted_to_nobody_and_its_fences_stay_known() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let path = format!("/v1/resources/{}", scene.volume);
    for _ in 0..2 {
        let lease = granted(scene.app(), &scene.one, scene.volume).await;
        scene.admin.delete(&path).await.problem(409, "lease-held");
        let held = name_of(scene.volume, &lease);
        release(scene.app(), &scene.one, batch([held])).await.unwrap();
    }
    scene.admin.delete(&path).await.expect(204);
    let refused = request(scene.app(), &scene.one, &ask(scene.volume, 0)).await;
    assert!(matches!(refused, Err(GrantError::NoResource)), "{refused:?}");
    // a guard that has seen a fence of it is not taken for one that was told by another region
    let mut tx = TenantTx::begin(&scene.app().app_pool, &whole(scene.tenant))
        .await
        .unwrap();
    let given = [(scene.volume, Fence::new(1, 2))];
    assert_eq!(never_given(&mut tx, &given).await.unwrap(), []);
    let ahead = [(scene.volume, Fence::new(1, 3))];
    assert_eq!(never_given(&mut tx, &ahead).await.unwrap(), ahead);
}

#[tokio::test]
async fn of_a_deletion_and_a_grant_at_the_same_time_one_is_refused() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    for round in 0..12 {
        let volume = super::volume(&scene.admin, scene.cluster, &format!("r{round}"), 30_000).await;
        let path = format!("/v1/resources/{volume}");
        let wanted = ask(volume, 0);
        let (deleted, granted) = tokio::join!(scene.admin.delete(&path), request(scene.app(), &scene.one, &wanted));
        match (deleted.status.as_u16(), &granted) {
            (204, Err(GrantError::NoResource)) | (409, Ok(_)) => {}
            (status, other) => panic!("{status} {other:?}"),
        }
    }
}
