"""Many shards as one index: kept in object storage, written one by one, searched together.

sharded_index    ShardedIndex: opened, searched, changed; status: what it holds
collection       what can be searched and listed, whoever asks the shards
searched_shards  all shards as what a search asks; listed_shards: as what listings ask
asking           many shards asked at once; open_shard: what one answers; packed: how it travels
making           a collection that holds nothing yet
building         the next generation: shares out, writes, commits
executors        who runs the tasks of that; ray_executor: a Ray cluster
sources          where documents come from
spool            documents shared out to the shards; partition: which goes where
writing          one shard, written; working_folder: where, on the disk of this machine
generations      the newest manifest, and the commit of the next; manifest: what it says
blobs            files as pieces under their digests; clearing: those that nobody needs
local            copies on this machine
serving          shards held by other processes, and asked through a router
storage          folders, S3, GCS and Azure through obstore; place: what names one
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
