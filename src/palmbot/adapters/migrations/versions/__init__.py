"""One file a schema version. A file that was released is never edited."""
