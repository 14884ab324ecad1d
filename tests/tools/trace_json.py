#!/usr/bin/env python3
"""Checks that Chrome trace events are such as Perfetto and speedscope load: trace_json.py FILE.

Prints what there is of each kind, as NAME=COUNT, or the first thing that is wrong."""
import collections
import json
import sys


def fail(sentence):
    sys.exit(f"{sys.argv[1]}: {sentence}")


def check_times(events):
    """Perfetto drops what is before 0, and speedscope cannot end a slice of no length."""
    for event in events:
        if event["ts"] < 0:
            fail(f"a negative time: {event}")
        if event["ph"] == "X" and event["dur"] <= 0:
            fail(f"a slice without length: {event}")


def check_order(events):
    last = {}
    for event in events:
        if event["ph"] in "Xisf":
            track = event["pid"], event["tid"]
            if event["ts"] < last.get(track, event["ts"]):
                fail(f"time goes back on track {track} at {event}")
            last[track] = event["ts"]


def check_nesting(events):
    """Slices of one track lie within each other or apart."""
    open_slices = collections.defaultdict(list)
    for event in events:
        if event["ph"] != "X":
            continue
        stack = open_slices[event["pid"], event["tid"]]
        begin, end = event["ts"], event["ts"] + event["dur"]  # as readers do, without rounding
        while stack and stack[-1] <= begin:
            stack.pop()
        if stack and end > stack[-1]:
            fail(f"slices overlap at {event}")
        stack.append(end)


def slices_by_track(events):
    slices = collections.defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    return slices


def check_arrows(events):
    ends = {"s": {}, "f": {}}
    slices = slices_by_track(events)
    for event in events:
        if event["ph"] in ends:
            if event["id"] in ends[event["ph"]]:
                fail(f"two arrows have one number: {event}")
            ends[event["ph"]][event["id"]] = event
            track = slices[event["pid"], event["tid"]]
            if not any(begin <= event["ts"] <= end for begin, end in track):
                fail(f"an arrow ends outside of slices: {event}")
            if event["ph"] == "f" and event.get("bp") != "e":
                fail(f"an arrow points at the next slice: {event}")
    if set(ends["s"]) != set(ends["f"]):
        fail(f"arrows have one end only: {set(ends['s']) ^ set(ends['f'])}")
    for number, begin in ends["s"].items():
        if begin["ts"] > ends["f"][number]["ts"]:
            fail(f"arrow {number} goes back in time")


def check_names(events):
    named = {(e["pid"], e["tid"]) for e in events
             if e["ph"] == "M" and e["name"] == "thread_name"}
    used = {(e["pid"], e["tid"]) for e in events if e["ph"] in "Xisf"}
    if used - named:
        fail(f"tracks have no names: {used - named}")


def check_composites(events):
    """On each track the last that was opened ends first; returns how many tracks, how deep."""
    stacks, deepest = collections.defaultdict(list), 0
    for event in sorted((e for e in events if e["ph"] in "be"), key=lambda e: e["ts"]):
        track = event["id2"]["local"]
        stack = stacks[track]
        if event["ph"] == "b":
            stack.append(event["name"])
            deepest = max(deepest, len(stack))
        elif not stack or stack.pop() != event["name"]:
            fail(f"a composite ends that is not the innermost: {event}")
    if any(stacks.values()):
        fail(f"composites do not end: {stacks}")
    return len(stacks), deepest


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    for check in check_times, check_order, check_nesting, check_arrows, check_names:
        check(events)
    tracks, deepest = check_composites(events)
    counts = collections.Counter(event["ph"] for event in events)
    names = sorted(e["args"]["name"] for e in events if e["ph"] == "M" and "name" in e["args"])
    print(" ".join(f"{phase}={count}" for phase, count in sorted(counts.items())))
    print("named: " + ", ".join(names))
    print(f"composites: {tracks} tracks, {deepest} deep")


main()
