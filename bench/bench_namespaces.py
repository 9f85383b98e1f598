"""A Dask cluster on two hosts, network namespaces of this machine: bytes and seconds of a pass.

Client, scheduler and a worker are in one, another worker in the other; between them is a veth pair,
whose kernel counts the bytes, headers included, and lets through what ``tc`` allows (a token bucket
at either end). Both share this machine's cores. Blocks are few rows, so that what is timed is the
way of weights and sums. Beside each is the model of cluster_model.py. It needs Linux, root and
iproute2, and removes what it makes. Run by hand: ``python -m bench.bench_namespaces``
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import dask
import numpy as np
from distributed import Client, wait

from bench import cluster_model
from bench.bench_dask import drawn, on_cluster
from fastsoftmax.dask import SoftmaxClassifier
from fastsoftmax.dask.problem import ClusterProblem

HOSTS = {"here": "10.99.0.1", "there": "10.99.0.2"}
LINK, PORT = "veth0", 8786

#: Bits a second between the hosts; None for as much as a veth pair gives.
RATES = (None, 10**9, 10**8)

#: Bytes that may be let through at once: more than a segment that the kernel hands on whole.
BURST = 1 << 18

#: Blocks, features, classes; the first two say what a task of a block takes.
SHAPES = ((64, 16, 3), (16, 16, 3), (16, 768, 10), (16, 1000, 100), (16, 1000, 1000))
N_PASSES = 4


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def two_hosts():
    """Namespaces by the names of HOSTS, with a link between them; gone in the end."""
    names = {host: f"fastsoftmax-{host}-{os.getpid()}" for host in HOSTS}
    try:
        for name in names.values():
            _ip("netns", "add", name)
        here, there = names.values()
        link = ("link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns", there)
        _ip("-n", here, *link)
        for host, name in names.items():
            _ip("-n", name, "address", "add", f"{HOSTS[host]}/24", "dev", LINK)
            for device in ("lo", LINK):
                _ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names.values():
            with suppress(subprocess.CalledProcessError):  # as where it was never made
                _ip("netns", "delete", name)


def limit(names, rate):
    """Let through so many bits a second in either direction."""
    for name in names.values():
        command = ["tc", "-n", name, "qdisc"]
        if rate is None:
            subprocess.run([*command, "delete", "dev", LINK, "root"], capture_output=True)
        else:
            bucket = ("tbf", "rate", str(rate), "burst", str(BURST), "latency", "400ms")
            subprocess.run([*command, "replace", "dev", LINK, "root", *bucket], check=True)


def carried():
    """Bytes that came from the other host and went there."""
    folder = Path("/sys/class/net", LINK, "statistics")
    return np.array([int((folder / f"{way}_bytes").read_text()) for way in ("rx", "tx")])


@contextmanager
def cluster(names):
    """A client of the scheduler and of a worker on each host."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scheduler = f"tcp://{HOSTS['here']}:{PORT}"
        started = [("here", "dask_scheduler", "--port", str(PORT))]
        for host in HOSTS:
            options = ("--nthreads", "1", "--no-nanny", "--local-directory", f"{folder}/{host}")
            started.append((host, "dask_worker", scheduler, *options))
        for host, module, *options in started:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *options]
            command += ["--host", HOSTS[host], "--no-dashboard"]
            process = subprocess.Popen(
                ["ip", "netns", "exec", names[host], *command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        client = stack.enter_context(Client(scheduler, timeout=60))
        client.wait_for_workers(len(HOSTS), timeout=60)
        yield client


def measured(blocks, X):
    """Seconds and bytes of each pass, but for the first, and the coefficients in the end."""
    found, gradient = [], ClusterProblem.loss_gradient

    def timed(*arguments):
        before, start = carried(), time.perf_counter()
        result = gradient(*arguments)
        seconds = time.perf_counter() - start
        found.append((seconds, *(carried() - before)))
        return result

    ClusterProblem.loss_gradient = timed
    try:
        model = SoftmaxClassifier(
            solver="lbfgs", tol=None, max_iter=N_PASSES, max_memory=X.nbytes // 2, random_state=0
        )
        model.fit(*blocks)
    finally:
        ClusterProblem.loss_gradient = gradient
    return np.median(found[1:], axis=0), model.coef_


def of_model(rate, task, n_blocks, n_rows, n_features, n_classes):
    """Seconds of a pass: what a worker takes in passes the link as well as being copied."""
    bandwidth = cluster_model.Cluster.bandwidth
    if rate is not None:
        bandwidth = 1 / (1 / bandwidth + 8 / rate)
    of_link = cluster_model.Cluster(task=task, bandwidth=bandwidth)
    shape = (n_blocks, n_rows, n_features, n_classes)
    return cluster_model.seconds_of_a_pass(of_link, len(HOSTS), *shape)


def inside(names):
    """All measurements; called on the host of the client."""
    quiet = dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
    with quiet, cluster(names) as client:
        task, coefs = None, {}
        for shape in SHAPES:
            n_blocks, n_features, n_classes = shape
            X, y = drawn(max(1000, 4 * n_classes, 8 * n_blocks), n_features, n_classes)
            y[:n_classes] = np.arange(n_classes)
            limit(names, None)
            blocks = on_cluster(client, X, y, n_blocks)
            wait(blocks)
            held = client.who_has(client.futures_of(blocks[0])).values()
            places = Counter(where for workers in held for where in workers)
            size = 4 * n_classes * (n_features + 1) / 1e6
            print(f"{n_blocks} blocks, {n_classes} × {n_features}: weights of {size:.3g} MB")
            print(f"  blocks on workers: {', '.join(f'{n} at {w}' for w, n in places.items())}")
            for rate in RATES:
                limit(names, rate)
                (seconds, received, sent), coef = measured(blocks, X)
                task = seconds / n_blocks if task is None else task
                coefs.setdefault(shape, []).append(coef)
                limited = "no limit" if rate is None else f"{rate / 1e6:.0f} Mbit/s"
                by_model = of_model(rate, task, n_blocks, len(X), n_features, n_classes)
                print(
                    f"  {limited}: {seconds:.3f} s a pass, by the model {by_model:.3f}; "
                    f"{sent / 1e6:.3g} MB there, {received / 1e6:.3g} MB back, that is "
                    f"{sent / 1e6 / size:.1f} times the weights and {received / 2e6 / size:.1f} "
                    "results of a block",
                    flush=True,
                )
        same = all((coef == first).all() for first, *rest in coefs.values() for coef in rest)
        print(f"the same bits at each rate: {same}")


def main():
    """Make the hosts, and go on in the first of them."""
    try:
        with two_hosts() as names:
            command = [sys.executable, "-m", "bench.bench_namespaces", *names.values()]
            subprocess.run(["ip", "netns", "exec", names["here"], *command], check=True)
    except FileNotFoundError as error:
        sys.exit(f"iproute2 is missing: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))} has failed: {error.stderr or error}")


if __name__ == "__main__":
    if sys.argv[1:]:
        inside(dict(zip(HOSTS, sys.argv[1:], strict=True)))
    else:
        main()
