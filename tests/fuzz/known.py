"""What has been seen in answers, to ask with: ids, slugs, and the secrets that one answer gives and another request takes."""

import re
from collections import defaultdict

ID = re.compile(r"[a-z]{3}_[0-9a-f]{32}")
# How the document says that something is an id.
PATTERN = re.compile(r"\^\(?([a-z]{3})_\[0-9a-f\]")
# Fields that one operation answers with and another takes, under the same name.
PASSED_ON = ("device_code", "refresh_token", "ticket", "user_code")
# The most that is remembered of a kind: the newest, which are there the likeliest.
MOST = 40


def kind_of(schema):
    """Whose id a schema describes, as the first letters of the id; none when it describes something else."""
    found = PATTERN.match(schema.get("pattern", ""))
    return found and found.group(1)


class Known:
    """Of one asker: what is known to one may be hidden from another."""

    def __init__(self, random):
        self.random = random
        # kind -> id -> the path parameters under which it was found
        self.items = defaultdict(dict)
        # id -> the ids that stand beside it, such as the cluster of a resource
        self.beside = {}

    def learn(self, answer, above):
        for item in answer.get("items", [answer]):
            if not isinstance(item, dict):
                continue
            name = item.get("id")
            if isinstance(name, str) and ID.fullmatch(name):
                self.add(name[:3], name, above)
                self.beside[name] = {field: value for field, value in item.items() if field.endswith("_id")}
            if isinstance(item.get("slug"), str) and str(name).startswith("reg_"):
                self.add("region", item["slug"], {})
            for field in PASSED_ON:
                if isinstance(item.get(field), str):
                    self.add(field, item[field], {})

    def add(self, kind, name, above):
        items = self.items[kind]
        items[name] = above
        while len(items) > MOST:
            del items[next(iter(items))]

    def forget(self, name):
        for items in self.items.values():
            items.pop(name, None)

    def one(self, kind, but=()):
        names = [name for name in self.items[kind] if name not in but]
        return self.random.choice(names) if names else None

    def above(self, kind, name):
        return self.items[kind].get(name, {})
