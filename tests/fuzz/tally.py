"""What all rounds against one server came to: a file that each round goes on with, and the lines about it."""

import json
from collections import Counter
from pathlib import Path


class Tally:
    def __init__(self, path):
        self.path = Path(path)
        seen = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.rounds = seen.get("rounds", 0) + 1
        self.asked, self.statuses = Counter(seen.get("asked", {})), Counter(seen.get("statuses", {}))
        self.good, self.failed = set(seen.get("good", [])), set(seen.get("failed", []))
        # answers to what the document allows, and those of them that are successes
        self.sound, self.sound_good = seen.get("sound", 0), seen.get("sound_good", 0)
        # operation -> its statuses, for those that never succeed
        self.answers = {label: Counter(n) for label, n in seen.get("answers", {}).items()}

    def add(self, label, status, sound):
        self.asked[label] += 1
        if status is None:
            return
        self.statuses[str(status)] += 1
        self.answers.setdefault(label, Counter())[str(status)] += 1
        self.sound += sound
        self.sound_good += sound and status < 300
        if status < 300:
            self.good.add(label)

    def save(self):
        kept = {name: value for name, value in vars(self).items() if name != "path"}
        self.path.write_text(json.dumps(kept, default=sorted))

    def lines(self, server, reasons):
        without = {label for label in self.asked if label not in self.good and label not in reasons}
        total = max(1, sum(self.statuses.values()))
        good = sum(n for status, n in self.statuses.items() if status[0] == "2")
        yield f"fuzzed {server}: {self.rounds} rounds, {sum(self.asked.values())} requests, {len(self.asked)} operations"
        yield (
            f"success: {100 * good / total:.0f} % of all answers, {100 * self.sound_good / max(1, self.sound):.0f} % of those"
            f" to what the document allows, {len(self.good)} of {len(self.asked)} operations"
        )
        yield "statuses: " + ", ".join(f"{status} x {n}" for status, n in sorted(self.statuses.items()))
        for operation in sorted(set(self.asked) - self.good):
            answers = ", ".join(f"{status} x {n}" for status, n in sorted(self.answers.get(operation, {}).items()))
            yield f"never answered with success: {operation} ({reasons.get(operation, 'FOR NO REASON')}): {answers}"
        for operation in sorted(self.failed | without):
            yield f"FAILED {operation}"
        bad = self.failed | without
        yield f"{len(set(self.asked) - bad)} passed, {len(bad)} failed"
