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


class Person:
    """Signs in once, and keeps its tokens young: sign-in is limited, and a code of the app works once."""

    def __init__(self, email):
        self.account = next(a for a in BOX["accounts"] if a["email"] == email)
        self.lock = threading.Lock()
        self.access = self.refresh = None
        self.until = 0.0
        self.regional, self.regional_until = None, 0.0

    def token(self):
        with self.lock:
            if time.monotonic() > self.until:
                self.take(self.renewed() or self.signed_in())
            return self.access

    def bearer(self):
        """What the server that is fuzzed takes: a region has tokens of its own."""
        access = self.token()
        if IS_GLOBAL:
            return access
        with self.lock:
            if time.monotonic() > self.regional_until:
                answer = post(f"/v1/regions/{SERVER}/token", {}, access)
                answer.raise_for_status()
                self.regional = answer.json()["access_token"]
                self.regional_until = time.monotonic() + answer.json()["expires_in"] / 2
            return self.regional

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
