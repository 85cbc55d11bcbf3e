"""What an instruction pool is: reading, writing and describing one."""

from coresift.data.describe import describe
from coresift.data.pool import Example, Message, Pool, SkippedRow
from coresift.data.readers import read_pool
from coresift.data.writers import write_coreset, write_skipped

__all__ = ["Example", "Message", "Pool", "SkippedRow", "describe", "read_pool", "write_coreset", "write_skipped"]
