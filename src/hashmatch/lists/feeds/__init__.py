"""Feeds fetched from the services of their owners, resumably: `fetch_into` (``pip install 'hashmatch[feeds]'``)."""

from hashmatch.lists.feeds.fetching import FEEDS, FeedKind, FetchReport, fetch_into

__all__ = ["FEEDS", "FeedKind", "FetchReport", "fetch_into"]
