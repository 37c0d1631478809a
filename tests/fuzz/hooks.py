"""What schemathesis has to know of a federation in a box: who asks, with what, and what would end the fuzzing.

EXARCH_FEDERATION names the box's federation.json, EXARCH_FUZZ_SERVER the server: `global`, or a region's slug;
EXARCH_FUZZ_TALLY the file of what all rounds came to, EXARCH_FUZZ_ROUND_SEED this round's seed.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

import requests
import schemathesis
from known import ID, Known, kind_of
from people import BOX, GLOBAL, IS_GLOBAL, SERVER, Person, post
from schemathesis import cli
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events
from tally import Tally

# Operations that are not asked at all. Each would end what the run stands on.
LEFT_OUT = {
    "POST /v1/auth/sign-out": "ends the session that asks",
    "POST /v1/me/tenant": "ends the tokens that ask, for those of another tenant",
} if IS_GLOBAL else {
    "/agent/v1/…": "a listener of its own, with certificates that only an enrolled agent has",
}
OTHER_LISTENER = "/agent/v1/"
# Why an operation may be without success, where it is not by chance.
BY_MAIL = "its token goes out by mail"
ITS_PASSWORD = "takes the asker's password, which the fuzzing must not change or use up"
IN_SERVICE = "takes a region in service, and only those are that the box was made with"
REASONS = {
    "POST /v1/auth/invitation": BY_MAIL,
    "POST /v1/auth/invitation/accept": BY_MAIL,
    "POST /v1/auth/password-reset/complete": BY_MAIL,
    "POST /v1/auth/next": "takes the ticket of a sign-in that is not over, and a code of an app",
    "POST /v1/me/password": ITS_PASSWORD,
    "POST /v1/me/recovery-codes": ITS_PASSWORD,
    "POST /v1/me/totp": ITS_PASSWORD,
    "POST /v1/me/totp/remove": ITS_PASSWORD,
    "POST /v1/me/totp/{id}/verify": ITS_PASSWORD,
    "POST /v1/auth/refresh": "a token works once, and the one that is tried again ends its session",
    "PATCH /v1/tenants/{id}/settings": "would shut out the administrator who asks",
    "POST /v1/regions/{slug}/drain": IN_SERVICE,
    "POST /v1/regions/{slug}/resume": IN_SERVICE,
    "POST /v1/me/token": "takes a session by cookie",
    "POST /v1/agents/{id}/approve": "takes an agent that waits, and none is enrolled meanwhile",
    "POST /v1/agents/{id}/re-enrol": "takes an agent whose identity was found copied",
}
# What is not a GET and changes nothing of what it names.
HARMLESS = {"POST /v1/regions/{slug}/token"}
# An id of the right form that nobody has, for what would be done to the asker.
NOBODY = "00000000000070008000000000000000"
# How many requests in ten are asked with what is known; the others stay as they were made up.
KNOWING = 9
# What a schema does not say of strings, and what would be refused if it were made up.
MADE_UP = {
    "client_id": "exarch-cli",
    "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
    "volume": "/var/lib/fuzz-{}",
    "url": "https://region-{}.example",
    "console_url": "https://console-{}.example",
}
ROLES = ("tenant-admin", "read-only", "auditor", "cluster-operator")

RANDOM = Random(int(os.environ["EXARCH_FUZZ_ROUND_SEED"]))
TENANT_ADMIN = Person("ada@acme.example")
# In a region the owner has no business.
PEOPLE = [Person("owner@exarch.example"), TENANT_ADMIN] if IS_GLOBAL else [TENANT_ADMIN]
KNOWN = {person: Known(RANDOM) for person in PEOPLE}
# What the box was made with and the askers are: it is looked at, and not changed.
KEPT = set().union(*(person.own() for person in PEOPLE))
if IS_GLOBAL:
    KEPT |= {region[name] for region in BOX["regions"] for name in ("id", "slug")}
BASE = GLOBAL if IS_GLOBAL else next(region["url"] for region in BOX["regions"] if region["slug"] == SERVER)
# Who asks by which token, and how often each was served and turned away: (operation, person) -> a number.
ASKERS = {}
SERVED = Counter()
# (operation, path parameter) or the name of a member of a body -> kind of id
KINDS = {}
# Operations with If-Match.
MATCHED = set()


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, ctx):
        person = RANDOM.choice(PEOPLE)
        if RANDOM.randrange(10) < KNOWING:
            person = max(PEOPLE, key=lambda one: (SERVED[case.operation.label, one], one is person))
        token = person.bearer()
        ASKERS[token] = person
        return token

    def set(self, case, data, ctx):
        case.headers["Authorization"] = f"Bearer {data}"


def asker(case):
    token = str((case.headers or {}).get("Authorization", "")).removeprefix("Bearer ")
    return ASKERS.get(token)


def is_sound(case, location):
    """Whether this part of a request is as the document wants it, so that it may be replaced by another that is."""
    part = case.meta and case.meta.components.get(location)
    return part is None or part.mode.is_positive


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Real ids in place of made-up ones. What changes what the run stands on is asked of nobody."""
    known = KNOWN[asker(case) or PEOPLE[-1]]
    kept = () if case.method == "GET" or case.operation.label in HARMLESS else KEPT
    if RANDOM.randrange(10) < KNOWING:
        if is_sound(case, ParameterLocation.PATH):
            fill_path(case, known, kept)
        if is_sound(case, ParameterLocation.BODY) and isinstance(case.body, dict):
            fill_body(case, known)
        if case.operation.label in MATCHED and is_sound(case, ParameterLocation.HEADER):
            match(case)
    for name, value in (case.path_parameters or {}).items():
        if value in kept:
            case.path_parameters[name] = f"{value[:3]}_{NOBODY}" if ID.fullmatch(value) else NOBODY


