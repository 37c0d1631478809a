//! What tests put into the database and look up there, past the API.
use super::{Gateway, World};
use crate::passports;
use exarch_common_base::{Ambient, EntitlementId, ExposeSecret, MembershipId, RegionId, TenantId, UserId};
use exarch_common_crypto::{pki, seal::Place};
use exarch_common_pg::{Clusters, SystemTx, TenantContext, TenantTx};
use sqlx::Connection;

impl World {
    /// A person.
    pub(crate) async fn user(&self, name: &str) -> UserId {
        let user: UserId = self.app.ambient.id();
        let place = Place {
            table: "gc.user",
            column: "email_sealed",
            row: &user.to_string(),
        };
        let email = format!("{name}@people.example");
        let sealed = self.app.sealer.seal(&self.app.ambient, place, email.as_bytes());
        let mut db = self.superuser().await;
        sqlx::query("INSERT INTO gc.user (id, email_sealed, email_index, display_name, created_at, updated_at) VALUES ($1, $4, $2, $3, now(), now())")
            .bind(user.uuid())
            .bind(self.app.ambient.bytes::<32>().as_slice())
            .bind(name)
            .bind(sealed)
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        user
    }

    /// A customer.
    pub(crate) async fn tenant(&self, slug: &str) -> TenantId {
        let tenant: TenantId = self.app.ambient.id();
        let mut db = self.superuser().await;
        sqlx::query("INSERT INTO gc.tenant (id, slug, name, state_since, created_by, created_at, updated_at) VALUES ($1, $2, $2, now(), 'test', now(), now())")
            .bind(tenant.uuid())
            .bind(slug)
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        tenant
    }

    /// Changes rows of a tenant by one statement, and touches its passports in the same transaction.
    pub(crate) async fn change(&self, tenant: TenantId, sql: &'static str, binds: &[uuid::Uuid]) {
        let context = TenantContext {
            tenant,
            clusters: Clusters::All,
            actor: "test".into(),
        };
        let mut tx = TenantTx::begin(&self.app.app_pool, &context).await.unwrap();
        let mut query = sqlx::query(sql).bind(tenant.uuid());
        for bind in binds {
            query = query.bind(*bind);
        }
        query.execute(tx.conn()).await.unwrap();
        passports::touch_tenant(&self.app, &mut tx).await.unwrap();
        tx.commit().await.unwrap();
        passports::nudge(&self.app);
    }

    /// Brings a tenant's sections up to date.
    pub(crate) async fn touch(&self, tenant: TenantId) {
        self.change(tenant, "SELECT $1::uuid", &[]).await;
    }

