#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""compare.py VERSION FOLDER MODULES RELAKIT SYMVERS: compares the kernel's log of a run with the reports of relakit check.

Writes FOLDER/answers.txt, what the kernel did with each case. Prints a table and ends with 1 if a line of it says NO."""
import concurrent.futures
import errno
import json
import os
import re
import subprocess
import sys

import cases

# Lines that every first out-of-tree module or livepatch of a boot causes.
NOISE = re.compile(r"taints kernel|tainting kernel|module verification failed|^livepatch: (enabling|'\S+': (starting|"
                   r"patching complete|unpatching complete))|module license '|Disabling lock debugging|^tsc: |^clocksource: ")
# Lines of a backtrace, which answers.txt leaves out.
TRACE = re.compile(r"^(CPU:|Hardware name|Tainted:|Call Trace|RSP:|RAX:|RDX:|RBP:|R10:|R13:|FS:|CS:|CR2:|Code:|PGD|ORIG_RAX|"
                   r"RIP: 0033|Modules linked|note: load|</?TASK>|---\[|\?| )")


class Step:
    def __init__(self, label):
        self.label, self.result, self.lines, self.ftrace, self.patched, self.objects = label, None, [], None, [], []

    @property
    def complaint(self):
        """Whether the kernel has complained, been stopped, or shut ftrace off."""
        if self.result in (None, "killed") or self.ftrace == "0":
            return True
        return any(re.search(cases.COMPLAINT, line) for line in self.lines)

    def show(self):
        name = self.result
        if name and name.isdigit():
            name = "0" if name == "0" else f"{name} {errno.errorcode[int(name)]}"
        out = [f"  {self.label}: {name}"]
        if self.ftrace == "0":
            out.append("    ftrace_enabled is 0")
        if self.patched:
            out.append(f"    patched {' '.join(self.patched)}")
        for line in self.objects:
            out.append(f"    object {line}")
        out += [f"    | {line[:200]}" for line in self.lines if not TRACE.search(line)]
        return out


def kernel_answers(path):
    """The steps of each case, by its name."""
    answers, steps, step = {}, None, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            found = re.match(r"\[ *[0-9.]+\] ?(.*)", line.rstrip("\n"))
            if not found:
                continue
            line = found[1]
            word, _, rest = line[2:].partition(" ") if line.startswith("@ ") else ("", "", "")
            if word == "case":
                steps = answers[rest.split("-", 1)[1]] = []
                step = None
            elif word in ("done", "end", "kallsyms"):
                step = None
            elif steps is None:
                continue
            elif word == "step" or word == "cleaning":
                step = Step(rest or "cleaning")
                step.result = "0" if word == "cleaning" else None
                steps.append(step)
            elif step is None:
                continue
            elif word == "result":
                step.result = rest
            elif word == "ftrace":
                step.ftrace = rest
            elif word == "patched":
                step.patched.append(rest)
            elif word == "object":
                step.objects.append(rest)
            elif not NOISE.search(line) and line:
                step.lines.append(line[2:] if word else line)
    return answers


def events(case):
    """relakit's event for each step of a case; None for a step that it is not told of."""
    loaded, out = False, []
    for step in case.steps:
        kind, _, name = step.partition(":")
        loaded = loaded or kind == "P"
        out.append({"L": f"{'coming' if loaded else 'live'}:{name}", "U": f"going:{name}"}.get(kind))
    return out


def report(case, relakit, version, modules, symbols):
    """What relakit check reports."""
    before = [step[2:] for step in case.steps if step.startswith("K:")]
    checked = [os.path.join(modules, f"{name}.ko") for name in (*before, case.module)]
    command = [relakit, "check", *checked, "--kernel", version, "--format", "json"]
    for file in symbols:
        command += ["--symbols", file]
    names = {step[2:] for step in case.steps if step[:2] in ("L:", "U:")} | set(filter(None, [case.beside]))
    for name in sorted(names):
        command += ["--target", f"{name}={os.path.join(modules, name)}.ko"]
    for event in filter(None, events(case)):
        command += ["--event", event]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    try:
        out = json.loads(run.stdout)
    except ValueError:
        return {"exit": run.returncode, "verdict": "no report", "errno": None, "steps": [], "findings": [],
                "message": run.stderr.strip()[:200]}
    if before:  # one report for each module
        out = out[-1]
    out["exit"] = run.returncode
    for one in [out] + out["steps"]:
        one["verdict"] = one["verdict"].replace(" ", "-")
    return out


