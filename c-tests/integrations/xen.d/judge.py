#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""judge.py PLAN ORIGINAL-LOG RELAKIT-LOG: compares what both guests did with the plan, and with each other.

Prints rows of a table: the steps that refuse something or differ, and sums. The last line counts checks and failures."""
import re
import sys

ERRNOS = {"0": "accepted", "1": "EPERM", "2": "ENOENT", "22": "EINVAL", "75": "EOVERFLOW", "95": "EOPNOTSUPP"}
FATAL = re.compile(r"Xen BUG|FATAL|Panic on CPU|Kernel panic|\bBUG: |Oops|unhandled|traps:.*general protection")


def steps(name):
    """The steps of a guest: (step, status, version, state), with Xen's lines about livepatches in between."""
    with open(name, encoding="utf-8", errors="replace") as file:
        text = file.read().replace("\r", "")
    found = {}
    for number, content in re.findall(r"guest: step (\d+) begins: [^\n]*\n(.*?guest: step \1 ends: [^\n]*)\n", text, re.S):
        *between, last = content.split("\n")
        step, *values = last.split(" ends: ", 1)[1].split("|")
        found[int(number)] = step, values, [line for line in between if "livepatch:" in line or "Hook" in line]
    return found, "guest: end\n" in text, FATAL.findall(text)


def main(plan_name, *logs):
    checks, failures = 0, []

    def check(good, text):
        nonlocal checks
        checks += 1
        if not good:
            failures.append(text)

    with open(plan_name, encoding="utf-8") as file:
        plan = [[field.strip() for field in line.split("|")] for line in file if line.strip() and not line.startswith("#")]
    guests = [steps(log) for log in logs]
    for log, (found, end, fatal) in zip(logs, guests):
        check(end, f"{log}: the guest does not come to its end")
        check(not fatal, f"{log}: {fatal}")
        check(len(found) == len(plan), f"{log}: {len(found)} steps of {len(plan)}")
    planned, accepted = [0, 0], [0, 0]
    damaged = sum(step.startswith("upload ") and not step.startswith("upload xen_") for step, *_ in plan)
    for number, (step, *statuses, version, state, says) in enumerate(plan, 1):
        states = state.split(" / ")
        texts, results = [], []
        for which, (log, (found, _, _)) in enumerate(zip(logs, guests)):
            seen, values, lines = found.get(number, (None, [], []))
            want = [statuses[which], version, states[min(which, len(states) - 1)]]
            check(seen == step and values == want, f"{log}: step {number}, {step}: {want} expected, {seen}: {values}")
            if step.split()[1].startswith("xen_"):
                planned[which] += values == want
            elif step.startswith("upload "):
                accepted[which] += values[:1] == ["0"]
            texts.append(lines)
            results.append(ERRNOS.get(values[0], values[0]) if values else "not seen")
        said = any(says in line for line in texts[1])
        if says:
            check(said, f"{step}: relakit does not say: {says}\n  " + "\n  ".join(texts[1]))
            check(not any(says in line for line in texts[0]), f"{step}: the original says: {says}")
        if step.split()[0] != "unload" and set(statuses) != {"0"}:
            text = f": {says}" if says and said else ""
            print(f"| {step.replace('_', ' ')} | {results[0]} | {results[1]}{text} |")
    hooks = [[line.split("(XEN)", 1)[1] for found in (guest[0],) for _, _, lines in found.values() for line in lines
              if "Hook" in line] for guest in guests]
    check(hooks[0] and hooks[0] == hooks[1], f"the hooks of the payloads differ: {len(hooks[0])}, {len(hooks[1])} lines")
    print(f"| messages of the payloads' hooks | {len(hooks[0])} | {len(hooks[1])} |")
    valid = sum(step.split()[1].startswith("xen_") for step, *_ in plan)
    print(f"| steps with Xen's payloads that end as planned, of {valid} | {planned[0]} | {planned[1]} |")
    print(f"| damaged payloads that are accepted, of {damaged} | {accepted[0]} | {accepted[1]} |")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    print(f"{checks} {len(failures)}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
