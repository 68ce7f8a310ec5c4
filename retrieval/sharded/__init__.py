"""Many shards as one index: stored in object storage, written one by one, searched together.

sharded_index    ShardedIndex: opening, searching, changing a collection; status: its status
collection       searching and listing a collection, wherever its shards are
searched_shards  all shards as something to search; listed_shards: as something to list
asking           asking many shards at once; open_shard: one shard's answers; packed: their format
making           creating an empty collection
building         making the next generation: distributes documents, writes shards, commits
executors        running the tasks of a build; ray_executor: on a Ray cluster
sources          where documents come from
spool            documents distributed to the shards; partition: which shard a document belongs to
writing          writing one shard; working_folder: its folder on this machine's disk
generations      the newest manifest, and committing the next; manifest: its contents
blobs            files as pieces named by their digests; clearing: deleting unneeded ones
local            copies of shards on this machine
serving          shards in other processes, asked through a router
storage          folders, S3, GCS and Azure through obstore; place: naming a storage
"""

from retrieval.sharded.building import BuildReport
from retrieval.sharded.changes import Changes
from retrieval.sharded.collection import Collection
from retrieval.sharded.sharded_index import ShardedIndex
from retrieval.sharded.spool import Incoming
from retrieval.sharded.status import ShardedStatus

__all__ = [
    "BuildReport",
    "Changes",
    "Collection",
    "Incoming",
    "ShardedIndex",
    "ShardedStatus",
]