def same(number, name):
    return name == errno.errorcode.get(number, 0) or number == errno.EAGAIN and name == "EWOULDBLOCK"


def findings(names, report_, severities):
    """Whether the rule or a section of a finding of one of the severities matches `names`."""
    for finding in report_["findings"]:
        place = finding.get("place") or {}
        texts = [finding["rule"], place.get("section_name") or "", place.get("target_name") or ""]
        if finding["severity"] in severities and any(re.search(names, text, re.I) for text in texts):
            return True
    return False


def never_patches(case, steps):
    """The functions that the case intends to patch and that were not patched after any step."""
    patched = [name for step in steps for name in step.patched]
    return [name for name in case.patched if name.split(":")[-1] not in patched]


def kernel_kind(case, steps):
    """What a report must agree with: `undefined`, `complains`, `refuses`, `never patches` or `works`."""
    checked = [step for step in steps if step.label != "cleaning"]
    if case.undefined:
        return "undefined"
    if any(step.complaint for step in checked):
        return "complains"
    if any(step.result != "0" for step in checked):
        return "refuses"
    return "never patches" if never_patches(case, checked) else "works"


def judge_undefined(case, report_):
    """A result that depends on chance: relakit must say that something is wrong."""
    verdicts = [one["verdict"] for one in [report_] + report_["steps"]]
    if "unsafe" in verdicts:
        return True, "unsafe"
    if findings(case.names, report_, ("error",)):
        return True, "error"
    return (None, "not judged") if "not-judged" in verdicts else (False, f"undefined, relakit: no error {case.names}")


def judge_accepted(case, steps, report_):
    """The kernel and relakit have accepted all steps: what was patched, and what the findings say."""
    unpatched = never_patches(case, steps)
    if unpatched:
        if report_["exit"] == 1 and case.names and findings(case.names, report_, ("info", "warning", "error")):
            return True, "finding"
        if case.silent:
            return True, "accepted"
        return False, f"never patches {' '.join(unpatched)}, relakit: no finding {case.names}"
    errors = [finding["rule"] for finding in report_["findings"] if finding["severity"] == "error"]
    if errors and not case.silent:
        return False, f"works, relakit: error {errors[0]}"
    return True, "error, the kernel does not notice" if errors else "accepted"


def judge(case, steps, report_):
    """(agrees, reason): True, False, or None where relakit says that it cannot judge."""
    if report_["verdict"] == "no report":
        return False, report_["message"]
    if case.undefined:
        return judge_undefined(case, report_)
    kind = kernel_kind(case, steps)
    unsure, refused, verdict = report_["verdict"] == "not-judged", False, None
    given = iter(report_["steps"])
    for step, (label, event) in zip(steps, zip(case.steps, events(case))):
        known = label == "P" or event  # relakit is told of this step
        if known:
            verdict = report_ if label == "P" else next(given, None)
            if verdict is None:
                return (None, "not judged") if unsure else (False, f"no step {label}")
        said = verdict["verdict"] if verdict else "accepted"
        agrees = said == "rejected" and (step.result or "").isdigit() and same(int(step.result), verdict["errno"])
        unsure = unsure or said == "not-judged"
        if step.complaint:
            if said == "unsafe":
                return True, "unsafe"
            if case.names and findings(case.names, report_, ("error",)):
                return True, "error"
            if agrees:
                return True, "rejected"
            return (None, "not judged") if unsure else (False, f"{label}: the kernel complains, relakit: {said}")
        if not known:
            continue
        if said == "unsafe" and kind == "complains":  # relakit may say so at an earlier step
            return True, "unsafe"
        if step.result != "0":
            if case.code and said == "accepted":
                noted = any(re.search(case.code, note) for note in report_.get("notes", []))
                return (None, "its own code") if noted else (False, f"{label}: no note of {case.code}")
            refused = True
            if not agrees and said != "not-judged":
                name = errno.errorcode[int(step.result)]
                return False, f"{label}: {name}, relakit: {said} {verdict['errno'] or ''}".rstrip()
            if label == "P":
                return (True, "rejected") if agrees else (None, "not judged")
        elif said == "unsafe" and case.silent:
            return True, "unsafe, the kernel does not notice"
        elif said not in ("accepted", "not-judged"):
            return False, f"{label}: works, relakit: {said} {verdict['errno'] or ''}".rstrip()
    if len(steps) < len(case.steps):
        return False, "the kernel has not done all steps"
    if refused and not unsure:
        return True, "rejected"
    # A report can accept the steps and list what it cannot judge.
    if unsure or report_.get("not_judged") and report_["exit"] == 1:
        if kind == "works" and not (case.silent or case.unknown):
            return False, "works, relakit: not judged"
        return None, "not judged"
    return judge_accepted(case, steps, report_)


