//! Who calls, and what comes back.
use super::{gate::WHO, *};

/// Somebody who calls.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'w> {
    pub(super) world: &'w World,
    pub(super) router: &'w Router,
    pub(super) who: Option<usize>,
}

/// An agent, and how it calls.
pub(crate) struct Agent<'w> {
    pub(crate) caller: AgentCaller,
    pub(super) actor: Actor<'w>,
}

impl<'w> Deref for Agent<'w> {
    type Target = Actor<'w>;

    fn deref(&self) -> &Actor<'w> {
        &self.actor
    }
}

/// The context of a whole tenant.
pub(crate) fn whole(tenant: TenantId) -> TenantContext {
    TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: "test".to_owned(),
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The document of a problem with this status and name.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, slug: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["type"], format!("urn:exarch:problem:{slug}"), "{body}");
        body
    }
}

impl<'w> Actor<'w> {
    /// The same one, calling at another listener.
    pub(crate) fn at(&self, router: &'w Router) -> Self {
        Self { router, ..*self }
    }

    /// Watches a list.
    pub(crate) async fn watch(&self, path: &str) -> Stream {
        let request = self.request(Method::GET, path, &[("accept", "text/event-stream")], None);
        Stream::of(self.router.clone().oneshot(request).await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// A new cluster of the caller's tenant.
    pub(crate) async fn cluster(&self, name: &str) -> ClusterId {
        self.made("/v1/clusters", json!({ "name": name })).await
    }

    /// A new host in it.
    pub(crate) async fn host(&self, cluster: ClusterId, name: &str) -> HostId {
        self.made("/v1/hosts", json!({ "cluster_id": cluster, "name": name }))
            .await
    }

    /// A new volume in it.
    pub(crate) async fn resource(&self, cluster: ClusterId, name: &str) -> ResourceId {
        let body = json!({ "cluster_id": cluster, "name": name, "kind": "volume" });
        self.made("/v1/resources", body).await
    }

    async fn made<I: Id>(&self, path: &str, body: Value) -> I {
        let made = self.post(path, body).await.expect(201);
        made["id"].as_str().unwrap().parse().unwrap()
    }

    /// Changes what is at `path` as it is there now.
    pub(crate) async fn change(&self, path: &str, body: Value) -> Answer {
        self.patch(path, &self.tag(path).await, body).await
    }

    /// Changes version `tag` of what is at `path`.
    pub(crate) async fn patch(&self, path: &str, tag: &str, body: Value) -> Answer {
        let condition = [("if-match", tag)];
        self.send_with(Method::PATCH, path, &condition, Some(body.to_string()))
            .await
    }

    /// Deletes whatever is at `path`.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send_with(Method::DELETE, path, &[("if-match", "*")], None).await
    }

    /// The `ETag` of what is at `path`.
    pub(crate) async fn tag(&self, path: &str) -> String {
        let found = self.get(path).await;
        found.headers["etag"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        self.send_with(method, path, &[], body).await
    }

    /// Each request is a millisecond after the one before, so that the ids of what they make are in order.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let request = self.request(method, path, headers, body);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).unwrap(),
        };
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Request<Body> {
        self.world.clock.advance(Duration::from_millis(1));
        let mut request = Request::builder().method(method).uri(path);
        if let Some(who) = self.who {
            request = request.header(WHO, who.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(body.map_or_else(Body::empty, Body::from)).unwrap()
    }
}

/// A problem without what differs from request to request.
pub(crate) fn told(mut problem: Value) -> Value {
    let members = problem.as_object_mut().unwrap();
    members.remove("request_id");
    members.remove("decision_id");
    problem
}
