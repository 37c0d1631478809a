"""What an agent says: its document has no more of the bodies than that they are objects, so they are made here."""

import time

FENCE = "1.1"
ACTIONS = ("start", "promote", "attach", "detach", "delete")
# What stands in the place of something good.
DAMAGE = (None, True, 0, -1, 2**63, "", "\u0000", "ü" * 5000, [], {}, "agt_" + "0" * 32)


class Host:
    """An agent with workloads, and what it holds."""

    def __init__(self, scene):
        self.scene, self.random = scene, scene.random
        self.agent = scene.enrolled(auto=True)
        self.resources = [scene.resource() for _ in range(3)]
        self.workloads = []
        for _ in range(2):
            workload, _ = scene.workload(self.agent)
            scene.made(f"/v1/workloads/{workload}/start", {"agent_id": self.agent, "wait": True})
            self.workloads.append(workload)
        # leases as they are named
        self.held = []

    def heartbeat(self):
        clock = int(time.time() * 1000)
        return {"software": "fuzz", "fences": [[self.random.choice(self.resources), FENCE]], "clock_ms": clock}

    def status(self):
        state = self.random.choice(("waiting", "running", "stopped", "failed", "fenced"))
        return {"workload": self.random.choice(self.workloads), "state": state, "detail": "x", "fence": FENCE}

    def request(self):
        nonce = self.scene.name()
        return {"resource": self.random.choice(self.resources), "actions": [self.random.choice(ACTIONS)], "nonce": nonce, "wait_ms": 0}

    def batch(self):
        return {"leases": self.random.sample(self.held, min(2, len(self.held)))}

    def enrolment(self):
        return {**self.scene.body("/agent/v1/enrol"), "token": self.scene.token(auto=self.random.random() < 0.5)}

    def poll(self):
        self.scene.enrolled(auto=False)
        return self.scene.body("/agent/v1/enrol/poll")

    def good(self, label):
        makers = {
            "POST /agent/v1/heartbeat": self.heartbeat,
            "POST /agent/v1/assignments/status": self.status,
            "POST /agent/v1/leases": self.request,
            "POST /agent/v1/leases/renew": self.batch,
            "POST /agent/v1/leases/release": self.batch,
            "POST /agent/v1/enrol": self.enrolment,
            "POST /agent/v1/enrol/poll": self.poll,
            "POST /agent/v1/session": lambda: self.scene.body("/agent/v1/session"),
            "POST /agent/v1/certificate": lambda: self.scene.body("/agent/v1/certificate"),
        }
        return makers[label]() if label in makers else None

    def body(self, label):
        """A good body, or one that is damaged in one place."""
        body = self.good(label)
        return damaged(body, self.random) if body and self.random.random() < 0.4 else body

    def learn(self, label, asked, answer):
        if label == "POST /agent/v1/leases" and isinstance(asked, dict):
            held = {"lease": answer["lease"], "resource": asked["resource"], "fence": answer["fence"]}
            self.held = [other for other in self.held if other["resource"] != held["resource"]] + [held]


def damaged(value, random):
    if isinstance(value, dict) and value and random.random() < 0.9:
        name = random.choice(sorted(value))
        if random.random() < 0.2:
            return {other: one for other, one in value.items() if other != name}
        return {**value, name: damaged(value[name], random)}
    if isinstance(value, list) and value and random.random() < 0.7:
        at = random.randrange(len(value))
        return [*value[:at], damaged(value[at], random), *value[at + 1 :]]
    return random.choice(DAMAGE)
