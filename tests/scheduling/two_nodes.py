"""A Ray cluster of two nodes on this machine, as a process of its own: ``python two_nodes.py FOLDER``.

It says the cluster's address, then ``done`` after each line that it reads: ``kill`` kills the second node's processes,
all at once, ``heal`` starts another second node, and ``restart`` ends everything and starts it anew. It ends, and the
cluster with it, when its standard input does.
Everything listens on the loopback address only.
"""

from __future__ import annotations

import os
import socket
import sys

import psutil
from ray.cluster_utils import Cluster


def _free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def add_node(cluster, folder, port):
    """Another node with two cores; the first is the head."""
    head = {"gcs_server_port": port} if cluster.head_node is None else {}
    # Ray does not wait for agents whose ports it was told, and they start slowly on a busy machine.
    agents = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    return cluster.add_node(
        num_cpus=2,
        object_store_memory=80_000_000,
        node_ip_address="127.0.0.1",
        include_dashboard=False,
        temp_dir=folder,
        **{agent: _free_port() for agent in agents},
        **head,
    )


def kill(cluster, node):
    """End a node as a power cut would."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in [raylet, *raylet.children(recursive=True)]:
        process.kill()
    cluster.remove_node(node, allow_graceful=False)


def main():
    """Serve until standard input ends."""
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, port = sys.argv[1], _free_port()
    cluster = Cluster()
    try:
        add_node(cluster, folder, port)
        second = add_node(cluster, folder, port)
        print(cluster.address, file=said, flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                kill(cluster, second)
            else:
                if line.strip() == "restart":
                    cluster.shutdown()
                    cluster = Cluster()
                    add_node(cluster, folder, port)
                second = add_node(cluster, folder, port)
            print("done", file=said, flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
