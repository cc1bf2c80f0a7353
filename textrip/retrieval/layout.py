"""The files of an index and their format."""

KIND = "textrip-index"
FORMAT = 2
STORE = "documents.sqlite"
