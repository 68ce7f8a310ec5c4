"""Serving shards from separate processes: replicas of each, and a router that asks them.

served_collection  ServedCollection: searching and listing as one index; its generations
router             asking the shards of one generation over their replicas: hedging, failover
replica_set        one group's replicas as the router sees them: liveness, connections
keeping            starting, watching and restarting replicas, and updating their generation
wire               authenticated connections, and the messages on them
replica            the process that serves a shard
hosts              where replicas run: processes on this machine; ray_hosts: actors of a Ray cluster
ray_process        the process that joins that cluster, which may lose its head
messages, encoding  messages from router to replica; messages as bytes
"""
