"""Who asks: people of a federation in a box, signed in."""

import base64
import hashlib
import hmac
import json
import os
import struct
import threading
import time

import requests

with open(os.environ["EXARCH_FEDERATION"], encoding="utf-8") as file:
    BOX = json.load(file)
SERVER = os.environ["EXARCH_FUZZ_SERVER"]
GLOBAL = BOX["global"]["url"]
IS_GLOBAL = SERVER == "global"
# Which region people work in; the agents' listener is asked in one of its own.
REGION = BOX["regions"][0]["slug"] if SERVER in ("global", "agents") else SERVER
REGION_URL = next(region["url"] for region in BOX["regions"] if region["slug"] == REGION)
# Of people who are made for one request.
PASSWORD = "five words that nobody guesses"


class Person:
    """Signs in once, and keeps its tokens young: sign-in is limited, and a code of the app works once."""

    def __init__(self, email):
        self.account = next(a for a in BOX["accounts"] if a["email"] == email)
        self.lock = threading.Lock()
        self.access = self.refresh = None
        self.until = 0.0
        self.in_region, self.in_region_until = None, 0.0

    def token(self):
        with self.lock:
            if time.monotonic() > self.until:
                self.take(self.renewed() or self.signed_in())
            return self.access

    def bearer(self):
        """What the server that is fuzzed takes: a region has tokens of its own."""
        return self.token() if IS_GLOBAL else self.regional()

    def regional(self):
        access = self.token()
        with self.lock:
            if time.monotonic() > self.in_region_until:
                answer = post(f"/v1/regions/{REGION}/token", {}, access)
                answer.raise_for_status()
                self.in_region = answer.json()["access_token"]
                self.in_region_until = time.monotonic() + answer.json()["expires_in"] / 2
            return self.in_region

    def own(self):
        """Ids of the person: itself, its session, its tenant, its membership."""
        told = claims(self.token())
        ids = {told[name] for name in ("sub", "sid", "tid", "mid") if told.get(name)}
        me = requests.get(GLOBAL + "/v1/me", headers={"Authorization": f"Bearer {self.token()}"}, timeout=30).json()
        return ids | ({me["tenant"]["id"], me["tenant"]["slug"]} if me.get("tenant") else set())

    def take(self, answer):
        self.access, self.refresh = answer["access_token"], answer["refresh_token"]
        self.until = time.monotonic() + answer["expires_in"] / 2

    def renewed(self):
        if self.refresh is None:
            return None
        answer = post("/v1/auth/refresh", {"refresh_token": self.refresh})
        return answer.json() if answer.status_code == 200 else None

    def credentials(self):
        return {"email": self.account["email"], "password": self.account["password"], "session": "token"}

    def signed_in(self):
        deadline = time.monotonic() + 120
        tried = post("/v1/auth/sign-in", self.credentials())
        # The fuzzing signs in as well, and all of it comes from one address.
        while tried.status_code == 429 and time.monotonic() < deadline:
            time.sleep(int(tried.headers.get("Retry-After", 5)))
            tried = post("/v1/auth/sign-in", self.credentials())
        tried.raise_for_status()
        answer = tried.json()
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


class Passing:
    """Somebody who was made for one request: a member of the tenant, signed in with a password of their own."""

    def __init__(self, admin):
        self.email, step = self.begun(admin)
        self.tenant = admin.account["tenant"]
        self.signed_in(step)

    @classmethod
    def begun(cls, admin):
        """Their address, and the step of the sign-in at which they are."""
        name = f"fuzz-{os.urandom(6).hex()}"
        email = f"{name}@acme.example"
        person = {"email": email, "display_name": name, "roles": ["read-only"], "initial_password": True}
        made = post("/v1/users", person, admin.token())
        made.raise_for_status()
        return email, cls.step(email, made.json()["initial_password"])

    @staticmethod
    def step(email, password):
        begun = post("/v1/auth/sign-in", {"email": email, "password": password, "session": "token"})
        begun.raise_for_status()
        return begun.json()

    @classmethod
    def first(cls, email, password, tenant):
        """The first administrator of a tenant."""
        self = cls.__new__(cls)
        self.email, self.tenant = email, tenant
        self.signed_in(cls.step(email, password))
        return self

    def signed_in(self, step):
        answer = post("/v1/auth/next", {"ticket": step["ticket"], "new_password": PASSWORD})
        answer.raise_for_status()
        self.access, self.refresh = answer.json()["access_token"], answer.json()["refresh_token"]

    def credentials(self):
        return {"email": self.email, "password": PASSWORD, "session": "token"}

    def claims(self):
        return claims(self.access)

    def regional(self):
        answer = post(f"/v1/regions/{REGION}/token", {}, self.access)
        answer.raise_for_status()
        return answer.json()["access_token"]

    def is_in(self):
        me = requests.get(GLOBAL + "/v1/me", headers={"Authorization": f"Bearer {self.access}"}, timeout=30)
        return me.status_code == 200

    def app(self):
        """An authenticator app that was not seen yet."""
        answer = post("/v1/me/totp", {"password": PASSWORD}, self.access)
        answer.raise_for_status()
        return answer.json()

    def enrolled(self):
        """The secret of an app that was."""
        app = self.app()
        code = totp(app["secret"], int(time.time()) // 30)
        post(f"/v1/me/totp/{app['id']}/verify", {"totp": code}, self.access).raise_for_status()
        return app["secret"]


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