    /// A member of whom no passport knows yet.
    pub(crate) async fn member_silently(&self, tenant: TenantId, user: UserId) {
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.membership (tenant_id, id, user_id, roles, created_by, created_at)
                   VALUES ($1, $2, $3, '{read-only}', 'test', now())";
        let query = sqlx::query(sql).bind(tenant.uuid()).bind(self.app.ambient.uuid());
        query.bind(user.uuid()).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    pub(crate) async fn entitle(&self, tenant: TenantId, region: RegionId) -> EntitlementId {
        let id: EntitlementId = self.app.ambient.id();
        let sql = "INSERT INTO gc.entitlement (tenant_id, id, region_id, from_at, created_by, created_at)
                   VALUES ($1, $2, $3, now() - interval '1 minute', 'test', now())";
        self.change(tenant, sql, &[id.uuid(), region.uuid()]).await;
        id
    }

    pub(crate) async fn end_entitlement(&self, tenant: TenantId, id: EntitlementId) {
        let sql = "UPDATE gc.entitlement SET ended_at = now() WHERE tenant_id = $1 AND id = $2";
        self.change(tenant, sql, &[id.uuid()]).await;
    }

    /// Makes a person a member; of `regions` alone, if any are given.
    pub(crate) async fn member(&self, tenant: TenantId, user: UserId, regions: &[RegionId]) -> MembershipId {
        let id: MembershipId = self.app.ambient.id();
        let sql = match regions {
            [] => {
                "INSERT INTO gc.membership (tenant_id, id, user_id, roles, created_by, created_at)
                 VALUES ($1, $2, $3, '{tenant-admin}', 'test', now())"
            }
            [_] => {
                "INSERT INTO gc.membership (tenant_id, id, user_id, roles, regions, created_by, created_at)
                 VALUES ($1, $2, $3, '{tenant-admin}', ARRAY[$4], 'test', now())"
            }
            _ => panic!("one region is enough for a test"),
        };
        let mut binds = vec![id.uuid(), user.uuid()];
        binds.extend(regions.iter().map(|r| r.uuid()));
        self.change(tenant, sql, &binds).await;
        id
    }

    /// The provider's audit: action, outcome and reason, oldest first.
    pub(crate) async fn audit(&self, action: &str) -> Vec<(String, Option<String>)> {
        let mut db = self.superuser().await;
        let rows = sqlx::query_as("SELECT outcome, reason FROM gc.audit WHERE action = $1 ORDER BY seq")
            .bind(action)
            .fetch_all(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        rows
    }

    pub(crate) async fn lifecycle(&self, region: RegionId) -> String {
        let mut db = self.superuser().await;
        let word = sqlx::query_scalar("SELECT lifecycle FROM gc.region WHERE id = $1")
            .bind(region.uuid())
            .fetch_one(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        word
    }

    pub(crate) async fn set_lifecycle(&self, region: RegionId, word: &str) {
        let sql = "UPDATE gc.region SET lifecycle = $2 WHERE id = $1";
        let mut db = self.superuser().await;
        let query = sqlx::query(sql).bind(region.uuid()).bind(word);
        query.execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    pub(crate) async fn revoke_certificates(&self, region: RegionId) {
        let sql = "UPDATE gc.region_certificate SET revoked_at = now() WHERE region_id = $1";
        let mut db = self.superuser().await;
        sqlx::query(sql).bind(region.uuid()).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// A certificate that this region was given, and that expired so many days ago.
    pub(crate) async fn expired(&self, gateway: &Gateway, days: i64) -> Gateway {
        let (then, _) = Ambient::manual(self.app.ambient.now() - time::Duration::days(30 + days), 9);
        let request = pki::request(&gateway.key).unwrap();
        let uri = exarch_common_wire::names::region_uri(gateway.id);
        let ca = self.app.keys.federation_ca();
        let issued = ca
            .issue_client(&then, &request, &uri, time::Duration::days(30))
            .unwrap();
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.region_certificate (thumbprint, region_id, serial, public_key, issued_at, not_after)
                   VALUES ($1, $2, '', '', now(), now())";
        let thumbprint = exarch_common_crypto::hash::sha256(&issued.der);
        let query = sqlx::query(sql).bind(thumbprint.to_vec()).bind(gateway.id.uuid());
        query.execute(&mut db).await.unwrap();
        db.close().await.unwrap();
        gateway.with_certificate(&issued.der)
    }

    /// The service secrets as they lie in the database.
    pub(crate) async fn secrets_as_stored(&self) -> Vec<Vec<u8>> {
        let mut db = self.superuser().await;
        let all = sqlx::query_scalar("SELECT sealed FROM gc.service_secret").fetch_all(&mut db);
        let all = all.await.unwrap();
        db.close().await.unwrap();
        all
    }

    pub(crate) async fn expire_join_tokens(&self) {
        let mut db = self.superuser().await;
        let sql = "UPDATE gc.join_token SET expires_at = now() - interval '1 second'";
        sqlx::query(sql).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Time passes since the tokens were used.
    pub(crate) async fn age_join_tokens(&self, minutes: i32) {
        let mut db = self.superuser().await;
        let sql = "UPDATE gc.join_token SET used_at = used_at - make_interval(mins => $1)";
        sqlx::query(sql).bind(minutes).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// A token that is good, whatever the region's life cycle says.
    pub(crate) async fn insert_join_token(&self, region: RegionId) -> String {
        let (token, hash) = crate::regions::join_token::generate(&self.app.ambient);
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.join_token (id, region_id, hash, created_by, created_at, expires_at)
                   VALUES ($1, $2, $3, $1, now(), now() + interval '15 minutes')";
        let query = sqlx::query(sql).bind(self.app.ambient.uuid()).bind(region.uuid());
        query.bind(hash.as_slice()).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
        token.expose_secret().to_owned()
    }

    pub(crate) async fn dump_join_tokens(&self) -> String {
        let mut db = self.superuser().await;
        let all: Vec<String> = sqlx::query_scalar("SELECT t::text || encode(hash, 'escape') FROM gc.join_token t")
            .fetch_all(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        all.join("\n")
    }

    /// What the database says when the server wants to delete a whole table.
    pub(crate) async fn delete_as_the_server(&self, table: &str) -> String {
        let mut tx = SystemTx::begin(&self.app.app_pool, "test").await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(sql).execute(tx.conn()).await.unwrap_err().to_string()
    }

    /// The numbers that were spent.
    pub(crate) async fn spent(&self) -> Vec<String> {
        let mut db = self.superuser().await;
        let all = sqlx::query_scalar("SELECT jti FROM gc.service_jti").fetch_all(&mut db);
        let all = all.await.unwrap();
        db.close().await.unwrap();
        all
    }

    pub(crate) async fn spend(&self, region: RegionId, jti: &str) {
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.service_jti (region_id, jti, spent_at) VALUES ($1, $2, now())";
        let query = sqlx::query(sql).bind(region.uuid()).bind(jti);
        query.execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Outcome and health after each probe, oldest first.
    pub(crate) async fn probes(&self, region: RegionId) -> Vec<(String, String)> {
        let mut db = self.superuser().await;
        let rows = sqlx::query_as("SELECT outcome, health FROM gc.probe WHERE region_id = $1 ORDER BY id")
            .bind(region.uuid())
            .fetch_all(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        rows
    }
}
