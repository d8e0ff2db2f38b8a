"""Stand-in for message_filters: messages of several topics that belong together."""

from message_filters.filters import Cache as Cache
from message_filters.filters import SimpleFilter as SimpleFilter
from message_filters.filters import Subscriber as Subscriber
from message_filters.synchronizers import ApproximateTimeSynchronizer as ApproximateTimeSynchronizer
from message_filters.synchronizers import TimeSynchronizer as TimeSynchronizer
