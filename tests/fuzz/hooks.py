"""What schemathesis has to know of a federation in a box: who asks, with what, and what would end the fuzzing.

EXARCH_FEDERATION names the box's federation.json, EXARCH_FUZZ_SERVER the server: `global`, a region's slug, or `agents` for
the listener that agents ask, which is reached by the bridge at EXARCH_FUZZ_BRIDGE; EXARCH_FUZZ_TALLY the file of what all rounds came to, EXARCH_FUZZ_ROUND_SEED this round's seed.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

import requests
import schemathesis
from agents import Host
from known import ID, Known, kind_of
from people import BOX, GLOBAL, IS_GLOBAL, REGION_URL, SERVER, Person, post
from real import ENDING, REAL
from scene import Scene
from schemathesis import cli
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events
from schemathesis.generation.meta import TestPhase
from tally import Tally

AGENTS = SERVER == "agents"
# What agents ask is on a listener of its own.
OF_AGENTS = "/agent/v1/"
# Why an operation may be without success. An operation without one and without success is a fault of the fuzzing.
EMERGENCY = "there is break-glass only where two of the provider's people may approve, and the box has one"
REASONS = {
    "POST /v1/me/token": "takes a session by cookie, which the checks would take for no credentials",
    "POST /v1/break-glass": EMERGENCY,
    "GET /v1/break-glass/{id}": EMERGENCY,
    "POST /v1/break-glass/{id}/approve": EMERGENCY,
    "POST /v1/break-glass/{id}/deny": EMERGENCY,
    "POST /v1/break-glass/{id}/end": EMERGENCY,
    "POST /v1/provider-access/{id}/end": EMERGENCY,
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
OWNER = Person("owner@exarch.example")
PEOPLE = [OWNER, TENANT_ADMIN] if IS_GLOBAL else [TENANT_ADMIN]
SCENE = Scene(RANDOM, OWNER, TENANT_ADMIN, os.environ["EXARCH_FUZZ_BRIDGE"])
HOST = Host(SCENE) if AGENTS else None
KNOWN = {person: Known(RANDOM) for person in PEOPLE}
# What the box was made with and the askers are: it is looked at, and not changed.
KEPT = set().union(*(person.own() for person in PEOPLE))
if IS_GLOBAL:
    KEPT |= {region[name] for region in BOX["regions"] for name in ("id", "slug")}
else:
    KEPT |= {agent["id"] for agent in BOX["agents"]}
BASE = GLOBAL if IS_GLOBAL else REGION_URL
# Who asks by which token, and how often each was served and turned away: (operation, person) -> a number.
ASKERS = {}
SERVED = Counter()
# operation -> how often it was served in this round, and how often something was made for it: until it is served, and not too
# often, since all of it takes time
DONE, MADE, OFTEN = Counter(), Counter(), 4
# (operation, path parameter) or the name of a member of a body -> kind of id
KINDS = {}
# Operations with If-Match, and those that ask for a bearer.
MATCHED, SECURED = set(), set()


@schemathesis.auth(refresh_interval=None)
class Bearer:
    def get(self, case, ctx):
        if AGENTS:
            # the bridge has the token
            return "session"
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
    label = case.operation.label
    # By what somebody may who is signed in; without that, and with less, it is a check that asks.
    if label in ENDING and asker(case):
        ask_really(case, ENDING[label](SCENE))
        return
    if label in REAL and not DONE[label] and MADE[label] < OFTEN and is_to_succeed(case):
        MADE[label] += 1
        ask_really(case, REAL[label](SCENE))
        return
    if AGENTS:
        if is_sound_whole(case) and RANDOM.randrange(10) < KNOWING:
            case.body = HOST.body(label) or case.body
            if case.query and "wait_ms" in case.query:
                case.query["wait_ms"] = RANDOM.randrange(100)
        return
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


def is_sound_whole(case):
    return all(is_sound(case, location) for location in ParameterLocation)


def is_to_succeed(case):
    """Whether it is neither at an edge of what the schema says, nor without the credentials that it takes."""
    at_an_edge = case.meta and case.meta.phase.name == TestPhase.COVERAGE
    return not at_an_edge and is_sound_whole(case) and (case.operation.label not in SECURED or asker(case))


def ask_really(case, ask):
    """What was made for it, whatever the schema gave."""
    if is_sound(case, ParameterLocation.BODY) and ask.body is not None:
        case.body = ask.body
    if is_sound(case, ParameterLocation.PATH):
        case.path_parameters = {**(case.path_parameters or {}), **{n: v for n, v in ask.path.items() if n in case.path_parameters}}
    if ask.query and is_sound(case, ParameterLocation.QUERY):
        case.query = {**(case.query or {}), **ask.query}
    if ask.token:
        case.headers["Authorization"] = f"Bearer {ask.token}"
    if case.operation.label in MATCHED and is_sound(case, ParameterLocation.HEADER):
        case.headers["If-Match"] = "*"


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
    DONE[case.operation.label] += response.status_code < 300
    if AGENTS:
        if response.status_code == 200:
            HOST.learn(case.operation.label, case.body, response.json())
        return
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
            if path.startswith(OF_AGENTS) != AGENTS:
                del raw["paths"][path][method]
                continue
            if any(operation.get("security", [])):
                SECURED.add(label)
            for parameter in operation.get("parameters", []):
                name, schema = parameter.get("name"), parameter.get("schema", {})
                if parameter.get("in") == "path":
                    KINDS[label, name] = kind_of(schema) or ("region" if name == "slug" else None)
                elif name == "If-Match":
                    MATCHED.add(label)
        if not raw["paths"][path]:
            del raw["paths"][path]
    if not AGENTS:
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
            lines = list(self.tally.lines(SERVER, REASONS))
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