def fill_path(case, known, kept):
    for name in list(case.path_parameters or {}):
        kind = KINDS.get((case.operation.label, name))
        value = kind and known.one(kind, kept)
        if value:
            case.path_parameters.update(known.above(kind, value))
            case.path_parameters[name] = value


def fill_body(case, known):
    body = filled(case.body, known)
    if case.operation.label == "POST /v1/auth/sign-in":
        body = {**TENANT_ADMIN.credentials(), "session": body.get("session")}
    if case.operation.label == "POST /v1/federation-users/find":
        body["email"] = RANDOM.choice(BOX["accounts"])["email"]
    case.body = body


def filled(body, known):
    body = dict(body)
    for name, value in body.items():
        found = known.one(KINDS.get(name, name)) if isinstance(value, str) else None
        if found:
            body[name] = found
        elif isinstance(value, dict):
            body[name] = filled(value, known)
        elif name == "roles" and isinstance(value, list):
            body[name] = [RANDOM.choice(ROLES)]
        elif name == "argv" and isinstance(value, list):
            body[name] = ["true", *value[1:]]
        elif name == "regions" and value:
            body[name] = [BOX["regions"][0]["slug"]]
        elif name in MADE_UP:
            body[name] = MADE_UP[name].format(RANDOM.randrange(10**9))
    # what is named in one body belongs together: a resource and its cluster
    for value in [value for value in body.values() if isinstance(value, str)]:
        body.update({name: one for name, one in known.beside.get(value, {}).items() if name in body and one})
    return body


def match(case):
    """The ETag of what is there, which a caller would have from reading it."""
    if case.headers and "If-Match" in case.headers and "Authorization" in case.headers:
        headers = {"Authorization": case.headers["Authorization"]}
        seen = requests.get(case.operation.base_url + case.formatted_path, headers=headers, timeout=30)
        if "ETag" in seen.headers:
            case.headers["If-Match"] = seen.headers["ETag"]


