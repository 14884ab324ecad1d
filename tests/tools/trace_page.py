#!/usr/bin/env python3
"""Checks that the page's data is consistent with itself: trace_page.py FILE."""
import base64
import json
import sys


def expect(holds, sentence):
    if not holds:
        sys.exit(f"{sys.argv[1]}: {sentence}")


def unpacked(text):
    """The numbers of a column: groups of 7 bits of differences, in base64."""
    numbers, last, value, shift = [], 0, 0, 0
    for byte in base64.b64decode(text, validate=True):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            last += value >> 1 ^ -(value & 1)
            numbers.append(last)
            value, shift = 0, 0
    expect(shift == 0, "a column ends within a number")
    return numbers


def unpack(page):
    """Columns of tables are strings; lists of names and the like stay what they are."""
    for table in page["events"], page["ops"], page["path"]:
        for name in table:
            if isinstance(table[name], str):
                table[name] = unpacked(table[name])
    for counter in page["counters"]:
        counter["time"] = unpacked(counter["time"])


def check_columns(table, lists=()):
    lengths = {len(column) for name, column in table.items() if name not in lists}
    expect(len(lengths) == 1, f"columns are of different lengths: {lengths}")
    return lengths.pop()


def check_range(values, low, end, what):
    expect(all(low <= value < end for value in values), f"{what} is out of range")


def check_events(page):
    events = page["events"]
    count = check_columns(events)
    check_range(events["kind"], 0, len(page["kinds"]), "a kind")
    check_range(events["name"], 0, len(page["names"]), "a name")
    check_range(events["op"], -1, len(page["ops"]["number"]), "an event's op")
    check_range(events["start"], 0, page["recording"]["duration"] + 1, "a start")
    at = 0
    for lane in page["lanes"]:
        expect(lane["count"] == 0 or lane["first"] == at, "lanes are not one behind the other")
        at += lane["count"]
        starts = events["start"][lane["first"]:lane["first"] + lane["count"]]
        expect(starts == sorted(starts), "the events of a lane are not in order")
    expect(at == count, "there are events without a lane")


def check_ops(page):
    ops = page["ops"]
    lists = "inputs", "dependents", "inputs_at", "dependents_at"
    count = check_columns(ops, lists)
    check_range(ops["name"], 0, len(page["names"]), "an op's name")
    check_range(ops["site"], -1, len(page["sites"]), "a site")
    check_range(ops["plan"], -1, len(page["plans"]), "a plan")
    check_range(ops["error"], -1, len(page["errors"]), "an error")
    check_range(ops["status"], -1, len(page["statuses"]), "a status")
    check_range(ops["lane"], -1, len(page["lanes"]), "an op's lane")
    edges = {}
    for name in "inputs", "dependents":
        at = ops[name + "_at"]
        expect(len(at) == count + 1 and at[0] == 0 and at[-1] == len(ops[name]), f"{name}_at")
        edges[name] = sorted((i, other) for i in range(count)
                             for other in ops[name][at[i]:at[i + 1]])
    expect(edges["inputs"] == sorted((b, a) for a, b in edges["dependents"]),
           "inputs and dependents contradict each other")


def check_path(page):
    path = page["path"]
    columns = {name: path[name] for name in ("start", "duration", "op", "lane", "what")}
    count = check_columns(columns)
    at = path["start"][0] if count else 0
    expect(at <= page["recording"]["begin"], "the critical path begins late")
    for i in range(count):
        expect(path["start"][i] == at, "the critical path has holes")
        at += path["duration"][i]
    check_range(path["what"], 0, len(path["whats"]), "a step's what")


def check_counters(page):
    for counter in page["counters"]:
        expect(len(counter["time"]) == len(counter["value"]) > 0, "a counter's columns")
        expect(counter["time"] == sorted(counter["time"]), "a counter goes back in time")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    expect("<" not in text, "there is a '<', which could end the script element")
    page = json.loads(text)
    unpack(page)
    for check in check_events, check_ops, check_path, check_counters:
        check(page)
    print(f"events={len(page['events']['start'])} ops={len(page['ops']['number'])} "
          f"lanes={len(page['lanes'])} left_out={page['recording']['left_out']}")


main()
