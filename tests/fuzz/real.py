"""Requests that chance does not find: what they take is made for them first, and is used up by them.

Each gives what the request is asked with, as members of `Ask`; nothing when it cannot be made now.
"""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests
from people import BOX, GLOBAL, IS_GLOBAL, PASSWORD, REGION, REGION_URL, Passing, post, totp

MAILS = Path(BOX["global"]["state_dir"]) / "mail"
# The region that nobody else needs at the time.
SPARE_REGION = "us-east"


@dataclass
class Ask:
    body: object = None
    path: dict = field(default_factory=dict)
    query: dict = field(default_factory=dict)
    # the bearer; the one that there is when it is not said
    token: str | None = None


# operation -> what makes its request, of the owner, the tenant's administrator and the bridge
REAL = {}
# Operations that end the session which asks: never asked by who goes on.
ENDING = {}


def real(*labels, ending=False):
    def keep(make):
        for label in labels:
            (ENDING if ending else REAL)[label] = make
        return make

    return keep


def mailed(to, page):
    """The token of a link in the newest mail to somebody."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for mail in sorted(MAILS.glob("*.eml"), key=lambda path: path.stat().st_mtime, reverse=True):
            text = mail.read_text()
            found = re.search(rf"/{page}#(\S+)", text)
            if to in text and found:
                return found[1]
        time.sleep(0.1)
    raise RuntimeError(f"no mail to {to}")


@real("POST /v1/auth/sign-out", ending=True)
@real("DELETE /v1/me/sessions", ending=True)
def without_a_body(scene):
    return Ask(token=scene.passing().access)


@real("POST /v1/me/tenant", ending=True)
def another_tenant(scene):
    passing = scene.passing()
    return Ask(body={"tenant": passing.tenant}, token=passing.access)


@real("POST /v1/auth/next")
def a_first_password(scene):
    return Ask(body={"ticket": Passing.begun(scene.admin)[1]["ticket"], "new_password": PASSWORD})


@real("POST /v1/auth/refresh")
def a_refresh(scene):
    return Ask(body={"refresh_token": Passing(scene.admin).refresh})


@real("POST /v1/me/password")
def a_new_password(scene):
    passing = Passing(scene.admin)
    return Ask(body={"password": PASSWORD, "new_password": PASSWORD + " again"}, token=passing.access)


@real("POST /v1/me/totp")
def an_app(scene):
    return Ask(body={"password": PASSWORD}, token=scene.passing().access)


@real("POST /v1/me/totp/{id}/verify")
def its_first_code(scene):
    passing = Passing(scene.admin)
    app = passing.app()
    return Ask(body={"totp": totp(app["secret"], step())}, path={"id": app["id"]}, token=passing.access)


@real("POST /v1/me/recovery-codes")
def its_next_code(scene):
    passing = Passing(scene.admin)
    secret = passing.enrolled()
    return Ask(body={"totp": totp(secret, step() + 1)}, token=passing.access)


@real("POST /v1/me/totp/remove")
def no_app(scene):
    passing = Passing(scene.admin)
    secret = passing.enrolled()
    return Ask(body={"password": PASSWORD, "totp": totp(secret, step() + 1)}, token=passing.access)


def step():
    return int(time.time()) // 30


@real("POST /v1/auth/password-reset/complete")
def by_mail(scene):
    passing = Passing(scene.admin)
    post("/v1/auth/password-reset", {"email": passing.email}).raise_for_status()
    return Ask(body={"token": mailed(passing.email, "reset-password"), "new_password": PASSWORD + " by mail"})


@real("POST /v1/auth/invitation")
def an_invitation(scene):
    return Ask(body={"token": invited(scene)})


@real("POST /v1/auth/invitation/accept")
def accepted(scene):
    return Ask(body={"token": invited(scene), "new_password": PASSWORD})


def invited(scene):
    name = scene.name()
    body = {"email": f"{name}@acme.example", "display_name": name, "roles": ["read-only"], "initial_password": False}
    post("/v1/users", body, scene.admin.token()).raise_for_status()
    return mailed(body["email"], "invite")


@real("POST /oauth2/token")
def a_device(scene):
    program = a_program()
    approved = post("/v1/me/device/approve", {"user_code": program["user_code"]}, scene.passing().access)
    approved.raise_for_status()
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    return Ask(body={"grant_type": grant, "device_code": program["device_code"], "client_id": "exarch-cli"})


def a_program():
    answer = requests.post(f"{GLOBAL}/oauth2/device_authorization", data={"client_id": "exarch-cli"}, timeout=30)
    answer.raise_for_status()
    return answer.json()


@real("POST /v1/me/device/look", "POST /v1/me/device/deny", "POST /v1/me/device/approve")
def its_code(scene):
    return Ask(body={"user_code": a_program()["user_code"]}, token=scene.passing().access)


@real("PATCH /v1/tenants/{id}/settings")
def its_own_settings(scene):
    tenant, admin = scene.new_tenant()
    return Ask(body={"second_factor": "optional"}, path={"id": tenant["slug"]}, token=admin.access)


@real("DELETE /v1/users/{id}/sessions", "DELETE /v1/users/{id}/sessions/{session}")
def of_a_member(scene):
    return Ask(path=of_a_person(scene), token=scene.admin.token())


@real("DELETE /v1/federation-users/{id}/sessions", "DELETE /v1/federation-users/{id}/sessions/{session}")
def of_anybody(scene):
    return Ask(path=of_a_person(scene), token=scene.owner.token())


def of_a_person(scene):
    told = scene.passing().claims()
    return {"id": told["sub"], "session": told["sid"]}


@real("GET /v1/tenants/{id}/memberships", "GET /v1/tenants/{id}/settings")
def of_its_administrator(scene):
    return Ask(path={"id": scene.admin.account["tenant"]}, token=scene.admin.token())


@real("GET /v1/tenants/{id}/memberships/{membership}", "DELETE /v1/tenants/{id}/memberships/{membership}")
def a_membership(scene):
    passing = scene.passing()
    answer = requests.get(
        f"{GLOBAL}/v1/tenants/{passing.tenant}/memberships?limit=100",
        headers={"Authorization": f"Bearer {scene.admin.token()}"},
        timeout=30,
    )
    of = next(one["id"] for one in answer.json()["items"] if one["user"]["id"] == passing.claims()["sub"])
    return Ask(path={"id": passing.tenant, "membership": of}, token=scene.admin.token())


@real("PATCH /v1/tenants/{id}/memberships/{membership}")
def other_roles(scene):
    ask = a_membership(scene)
    ask.body = {"roles": ["auditor"]}
    return ask


@real("POST /v1/tenants/{id}/memberships")
def one_of_another_tenant(scene):
    _, stranger = scene.new_tenant()
    body = {"user_id": stranger.claims()["sub"], "roles": ["read-only"]}
    return Ask(body=body, path={"id": scene.admin.account["tenant"]}, token=scene.admin.token())


@real("POST /v1/api-keys")
def a_key(scene):
    return Ask(body=new_key(scene), token=scene.admin.token())


@real("GET /v1/api-keys/{id}")
def that_key(scene):
    made = post("/v1/api-keys", new_key(scene), scene.admin.token())
    made.raise_for_status()
    return Ask(path={"id": made.json()["id"]}, token=scene.admin.token())


@real("PATCH /v1/api-keys/{id}")
def another_name(scene):
    ask = that_key(scene)
    ask.body = {"name": scene.name()}
    return ask


@real("POST /v1/api-keys/{id}/rotate")
def another_secret(scene):
    ask = that_key(scene)
    ask.body = {"overlap_seconds": 60}
    return ask


@real("POST /v1/api-keys/{id}/revoke")
def its_end(scene):
    ask = that_key(scene)
    ask.body = {"reason": "fuzzing"}
    return ask


@real("GET /v1/who-can")
def who_reads(scene):
    return Ask(query={"permission": "cluster.read"}, token=admins(scene))


@real("GET /v1/federation-who-can")
def who_reads_of_the_provider(scene):
    return Ask(query={"permission": "region.read"}, token=scene.owner.token())


def admins(scene):
    return scene.admin.token() if IS_GLOBAL else scene.admin.regional()


@real("GET /v1/decisions/{id}")
def a_refusal(scene):
    """Somebody who only reads wants to write; refusals are written down in batches."""
    passing, deadline = scene.passing(), time.monotonic() + 20
    token = passing.access if IS_GLOBAL else passing.regional()
    base, path = (GLOBAL, "/v1/roles") if IS_GLOBAL else (REGION_URL, "/v1/clusters")
    headers, decision = {"Authorization": f"Bearer {token}"}, None
    while time.monotonic() < deadline:
        if decision is None:
            body = {"name": scene.name(), "permissions": []} if IS_GLOBAL else {"name": scene.name()}
            decision = requests.post(base + path, json=body, headers=headers, timeout=30).json().get("decision_id")
        elif requests.get(f"{base}/v1/decisions/{decision}", headers=headers, timeout=30).status_code == 200:
            return Ask(path={"id": decision}, token=token)
        time.sleep(0.1)
    raise RuntimeError("a refusal is not explained")


@real("POST /v1/federation-users/{id}/disable")
def somebodys_end(scene):
    user = Passing(scene.admin).claims()["sub"]
    return Ask(body={"reason": "fuzzing"}, path={"id": user}, token=scene.owner.token())


@real("POST /v1/federation-users/{id}/enable")
def somebodys_return(scene):
    ask = somebodys_end(scene)
    post(f"/v1/federation-users/{ask.path['id']}/disable", ask.body, ask.token).raise_for_status()
    return ask


def new_key(scene):
    return {"name": scene.name(), "kind": "federated", "role": "read-only"}


@real("POST /v1/roles")
def a_role(scene):
    return Ask(body=new_role(scene), token=scene.admin.token())


@real("GET /v1/roles/{name}", "DELETE /v1/roles/{name}")
def that_role(scene):
    role = new_role(scene)
    post("/v1/roles", role, scene.admin.token()).raise_for_status()
    return Ask(path={"name": role["name"]}, token=scene.admin.token())


@real("PATCH /v1/roles/{name}")
def that_role_otherwise(scene):
    ask = that_role(scene)
    ask.body = {"permissions": ["user.list", "membership.list"]}
    return ask


def new_role(scene):
    return {"name": scene.name(), "scope": "tenant", "permissions": ["user.list"]}


@real("POST /v1/tenants")
def a_tenant(scene):
    name = scene.name()
    return Ask(body={"slug": name, "name": name}, token=scene.owner.token())


@real("POST /v1/tenants/{id}/suspend")
def held(scene):
    return Ask(body={"cause": "hold", "reason": "fuzzing"}, path={"id": scene.tenant()}, token=scene.owner.token())


@real("POST /v1/tenants/{id}/resume")
def held_no_more(scene):
    return over_tenant(scene, "suspend", {"cause": "hold", "reason": "fuzzing"})


@real("POST /v1/tenants/{id}/restore")
def deleted_no_more(scene):
    return over_tenant(scene, "delete", {"reason": "fuzzing"})


def over_tenant(scene, first, body):
    tenant = scene.tenant()
    post(f"/v1/tenants/{tenant}/{first}", body, scene.owner.token()).raise_for_status()
    return Ask(body={"reason": "fuzzing"}, path={"id": tenant}, token=scene.owner.token())


@real("POST /v1/tenants/{id}/entitlements")
def an_entitlement(scene):
    return Ask(body={"region": REGION}, path={"id": scene.tenant()}, token=scene.owner.token())


@real("PATCH /v1/tenants/{id}/entitlements/{entitlement}")
def its_limits(scene):
    tenant = scene.tenant()
    granted = post(f"/v1/tenants/{tenant}/entitlements", {"region": REGION}, scene.owner.token())
    granted.raise_for_status()
    path = {"id": tenant, "entitlement": granted.json()["id"]}
    return Ask(body={"limits": {"clusters": 3}}, path=path, token=scene.owner.token())


@real("POST /v1/regions")
def a_region(scene):
    return Ask(body=scene.new_region(), token=scene.owner.token())


@real("PATCH /v1/regions/{slug}")
def its_name(scene):
    return Ask(body={"name": "Another name"}, path={"slug": scene.region()}, token=scene.owner.token())


@real("POST /v1/regions/{slug}/join-token")
def another_token(scene):
    return Ask(path={"slug": scene.region()}, token=scene.owner.token())


@real("POST /v1/regions/{slug}/remove")
def one_that_nobody_needs(scene):
    return Ask(body={"reason": "fuzzing"}, path={"slug": scene.region()}, token=scene.owner.token())


@real("POST /v1/regions/{slug}/token")
def a_way_in(scene):
    return Ask(path={"slug": REGION}, token=scene.admin.token())


@real("POST /v1/regions/{slug}/drain")
def drained(scene):
    return over_region(scene, "resume")


@real("POST /v1/regions/{slug}/resume")
def in_service_again(scene):
    return over_region(scene, "drain")


def over_region(scene, first):
    """After it was brought into the state before; it may have been there."""
    body = {"reason": "fuzzing"}
    post(f"/v1/regions/{SPARE_REGION}/{first}", body, scene.owner.token())
    return Ask(body=body, path={"slug": SPARE_REGION}, token=scene.owner.token())


@real("POST /v1/agents/{id}/approve")
def one_that_waits(scene):
    agent = scene.enrolled(auto=False)
    return Ask(path={"id": agent})


@real("POST /v1/agents/{id}/suspend", "POST /v1/agents/{id}/revoke")
def one_that_works(scene):
    return Ask(body={"reason": "fuzzing"}, path={"id": scene.enrolled(auto=True)})


@real("POST /v1/agents/{id}/resume")
def one_that_was_suspended(scene):
    return Ask(path={"id": done(scene, scene.enrolled(auto=True), "suspend")})


@real("DELETE /v1/agents/{id}")
def one_that_was_revoked(scene):
    return Ask(path={"id": done(scene, scene.enrolled(auto=True), "revoke")})


def done(scene, agent, action):
    scene.in_region(f"/v1/agents/{agent}/{action}", {}).raise_for_status()
    return agent


@real("POST /v1/agents/{id}/re-enrol")
def one_that_was_copied(scene):
    """Two processes go on from one link of the chain: the gateway cannot know which of them is genuine."""
    agent = scene.enrolled(auto=True)
    bodies = [scene.body("/agent/v1/session") for _ in range(2)]
    for body in bodies:
        requests.post(f"{scene.bridge}/agent/v1/session", json=body, timeout=30)
    return Ask(path={"id": agent})


@real("DELETE /v1/clusters/{id}")
def an_empty_cluster(scene):
    return Ask(path={"id": scene.made("/v1/clusters", {"name": scene.name()})["id"]})


@real("DELETE /v1/hosts/{id}")
def a_host(scene):
    return Ask(path={"id": scene.made("/v1/hosts", {"cluster_id": scene.cluster(), "name": scene.name()})["id"]})


@real("DELETE /v1/resources/{id}")
def a_resource(scene):
    return Ask(path={"id": scene.resource()})


@real("DELETE /v1/workloads/{id}")
def a_workload(scene):
    return Ask(path={"id": scene.workload(agent="none")[0]})


@real("DELETE /v1/bootstrap-tokens/{id}")
def an_unused_token(scene):
    return Ask(path={"id": scene.bootstrap_token(auto=False)["id"]})


@real("POST /v1/workloads/{id}/start")
def on_an_agent(scene):
    workload, agent = scene.workload()
    return Ask(body={"agent_id": agent, "wait": True}, path={"id": workload})


@real("POST /v1/workloads/{id}/stop")
def there_again(scene):
    workload, agent = scene.workload()
    scene.in_region(f"/v1/workloads/{workload}/start", {"agent_id": agent, "wait": True}).raise_for_status()
    return Ask(body={"agent_id": agent}, path={"id": workload})


@real("POST /v1/bindings")
def a_binding(scene):
    user = Passing(scene.admin)
    scene.learnt(user.claims()["sub"])
    return Ask(body={"cluster_id": scene.cluster(), "role": "cluster-operator", "user_id": user.claims()["sub"]})