def lie(case, steps, verdict, number):
    """A report that says the same of every step."""
    one = {"verdict": verdict, "errno": errno.errorcode.get(number), "findings": [
        {"rule": "a-control", "severity": "error"}] if verdict == "accepted" and number else []}
    return {**one, "exit": 1, "steps": [dict(one) for event in events(case) if event and steps]}


def controls(chosen, answers):
    """The comparison must notice reports that are wrong. Returns the number of lies that it does not notice."""
    missed = 0
    told = 0
    for case in chosen:
        steps = answers[case.name]
        kind = kernel_kind(case, steps)
        lies = []
        if kind in ("complains", "refuses", "undefined") or kind == "never patches" and not case.silent:
            lies.append(("accepted", 0))
        if kind not in ("works", "never patches"):
            lies.append(("accepted", 1))  # with a finding about something else
        if kind == "undefined":
            lies.append(("rejected", errno.EXDEV))
        elif kind != "complains":
            lies.append(("rejected", errno.EXDEV))
            if not case.silent:
                lies.append(("unsafe", 0))
            if kind == "works" and not (case.silent or case.unknown):
                lies.append(("not-judged", 0))
        elif not any(step.result == str(errno.EXDEV) for step in steps):
            lies.append(("rejected", errno.EXDEV))
        for verdict, number in lies:
            told += 1
            if judge(case, steps, lie(case, steps, verdict, number))[0] is not False:
                missed += 1
                print(f"FAILED: {case.name}: a report of {verdict} {number} is not noticed")
    print(f"controls: {told} wrong reports, {missed} not noticed")
    return missed


def main(version, folder, modules, relakit, symvers):
    answers = kernel_answers(os.path.join(folder, "log"))
    chosen = [case for case in cases.CASES if case.only in (None, version)]
    lines = []
    for case in chosen:
        kind = kernel_kind(case, answers[case.name]) if case.name in answers else "not run"
        lines.append(f"{case.name} [{version}, {case.module}.ko]: {kind}")
        for step in answers.get(case.name, []):
            lines += step.show()
    with open(os.path.join(folder, "answers.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    missing = [case.name for case in chosen if case.name not in answers]
    if missing:
        sys.exit(f"FAILED: no answer of the kernel to {' '.join(missing)}")
    wrong = controls(chosen, answers)

    symbols = [os.path.join(folder, "kallsyms")]
    counts = {True: 0, False: 0, None: 0}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = pool.map(lambda case: report(case, relakit, version, modules, symbols + (
            [symvers] if case.name.startswith("evidence") else [])), chosen)
        print(f"{'case':40} {'Linux ' + version:32} agree  relakit")
        for case, said in zip(chosen, reports):
            steps = answers[case.name]
            agrees, why = judge(case, steps, said)
            counts[agrees] += 1
            did = " ".join("!" if step.complaint else
                           errno.errorcode[int(step.result)] if step.result.isdigit() and step.result != "0" else step.result
                           for step in steps if step.label != "cleaning")
            kind = kernel_kind(case, steps)
            print(f"{case.name:40} {kind + ': ' + did:32} {'yes' if agrees else 'NO' if agrees is False else '-':6} {why}")
    print(f"Linux {version}: {len(chosen)} cases: {counts[True]} agree, {counts[None]} not judged, {counts[False]} disagree")
    sys.exit(1 if counts[False] or wrong else 0)


main(*sys.argv[1:])