@schemathesis.hook
def after_call(ctx, case, response):
    person = asker(case)
    if person:
        # one success counts for more than a few refusals: those may be for what was asked
        SERVED[case.operation.label, person] += {2: 5, 4: -(response.status_code == 403)}.get(response.status_code // 100, 0)
    known = KNOWN[person or PEOPLE[-1]]
    gone = response.status_code in (404, 410) or (case.method == "DELETE" and response.status_code == 204)
    parameters = dict(case.path_parameters or {})
    if gone and parameters:
        known.forget(list(parameters.values())[-1])
    elif response.status_code in (200, 201) and response.content:
        answer = response.json()
        if isinstance(answer, dict):
            known.learn(answer, parameters)


@schemathesis.hook
def before_load_schema(ctx, raw):
    for path in list(raw["paths"]):
        for method, operation in list(raw["paths"][path].items()):
            label = f"{method.upper()} {path}"
            if path.startswith(OTHER_LISTENER) or label in LEFT_OUT:
                del raw["paths"][path][method]
                continue
            for parameter in operation.get("parameters", []):
                name, schema = parameter.get("name"), parameter.get("schema", {})
                if parameter.get("in") == "path":
                    KINDS[label, name] = kind_of(schema) or ("region" if name == "slug" else None)
                elif name == "If-Match":
                    MATCHED.add(label)
        if not raw["paths"][path]:
            del raw["paths"][path]
    look_around(raw["paths"])
    for schema in raw["components"]["schemas"].values():
        for name, member in schema.get("properties", {}).items():
            if kind_of(member):
                KINDS[name] = kind_of(member)


def look_around(paths):
    """What is there already; and, so that there is something to end, a few things of no consequence."""
    for person in PEOPLE:
        token = person.bearer()
        if IS_GLOBAL:
            for path, body in made_by(person):
                post(path, body, token)
        lists = [path for path, methods in paths.items() if "get" in methods and not path.endswith("}")]
        for path in sorted(lists, key=lambda path: path.count("{")):
            name = path.partition("{")[2].partition("}")[0]
            ids = list(KNOWN[person].items[KINDS.get((f"GET {path}", name))])[-10:] if name else [None]
            for value in ids:
                url = BASE + (path.replace(f"{{{name}}}", value) if value else path)
                seen = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
                if seen.status_code == 200 and isinstance(seen.json(), dict):
                    KNOWN[person].learn(seen.json(), {name: value} if value else {})


def made_by(person):
    name = f"fuzz-{RANDOM.randrange(10**9)}"
    if person is TENANT_ADMIN:
        user = {"email": f"{name}@acme.example", "display_name": name, "roles": ["read-only"]}
        yield "/v1/users", {**user, "initial_password": True}
        yield "/v1/users", {**user, "email": f"{name}-invited@acme.example"}
    else:
        yield "/v1/tenants", {"slug": name, "name": name}
        yield "/v1/regions", {"slug": name, "name": name, "url": f"https://{name}.example"}


@cli.handler()
class Count(cli.EventHandler):
    """An operation has passed when no answer of it broke what its document says."""

    def __init__(self, *args, **params):
        self.tally = Tally(os.environ["EXARCH_FUZZ_TALLY"])

    def handle_event(self, ctx, event):
        if isinstance(event, (events.ScenarioFinished, events.FuzzScenarioFinished)):
            self.look(event.recorder)
        elif isinstance(event, events.NonFatalError):
            self.tally.failed.add(event.label)
        elif isinstance(event, events.EngineFinished):
            self.tally.save()
            lines = list(self.tally.lines(SERVER, LEFT_OUT, REASONS))
            Path(os.environ["EXARCH_FUZZ_TALLY"] + ".txt").write_text("\n".join(lines) + "\n")

    def look(self, recorder):
        for case, seen in recorder.interactions.items():
            node = recorder.cases.get(case)
            if node is None:
                continue
            label = node.value.operation.label
            # a check of schemathesis that asks again, without credentials
            by_check = node.parent_id is not None and node.transition is None
            status = seen.response.status_code if seen.response is not None else None
            if not by_check:
                meta = node.value.meta
                self.tally.add(label, status, meta is not None and meta.generation.mode.is_positive)
            if any(check.failure_info for check in recorder.checks.get(case, [])):
                self.tally.failed.add(label)
