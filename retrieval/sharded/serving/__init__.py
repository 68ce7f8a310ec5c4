"""Shards served from processes of their own: replicas of each, and a router that asks them.

served_collection  ServedCollection: searched and listed as one index; its generations
router             the shards of one generation asked over their replicas: hedged, failed over
replica_set        one shard's replicas as the router sees them: who is alive, links to each
keeping            replicas started, watched, started again, and brought to a generation
wire               authenticated connections, and what goes over them
replica            the process that holds a shard
hosts              where replicas run: processes of this machine; ray_hosts: actors of a Ray cluster
ray_process        the process that joins that cluster, which may lose its head
messages, encoding  what a router says to a replica; messages as bytes
"""
