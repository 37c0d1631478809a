"""What requests are made of: people, tenants, agents and workloads that are there for one request."""

import os
import time
from random import Random

import requests
from people import IS_GLOBAL, REGION_URL, Passing, post


class Scene:
    def __init__(self, random: Random, owner, admin, bridge):
        self.random, self.owner, self.admin, self.bridge = random, owner, admin, bridge
        self.place = self.somebody = None

    @staticmethod
    def name():
        # not by the seed: what has its name was made in the round before, too
        return f"fuzz-{os.urandom(6).hex()}"

    def passing(self):
        """Somebody with a session: the same one as long as it lasts."""
        if self.somebody is None or not self.somebody.is_in():
            self.somebody = Passing(self.admin)
        return self.somebody

    def tenant(self):
        """A tenant without anybody."""
        name = self.name()
        post("/v1/tenants", {"slug": name, "name": name}, self.owner.token()).raise_for_status()
        return name

    def new_region(self):
        name = self.name()
        return {"slug": name, "name": name, "url": f"https://{name}.example"}

    def region(self):
        """A region that waits for its gateway."""
        body = self.new_region()
        post("/v1/regions", body, self.owner.token()).raise_for_status()
        return body["slug"]

    def new_tenant(self):
        """A tenant, and its administrator."""
        name = self.name()
        admin = {"email": f"{name}@people.example", "display_name": name}
        made = post("/v1/tenants", {"slug": name, "name": name, "admin": admin}, self.owner.token())
        made.raise_for_status()
        password = made.json()["admin"]["initial_password"]
        return made.json(), Passing.first(admin["email"], password, name)

    def in_region(self, path, body):
        bearer = self.admin.regional() if IS_GLOBAL else self.admin.bearer()
        return requests.post(REGION_URL + path, json=body, headers={"Authorization": f"Bearer {bearer}"}, timeout=30)

    def made(self, path, body):
        answer = self.in_region(path, body)
        answer.raise_for_status()
        return answer.json()

    def cluster(self):
        """One of its own for all that is made here."""
        if self.place is None:
            self.place = self.made("/v1/clusters", {"name": self.name()})["id"]
        return self.place

    def bootstrap_token(self, auto):
        return self.made("/v1/bootstrap-tokens", {"cluster_id": self.cluster(), "name": self.name(), "auto": auto})

    def token(self, auto):
        return self.bootstrap_token(auto)["token"]

    def enrolled(self, auto):
        """An agent, in whose name the bridge speaks when it need not wait for somebody's approval."""
        if auto:
            answer = requests.post(f"{self.bridge}/bridge/agent", json={"token": self.token(True)}, timeout=30)
            answer.raise_for_status()
            return answer.json()["agent"]
        body = {**self.body("/agent/v1/enrol"), "token": self.token(False)}
        answer = requests.post(f"{self.bridge}/agent/v1/enrol", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()["agent"]

    def body(self, path):
        """What only the holder of the agent's key can say."""
        answer = requests.get(f"{self.bridge}/bridge/body{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def resource(self):
        body = {"cluster_id": self.cluster(), "name": self.name(), "kind": "volume", "ttl_ms": 30_000}
        return self.made("/v1/resources", body)["id"]

    def workload(self, agent=None):
        """A workload, and an agent on which it may start."""
        name = self.name()
        driver = {"kind": "process", "argv": ["true"], "volume": f"/var/lib/{name}"}
        body = {"cluster_id": self.cluster(), "name": name, "resource_id": self.resource(), "driver": driver}
        return self.made("/v1/workloads", body)["id"], agent or self.enrolled(auto=True)

    def learnt(self, user):
        """Waits until the region knows somebody."""
        body = {"cluster_id": self.cluster(), "role": "cluster-admin", "user_id": user}
        deadline = time.monotonic() + 10
        while self.in_region("/v1/bindings", body).status_code not in (201, 409):
            if time.monotonic() > deadline:
                raise RuntimeError("the region does not learn of a new member")
            time.sleep(0.1)
