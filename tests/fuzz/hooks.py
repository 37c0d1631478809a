"""What schemathesis has to know of a federation in a box: who asks, what would end the fuzzing, and how to count.

EXARCH_FEDERATION names the box's federation.json, EXARCH_FUZZ_SERVER the server: `global`, or a region's slug.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
import threading
import time
from collections import Counter

import requests
import schemathesis
from schemathesis import cli
from schemathesis.engine import events

with open(os.environ["EXARCH_FEDERATION"], encoding="utf-8") as file:
    BOX = json.load(file)
SERVER = os.environ["EXARCH_FUZZ_SERVER"]
GLOBAL = BOX["global"]["url"]
IS_GLOBAL = SERVER == "global"

# Operations that are not asked at all. Each would end what the run stands on.
LEFT_OUT = {
    "POST /v1/auth/sign-out": "ends the session that asks",
    "POST /v1/me/tenant": "ends the tokens that ask, for those of another tenant",
}
# Another listener, with certificates of its own.
OTHER_LISTENER = "/agent/v1/"
# An id of the right form that nobody has, for what would be done to the asker.
NOBODY = "00000000000070008000000000000000"


class Person:
    """Signs in once, and keeps its tokens young: sign-in is limited, and a code of the app works once."""

    def __init__(self, email):
        self.account = next(a for a in BOX["accounts"] if a["email"] == email)
        self.lock = threading.Lock()
        self.access = self.refresh = None
        self.until = 0.0

    def token(self):
        with self.lock:
            if time.monotonic() > self.until:
                self.take(self.renewed() or self.signed_in())
            return self.access

    def take(self, answer):
        self.access, self.refresh = answer["access_token"], answer["refresh_token"]
        self.until = time.monotonic() + answer["expires_in"] / 2

    def renewed(self):
        if self.refresh is None:
            return None
        answer = post("/v1/auth/refresh", {"refresh_token": self.refresh})
        return answer.json() if answer.status_code == 200 else None

    def signed_in(self):
        body = {"email": self.account["email"], "password": self.account["password"], "session": "token"}
        answer = post("/v1/auth/sign-in", body).json()
        deadline = time.monotonic() + 120
        while answer.get("next") == "second-factor":
            step = int(time.time()) // 30
            for code in (totp(self.account["totp_secret"], step), totp(self.account["totp_secret"], step + 1)):
                tried = post("/v1/auth/next", {"ticket": answer["ticket"], "totp": code})
                if tried.status_code == 200:
                    return tried.json()
            if time.monotonic() > deadline:
                raise RuntimeError(f"no code of the app is taken: {tried.text}")
            # Both codes were used by somebody: there will be another one.
            time.sleep(10)
        return answer


def post(path, body, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(GLOBAL + path, json=body, headers=headers, timeout=30)


def totp(secret, step):
    """RFC 6238: SHA-1, six digits, half a minute."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


# The provider's owner at the global; in a region, where the owner has no business, a customer's administrator.
PERSON = Person("owner@exarch.example" if IS_GLOBAL else "ada@acme.example")
REGION = {"token": None, "until": 0.0}
REGION_LOCK = threading.Lock()


def bearer():
    token = PERSON.token()
    if IS_GLOBAL:
        return token
    with REGION_LOCK:
        if time.monotonic() > REGION["until"]:
            answer = post(f"/v1/regions/{SERVER}/token", {}, token)
            answer.raise_for_status()
            REGION["token"] = answer.json()["access_token"]
            REGION["until"] = time.monotonic() + answer.json()["expires_in"] / 2
        return REGION["token"]


def own():
    """Ids of the asker: itself, its session, its tenant."""
    told = claims(PERSON.token())
    ids = {told[name] for name in ("sub", "sid", "tid") if told.get(name)}
    me = requests.get(GLOBAL + "/v1/me", headers={"Authorization": f"Bearer {PERSON.token()}"}, timeout=30).json()
    ids |= {me["tenant"]["id"], me["tenant"]["slug"]} if me.get("tenant") else set()
    return ids


OWN = own()


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, ctx):
        return bearer()

    def set(self, case, data, ctx):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """What changes the asker's own account, session or tenant is asked of somebody who does not exist."""
    if case.method == "GET":
        return
    for name, value in (case.path_parameters or {}).items():
        if value in OWN:
            prefix = str(value).split("_")[0]
            case.path_parameters[name] = f"{prefix}_{NOBODY}"


@schemathesis.hook
def before_load_schema(ctx, raw):
    for path in list(raw["paths"]):
        for method in list(raw["paths"][path]):
            if path.startswith(OTHER_LISTENER) or f"{method.upper()} {path}" in LEFT_OUT:
                del raw["paths"][path][method]
        if not raw["paths"][path]:
            del raw["paths"][path]


@cli.handler()
class Count(cli.EventHandler):
    """An operation has passed when no answer of it broke what its document says."""

    def __init__(self, *args, **params):
        self.asked, self.failed = Counter(), set()
        self.statuses, self.good = Counter(), set()
        self.broken = []

    def handle_event(self, ctx, event):
        if isinstance(event, (events.ScenarioFinished, events.FuzzScenarioFinished)):
            self.look(event.recorder)
        elif isinstance(event, events.NonFatalError):
            self.broken.append(event.label)
        elif isinstance(event, events.EngineFinished):
            for line in self.told():
                ctx.add_summary_line(line)

    def look(self, recorder):
        for case, seen in recorder.interactions.items():
            node = recorder.cases.get(case)
            if node is None:
                continue
            label = node.value.operation.label
            self.asked[label] += 1
            if seen.response is not None:
                self.statuses[seen.response.status_code] += 1
                if seen.response.status_code < 400:
                    self.good.add(label)
            if any(check.failure_info for check in recorder.checks.get(case, [])):
                self.failed.add(label)

    def told(self):
        yield f"fuzzed {SERVER}: {sum(self.asked.values())} requests, {len(self.asked)} operations"
        yield "statuses: " + ", ".join(f"{status} x {n}" for status, n in sorted(self.statuses.items()))
        for operation, reason in LEFT_OUT.items() if IS_GLOBAL else ():
            yield f"left out: {operation} ({reason})"
        if not IS_GLOBAL:
            yield f"left out: {OTHER_LISTENER}… (a listener of its own, with certificates)"
        yield "never answered with success: " + (", ".join(sorted(set(self.asked) - self.good)) or "none")
        failed = self.failed | set(self.broken)
        yield f"{len(set(self.asked) - failed)} passed, {len(failed)} failed"
