"""The classifier in tools/examples/ as its clients see it.

Usage: test_classifier.py CLASSIFIER TENOR
"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy

MODEL = os.path.join(os.path.dirname(__file__), "../../tools/model/fashion_cnn.onnx")
CLASSIFIER, TENOR = sys.argv[1:3]
IMAGES = numpy.random.default_rng(7).integers(0, 256, (24, 28, 28), numpy.uint8)
IMAGES[::2, :, :14] //= 8  # not all of one class
IMAGES[::3, 14:, :] = 0
IMAGES[::4, :10, :] = 255


def labels_by_command():
    """What `tenor run` says of the images."""
    with tempfile.TemporaryDirectory() as folder:
        images, logits = os.path.join(folder, "x.npy"), os.path.join(folder, "y.npy")
        numpy.save(images, IMAGES)
        command = [TENOR, "run", MODEL, "--input", f"image={images}", "--output", f"logits={logits}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return numpy.load(logits).argmax(1).tolist()


FULL = "as much is in flight as the runtime's limits allow"


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [CLASSIFIER, MODEL, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)/", self.process.stdout.readline()).group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        _, self.errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, (self.process.returncode, self.errors)

    def ask(self, method, path, body=None):
        """Status, what the answer says, headers; on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        return answer.status, said, answer.headers

    def classify(self, image):
        return self.ask("POST", "/classify", image.tobytes())

    def status(self):
        return self.ask("GET", "/")[1]

    def in_flight(self):
        return self.status()["in_flight"]

    def await_in_flight(self, count):
        end = time.monotonic() + 30
        while self.in_flight() != count:
            assert time.monotonic() < end
            time.sleep(0.005)


def at_once(count, function):
    """Calls function(i) on so many threads; their results in order."""
    results = [None] * count

    def run(i):
        results[i] = function(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


class Test(unittest.TestCase):
    def check_labels(self, server):
        right = labels_by_command()
        self.assertGreater(len(set(right)), 1)
        answers = at_once(len(IMAGES), lambda i: server.classify(IMAGES[i]))
        self.assertEqual([status for status, _, _ in answers], [200] * len(IMAGES))
        self.assertEqual([said["class"] for _, said, _ in answers], right)
        for _, said, _ in answers:
            self.assertGreater(said["score"], 0.1)

    def test_labels_are_those_of_the_command(self):
        with Server() as server:
            self.check_labels(server)
            status = server.status()
            self.assertEqual((status["requests"], status["in_flight"]), (24, 0))

    def test_waiting_in_the_loop_gives_the_same(self):
        with Server("--blocking") as server:
            self.check_labels(server)

    def test_pgm_is_taken_and_other_things_are_not(self):
        with Server() as server:
            raw = IMAGES[0].tobytes()
            pgm = b"P5\n28 28\n255\n" + raw
            self.assertEqual(server.ask("POST", "/classify", pgm)[1], server.classify(IMAGES[0])[1])
            for wrong in [b"", raw[:-1], raw + b"x", b"P5\n28 28\n15\n" + raw, b"P5\n14 56\n255\n" + raw,
                          b"P6\n28 28\n255\n" + raw, b"P5\n28 28\n255\n" + raw[:-1]]:
                self.assertEqual(server.ask("POST", "/classify", wrong)[0], 400)
            self.assertEqual(server.ask("GET", "/classify")[0], 405)

    def test_what_takes_too_long_is_answered_at_its_deadline(self):
        with Server("--slow", "100", "--deadline", "150") as server:
            begin = time.monotonic()
            status, said, _ = server.classify(IMAGES[0])
            self.assertEqual(status, 504)
            self.assertIn("had not started when the 150 ms of group 'request' were over", said["error"])
            self.assertGreaterEqual(time.monotonic() - begin, 0.15)
            self.assertEqual(server.in_flight(), 0)

    def test_what_finds_no_room_is_sent_away(self):
        with Server("--slow", "60", "--in-flight", "2", "--deadline", "60000") as server:
            answers = []
            busy = threading.Thread(
                target=lambda: answers.extend(at_once(6, lambda i: server.classify(IMAGES[i]))))
            busy.start()
            while server.status()["requests"] < 6:
                time.sleep(0.005)
            before = server.status()  # others are answered meanwhile
            status, said, headers = server.classify(IMAGES[6])
            self.assertEqual((status, said["error"]), (503, FULL))
            self.assertEqual(headers["Retry-After"], "1")
            after = server.status()
            self.assertLessEqual(after["ops"], before["ops"])  # nothing of it was submitted
            self.assertLessEqual(after["in_flight"], before["in_flight"])
            busy.join()
            statuses = sorted(status for status, _, _ in answers)
            self.assertEqual(statuses[:2], [200, 200])
            self.assertEqual(statuses[-1], 503)
            self.assertEqual(set(statuses), {200, 503})
            self.assertEqual(server.classify(IMAGES[6])[0], 200)

    def test_in_a_crowd_each_is_answered_or_sent_away(self):
        right = labels_by_command()
        with Server("--in-flight", "2") as server:
            answers = at_once(len(IMAGES), lambda i: server.classify(IMAGES[i]))
            for (status, said, _), label in zip(answers, right):
                if status == 200:
                    self.assertEqual(said["class"], label)
                else:
                    self.assertEqual((status, said["error"]), (503, FULL))
            server.await_in_flight(0)

    def test_what_nobody_waits_for_any_more_is_not_run(self):
        with Server("--slow", "100", "--deadline", "60000") as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 784\r\n\r\n"
            client.sendall(head + IMAGES[0].tobytes())
            server.await_in_flight(1)
            client.close()
            begin = time.monotonic()
            server.await_in_flight(0)
            self.assertLess(time.monotonic() - begin, 0.6)  # a dozen ops of 100 ms
            self.assertEqual(server.classify(IMAGES[0])[0], 200)

    def test_it_tells_what_is_in_flight_and_ends_in_the_middle_of_it(self):
        with Server("--slow", "100", "--deadline", "60000") as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            head = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 784\r\n\r\n"
            client.sendall(head + IMAGES[0].tobytes())
            server.await_in_flight(1)
            server.process.send_signal(signal.SIGUSR1)
            time.sleep(0.05)
        client.close()
        self.assertRegex(server.errors, r"\d+ ops and \d+ other futures? in flight\n")
        self.assertRegex(server.errors, r"group 'request', deadline in (59|60)\.")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
